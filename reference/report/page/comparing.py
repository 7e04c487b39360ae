"""Draws a program with the results of both sides. If they differ, the box shows both numbers, marked by a sign."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from markupsafe import Markup

from reference.engines import Outcome
from reference.programs import Program
from reference.report.page.diagram import Box, Line, draw, look, title
from reference.report.page.numbers import lines
from reference.report.page.sides import gradients
from reference.verdict import AT_ONCE, ulps
from reference.verdict.localise import Origin

LARGEST = 40  # the most boxes, so that a reader can follow


def draw_comparison(
    name: str, program: Program, mine: Outcome, theirs: Outcome, origin: Origin | None = None
) -> Markup:
    """Draw a program with the values and gradients of two engines.

    Args:
        name: the prefix of ids.
        program: the program.
        mine: ndgrad's outcome.
        theirs: PyTorch's outcome, with inner gradients.
        origin: where it first goes wrong, if it does.
    """
    if len(program.names) > LARGEST:
        return Markup("<p>{} values are too many to draw.</p>").format(len(program.names))
    wrong = None if origin is None or origin.step is None else len(program.operands) + origin.step
    both = (_all(program, mine), _all(program, theirs))
    boxes = [_box(program, i, [side[i] for side in both], first=i == wrong) for i in range(len(program.names))]
    differing = [
        program.names[i] for i, box in enumerate(boxes) if any("≠" in t for r in box.rows for n in r for t in n.text)
    ]
    differ = f"{', '.join(differing)} differ" if differing else "nothing differs"
    words = f"The graph of {program.names[-1]}; {differ}"
    return draw(name, program, boxes, words)


def _all(program: Program, outcome: Outcome) -> list[tuple[Any, Any]]:
    """Return the value and the gradient of each operand and step; None if there is none."""
    values: list[Any] = [*(o.data for o in program.operands), *outcome.values]
    values += [None] * (len(program.names) - len(values))
    return list(zip(values, gradients(program, outcome), strict=True))


def _box(program: Program, i: int, sides: list[tuple[Any, Any]], *, first: bool) -> Box:
    (value, gradient), (their_value, their_gradient) = sides
    rows = [*_rows("value", value, their_value), *_rows("grad", gradient, their_gradient)]
    wrong = any("≠" in text for row in rows for text in row[0].text)
    note = [[Line(["first wrong here"], "note")]] if first else []
    return Box(title(program, i), look(program, i) + " wrong" * wrong + " first" * first, [*note, *rows])


def _rows(what: str, mine: Any, theirs: Any) -> Iterator[list[Line]]:
    if mine is None and theirs is None:
        return
    if same(mine, theirs):
        yield [Line(_labelled(what, theirs), what)]
        return
    misfit = np.shape(mine) != np.shape(theirs)
    yield [Line(_labelled(f"≠ {what}, ndgrad ", mine, shape=misfit), "off")]
    yield [Line(_labelled(f"{what}, PyTorch", theirs, shape=misfit), what)]


def same(mine: Any, theirs: Any) -> bool:
    """Whether two arrays agree at once. A missing array counts as zeros."""
    mine, theirs = (np.zeros_like(b) if a is None else np.asarray(a) for a, b in ((mine, theirs), (theirs, mine)))
    if mine.shape != theirs.shape or mine.dtype != theirs.dtype:
        return False
    return bool((ulps(mine, theirs) <= AT_ONCE).all() if mine.dtype.kind == "f" else (mine == theirs).all())


def _labelled(what: str, array: Any, *, shape: bool = False) -> list[str]:
    if array is None:
        return [f"{what} –"]
    first, *others = [*([f"shape {np.shape(array)}"] if shape else []), *lines(array)]
    return [f"{what} {first}", *(f"{' ' * (len(what) + 1)}{line}" for line in others)]
