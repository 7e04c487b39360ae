"""Writes the documentation's page of references in Markdown.

    python -m reference.report.references > docs/reference/references.md

It searches for programs of one op in which a reference is wrong according to the exact witness, and shows the shortest
one for each op. The explanations come from the reference's own table.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from reference.engines import Reference
from reference.engines.ndgrad import NdgradEngine
from reference.engines.references import REFERENCES, make_reference
from reference.engines.torch import TorchEngine
from reference.ops import OPS
from reference.ops.source import Seeded, Unsuited
from reference.programs import Program
from reference.programs.forward import values_of
from reference.programs.generator import draw_program
from reference.verdict import Finding, Result, judge
from reference.verdict.steps import steps_alone

HEAD = """\
# The references

`verify --against NAME[,NAME...]` compares with these. PyTorch's operands can be disturbed, which measures the effect of
rounding. Other references are trusted as far as the exact witness confirms them. The witness moves the operands of
each step to see what rounding may do; if it cannot decide, the result is *inconclusive*. A reference other than PyTorch
that loses less than half of its digits is imprecise, not wrong, and is not listed. Sessions, training and checks of the
library compare ndgrad with PyTorch, and are skipped without it.

The tables show where a reference is wrong by itself: for each op, the shortest program of one step that was found.
"""
PROGRAMS = 60  # programs drawn for each op, whose steps are run one by one
COMPILED = 12  # the same for a reference that compiles, which takes a second for each
LONGEST = 170  # the most characters of a program that is shown


def page() -> str:
    """Write the page."""
    return HEAD + "".join(_section(name) for name in REFERENCES)


def _section(name: str) -> str:
    reference = make_reference(name)
    lines = [f"\n## {reference.name}\n"]
    without = ", ".join(f"`{op}`" for op in OPS if op not in reference.ops)
    if without:
        lines.append(f"It has no {without}.\n")
    declared = ", ".join(f"`{op}`" for op in OPS if op in reference.conventions)
    if declared:
        lines.append(f"At kinks of {declared} it chooses other slopes, which count as right.\n")
    rows = [_row(op, finding, program, reference) for op, finding, program in disagreements(reference)]
    lines += ["| op | what it says | exact | why |\n|---|---|---|---|", *rows] if rows else [_none_found(reference)]
    return "\n".join(lines) + "\n"


def _none_found(reference: Reference) -> str:
    """Say that these programs show no error, and which errors are known from others."""
    known = "".join(f"\n- `{op}`: {why}" for op, why in reference.known.items())
    return f"None was found in {_programs(reference)} programs of each op." + (
        f" Other programs show these:\n{known}" if known else ""
    )


def _row(op: str, finding: Finding, program: Program, reference: Reference) -> str:
    line = str(program)
    shown = f"`{line}`" if len(line) <= LONGEST else "(a longer program)"
    statement = finding.says or f"`{finding.part}{list(finding.place) or ''}` = {finding.wanted}"
    return (
        f"| `{op}` | {statement.replace('|', '&#124;')}: {shown} | {_exact(finding)} | {reference.known.get(op, '')} |"
    )


def _exact(finding: Finding) -> str:
    return "" if finding.exact is None else str(finding.exact)


def disagreements(reference: Reference) -> Iterator[tuple[str, Finding, Program]]:
    """Yield each op in which a reference is wrong, the finding, and the shortest program found that shows it."""
    engine = NdgradEngine()
    shortest: dict[str, tuple[Finding, Program]] = {}
    for program in _steps(reference):
        verdict = judge(program, engine, reference, repeat=False)
        op = program.steps[0].op
        if verdict.result is Result.REFERENCE_WRONG:
            length = len(str(program))
            if length < (len(str(shortest[op][1])) if op in shortest else math.inf):
                shortest[op] = verdict.findings[0], program
    yield from ((op, *shortest[op]) for op in OPS if op in shortest)


def _programs(reference: Reference) -> int:
    return COMPILED if reference.abilities.few_shapes else PROGRAMS


def _steps(reference: Reference) -> Iterator[Program]:
    """Yield single steps of programs drawn for each op of the reference."""
    torch = TorchEngine()
    few = reference.abilities.few_shapes
    for op in reference.ops:
        for i in range(_programs(reference)):
            try:
                program = draw_program(Seeded("references", op, i), op, reference.ops, few_shapes=few)
            except Unsuited:
                continue
            if program.cotangent is not None and len(values_of(program)) == len(program.steps):
                yield from (step for _, step in steps_alone(program, torch.run(program)) if step.steps[0].op == op)


if __name__ == "__main__":
    print(page(), end="")
