"""Draws a program: a box for each operand and step, from left to right, with lines that may depend on the frame.

It lays out boxes of given text. Colours only repeat what corners, borders, signs and words show.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from markupsafe import Markup, escape

from ndgrad.rules import RULES
from reference.programs import LEAF, Program, text

CHARACTER, LINE, PAD = 7.3, 16.0, 8.0  # pixels: a character's width, a line's height, the padding
COLUMNS, ROWS = 40.0, 14.0  # pixels between boxes


@dataclass(frozen=True)
class Line:
    """Text in a box.

    Args:
        text: its lines.
        look: a class for the style sheet.
        since: the first frame in which it is shown; None for always.
        until: the first frame in which it is hidden again; None for never.
    """

    text: Sequence[str]
    look: str = ""
    since: int | None = None
    until: int | None = None


@dataclass(frozen=True)
class Box:
    """An operand or a step: a title and rows, each of which shows one of several lines at a time."""

    title: str
    look: str
    rows: Sequence[Sequence[Line]] = field(default=())
    since: int | None = None

    @property
    def height(self) -> float:
        """In pixels."""
        return LINE * (1 + sum(_lines(row) for row in self.rows)) + PAD

    @property
    def width(self) -> float:
        """In pixels."""
        texts = [self.title, *(t for row in self.rows for line in row for t in line.text)]
        return max(map(len, texts)) * CHARACTER + 2 * PAD


def _lines(row: Sequence[Line]) -> int:
    return max((len(line.text) for line in row), default=0)


def title(program: Program, i: int) -> str:
    """Return the title of an operand or a step: an operator between its operands, any other op as a call."""
    names, first = program.names, len(program.operands)
    if i < first:
        return names[i]
    step = program.steps[i - first]
    operands = [names[j] for j in step.inputs]
    rule = RULES[step.op]
    if rule.operator and len(operands) == 2:  # noqa: PLR2004 - an operator stands between two
        return f"{names[i]} = {operands[0]} {rule.symbol} {operands[1]}"
    options = [
        f"{name}={text(value)}" for name, value in step.options.items() if value is not None and value is not False
    ]
    return f"{names[i]} = {step.op}({', '.join([*operands, *options])})"


def look(program: Program, i: int) -> str:
    """Return the class of a box: a leaf, a constant or a step."""
    if i >= len(program.operands):
        return "step"
    return "leaf" if program.operands[i].kind == LEAF else "constant"


# The layout. An edge that crosses columns gets a waypoint in each, so that it goes around the boxes there.

Item = tuple[int, ...]  # a box (i,), or a waypoint of an edge (step, position, column)


@dataclass
class _Plan:
    columns: list[list[Item]]
    edges: dict[tuple[int, int], list[Item]]  # by step and position: the items on an edge


def _plan(program: Program) -> _Plan:
    column = _columns(program)
    columns: list[list[Item]] = [[] for _ in range(max(column) + 1)]
    first, edges = len(program.operands), {}
    keys: dict[Item, list[float]] = {(program.result,): [0.0]}
    for i in range(program.result, first - 1, -1):
        here = _mean(keys.get((i,), [0.0]))
        inputs = program.steps[i - first].inputs
        for position, j in enumerate(inputs):
            way: list[Item] = [(i, position, c) for c in range(column[j] + 1, column[i])]
            edges[i - first, position] = [(j,), *way, (i,)]
            lean = (position - (len(inputs) - 1) / 2) * 0.5 ** (column[-1] - column[i])
            for item in [(j,), *way]:
                keys.setdefault(item, []).append(here + lean)
    for j in range(first):
        keys.setdefault((j,), [0.0])  # an operand may be unused
    for item in keys:
        columns[item[2] if len(item) > 1 else column[item[0]]].append(item)
    for items in columns:
        items.sort(key=lambda item: _mean(keys[item]))
    return _Plan(columns, edges)


def _mean(numbers: Sequence[float]) -> float:
    return sum(numbers) / len(numbers)


def _columns(program: Program) -> list[int]:
    """Assign a column to each value: steps after their inputs, operands just before their first use."""
    first = len(program.operands)
    column = [0] * len(program.names)
    for i, step in enumerate(program.steps, first):
        column[i] = 1 + max((column[j] for j in step.inputs), default=-1)
    for j in range(first):
        users = [column[i] for i, step in enumerate(program.steps, first) if j in step.inputs]
        column[j] = min(users, default=1) - 1
    return column


@dataclass
class _Spot:
    x: float
    y: float  # of the middle
    width: float
    height: float
    column: tuple[float, float]  # the bounds of its column: edges bend only between columns


def _spots(plan: _Plan, boxes: Sequence[Box]) -> dict[Item, _Spot]:
    spots: dict[Item, _Spot] = {}
    x = 4.0
    for items in plan.columns:
        sizes = [(boxes[i[0]].width, boxes[i[0]].height) if len(i) == 1 else (0.0, 4.0) for i in items]
        widest, y = max((w for w, _ in sizes), default=0.0), 0.0
        for item, (width, height) in zip(items, sizes, strict=True):
            spots[item] = _Spot(x + (widest - width) / 2, y + height / 2, width, height, (x, x + widest))
            y += height + ROWS
        x += widest + COLUMNS
    for _ in range(6):
        _settle(plan, spots)
    top = min(spot.y - spot.height / 2 for spot in spots.values()) - 4
    for spot in spots.values():
        spot.y -= top
    return spots


def _settle(plan: _Plan, spots: dict[Item, _Spot]) -> None:
    """Move each item to the middle of its neighbours, as far as the items above and below leave room."""
    near: dict[Item, list[Item]] = {item: [] for item in spots}
    for way in plan.edges.values():
        for a, b in pairwise(way):
            near[a].append(b)
            near[b].append(a)
    for items in plan.columns:
        targets = [_mean([spots[n].y for n in near[i]] or [spots[i].y]) for i in items]
        placed: list[float] = []
        for item, y in zip(items, targets, strict=True):
            last = items[len(placed) - 1] if placed else None
            room = placed[-1] + (spots[last].height + spots[item].height) / 2 + ROWS if last else y
            placed.append(max(y, room))
        shift = _mean([w - p for w, p in zip(targets, placed, strict=True)]) if items else 0.0
        for item, y in zip(items, placed, strict=True):
            spots[item].y = y + shift


# The drawing.


def draw(name: str, program: Program, boxes: Sequence[Box], words: str) -> Markup:
    """Draw a program as SVG.

    Args:
        name: the prefix of ids, as in `name-box-3` and `name-edge-2-0` (of step 2, to its first operand).
        program: the program.
        boxes: one box for each operand and step.
        words: the description for screen readers.
    """
    plan = _plan(program)
    spots = _spots(plan, boxes)
    width = max(spot.x + spot.width for spot in spots.values()) + 4
    height = max(spot.y + spot.height / 2 for spot in spots.values()) + 4
    parts = [
        *(_edge(name, *key, [spots[item] for item in way]) for key, way in plan.edges.items()),
        *(_box(f"{name}-box-{i}", box, spots[(i,)]) for i, box in enumerate(boxes)),
    ]
    size = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
    inside = Markup("\n").join(parts)
    return Markup('<svg class="graph" role="img" aria-label="{}" {}>\n{}\n</svg>').format(words, Markup(size), inside)  # noqa: S704 - numbers alone


def _edge(name: str, step: int, position: int, way: Sequence[_Spot]) -> Markup:
    path = f"M{way[0].x + way[0].width:.1f} {way[0].y:.1f}"
    for here, there in pairwise(way):
        (_, start), (end, _) = here.column, there.column
        middle = (start + end) / 2
        path += f"H{start:.1f}C{middle:.1f} {here.y:.1f} {middle:.1f} {there.y:.1f} {end:.1f} {there.y:.1f}"
    path += f"H{way[-1].x:.1f}"
    return Markup('<path class="edge" id="{}-edge-{}-{}" d="{}"/>').format(name, step, position, path)


def _box(name: str, box: Box, spot: _Spot) -> Markup:
    x, top = spot.x, spot.y - spot.height / 2
    corner = 10 if box.look.startswith("step") else 0
    rect = Markup('<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" rx="{}"/>').format(
        x, top, spot.width, spot.height, corner
    )
    texts = Markup("").join([_text([box.title], "title", x, top, ""), *_rows(box, x, top + LINE)])
    since = Markup(' data-reached="{}"').format(box.since) if box.since is not None else ""
    return Markup('<g class="box {}" id="{}"{}>{}{}</g>').format(box.look, name, since, rect, texts)


def _rows(box: Box, x: float, y: float) -> Iterator[Markup]:
    for row in box.rows:
        for line in row:
            yield _text(line.text, line.look, x, y, _times(line))
        y += LINE * _lines(row)


def _times(line: Line) -> str:
    since = f' data-since="{line.since}"' if line.since is not None else ""
    until = f' data-until="{line.until}"' if line.until is not None else ""
    return since + until


def _text(lines: Sequence[str], look: str, x: float, y: float, times: str) -> Markup:
    spans = Markup("").join(
        Markup('<tspan x="{:.1f}" y="{:.1f}">{}</tspan>').format(x + PAD, y + LINE * (k + 0.9), escape(text))
        for k, text in enumerate(lines)
    )
    return Markup('<text class="{}"{}>{}</text>').format(look, Markup(times), spans)  # noqa: S704 - numbers alone
