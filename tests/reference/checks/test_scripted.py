"""Sessions, training runs and checks of the library as cases: they are reproduced by number, replayed and shrunk."""

from __future__ import annotations

import pytest

from reference.checks import SCRIPTED, NotACase, ScriptedCase, SeededCase, Trial, parse_case, shrink
from reference.engines.ndgrad import NdgradEngine
from reference.engines.references import References
from reference.engines.torch import TorchEngine
from reference.mutation import FAULTS
from reference.verdict import AT_ONCE, Result

# For each check a fault that it detects within some cases.
# fmt: off
SEEN = {
    "sessions": "grad-thrice",
    "training": "adam-eps-in-the-root",
    "library":  "init-bias-drawn",
}
# fmt: on
WITHIN = 40
SIDES = NdgradEngine(), References([TorchEngine()])


def run(check: str, seed: int, number: int) -> Trial:
    """Run the case of this number."""
    return SeededCase(check, seed, number).run(*SIDES)


def first_wrong(check: str) -> tuple[int, Trial]:
    """Return the number and the trial of the first case that detects the check's fault."""
    (fault,) = [fault for fault in FAULTS if fault.name == SEEN[check]]
    with fault.plant():
        return next((n, trial) for n in range(WITHIN) if (trial := run(check, 0, n)).verdict.findings)


def test_each_check_has_a_fault_here() -> None:
    """Each kind of check has a row in the table above."""
    assert set(SEEN) == set(SCRIPTED)


@pytest.mark.parametrize("check", SCRIPTED)
def test_a_right_engine_agrees(check: str) -> None:
    """A right engine agrees, numbers are compared, and the worst distance is within what agrees at once."""
    verdicts = [run(check, 0, number).verdict for number in range(12)]
    assert {verdict.result for verdict in verdicts} == {Result.AGREES}
    assert all(verdict.numbers for verdict in verdicts)
    assert all(0 <= verdict.worst <= AT_ONCE for verdict in verdicts)


@pytest.mark.parametrize("check", SCRIPTED)
def test_a_case_is_the_same_whenever_it_is_run(check: str) -> None:
    """Cases do not depend on the order of runs, differ from each other, and depend on the seed."""
    numbers = range(6)
    forwards = [str(run(check, 3, number)) for number in numbers]
    backwards = [str(run(check, 3, number)) for number in reversed(numbers)]
    assert forwards == backwards[::-1]
    assert len(set(forwards)) > 1
    assert forwards != [str(run(check, 4, number)) for number in numbers]


@pytest.mark.parametrize("check", SCRIPTED)
def test_a_case_is_replayed_from_its_line(check: str) -> None:
    """The line with its number and the line with its choices both reproduce the case."""
    for number in range(8):
        trial = run(check, 2, number)
        assert isinstance(trial.case, ScriptedCase)
        for line in (f"{check} 2 {number}", str(trial.case)):
            again = parse_case(line).run(*SIDES)
            assert (again.case, again.transcript, again.verdict) == (trial.case, trial.transcript, trial.verdict)


@pytest.mark.parametrize("check", SCRIPTED)
def test_a_fault_is_found_reproducibly(check: str) -> None:
    """The findings blame the engine, there is a transcript, and a second search finds the same case and words."""
    number, trial = first_wrong(check)
    assert all(finding.result.blames for finding in trial.verdict.findings)
    assert trial.transcript
    assert trial.verdict.numbers
    again, once_more = first_wrong(check)
    assert (number, str(trial)) == (again, str(once_more))


@pytest.mark.parametrize("check", SCRIPTED)
def test_a_case_is_shrunk(check: str) -> None:
    """A shrunk case fails in one of the same ways, is smaller, and is replayed from its line."""
    (fault,) = [fault for fault in FAULTS if fault.name == SEEN[check]]
    _, found = first_wrong(check)
    kinds = frozenset(finding.kind for finding in found.verdict.findings)

    with fault.plant():
        small = shrink(found, lambda case: case.reproduce(kinds, *SIDES)).case
        again = parse_case(str(small)).run(*SIDES)
    assert kinds & {finding.kind for finding in again.verdict.findings}
    assert small.size < found.case.size
    assert len(again.transcript.splitlines()) <= len(found.transcript.splitlines())


@pytest.mark.parametrize(
    "line",
    ["sessions", "sessions 0", "sessions leaf 0", "sessions case 0; nothing 1", "training case 1; leaf 2", "library x"],
)
def test_an_invalid_case_is_refused(line: str) -> None:
    """An invalid line is refused with a description of a case."""
    with pytest.raises(NotACase, match="a case is its kind, a seed and a number"):
        parse_case(line)
