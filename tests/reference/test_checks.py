"""Sessions, training runs and the library as cases: by number, the same whoever runs them, and told in one way."""

from __future__ import annotations

import pytest

from reference.checks import CHECKS, Looked, look
from reference.faults import FAULTS
from reference.verdict import AT_ONCE
from tests.reference.both import BOTH

# For each check a fault that it sees within some cases.
# fmt: off
SEEN = {
    "sessions": "grad-thrice",
    "training": "adam-eps-in-the-root",
    "library":  "init-bias-drawn",
}
# fmt: on
WITHIN = 40


def first_wrong(check: str) -> tuple[int, Looked]:
    """The first case that sees the fault of a check, and what it sees."""
    (fault,) = [fault for fault in FAULTS if fault.name == SEEN[check]]
    with fault.plant():
        return next((n, looked) for n in range(WITHIN) if (looked := look(check, 0, n, *BOTH)).findings)


def test_each_check_has_a_fault_here() -> None:
    """The table above leaves out none."""
    assert set(SEEN) == set(CHECKS)


@pytest.mark.parametrize("check", CHECKS)
def test_a_right_engine_agrees(check: str) -> None:
    """Nothing is found, and something was compared; what agreed at once was as near as is allowed."""
    cases = [look(check, 0, number, *BOTH) for number in range(12)]
    assert [finding for looked in cases for finding in looked.findings] == []
    assert all(looked.numbers for looked in cases)
    assert all(0 <= looked.worst <= AT_ONCE for looked in cases)


@pytest.mark.parametrize("check", CHECKS)
def test_a_case_is_the_same_whenever_it_is_run(check: str) -> None:
    """Cases run backwards are what they were forwards; and they are not all alike."""
    numbers = range(6)
    forwards = [str(look(check, 3, number, *BOTH)) for number in numbers]
    backwards = [str(look(check, 3, number, *BOTH)) for number in reversed(numbers)]
    assert forwards == backwards[::-1]
    assert len(set(forwards)) > 1


@pytest.mark.parametrize("check", CHECKS)
def test_seeds_differ(check: str) -> None:
    """The cases of another seed are others."""
    assert [str(look(check, 3, number, *BOTH)) for number in range(6)] != [
        str(look(check, 4, number, *BOTH)) for number in range(6)
    ]


@pytest.mark.parametrize("check", CHECKS)
def test_a_fault_is_found_and_told(check: str) -> None:
    """What is wrong blames the engine, and the text says what was done."""
    _, looked = first_wrong(check)
    assert all(finding.result.blames for finding in looked.findings)
    assert looked.text
    assert looked.numbers


@pytest.mark.parametrize("check", CHECKS)
def test_a_fault_is_found_again(check: str) -> None:
    """By the same case and in the same words."""
    number, looked = first_wrong(check)
    again, once_more = first_wrong(check)
    assert (number, str(looked)) == (again, str(once_more))


def test_a_session_is_made_shorter_where_that_is_asked() -> None:
    """It goes wrong in one of the same ways, in fewer lines."""
    number, long = first_wrong("sessions")
    (fault,) = [fault for fault in FAULTS if fault.name == SEEN["sessions"]]
    with fault.plant():
        short = look("sessions", 0, number, *BOTH, short=True)
    assert {finding.kind for finding in short.findings} & {finding.kind for finding in long.findings}
    assert len(short.text.splitlines()) < len(long.text.splitlines())


def test_an_unknown_check_is_refused() -> None:
    """Programs are no check of this kind, nor is anything else."""
    with pytest.raises(KeyError, match="tanh"):
        look("tanh", 0, 0, *BOTH)
