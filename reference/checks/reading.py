"""Draws cases by number and parses the lines that cases are printed as."""

from __future__ import annotations

import re
from collections.abc import Sequence

from reference.checks.case import Case
from reference.checks.programs import ProgramCase
from reference.checks.scripted import HEAD, SCRIPTED, ScriptedCase, SeededCase
from reference.checks.sessions import CALLS
from reference.ops.source import Script, Seeded
from reference.programs import parse
from reference.programs.generator import draw_program

EXPRESSIONS = "expressions"  # stands in place of an op's name, for programs of any ops

_SEED_AND_NUMBER = re.compile(r"(-?[0-9]{1,100}) ([0-9]{1,100})")  # a seed and a number
_BLOCK = re.compile(r"(\w+)(?: ([0-9]{1,100}(?:,[0-9]{1,100})*))?")
_BLOCKS = {"sessions": frozenset(CALLS), "training": frozenset({"step"}), "library": frozenset[str]()}


class NotACase(ValueError):  # noqa: N818 - it says what the line is
    """The line is not a case: neither a program nor a case of another kind."""


def draw_case(focus: str, seed: int, number: int, ops: Sequence[str], *, few_shapes: bool = False) -> Case:
    """Draw case `number` of a campaign. The same arguments always give the same case.

    Args:
        focus: an op, `expressions`, or a kind of `SCRIPTED`.
        seed: the campaign's seed.
        number: the case's number.
        ops: the ops that programs may contain.
        few_shapes: whether to draw programs of few shapes only.

    Raises:
        Unsuited: these choices give no program.
    """
    if focus in SCRIPTED:
        return SeededCase(focus, seed, number)
    source = Seeded(seed, focus, number)
    return ProgramCase(draw_program(source, None if focus == EXPRESSIONS else focus, ops, few_shapes=few_shapes))


def parse_case(line: str) -> Case:
    """Parse the line that a case is printed as.

    Raises:
        NotAProgram: the line looks like a program, but is not a valid one.
        NotACase: the line begins with another kind of case, but is not a valid one.
    """
    line = " ".join(line.split())
    kind, _, rest = line.partition(" ")
    if "=" in line or kind not in SCRIPTED:
        return ProgramCase(parse(line))
    if numbers := _SEED_AND_NUMBER.fullmatch(rest):
        return SeededCase(kind, int(numbers[1]), int(numbers[2]))
    return ScriptedCase(kind, _script(kind, rest, line))


def _script(kind: str, written: str, line: str) -> Script:
    blocks = [_BLOCK.fullmatch(block) for block in written.split("; ")]
    script = tuple((b[1], tuple(map(int, b[2].split(","))) if b[2] else ()) for b in blocks if b)
    known = len(script) == len(blocks) and {name for name, _ in script[1:]} <= _BLOCKS[kind]
    if not known or script[0][0] != HEAD:
        raise NotACase(
            f"not a program, and not a case: {line!r}; a case is its kind, a seed and a number, as '{kind} 0 3', "
            f"or its kind and its choices, as a failure prints them"
        )
    return script
