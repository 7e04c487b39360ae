"""Draws a program: its operands and steps, with the values and gradients of both sides.

It marks differences and the step that first goes wrong. `ndgrad.graph` does the drawing.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ndgrad import files
from ndgrad.graph import Picture, boxes
from ndgrad.graph.dot import html, statement
from ndgrad.graph.drawing import EDGES, GRAPH, NODES
from reference.engines import Engine, Outcome, Reference
from reference.programs import LEAF, NUMBER, Program, text
from reference.verdict import AT_ONCE, Result, ulps
from reference.verdict.distance import worst_place
from reference.verdict.localise import Origin
from reference.verdict.rounding import is_single


def write(picture: Picture, path: Path) -> tuple[Path, str]:
    """Write a picture, or its source if Graphviz is missing.

    Args:
        picture: the picture.
        path: the file. Its suffix is the format; `.dot` is the source.

    Returns:
        The file that was written, with the suffix `.dot` if it is the source; and a hint how to get a picture, if it is
        not one.
    """
    source, hint = picture.source.encode(), ""
    try:
        content = source if path.suffix == ".dot" else picture.pipe(path.suffix[1:])
    except RuntimeError as error:
        path, content, hint = path.with_suffix(".dot"), source, str(error)
    files.write(path, content)
    return path, hint


def draw(
    program: Program, engine: Engine, reference: Reference, result: Result, origin: Origin | None = None
) -> Picture:
    """Draw a program with the results of both sides.

    Args:
        program: the program.
        engine: the engine, whose numbers are on the left; it must show the gradients of steps.
        reference: the reference, whose numbers are on the right.
        result: the verdict on the program.
        origin: where it first goes wrong, if it does.
    """
    plain = replace(program, directions=())
    inner = reference.run(plain, inner=True).inner if reference.abilities.inner else ()
    boxes = _boxes(program, engine.run(program), replace(reference.run(program), inner=inner))
    sides = [name.partition(" ")[0] for name in (engine.name, reference.name)]
    first = len(program.operands)
    wrong = None if origin is None or origin.step is None else first + origin.step
    says = "" if origin is None else origin.says
    caption = [f"{engine.name} beside {reference.name}: {result}", *[says] * (wrong is None)]
    picture = Picture(format="svg", graph_attr=GRAPH, node_attr=NODES, edge_attr=EDGES)
    picture.body.append(_caption(caption, marked=any(row.off for box in boxes for row in box)))
    for i, (title, look) in enumerate(_heads(program)):
        note, border = (f"first wrong here: {says}", _WRONG) if i == wrong else ("", {})
        label = f"<{_table(title, note, sides, boxes[i])}>"
        picture.body.append(statement(f"value{i}", {"label": label, **look, **border}))
    for i, step in enumerate(program.steps, first):
        picture.body.extend(f"\tvalue{j} -> value{i}\n" for j in step.inputs)
    return picture


# The contents.


class _Row(NamedTuple):
    """A row of a box.

    Args:
        what: what it shows, such as `value`.
        mine: the engine's: an array, an error message, or None.
        theirs: the reference's.
        mismatch: where the two differ; of shape () if there are no numbers to compare.
        single: whether distances are counted in single precision.
    """

    what: str
    mine: Any
    theirs: Any
    mismatch: np.ndarray
    single: bool

    @property
    def off(self) -> bool:
        """Whether anything differs."""
        return bool(self.mismatch.any())

    @property
    def shared(self) -> bool:
        """Whether it is shown once for both sides: a value on which both agree."""
        return self.what == "value" and not self.off and isinstance(self.mine, np.ndarray)


def _boxes(program: Program, got: Outcome, expected: Outcome) -> list[list[_Row]]:
    """Return the rows of each value's box, as far as either side has results."""
    single = is_single([*(operand.data for operand in program.operands), *expected.values])
    mine, theirs = _results(program, got), _results(program, expected)
    boxes: list[list[_Row]] = [[] for _ in program.names]
    for what in mine:
        for i in mine[what].keys() | theirs[what].keys():
            sides = mine[what].get(i), theirs[what].get(i)
            boxes[i].append(_Row(what, *sides, _mismatch(*sides, single=single), single))
    return boxes


def _results(program: Program, outcome: Outcome) -> Mapping[str, dict[int, Any]]:
    """Return an engine's results by the index of their value; at the value where it stopped, its error."""
    first = len(program.operands)
    leaves = [i for i, operand in enumerate(program.operands) if operand.kind == LEAF]
    values = [*(operand.data for operand in program.operands), *outcome.values]
    results = {
        "value": dict(enumerate(values)),
        "gradient": dict([*zip(leaves, outcome.gradients, strict=False), *enumerate(outcome.inner, first)]),
        "second order": dict(zip(leaves, outcome.second, strict=False)),
    }
    results = {what: {i: x for i, x in of.items() if x is not None} for what, of in results.items()}
    if outcome.error is not None:
        stopped = "value" if len(values) <= program.result else "gradient"
        results[stopped][min(len(values), program.result)] = f"{type(outcome.error).__name__}: {outcome.error}"
    return results


def _mismatch(mine: Any, theirs: Any, *, single: bool) -> np.ndarray:
    """Return where two arrays of equal shape and dtype differ; for anything else, whether they differ."""
    if isinstance(mine, str) or isinstance(theirs, str):
        return np.array(type(mine) is not type(theirs))
    mine, theirs = (np.zeros_like(b) if a is None else a for a, b in ((mine, theirs), (theirs, mine)))
    if not isinstance(mine, np.ndarray) or (mine.shape, mine.dtype) != (theirs.shape, theirs.dtype):
        return np.array(True)  # noqa: FBT003 - it is the array's number
    return ulps(mine, theirs, single=single) > AT_ONCE if mine.dtype.kind == "f" else mine != theirs


def _heads(program: Program) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield the title and the style of each value's box."""
    names = program.names
    for operand in program.operands:
        kind = "a Python number" if operand.kind == NUMBER else f"{operand.data.dtype} {operand.data.shape}"
        yield f"{operand.name}: {kind}", _LEAF if operand.kind == LEAF else _CONSTANT
    for name, step in zip(names[len(program.operands) :], program.steps, strict=True):
        options = (f"{option}={text(value)}" for option, value in step.options.items())
        yield f"{name} = {step.op}({', '.join([*(names[i] for i in step.inputs), *options])})", _STEP


# The layout, in Graphviz's HTML. Colours only repeat what outlines, signs and words show.

_LEAF = {**boxes.LEAF, "shape": "box"}
_CONSTANT = {**boxes.CONSTANT, "shape": "box"}
_STEP = {"shape": "box", "style": "rounded,filled", "fillcolor": "white"}
_WRONG = {"penwidth": "4", "color": "#b00020"}
_CAPTION = {"labelloc": "t", "fontname": NODES["fontname"], "fontsize": "12"}
_OFF = "#ffd7cf"

_MARKED = f"≠ marks numbers that differ by more than {AT_ONCE:.0f} units in the last place (ULP)"
_LINE, _LINES = 48, 3  # characters in a line of text, and lines
_FEW = 8  # up to this many numbers are all shown, in the rows of their matrix
_FIRST = 3  # of more numbers, this many are shown


def _html(*lines: str) -> str:
    """Escape any text, so that a label shows it as it is."""
    return html("\n".join(lines))


def _words(words: str) -> str:
    """Wrap a text, or its beginning, into the lines of a box."""
    return _html(*textwrap.wrap(words, _LINE, max_lines=_LINES, placeholder=" …"))


def _caption(lines: Sequence[str], *, marked: bool) -> str:
    """Return the caption above the picture: lines, and the meaning of marks."""
    shown = [*filter(None, lines), *[_MARKED] * marked]
    return statement("graph", {"label": f"<{_html(*shown)}>", **_CAPTION})


def _table(title: str, note: str, sides: Sequence[str], rows: Sequence[_Row]) -> str:
    """Return a box: its title, a note, the shared rows, and below the sides' names the others."""
    lines = [_line([f"<B>{_words(title)}</B>"])]
    if note:
        lines.append(_line([f'<FONT COLOR="{_WRONG["color"]}"><B>{_words(note)}</B></FONT>']))
    lines += [_line([row.what, _shown(row.mine, row.mismatch)]) for row in rows if row.shared]
    if not all(row.shared for row in rows):
        lines.append(_line(["", *map(_html, sides)]))
    lines += [line for row in rows if not row.shared for line in _row_lines(row)]
    return f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="4">{"".join(lines)}</TABLE>'


def _line(cells: Sequence[str], *, off: bool = False) -> str:
    """Return a line of a table of three columns, of which the last cell spans the rest; differences are filled."""
    fill = f' BGCOLOR="{_OFF}"' if off else ""
    looks = ["", *[fill] * (len(cells) - 2), f'{fill} COLSPAN="{4 - len(cells)}"'][-len(cells) :]
    html_cells = (f'<TD ALIGN="LEFT" BALIGN="LEFT"{look}>{cell}</TD>' for look, cell in zip(looks, cells, strict=True))
    return f"<TR>{''.join(html_cells)}</TR>"


def _row_lines(row: _Row) -> Iterator[str]:
    """Yield the lines of a row: both sides, and if they differ, the largest difference."""
    yield _line([row.what, *(_shown(side, row.mismatch) for side in (row.mine, row.theirs))], off=row.off)
    if row.off and isinstance(row.mine, np.ndarray) and isinstance(row.theirs, np.ndarray):
        yield _line(_worst(row), off=True)


def _worst(row: _Row) -> list[str]:
    """Return the place and size of the largest difference and both numbers in full; or both shapes and dtypes."""
    mine, theirs = row.mine, row.theirs
    if (mine.shape, mine.dtype) != (theirs.shape, theirs.dtype):
        return ["≠", *(_html(f"{side.dtype} {side.shape}") for side in (mine, theirs))]
    place, a, b = worst_place(mine, theirs, single=row.single)
    distance = float(ulps(np.asarray(a), np.asarray(b), single=row.single))
    return [_html(f"{f'at {list(place)}: ' if place else ''}{distance:.2g} ULP"), str(a), str(b)]


def _shown(side: Any, mismatch: np.ndarray) -> str:
    """Show all of few numbers, or the dtype, shape and first of many; or an error message; or a dash."""
    if not isinstance(side, np.ndarray):
        return "–" if side is None else _words(str(side))
    marks = mismatch if mismatch.shape == side.shape else np.zeros(side.shape, bool)
    write = "{:.4g}" if side.dtype.kind == "f" else "{}"
    words = [_marked(write.format(x), off=off) for x, off in zip(side.flat, marks.flat, strict=True)]
    if side.ndim < 1:
        return words[0]
    if side.ndim <= 2 and side.size <= _FEW:  # noqa: PLR2004 - a matrix
        rows = [", ".join(words[i : i + side.shape[-1]]) for i in range(0, side.size, max(1, side.shape[-1]))]
        lines = ",<BR/>&#160;".join(f"[{row}]" for row in rows)
        return f"[{lines}]" if side.ndim > 1 else lines or "[]"
    more = [*words[:_FIRST], *[_marked("…", off=bool(marks.flat[_FIRST:].any()))] * (side.size > _FIRST)]
    return f"{_html(f'{side.dtype} {side.shape}')}<BR/>[{', '.join(more)}]"


def _marked(word: str, *, off: bool) -> str:
    return f"<B>≠{word}</B>" if off else word
