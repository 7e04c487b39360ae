"""The nodes of a graph, and its picture, which is drawn by Graphviz and read back from the SVG.

A drawing takes a tenth of a second, so tests of many small graphs draw them together.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import time
import unicodedata
import webbrowser
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree as ET

import graphviz
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import ndgrad
from ndgrad import Value
from ndgrad.engine import record
from ndgrad.graph import ENGINES, FORMATS, HINT, RANKDIRS, Picture, draw_dot, trace
from ndgrad.graph import picture as graphviz_picture
from ndgrad.rules import Rule


def neuron() -> Value:
    """Make the neuron of the article, with its labels and gradients: tanh(x1*w1 + x2*w2 + b)."""
    x1, x2 = Value(2.0, "x1"), Value(0.0, "x2")
    w1, w2 = Value(-3.0, "w1"), Value(1.0, "w2")
    b = Value(6.8813735870195432, "b")
    x1w1 = labelled(x1 * w1, "x1*w1")
    x2w2 = labelled(x2 * w2, "x2*w2")
    n = labelled(labelled(x1w1 + x2w2, "x1*w1 + x2*w2") + b, "n")
    o = labelled(n.tanh(), "o")
    o.backward()
    return o


def labelled(value: Value, label: str) -> Value:
    """Label a Value."""
    value.label = label
    return value


def together(*values: Value) -> Value:
    """Join Values to a single one, so that one picture shows them all."""
    return record(Rule(lambda *_: np.zeros(()), symbol="together"), values, {})


def box_names(root: Value) -> dict[int, str]:
    """Return the names of the boxes in the picture of `root`, by the ids of the Values."""
    return {id(node): f"value{i}" for i, node in enumerate(trace(root)[0])}


@dataclass
class Drawing:
    """A drawing, read from Graphviz's SVG: the texts of each node, the cells of its box, and the edges."""

    texts: dict[str, list[str]]
    cells: dict[str, int]
    edges: Counter[tuple[str, str]]

    def boxes(self) -> list[list[str]]:
        """Return the texts of the boxes of some Values."""
        return [texts for name, texts in self.texts.items() if name.startswith("value")]


SVG = "{http://www.w3.org/2000/svg}"


def read_drawing(picture: Any) -> Drawing:
    """Draw a picture and read it back."""
    drawing = Drawing({}, {}, Counter())
    for group in ET.fromstring(picture.pipe("svg")).iter(f"{SVG}g"):  # noqa: S314 - made a line earlier
        title = group.findtext(f"{SVG}title", "")
        if group.get("class") == "node":
            lines = [text.text or "" for text in group.iter(f"{SVG}text")]
            drawing.texts[title] = [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines]
            drawing.cells[title] = 1 + len(group.findall(f".//{SVG}polyline"))  # the lines between them
        if group.get("class") == "edge":
            tail, head = title.split("->")
            drawing.edges[tail, head] += 1
    return drawing


def attributes(picture: Any) -> dict[str, dict[str, Any]]:
    """Draw a picture, and return the attributes of its nodes, including their positions."""
    return {node["name"]: node for node in json.loads(picture.pipe("json"))["objects"]}


def at(node: dict[str, Any]) -> tuple[float, float]:
    """Return the position of a node, to the right and upwards."""
    x, y = map(float, node["pos"].split(","))
    return x, y


# Settings of tests that draw ten small graphs together.
FEWER = settings(max_examples=settings.default.max_examples // 10)  # type: ignore[union-attr]


def programs() -> st.SearchStrategy[Value]:
    """Draw random graphs of Values, with constants, by ops of one or two operands."""

    def made(draw: st.DrawFn) -> Value:
        values = [Value(1.0), Value(2.0)]
        for _ in range(draw(st.integers(0, 12))):
            a, b = draw(st.sampled_from(values)), draw(st.sampled_from([*values, 3.0]))
            values.append(draw(st.sampled_from([a + b, b - a, ndgrad.maximum(a, b), a.tanh()])))
        return values[-1]

    return st.composite(made)()


def printed(program: str) -> str:
    """Run a program in a process, and return its output."""
    root = Path(ndgrad.__file__).parents[1]
    command = [sys.executable, "-c", program]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=True, timeout=60).stdout


class TestTrace:
    """`trace`."""

    def test_operands_come_first(self) -> None:
        """Nodes are in topological order, left operands first and the root last."""
        a, b = Value(2.0, "a"), Value(-3.0, "b")
        c = labelled(a * b, "c")
        d = labelled(c - a, "d")
        nodes, edges = trace(d)
        assert [node.label for node in nodes] == ["a", "b", "c", "d"]
        assert [(operand.label, result.label) for operand, result in edges] == [
            ("a", "c"), ("b", "c"), ("c", "d"), ("a", "d"),
        ]  # fmt: skip

    def test_operand_used_twice(self) -> None:
        """An operand that is used twice is one node with two edges."""
        x = Value(3.0)
        y = x * x
        nodes, edges = trace(y)
        assert list(map(id, nodes)) == [id(x), id(y)]
        assert [(id(a), id(b)) for a, b in edges] == [(id(x), id(y))] * 2

    def test_constants(self) -> None:
        """Numbers and arrays as operands are nodes without a gradient, the same ones in each walk."""
        y = Value([1.0, 2.0]) * 3 + np.array([4.0, 5.0])
        nodes, _ = trace(y)
        constants = [node.data.tolist() for node in nodes if not node.requires_grad]
        assert constants == [3, [4.0, 5.0]]
        assert list(map(id, trace(y)[0])) == list(map(id, nodes))

    def test_alone(self) -> None:
        """A leaf, or a result that was not recorded, is a single node without edges."""
        with ndgrad.no_grad():
            constant = Value(1.0) + 1.0
        for value in (Value(1.0), constant):
            assert trace(value) == ([value], [])

    def test_not_a_value(self) -> None:
        """An argument that is not a Value is an error."""
        with pytest.raises(TypeError, match="a graph starts from a Value, but got float"):
            trace(1.0)  # type: ignore[arg-type]

    @given(programs())
    def test_any_program(self, root: Value) -> None:
        """Each node of any graph comes once and after its operands, with an edge for each use."""
        reachable: dict[int, Value] = {}

        def reach(value: Value) -> None:
            reachable[id(value)] = value
            for operand in value._prev:
                reach(operand)

        reach(root)
        nodes, edges = trace(root)
        position = {id(node): i for i, node in enumerate(nodes)}
        assert len(nodes) == len(position)
        assert set(position) == set(reachable)
        assert nodes[-1] is root
        assert all(position[id(operand)] < position[id(result)] for operand, result in edges)
        uses = Counter((id(operand), id(v)) for v in reachable.values() for operand in v._prev)
        assert Counter((id(operand), id(result)) for operand, result in edges) == uses

    def test_deep(self) -> None:
        """A chain of a hundred thousand ops does not exceed the recursion limit."""
        x = Value(0.0)
        for _ in range(100_000):
            x = x + x
        nodes, edges = trace(x)
        assert (len(nodes), len(edges)) == (100_001, 200_000)


class TestPicture:
    """The picture of a graph."""

    def test_is_a_digraph(self) -> None:
        """The picture is a `graphviz.Digraph`, and can be extended."""
        picture = draw_dot(Value(1.0))
        assert isinstance(picture, Picture)
        assert isinstance(picture, graphviz.Digraph)
        picture.attr(label="the title")
        picture.node("more", "more")
        assert "the title" in picture.pipe("svg", encoding="utf-8")
        assert read_drawing(picture).texts["more"] == ["more"]
        assert picture.copy().pipe("svg") == picture.pipe("svg")

    def test_neuron(self) -> None:
        """The picture of the article's neuron shows labels, data and gradients, and the ops between them."""
        picture = draw_dot(neuron())
        drawing = read_drawing(picture)
        assert set(drawing.texts) == set(attributes(picture))
        assert drawing.boxes() == [
            ["x1", "data 2.0000", "grad -1.5000"],
            ["w1", "data -3.0000", "grad 1.0000"],
            ["x1*w1", "data -6.0000", "grad 0.5000"],
            ["x2", "data 0.0000", "grad 0.5000"],
            ["w2", "data 1.0000", "grad 0.0000"],
            ["x2*w2", "data 0.0000", "grad 0.5000"],
            ["x1*w1 + x2*w2", "data -6.0000", "grad 0.5000"],
            ["b", "data 6.8814", "grad 0.5000"],
            ["n", "data 0.8814", "grad 0.5000"],
            ["o", "data 0.7071", "grad 1.0000"],
        ]
        ops = {name: text for name, text in drawing.texts.items() if name.startswith("op")}
        assert ops == {"op2": ["*"], "op5": ["*"], "op6": ["+"], "op8": ["+"], "op9": ["tanh"]}
        assert drawing.edges == Counter(
            {(f"op{i}", f"value{i}"): 1 for i in (2, 5, 6, 8, 9)}
            | {(f"value{a}", f"op{b}"): 1 for a, b in ((0, 2), (1, 2), (3, 5), (4, 5), (2, 6), (5, 6), (6, 8), (7, 8))}
            | {("value8", "op9"): 1}
        )

    def test_operand_used_twice(self) -> None:
        """An operand that is used twice has two edges."""
        x = Value(3.0)
        assert read_drawing(draw_dot(x * x)).edges == {("value0", "op1"): 2, ("op1", "value1"): 1}

    @FEWER
    @given(st.lists(programs(), min_size=1, max_size=10))
    def test_any_program(self, values: list[Value]) -> None:
        """The picture of any graph has a box for each node, and an edge for each use of an operand."""
        root = together(*values)
        nodes, edges = trace(root)
        drawing = read_drawing(draw_dot(root))
        assert len(drawing.boxes()) == len(nodes)
        name = box_names(root)
        uses = Counter((name[id(operand)], name[id(result)].replace("value", "op")) for operand, result in edges)
        assert uses == Counter({edge: n for edge, n in drawing.edges.items() if edge[0].startswith("value")})

    def test_same_program_same_source(self) -> None:
        """The same program, run again, has exactly the same source."""
        assert draw_dot(neuron()).source == draw_dot(neuron()).source

    def test_gradients(self) -> None:
        """A missing gradient is a dash, and a gradient of zero is a zero."""
        x, y = Value(1.0, "x"), Value(2.0, "y")
        z = x * y
        y.grad = 0.0
        assert read_drawing(draw_dot(z)).boxes() == [
            ["x", "data 1.0000", "grad –"],
            ["y", "data 2.0000", "grad 0.0000"],
            ["data 2.0000", "grad –"],
        ]

    def test_gradients_that_are_values(self) -> None:
        """After `backward(create_graph=True)` a gradient is a Value, and shown as usual."""
        x = Value(3.0, "x")
        (x * x).backward(create_graph=True)
        assert read_drawing(draw_dot(x)).boxes() == [["x", "data 3.0000", "grad 6.0000"]]
        assert read_drawing(draw_dot(x.grad)).boxes()[-1] == ["data 6.0000", "grad –"]

    def test_constants_look_different(self) -> None:
        """Leaves, results and constants differ in more than colour, and constants are labelled as such."""
        picture = draw_dot(Value(3.0, "x") * 2 + np.array([0.5, 1.0]))
        assert read_drawing(picture).boxes() == [
            ["x", "data 3.0000", "grad –"],
            ["data 2.0000", "constant"],
            ["data 6.0000", "grad –"],
            ["data [0.5, 1]", "constant"],
            ["data [6.5, 7]", "grad –"],
        ]
        nodes = attributes(picture)
        looks = [(nodes[f"value{i}"]["shape"], nodes[f"value{i}"].get("style", "")) for i in range(5)]
        leaf, constant, result = ("record", "filled"), ("record", "filled,dashed"), ("Mrecord", "")
        assert looks == [leaf, constant, result, constant, result]
        assert nodes["op2"]["shape"] == "ellipse"

    def test_constant_with_a_gradient(self) -> None:
        """A gradient that was assigned to a constant is shown."""
        x = Value(3.0, requires_grad=False)
        x.grad = 2.0
        assert read_drawing(draw_dot(x)).boxes() == [["data 3.0000", "grad 2.0000"]]

    def test_numbers(self) -> None:
        """A single number has four decimals if these suffice, few numbers four digits, many a shape and dtype."""
        cases: list[tuple[Any, list[str]]] = [
            (2.0, ["data 2.0000"]),
            (np.float32(-0.125), ["data -0.1250"]),
            (0.001, ["data 0.0010"]),
            (0.00012345678, ["data 0.0001235"]),
            (1e-12, ["data 1e-12"]),
            (999999.0, ["data 999999.0000"]),
            (1234567.0, ["data 1.235e+06"]),
            (np.inf, ["data inf"]),
            (-np.inf, ["data -inf"]),
            (np.nan, ["data nan"]),
            ([1.0, -0.25, 1 / 3], ["data [1, -0.25, 0.3333]"]),
            ([[1.0]], ["data [[1]]"]),
            ([[1.0, 2.0], [3.0, 4.5]], ["data [[1, 2],", " [3, 4.5]]"]),
            (np.zeros((0, 3)), ["data float64 (0, 3)", "[]"]),
            (np.zeros((1, 1, 2)), ["data float64 (1, 1, 2)", "[0, 0]"]),
            (np.arange(8.0), ["data [0, 1, 2, 3, 4, 5, 6, 7]"]),
            (np.arange(9.0), ["data float64 (9,)", "[0, 1, 2, …]", "0 to 8"]),
            (np.ones((64, 784), np.float32), ["data float32 (64, 784)", "[1, 1, 1, …]", "1 to 1"]),
        ]
        leaves = [Value(data) for data, _ in cases]
        root = together(*leaves)
        texts, name = read_drawing(draw_dot(root)).texts, box_names(root)
        assert [texts[name[id(leaf)]] for leaf in leaves] == [[*lines, "grad –"] for _, lines in cases]

    def test_huge_python_integer(self) -> None:
        """Python integers beyond NumPy's are shown as constants."""
        assert ["data 1e+30", "constant"] in read_drawing(draw_dot(Value(1.0) * 10**30)).boxes()

    @pytest.mark.parametrize("rankdir", RANKDIRS)
    def test_direction(self, rankdir: str) -> None:
        """The graph grows in the direction of `rankdir`, and the cells of a box are always below one another."""
        x = Value(1.0, "x")
        y = x * 2.0
        picture = draw_dot(y, rankdir=rankdir)
        nodes = attributes(picture)
        start, end = at(nodes["value0"]), at(nodes["value2"])
        right, up = np.sign(np.round(np.subtract(end, start) / 40))
        along = {"LR": right, "RL": -right, "TB": -up, "BT": up}
        assert along[rankdir] == 1
        cells = [tuple(map(float, cell.split(","))) for cell in nodes["value0"]["rects"].split(" ")]
        assert len({(left, after) for left, _, after, _ in cells}) == 1
        assert len({bottom for _, bottom, _, _ in cells}) == 3
        assert read_drawing(picture).texts["value0"] == ["x", "data 1.0000", "grad –"]

    def test_operands_in_order(self) -> None:
        """The first operand is drawn first, since a - b is not b - a."""
        for rankdir in RANKDIRS:
            a, b = Value(1.0), Value(2.0)
            minuend, subtrahend = b.tanh(), a.tanh()
            root = a.tanh() * (minuend - subtrahend)  # Graphviz alone would draw these two in the other order
            nodes, name = attributes(draw_dot(root, rankdir=rankdir)), box_names(root)
            first, second = (at(nodes[name[id(x)]]) for x in (minuend, subtrahend))
            assert first[1] > second[1] if rankdir in ("LR", "RL") else first[0] < second[0]

    @pytest.mark.parametrize(
        ("name", "given"), [("format", "jpg2"), ("format", ""), ("rankdir", "lr"), ("rankdir", None)]
    )
    def test_refusals(self, name: str, given: Any) -> None:
        """An unknown format or direction is an error that lists the known ones."""
        with pytest.raises(ValueError, match=f"{name} is {given!r}, but must be one of (svg, png|LR, TB)"):
            draw_dot(Value(1.0), **{name: given})

    def test_not_a_value(self) -> None:
        """An argument that is not a Value is an error."""
        with pytest.raises(TypeError, match="a graph starts from a Value, but got ndarray"):
            draw_dot(np.ones(2))  # type: ignore[arg-type]

    def test_large(self) -> None:
        """The source of a graph of two thousand ops is written at once, and a notebook does not draw it."""
        x = Value(1.0)
        for _ in range(2_000):
            x = x * 1.01
        start = time.perf_counter()
        picture = draw_dot(x)
        assert picture.source.count("->") == 3 * 2_000
        assert time.perf_counter() - start < 2  # measured: 0.03
        words = picture._repr_mimebundle_()["text/plain"]
        assert words == "A graph of 12,001 statements: render() draws it, but it may take minutes."


class TestNotes:
    """Notes in boxes."""

    def test_note(self) -> None:
        """A note is the last cell of its box, for any text; other boxes have none."""
        x = Value(3.0, "x")
        y = x * 2.0
        picture = draw_dot(y, notes={x: "a note | <b>\nof two lines", y: ""})
        assert read_drawing(picture).boxes() == [
            ["x", "data 3.0000", "grad –", "a note | <b>", "of two lines"],
            ["data 2.0000", "constant"],
            ["data 6.0000", "grad –"],
        ]
        assert read_drawing(picture).cells["value0"] == 4

    def test_note_beside_a_heat_map(self) -> None:
        """A box with a heat map shows its note, and any text as its label."""
        values = [Value(np.arange(9.0), label) for label in NASTY]
        boxes = read_drawing(draw_dot(together(*values), notes=dict.fromkeys(values, "\\N & <i>"))).boxes()
        numbers = ["data float64 (9,)", "[0, 1, 2, …]", "0 to 8", "grad –", "\\N & <i>"]
        # A backslash is in a text element of its own, so only the joined text counts.
        assert ["".join(box) for box in boxes[:-1]] == ["".join([*html_lines(label), *numbers]) for label in NASTY]

    def test_note_on_a_stranger(self) -> None:
        """A note on a Value outside the picture is an error."""
        with pytest.raises(ValueError, match="1 of the notes are on Values that are not in the graph of the root"):
            draw_dot(Value(1.0), notes={Value(1.0): "where?"})


def html_lines(label: str) -> list[str]:
    """Return the lines that a label in HTML must show; lines without a visible sign are not drawn."""
    return ["".join(map(sign, line)) for line in label.replace("\r\n", "\n").split("\n") if line]


class TestHeatMaps:
    """Heat maps of large arrays."""

    def test_both_arrays_are_drawn(self) -> None:
        """Data and gradient of a large array each have a range and a map, and boxes have their usual style."""
        x = Value(np.arange(-5.0, 5.0), "x")
        y = x * x
        y.backward()
        picture = draw_dot(y)
        assert read_drawing(picture).boxes()[0] == [
            "x",
            "data float64 (10,)", "[-5, -4, -3, …]", "-5 to 4",
            "grad float64 (10,)", "[-10, -8, -6, …]", "-10 to 8",
        ]  # fmt: skip
        assert picture.source.count("BGCOLOR=") == 4 * 10
        nodes = attributes(picture)
        looks = [(nodes[name]["shape"], nodes[name]["style"]) for name in ("value0", "value1")]
        assert looks == [("box", "filled"), ("box", "rounded")]


class TestFolding:
    """Folded graphs."""

    def loss(self) -> Value:
        """Compute the article's loss: four rows, one by one, through three layers."""
        network = ndgrad.MLP(3, [4, 4, 1], rng=0)
        return ndgrad.stack([network(row) - 1.0 for row in np.linspace(-1.0, 1.0, 12).reshape(4, 3)]).sum()  # type: ignore[no-any-return]

    def test_layers(self) -> None:
        """A layer is one ellipse with a double outline, which lists its ops and how often it was used."""
        picture = draw_dot(self.loss())
        drawing, nodes = read_drawing(picture), attributes(picture)
        layers = {name: texts for name, texts in drawing.texts.items() if name.startswith("fold")}
        assert list(layers.values()) == [
            ["@ → + → tanh", "× 4"],
            ["@ → + → tanh", "× 4"],
            ["@ → + → tanh → reshape", "× 4"],
        ]
        assert {(nodes[name]["shape"], nodes[name]["peripheries"]) for name in layers} == {("ellipse", "2")}
        assert len(drawing.boxes()) < 40 < len(trace(self.loss())[0])
        assert drawing.edges["fold0", "fold1"] == drawing.edges["fold1", "fold2"] == 1
        assert sum(n for edge, n in drawing.edges.items() if edge[0] == "fold2") == 4

    def test_one_result(self) -> None:
        """A layer that was used once shows its result."""
        y = ndgrad.MLP(3, [4] * 10, rng=0)(np.ones((2, 3)))
        drawing = read_drawing(draw_dot(y))
        assert drawing.edges["fold9", f"value{len(trace(y)[0]) - 1}"] == 1
        assert len(drawing.boxes()) == 1 + 10 * 3

    def test_unfolded(self) -> None:
        """Small graphs are not folded, and folding is optional."""
        for picture in (draw_dot(self.loss(), fold=False), draw_dot(ndgrad.MLP(3, [4, 1], rng=0)(np.ones(3)))):
            assert "fold" not in picture.source

    def test_notes_inside(self) -> None:
        """A note on a folded result is not shown, and is not an error."""
        loss = self.loss()
        assert "inside" not in draw_dot(loss, notes=dict.fromkeys(trace(loss)[0][10:11], "inside")).source


# Labels.

NASTY = [
    "|", "{", "}", "{|}", "a | b", "<port> x", "<b>x</b>", "<", ">", '"', "'", '"]; x [label="y',
    "\\", "\\\\", "a\\", '\\"', "\\N", "\\G\\L\\n\\l\\r", "&", "&amp;", "&#124;", "&lt;b&gt;",
    "x\ny", "x\r\ny", "\n", "\nx", "\n\nx", "x\n\ny", "x\n", "x\n y",
    " ", " x ", "a  b", "\t", "\0", "a\0b", "\x1b[31m", "\x7f", "\x85",
    "é漢字😀", "\u202eabc", "\ud800", "\ufffe", "charset=", 'charset="latin1"', "// x", "/* x", "#x", "%s %d",
]  # fmt: skip


def seen(label: str) -> list[str]:
    """Return the lines that a label must show. Invisible characters become signs, and empty lines are not drawn.

    An empty first line is a space, since Graphviz would sometimes crash.
    """
    first, *others = label.replace("\r\n", "\n").split("\n")
    lines = [first or " " * bool(others), *others]
    return ["".join(map(sign, line)) for line in lines if line]


def sign(character: str) -> str:
    """Return the character itself, its picture in Unicode, or the replacement character."""
    if unicodedata.category(character) not in ("Cc", "Cs") and ord(character) not in (0xFFFE, 0xFFFF):
        return character.replace("\N{NO-BREAK SPACE}", " ")  # as Graphviz writes spaces, and `read_drawing` reads them
    if character == "\x7f":
        return "␡"
    return chr(0x2400 + ord(character)) if ord(character) < 0x20 else "\N{REPLACEMENT CHARACTER}"


LABELS = st.text(st.one_of(st.characters(codec=None, categories=None), st.sampled_from("|{}<>\"'\\&;#\n\0 ]NGLlnr")))


class TestLabels:
    """Labels of any text."""

    @example(labels=NASTY)
    @FEWER
    @given(labels=st.lists(LABELS, min_size=1, max_size=20))
    def test_any_label(self, labels: list[str]) -> None:
        """Any text as a label is shown exactly, and affects nothing else in the picture."""
        drawing = read_drawing(draw_dot(together(*(labelled(Value(2.0, label) * 3.0, label) for label in labels))))
        last = 3 * len(labels)
        texts = {f"value{last}": ["data 0.0000", "grad –"], f"op{last}": ["together"]}
        cells = {f"value{last}": 2, f"op{last}": 1}
        edges = Counter({(f"op{last}", f"value{last}"): 1})
        for i, label in enumerate(labels):
            x, three, y, times = f"value{3 * i}", f"value{3 * i + 1}", f"value{3 * i + 2}", f"op{3 * i + 2}"
            texts |= {
                x: [*seen(label), "data 2.0000", "grad –"],
                three: ["data 3.0000", "constant"],
                y: [*seen(label), "data 6.0000", "grad –"],
                times: ["*"],
            }
            cells |= {x: 2 + bool(label), three: 2, y: 2 + bool(label), times: 1}
            edges += {(x, times): 1, (three, times): 1, (times, y): 1, (y, f"op{last}"): 1}
        assert drawing == Drawing(texts, cells, edges)

    def test_from_the_top(self) -> None:
        """The same holds in a picture from top to bottom, where records are rotated."""
        drawing = read_drawing(draw_dot(together(*(Value(2.0, label) for label in NASTY)), rankdir="TB"))
        assert drawing.boxes()[:-1] == [[*seen(label), "data 2.0000", "grad –"] for label in NASTY]

    def test_any_op(self) -> None:
        """The symbol of a rule may be any text, too."""
        symbols = ["<b>x</b>", "|", "\\N", '"', "&amp;", "a\nb", "\nb", "{}"]
        y = Value(1.0)
        for symbol in symbols:
            y = record(Rule(np.negative, symbol=symbol), (y,), {})
        texts = read_drawing(draw_dot(y)).texts
        assert [texts[f"op{i}"] for i in range(1, 1 + len(symbols))] == [seen(symbol) for symbol in symbols]

    def test_a_title_is_no_encoding(self) -> None:
        """A label that looks like an encoding declaration is shown as it is."""
        picture = draw_dot(Value(1.0))
        picture.graph_attr["label"] = "charset="
        assert "charset=" in picture.pipe("svg", encoding="utf-8")


# Drawing: by pygraphviz, by the `dot` program, by neither.

BEGINS = {
    "svg": b"<?xml", "png": b"\x89PNG", "pdf": b"%PDF", "jpg": b"\xff\xd8", "jpeg": b"\xff\xd8", "gif": b"GIF8",
    "eps": b"%!PS-Adobe", "ps": b"%!PS-Adobe", "svgz": b"\x1f\x8b", "dot": b"digraph", "gv": b"digraph",
    "xdot": b"digraph", "json": b"{", "plain": b"graph", "plain-ext": b"graph",
}  # fmt: skip


def names(directory: Path) -> list[str]:
    """List the files of a directory."""
    return sorted(path.name for path in directory.iterdir())


class TestDrawing:
    """Drawing by pygraphviz."""

    def test_every_format_has_a_case(self) -> None:
        """Each format has a case below."""
        assert set(BEGINS) == set(FORMATS)

    @pytest.mark.parametrize("format_", FORMATS)
    def test_formats(self, format_: str) -> None:
        """The default format is that of the picture."""
        assert draw_dot(Value(1.0), format=format_).pipe().startswith(BEGINS[format_])

    def test_another_format(self) -> None:
        """`pipe` can be given another format."""
        assert draw_dot(Value(1.0), format="svg").pipe("png").startswith(BEGINS["png"])

    def test_encoding(self) -> None:
        """With an encoding, `pipe` returns a str."""
        picture = draw_dot(Value(1.0, "é"))
        assert picture.pipe(encoding="utf-8") == picture.pipe().decode("utf-8")

    def test_engines(self) -> None:
        """Each engine has its own layout; an unknown one is an error that lists the known ones."""
        picture = draw_dot(neuron(), "plain")
        assert picture.pipe(engine="dot") == picture.pipe()
        assert len({picture.pipe(engine=engine) for engine in ENGINES}) == len(ENGINES)
        with pytest.raises(ValueError, match="engine is 'nearly', but must be one of dot, neato"):
            picture.pipe(engine="nearly")

    def test_refuses_formats(self) -> None:
        """An unknown format is an error that lists the known ones."""
        with pytest.raises(ValueError, match="format is 'webp', but must be one of svg, png"):
            draw_dot(Value(1.0)).pipe("webp")

    def test_options_of_dot(self) -> None:
        """Options of the `dot` program are not ignored silently; `quiet` has no effect."""
        picture = draw_dot(Value(1.0))
        with pytest.raises(graphviz.ExecutableNotFound):
            picture.pipe(renderer="cairo")
        assert picture.pipe(quiet=True) == picture.pipe()

    def test_render(self, tmp_path: Path) -> None:
        """`render` writes the source and the picture, and returns the picture's path."""
        picture = draw_dot(neuron(), "png")
        path = Path(picture.render("neuron.gv", tmp_path / "new"))
        assert path == tmp_path / "new" / "neuron.gv.png"
        assert path.read_bytes() == picture.pipe()
        assert (tmp_path / "new" / "neuron.gv").read_text("utf-8") == picture.source

    def test_render_as_asked(self, tmp_path: Path) -> None:
        """`render` respects the format, the outfile and `cleanup`."""
        picture = draw_dot(neuron())
        assert Path(picture.render(tmp_path / "a", format="gif", cleanup=True)).read_bytes().startswith(b"GIF8")
        assert Path(picture.render(outfile=tmp_path / "b.png")).read_bytes().startswith(b"\x89PNG")
        assert Path(picture.render(outfile=tmp_path / "c", format="svg")).read_bytes().startswith(b"<?xml")
        assert names(tmp_path) == ["a.gif", "b.gv", "b.png", "c", "c.gv"]

    def test_render_by_default(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The default file is `Picture.gv.svg` in the current folder."""
        monkeypatch.chdir(tmp_path)
        assert draw_dot(Value(1.0)).render() == "Picture.gv.svg"
        assert names(tmp_path) == ["Picture.gv", "Picture.gv.svg"]

    def test_render_onto_the_source(self, tmp_path: Path) -> None:
        """A picture that would overwrite its own source is an error."""
        with pytest.raises(ValueError, match="but that is the source's file; give the source a filename"):
            draw_dot(Value(1.0)).render(outfile=tmp_path / "a.gv")

    @pytest.mark.parametrize("how", ["render", "view"])
    def test_view(self, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """`view` opens the picture."""
        shown: list[str] = []
        monkeypatch.setattr(webbrowser, "open", shown.append)
        picture = draw_dot(Value(1.0))
        path = picture.render(tmp_path / "a", view=True) if how == "render" else picture.view(tmp_path / "a")
        assert shown == [Path(path).as_uri()]

    def test_notebook(self) -> None:
        """A notebook shows SVG, or the format that it asks for."""
        picture = draw_dot(neuron())
        svg = {"image/svg+xml": picture.pipe("svg", encoding="utf-8")}
        assert picture._repr_mimebundle_() == picture._repr_mimebundle_(include=None, exclude=None) == svg
        assert picture._repr_mimebundle_(include=["image/svg+xml", "text/plain"]) == svg
        assert picture._repr_mimebundle_(include=["image/png"]) == {"image/png": picture.pipe("png")}
        assert picture._repr_mimebundle_(exclude=["image/svg+xml"]) == picture._repr_mimebundle_(include=[]) == {}


def bundle(value: Value, **asked: Any) -> dict[str, Any]:
    """Return the notebook display of a Value."""
    return dict(value._repr_mimebundle_(**asked))


class TestValue:
    """The display of a Value in a notebook."""

    def test_shows_its_graph(self) -> None:
        """The display is the picture of the graph, in the requested format."""
        o = neuron()
        assert bundle(o) == draw_dot(o)._repr_mimebundle_()
        assert list(bundle(o, include=["image/png"])) == ["image/png"]

    def test_too_large(self) -> None:
        """A graph that would take long to draw is not drawn: its numbers and the reason are shown."""
        x = Value(1.0)
        for _ in range(1_000):
            x = x + x
        words = "A graph of 5,001 statements: render() draws it, but it may take minutes."
        assert bundle(x) == {"text/plain": f"{x!r}\n{words}"}


class TestProcess:
    """The process of Graphviz."""

    def test_another(self) -> None:
        """Pygraphviz is not imported into this process."""
        draw_dot(Value(1.0)).pipe()
        assert "pygraphviz" not in sys.modules

    def test_crash(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A crash of Graphviz is an exception, and the next picture is drawn."""
        picture = draw_dot(Value(1.0))
        with monkeypatch.context() as planted:
            planted.setattr(graphviz_picture, "_DRAW", "import os; print('half'); os.abort()")
            with pytest.raises(RuntimeError, match=r"^Graphviz failed, with exit code .*`save\(\)` writes it"):
                picture.pipe()
        assert picture.pipe().startswith(b"<?xml")

    def test_words(self) -> None:
        """Graphviz's message is part of the error."""
        picture = draw_dot(Value(1.0))
        picture.body.append("]\n")
        with pytest.raises(RuntimeError, match=r"syntax error in line 6 near ']'"):
            picture.pipe()

    def test_no_words(self, capfd: pytest.CaptureFixture[str]) -> None:
        """Other output, such as warnings about fonts, is ignored."""
        draw_dot(Value(1.0)).pipe("png")
        assert capfd.readouterr() == ("", "")

    def test_patience(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The time of a layout is limited."""
        monkeypatch.setattr(graphviz_picture, "_DRAW", "import time; time.sleep(60)")
        monkeypatch.setattr(graphviz_picture, "_PATIENCE", 0.1)
        with pytest.raises(RuntimeError, match=r"^Graphviz found no layout in 0.1 s. .*`save\(\)` writes it"):
            draw_dot(Value(1.0)).pipe()

    def test_interrupt(self) -> None:
        """A layout can be interrupted, from the keyboard or by a notebook."""
        program = (
            "import os, signal, threading; from ndgrad import Value\nfrom ndgrad.graph import draw_dot, picture\n"
            "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # in the background, shells ignore the signal
            "picture._DRAW = 'import time; time.sleep(600)'\n"
            "threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
            "try: draw_dot(Value(1.0)).pipe()\n"
            "except KeyboardInterrupt: print('interrupted')"
        )
        assert printed(program) == "interrupted\n"

    def test_surroundings(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Files and environment variables that mislead Python do not affect the process."""
        for name in ("pygraphviz", "random", "tempfile", "sitecustomize"):
            (tmp_path / f"{name}.py").write_text("raise SystemExit('not this one')")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        monkeypatch.setenv("PYTHONIOENCODING", "latin-1")
        assert "漢字" in draw_dot(Value(1.0, "漢字")).pipe("svg", encoding="utf-8")


DOT = """#!{python}
import sys
import pygraphviz
*options, last = sys.argv[1:]
source = sys.stdin.read() if last.startswith("-") else open(last).read()
drawing = pygraphviz.AGraph(string=source).draw(format=sys.argv[2].removeprefix("-T"), prog="dot")
if "-O" in options:
    open(last + "." + sys.argv[2].removeprefix("-T"), "wb").write(drawing)
else:
    sys.stdout.buffer.write(drawing)
"""


@pytest.fixture
def no_pygraphviz(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulate an environment without pygraphviz and without a program named dot."""
    monkeypatch.setattr(graphviz_picture, "_PYGRAPHVIZ", None)
    monkeypatch.setenv("PATH", "")


@pytest.fixture
def dot(no_pygraphviz: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulate an environment without pygraphviz, with a program named dot on the PATH."""
    program = tmp_path / "bin" / "dot"
    program.parent.mkdir()
    program.write_text(DOT.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))


@pytest.mark.usefixtures("dot")
class TestDotProgram:
    """Drawing by the `dot` program alone."""

    def test_pipe(self) -> None:
        """`pipe` calls the program."""
        picture = draw_dot(neuron())
        assert picture.pipe("png").startswith(b"\x89PNG")
        assert "x1*w1" in picture._repr_mimebundle_()["image/svg+xml"]

    def test_render(self, tmp_path: Path) -> None:
        """`render` lets the program write the files."""
        path = Path(draw_dot(neuron(), "png").render("a", tmp_path / "new", cleanup=True))
        assert path == tmp_path / "new" / "a.png"
        assert path.read_bytes().startswith(b"\x89PNG")
        assert names(tmp_path / "new") == ["a.png"]


@pytest.mark.usefixtures("no_pygraphviz")
class TestNothingToDrawWith:
    """Without Graphviz."""

    def test_notebook(self) -> None:
        """A notebook shows the source, and how to see the picture."""
        picture = draw_dot(neuron())
        words = {"text/plain": f"{picture.source}\n{HINT}"}
        assert "ndgrad[viz]" in HINT
        assert picture._repr_mimebundle_() == picture._repr_mimebundle_(include=["text/plain"]) == words
        assert picture._repr_mimebundle_(include=["image/png"]) == {}
        assert picture._repr_mimebundle_(exclude=["text/plain"]) == {}

    def test_value(self) -> None:
        """The display of a Value is its numbers, and how to see the picture."""
        assert bundle(neuron()) == {"text/plain": f"{neuron()!r}\n{HINT}"}

    def test_render(self, tmp_path: Path) -> None:
        """`render` writes the source, warns, and deletes nothing."""
        picture = draw_dot(neuron())
        with pytest.warns(UserWarning, match=r"only the source was written, to .*a\.gv.*ndgrad\[viz\]") as caught:
            path = picture.render("a.gv", tmp_path, cleanup=True, view=True)
        assert caught[0].filename == __file__
        assert Path(path).read_text("utf-8") == picture.source

    def test_pipe(self) -> None:
        """`pipe` raises an error."""
        with pytest.raises(RuntimeError, match=r"ndgrad\[viz\]"):
            draw_dot(neuron()).pipe()


@pytest.fixture
def without_package(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Import `ndgrad.graph` as if the graphviz package were not installed."""
    monkeypatch.setitem(sys.modules, "graphviz", None)
    monkeypatch.setattr(Value, "_repr_mimebundle_", None)  # restored at the end; the import sets another one
    monkeypatch.setattr(ndgrad, "graph", None)  # the same
    for name in [name for name in sys.modules if name.startswith("ndgrad.graph")]:
        monkeypatch.delitem(sys.modules, name)
    yield importlib.import_module("ndgrad.graph")
    for name in [name for name in sys.modules if name.startswith("ndgrad.graph")]:
        del sys.modules[name]


class TestWithoutThePackage:
    """Without the graphviz package."""

    def test_same_picture(self, without_package: ModuleType) -> None:
        """The source has the same picture."""
        picture, usual = without_package.draw_dot(neuron()), draw_dot(neuron())
        assert not isinstance(picture, graphviz.Digraph)
        assert str(picture) == picture.source
        assert read_drawing(picture) == read_drawing(usual)
        assert picture.pipe("plain") == usual.pipe("plain")

    def test_pygraphviz_is_enough(self, without_package: ModuleType, tmp_path: Path) -> None:
        """Pygraphviz alone draws, in a notebook and to files."""
        picture = without_package.draw_dot(neuron(), "png")
        assert "x1*w1" in picture._repr_mimebundle_()["image/svg+xml"]
        assert Path(picture.render("a.gv", tmp_path / "new")).read_bytes() == picture.pipe()
        with pytest.raises(RuntimeError, match=r"ndgrad\[viz\]"):
            picture.pipe(renderer="cairo")

    def test_nothing_at_all(self, without_package: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without pygraphviz as well, there are the source and the hint."""
        monkeypatch.setattr(without_package.picture, "_PYGRAPHVIZ", None)
        picture = without_package.draw_dot(neuron())
        assert picture._repr_mimebundle_() == {"text/plain": f"{picture.source}\n{HINT}"}
        with pytest.warns(UserWarning, match="only the source was written"):
            assert Path(picture.render(directory=tmp_path)) == tmp_path / "Picture.gv"
        with pytest.raises(RuntimeError, match=r"ndgrad\[viz\]"):
            picture.pipe()

    def test_import(self) -> None:
        """The module can be imported and used without either package."""
        program = (
            "import sys; sys.modules['graphviz'] = sys.modules['pygraphviz'] = None\n"
            "from ndgrad import Value; from ndgrad.graph import draw_dot\n"
            "print(draw_dot(Value(2.0, 'x') * 3).source.count('->'))"
        )
        assert printed(program) == "3\n"
