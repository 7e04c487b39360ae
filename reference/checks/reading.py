"""Cases by their numbers, and from the lines that they are printed as."""

from __future__ import annotations

import re
from collections.abc import Sequence

from reference.checks.case import Case
from reference.checks.programs import ProgramCase
from reference.checks.scripted import HEAD, SCRIPTED, DrawnCase, ScriptedCase
from reference.checks.sessions import CALLS
from reference.ops.source import Script, Seeded
from reference.programs import parse
from reference.programs.generator import draw_program

EXPRESSIONS = "expressions"  # where an op's name stands for programs of any ops

_DRAWN = re.compile(r"(-?[0-9]{1,100}) ([0-9]{1,100})")  # a seed and a number
_BLOCK = re.compile(r"(\w+)(?: ([0-9]{1,100}(?:,[0-9]{1,100})*))?")
_BLOCKS = {"sessions": frozenset(CALLS), "training": frozenset({"step"}), "library": frozenset[str]()}


class NotACase(ValueError):  # noqa: N818 - it says what the line is
    """A line that is no case: neither a program nor one of another kind."""


def draw_case(focus: str, seed: int, number: int, ops: Sequence[str], *, few_shapes: bool = False) -> Case:
    """Draw a case of a campaign by its number: the same each time.

    Args:
        focus: an op, `expressions`, or a kind of `SCRIPTED`.
        seed: of the campaign.
        number: of the case.
        ops: what programs are made of.
        few_shapes: whether programs are of few shapes.

    Raises:
        Unsuited: no program came of these choices.
    """
    if focus in SCRIPTED:
        return DrawnCase(focus, seed, number)
    source = Seeded(seed, focus, number)
    return ProgramCase(draw_program(source, None if focus == EXPRESSIONS else focus, ops, few_shapes=few_shapes))


def parse_case(line: str) -> Case:
    """Read the line that a case is printed as.

    Raises:
        NotAProgram: it looks like a program, and is none.
        NotACase: it begins with another kind of case, and is none.
    """
    line = " ".join(line.split())
    kind, _, rest = line.partition(" ")
    if "=" in line or kind not in SCRIPTED:
        return ProgramCase(parse(line))
    if drawn := _DRAWN.fullmatch(rest):
        return DrawnCase(kind, int(drawn[1]), int(drawn[2]))
    return ScriptedCase(kind, _script(kind, rest, line))


def _script(kind: str, written: str, line: str) -> Script:
    blocks = [_BLOCK.fullmatch(block) for block in written.split("; ")]
    script = tuple((b[1], tuple(map(int, b[2].split(","))) if b[2] else ()) for b in blocks if b)
    known = len(script) == len(blocks) and {name for name, _ in script[1:]} <= _BLOCKS[kind]
    if not known or script[0][0] != HEAD:
        raise NotACase(
            f"not a program, and not a case: {line!r}; a case is its kind, a seed and a number, as '{kind} 0 3', "
            f"or its kind and the choices that it is made of, as a failure prints them"
        )
    return script
