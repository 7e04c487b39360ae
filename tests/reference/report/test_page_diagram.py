"""Drawings of programs: boxes do not overlap, edges run to the right, and the bytes are reproducible."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest

from reference.ops.source import Seeded, Unsuited
from reference.programs import Program, parse
from reference.programs.generator import draw_program
from reference.report.page.diagram import Box, Line, draw, look, title
from reference.report.page.lessons import LESSONS


def drawing(program: Program) -> ET.Element:
    """Draw a program with a value in each box, and parse the drawing."""
    boxes = [Box(title(program, i), look(program, i), [[Line([f"value {i}"])]]) for i in range(len(program.names))]
    return ET.fromstring(str(draw("it", program, boxes, "words")))  # noqa: S314 - it was drawn here


def programs() -> list[Program]:
    """Return the programs of the lessons and some random ones."""
    found = [lesson.program for lesson in LESSONS]
    for number in range(40):
        try:
            found.append(draw_program(Seeded(1, "expressions", number), None))
        except Unsuited:
            continue
    return found


def places(svg: ET.Element) -> dict[int, tuple[float, float, float, float]]:
    """Return the left, top, right and bottom of each box."""
    rects = {int((g.get("id") or "").rpartition("-")[2]): g.find("rect") for g in svg.iter("g")}
    read = {
        i: [float(rect.get(name, "0")) for name in ("x", "y", "width", "height")]
        for i, rect in rects.items()
        if rect is not None
    }
    return {i: (x, y, x + width, y + height) for i, (x, y, width, height) in read.items()}


@pytest.mark.parametrize("program", programs(), ids=lambda program: str(program)[:20])
def test_boxes_do_not_overlap_and_edges_run_right(program: Program) -> None:
    """No two boxes overlap, all lie inside the drawing, and each step is to the right of its inputs."""
    svg = drawing(program)
    boxes = places(svg)
    assert sorted(boxes) == list(range(len(program.names)))
    _, _, width, height = map(float, (svg.get("viewBox") or "").split())
    for i, (left, top, right, bottom) in boxes.items():
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
        for other, (a, b, c, d) in boxes.items():
            assert i == other or right <= a or c <= left or bottom <= b or d <= top
    for i, step in enumerate(program.steps, len(program.operands)):
        assert all(boxes[j][2] < boxes[i][0] for j in step.inputs)


@pytest.mark.parametrize("program", programs(), ids=lambda program: str(program)[:20])
def test_edges_go_around_boxes(program: Program) -> None:
    """An edge crosses a column in a straight line, and touches only the boxes that it connects."""
    svg = drawing(program)
    boxes = places(svg)
    for path in svg.iter("path"):
        step, position = map(int, (path.get("id") or "").split("-")[-2:])
        ends = {len(program.operands) + step, program.steps[step].inputs[position]}
        for left, right, y in level(path.get("d") or ""):
            for i, (a, top, b, bottom) in boxes.items():
                assert i in ends or right <= a or b <= left or not top < y < bottom


def level(path: str) -> list[tuple[float, float, float]]:
    """Return the horizontal pieces of a path: start, end and height."""
    pieces, x, y = [], 0.0, 0.0
    for command, written in re.findall(r"([MHC])([^MHC]*)", path):
        *_, last = numbers = [float(number) for number in written.split()]
        if command == "H":
            pieces.append((x, last, y))
            x = last
        else:
            x, y = numbers[-2:]
    return pieces


def test_each_use_has_an_edge() -> None:
    """An operand that one op uses twice has two edges with different ids."""
    svg = drawing(parse("x=f8(2.0); a=multiply(x,x); b=add(a,x); back(b,f8(1.0))"))
    assert sorted(path.get("id") or "" for path in svg.iter("path")) == [
        "it-edge-0-0",
        "it-edge-0-1",
        "it-edge-1-0",
        "it-edge-1-1",
    ]


def test_titles_are_written_as_people_write_them() -> None:
    """Operators are written between their operands, other ops as calls, with the options that are not defaults."""
    program = parse("x=f8([2.0]); a=multiply(x,x); b=tanh(a); c=sum(b,axis=(0,),keepdims=False); back(c,f8(1.0))")
    assert [title(program, i) for i in range(4)] == ["x", "a = x * x", "b = tanh(a)", "c = sum(b, axis=(0,))"]


def test_lines_come_and_go_by_frames() -> None:
    """A line has the frames from which it is shown and hidden."""
    program = parse("x=f8(2.0); a=exp(x); back(a,f8(1.0))")
    boxes = [Box("x", "leaf", [[Line(["one"], "grad", 2, 4), Line(["two"], "grad", 4)]]), Box("a", "step", since=1)]
    text = str(draw("it", program, boxes, "words"))
    assert re.findall(r'data-since="(\d)"(?: data-until="(\d)")?', text) == [("2", "4"), ("4", "")]
    assert 'id="it-box-1" data-reached="1"' in text
