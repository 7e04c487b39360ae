"""The texts of `verify`: the rows of its tables, the failures, and the last line."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Sequence
from typing import Any

import numpy as np

from reference.campaign import Failure, Record
from reference.checks import ProgramCase
from reference.checks.training import TrainingRecord
from reference.ops import OPS
from reference.programs import NUMBER, Program
from reference.verdict import Finding, Kind, Verdict
from reference.verdict.explanation import Explanation

WIDTH = max(map(len, OPS))  # of the column of op names
_SHOWN = 60  # the most names that are listed for an unknown one
_HEAD = (
    f"{'op':<{WIDTH}}{'programs':>9}{'numbers':>12}{'audited':>9}{'worst':>8}{'conditioned':>13}{'imprecise':>11}"
    f"{'inconclusive':>14}{'reference wrong':>17}"
)
_TRAINING_HEAD = (
    f"{'training':<{WIDTH}}{'steps':>9}{'numbers':>12}{'worst':>8}{'conditioned':>13}"
    f"{'drift':>14}  accuracy (ndgrad, PyTorch)"
)
_MEANING = (
    "audited: numbers on which both sides agree, and which were compared with exact ones. worst: the largest\n"
    "difference that agreed at once, in units in the last place (ULP). conditioned: programs with larger differences\n"
    "that rounding explains. imprecise: programs in which the engine loses more digits than rounding of its operands,\n"
    "but no more than the usual formulas. inconclusive: programs that could not be decided. reference wrong: programs\n"
    "in which the reference is wrong; the exact witness confirms the engine. drift: the largest difference of any\n"
    "parameter when both sides train freely for all steps."
)


def heading(engine: str, reference: str, profile: str, seed: int, *, programs_only: bool = False) -> str:
    """Return the heading and the head of the table."""
    left_out = "; programs of some ops only, no sessions and no training" if programs_only else ""
    return f"{engine} beside {reference}: profile {profile}, seed {seed}{left_out}\n\n{_HEAD}"


def row(record: Record) -> str:
    """Return a row of the table."""
    counts = (
        f"{record.op:<{WIDTH}}{record.programs:>9,}{record.numbers:>12,}{record.audited:>9,}{_ulp(record.worst):>8}"
        f"{record.conditioned:>13,}{record.imprecise:>11,}{record.inconclusive:>14,}{record.reference_wrong:>17,}"
    )
    wrong = "  WRONG" if record.failures or record.told else ""
    see = f", see {' and '.join(f'`{op}`' for op in record.elsewhere)}" if record.elsewhere else ""
    return counts + wrong + see + (f"  left out: {record.left_out}" if record.left_out else "")


def training_heading() -> str:
    """Return the head of the table of training runs."""
    return f"\n{_TRAINING_HEAD}"


def training_row(record: TrainingRecord) -> str:
    """Return the row of a training run."""
    drift = f"{max(record.drift):.1e}" if record.drift else "-"
    accuracy = "  " + ", ".join(f"{a:.1%}" for a in record.accuracy) if record.accuracy else ""
    if record.goal is not None:
        accuracy += f" (goal {record.goal:.0%})"
    counts = (
        f"{record.name:<{WIDTH}}{record.steps:>9,}{record.numbers:>12,}{_ulp(record.worst):>8}"
        f"{record.conditioned:>13,}{drift:>14}"
    )
    return counts + accuracy + ("" if record.agrees else "  WRONG")


def _ulp(distance: float) -> str:
    return f"{distance:.0f} ULP" if distance < 1e5 else f"{distance:.1e} ULP"  # noqa: PLR2004 - for reading


def failure(failing: Failure, engine: str, reference: str, module: str = "") -> str:
    """Describe a failing case: the part and its numbers, the case, and the command to replay it.

    Args:
        failing: the failure.
        engine: the engine's name in reports.
        reference: the reference's.
        module: where the engine is imported from, as `module:name`; empty if that is unknown.
    """
    finding = failing.verdict.findings[0]
    reference = failing.verdict.reference or reference
    lines = [
        f"{failing.op}: {_headline(finding, engine, reference)}",
        *(f"  {line}" for line in _shown(failing)),
        *_origin(failing),
        *_raised(failing.explanation),
        *_numbers_of(failing.explanation),
        *(f"  also: {_headline(other, engine, reference)}" for other in failing.verdict.findings[1:3]),
        _again(failing, engine, reference, module),
    ]
    return "\n".join(lines)


def _shown(failing: Failure) -> list[str]:
    """Return what was done: the steps and operands of a program, or the transcript of another case."""
    if isinstance(failing.case, ProgramCase):
        return [*_steps(failing.case.program), _operands(failing.case.program)]
    return failing.transcript.splitlines()


def _again(failing: Failure, engine: str, reference: str, module: str) -> str:
    """Return the command that replays a case.

    If it is unknown where the engine is imported from, a program is replayed in ndgrad, to be read. Other cases are no
    use without the engine, so the user fills its name in.
    """
    if not module and not isinstance(failing.case, ProgramCase) and not engine.startswith("ndgrad "):
        module = "module:name"
    options = ("" if module in ("", "ndgrad") else f"--engine {module} ") + _against(reference)
    return f"  again: python -m reference repro {options}{shlex.quote(str(failing.case))}"


def _against(reference: str) -> str:
    """Return the option that names a reference other than PyTorch."""
    name = reference.partition(" ")[0].lower()
    return "" if name == "pytorch" else f"--against {name} "


def reference_failure(program: Program, verdict: Verdict, engine: str, reference: str, explanation: Explanation) -> str:
    """Describe a program in which the reference is wrong, with the known reasons for its ops."""
    finding = verdict.findings[0]
    lines = [
        f"{program.steps[-1].op}: {_headline(finding, engine, reference)}",
        *(f"  {line}" for line in _steps(program)),
        f"  {_operands(program)}",
        *([f"  {explanation.distance}"] if explanation.distance else []),
        *(f"  known of {op}: {says}" for op, says in explanation.known.items()),
    ]
    return "\n".join(lines)


def training_failure(record: TrainingRecord, engine: str, reference: str) -> str:
    """Describe a training run that went wrong: the step and the finding, and what was done."""
    if record.failures:
        step, optimizer, finding = record.failures[0]
        head = f"{record.name}, step {step} ({optimizer}): {_headline(finding, engine, reference)}"
    else:
        head = f"{record.name}: the goal of {record.goal or 0:.0%} was not reached: {training_row(record).strip()}"
    others = (finding for _, _, finding in record.failures[1:3])
    lines = [
        head,
        *(f"  {line}" for line in record.transcript.splitlines()),
        *_raised(record.explanation),
        *_numbers_of(record.explanation),
        *(f"  also: {_headline(other, engine, reference)}" for other in others),
    ]
    return "\n".join(lines)


def _headline(finding: Finding, engine: str, reference: str) -> str:
    name = engine.partition(" ")[0]
    place = f"[{', '.join(map(str, finding.place))}]" if finding.place else ""
    if finding.kind is Kind.CONVENTION:
        numbers = f"is {_number(finding.got)}, where {reference} takes {_number(finding.wanted)}"
        says = finding.says or "both are slopes at this kink"
        return f"{finding.part}{place} {numbers}, and {says} (CONVENTION). Conventions differ."
    if finding.kind in (Kind.FORWARD, Kind.GRADIENT) and finding.got is not None:
        numbers = f"is {_number(finding.got)}, but {reference} says {_number(finding.wanted)}"
        exact = "" if finding.exact is None else f" (exact: {_number(finding.exact)})"
        slopes = f" ({finding.says})" if finding.says else ""
        says = finding.result.sentence(name, reference.partition(" ")[0])
        return f"{finding.part}{place} {numbers}{exact}{slopes}. {says}."
    if finding.says:
        return f"{finding.part} {finding.says} ({finding.kind}). {name} is wrong."
    numbers = f"is {_number(finding.got)}, but must be {_number(finding.wanted)}"
    return f"{finding.part}{list(finding.place) or ''} {numbers} ({finding.kind}). {name} is wrong."


def _number(x: Any) -> str:
    """Format a number with all digits of its precision."""
    return str(x) if isinstance(x, np.generic) else str(np.asarray(x))


def _origin(failing: Failure) -> list[str]:
    """Return where a program of several steps first goes wrong, and the row's convention for its kinks."""
    if not isinstance(failing.case, ProgramCase):
        return []
    program, origin = failing.case.program, failing.explanation.origin
    lines = []
    if origin.step is None:
        lines.append(f"  {origin.says}")
    elif len(program.steps) > 1:
        lines.append(f"  first wrong in {_steps(program)[origin.step]}: {origin.says}")
    if failing.explanation.convention:
        lines.append(f"  the convention of {failing.op}: {failing.explanation.convention}")
    return lines


def _raised(explanation: Explanation) -> list[str]:
    return [f"  raised at {explanation.raised}"] if explanation.raised else []


def _numbers_of(explanation: Explanation) -> list[str]:
    """Return the distance and the likely cause, and the judge's reason if there is no exact number."""
    distance_and_cause = "; ".join(filter(None, (explanation.distance, explanation.cause)))
    return [f"  {line}" for line in (distance_and_cause, explanation.reason) if line]


def _steps(program: Program) -> list[str]:
    """Return the steps of a program's line."""
    return str(program).split("; ")[len(program.operands) : len(program.operands) + len(program.steps)]


def _operands(program: Program) -> str:
    shown = [
        f"{o.name}: {o.data.item()!r}" if o.kind == NUMBER else f"{o.name}: {o.data.dtype} {o.data.shape}"
        for o in program.operands
    ]
    if program.cotangent is not None:
        shown.append(f"cotangent: {program.cotangent.shape}")
    return "   ".join(shown)


def nearest(name: str, known: Sequence[str]) -> str:
    """Suggest known names for an unknown one."""
    near = difflib.get_close_matches(name, known)
    if near:
        return f"did you mean {' or '.join(near)}?"
    if not known:
        return "there is none to choose from"
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    return f"known are {', '.join(known[:_SHOWN])}{more}"


def legend() -> str:
    """Explain the columns of the tables."""
    return f"\n{_MEANING}"


def last_line(records: Sequence[Record], runs: Sequence[TrainingRecord], ops: int, engine: str, reference: str) -> str:
    """Return the overall verdict in one line."""
    programs = sum(r.programs for r in records)
    numbers = _numbers(records, runs)
    training = f"{len(runs)} training {'run' if len(runs) == 1 else 'runs'}"
    counted = f"{ops} {'op' if ops == 1 else 'ops'}, {programs:,} programs, {_millions(numbers)} numbers, {training}"
    name = engine.partition(" ")[0]
    wrong = sum(len(r.failures) for r in records) + sum(not r.agrees for r in runs)
    if wrong:
        return (
            f"{counted}: {name} disagrees with {reference} in {wrong} {'case' if wrong == 1 else 'cases'}, shown above."
        )
    if not numbers:
        return f"{counted}: nothing was compared."
    worst = max([r.worst for r in records] + [r.worst for r in runs], default=0.0)
    counts = [(sum(r.audited for r in records), f"numbers of {sum(r.audits for r in records)} programs audited")]
    counts += [(sum(r.imprecise for r in records), f"in which {name} is imprecise")]
    counts += [(sum(r.inconclusive for r in records), "inconclusive")]
    whose = dict.fromkeys(name for record in records for name in record.whose)
    for name_of_one in whose:
        in_how_many = sum(record.whose.get(name_of_one, 0) for record in records)
        counts.append((in_how_many, f"in which {name_of_one.partition(' ')[0]} is wrong"))
    counts += [(sum(r.reference_imprecise for r in records), "in which the reference is imprecise")]
    counts += [(sum(r.unsupported for r in records), "not supported by the reference")]
    counts += [(sum(r.witnessed for r in records), "settled by the witness")]
    noted = "".join(f"; {count:,} {what}" for count, what in counts if count)
    return f"{counted}: {name} agrees with {reference} (worst {_ulp(worst)}{noted})."


def cut_short(
    how: str,
    rows: tuple[int, int],
    records: Sequence[Record],
    runs: Sequence[TrainingRecord],
    *,
    engine: str,
    reference: str,
) -> str:
    """Return the last line of a run that did not finish.

    Args:
        how: how it ended, such as `interrupted`.
        rows: how many rows of the tables were done, and how many there are.
        records: the records so far.
        runs: the training runs so far.
        engine: the engine's name.
        reference: the reference's name.
    """
    programs, numbers = sum(r.programs for r in records), _numbers(records, runs)
    wrong = sum(len(r.failures) for r in records) + sum(not r.agrees for r in runs)
    cases = f"{wrong} {'case' if wrong == 1 else 'cases'}"
    name = engine.partition(" ")[0]
    so_far = f"{name} disagrees with {reference} in {cases}, shown above" if wrong else "no disagreement so far"
    return f"{how} after {rows[0]} of {rows[1]} rows: {programs:,} programs, {_millions(numbers)} numbers, {so_far}."


def _numbers(records: Sequence[Record], runs: Sequence[TrainingRecord]) -> int:
    return sum(record.numbers for record in records) + sum(run.numbers for run in runs)


def _millions(number: int) -> str:
    return f"{number / 1e6:.1f} M" if number >= 1e6 else f"{number:,}"  # noqa: PLR2004 - a million
