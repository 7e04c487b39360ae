"""A program's picture, drawn by Graphviz and read back from the SVG."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from ndgrad.graph import HINT
from ndgrad.graph import picture as picture_read_back
from reference.engines.ndgrad import NdgradEngine
from reference.engines.torch import TorchEngine
from reference.mutation.planting import UNCHANGED, Plant, forward, pullback, scaled
from reference.ops import OPS
from reference.programs import parse
from reference.report.picture import draw, write
from reference.verdict import Result, judge
from reference.verdict.localise import Origin, localise
from tests.reference.drawing import EXPRESSIONS, sample

NDGRAD, TORCH = NdgradEngine(), TorchEngine()
NAMES = f"{NDGRAD.name} beside {TORCH.name}"
MARKED = "≠ marks numbers that differ by more than 8 units in the last place (ULP)"
SVG = "{http://www.w3.org/2000/svg}"

LINE = (
    "x=f8([0.5,1.0]); y=const(i8([2,3])); z=2; "
    "a=multiply(x,y); b=sin(a); c=multiply(b,z); d=multiply(c,c); e=sum(d,axis=0,keepdims=True); back(e,f8([3.0]))"
)


def pictured(line: str, plant: Plant = UNCHANGED) -> Any:
    """Judge a program, with a fault if one is given, and draw it."""
    program = parse(line)
    with plant():
        verdict = judge(program, NDGRAD, TORCH)
        origin = localise(program, NDGRAD, TORCH) if verdict.result.blames else None
        return draw(program, NDGRAD, TORCH, verdict.result, origin)


@dataclass
class Drawing:
    """The contents of Graphviz's SVG: the caption, the text of each box, the border widths, the edges."""

    caption: list[str]
    boxes: dict[str, str]
    borders: dict[str, float]
    edges: Counter[tuple[str, str]]


def read_back(picture: Any) -> Drawing:
    """Draw a picture and read it back. Boxes are named by the first word of their titles."""
    root = ET.fromstring(picture.pipe("svg"))  # noqa: S314 - made a line earlier
    drawing = Drawing(texts(root.find(f"{SVG}g"), f"{SVG}text"), {}, {}, Counter())
    names = {}
    for node in (group for group in root.iter(f"{SVG}g") if group.get("class") == "node"):
        shown = texts(node, f".//{SVG}text")
        name = names[node.findtext(f"{SVG}title", "")] = re.split("[: ]", shown[0])[0]
        drawing.boxes[name] = "|".join(shown)
        drawing.borders[name] = float(node[1].get("stroke-width", "1"))
    for edge in (group for group in root.iter(f"{SVG}g") if group.get("class") == "edge"):
        tail, head = edge.findtext(f"{SVG}title", "").split("->")
        drawing.edges[names[tail], names[head]] += 1
    return drawing


def texts(element: Any, path: str) -> list[str]:
    """Return the texts of an element, with ordinary spaces."""
    return [(text.text or "").replace("\N{NO-BREAK SPACE}", " ") for text in element.findall(path)]


# Contents.


def test_a_program_that_agrees() -> None:
    """There is a box for each operand and step, an edge for each use, shared values, and no mark."""
    drawing = read_back(pictured(LINE))
    assert drawing.caption == [f"{NAMES}: agrees"]
    assert drawing.boxes == {
        "x": "x: float64 (2,)|value|[0.5, 1]|ndgrad|PyTorch|gradient|[21.82, -10.06]|[21.82, -10.06]",
        "y": "y: int64 (2,)|value|[2, 3]",
        "z": "z: a Python number|value|2",
        "a": "a = multiply(x, y)|value|[1, 3]|ndgrad|PyTorch|gradient|[10.91, -3.353]|[10.91, -3.353]",
        "b": "b = sin(a)|value|[0.8415, 0.1411]|ndgrad|PyTorch|gradient|[20.2, 3.387]|[20.2, 3.387]",
        "c": "c = multiply(b, z)|value|[1.683, 0.2822]|ndgrad|PyTorch|gradient|[10.1, 1.693]|[10.1, 1.693]",
        "d": "d = multiply(c, c)|value|[2.832, 0.07966]|ndgrad|PyTorch|gradient|[3, 3]|[3, 3]",
        "e": "e = sum(d, axis=0, keepdims=True)|value|[2.912]|ndgrad|PyTorch|gradient|[3]|[3]",
    }
    assert set(drawing.borders.values()) == {1.0, 1.5}
    assert drawing.edges == Counter(
        {("x", "a"): 1, ("y", "a"): 1, ("a", "b"): 1, ("b", "c"): 1, ("z", "c"): 1, ("c", "d"): 2, ("d", "e"): 1}
    )


def test_where_it_first_goes_wrong() -> None:
    """The step at fault alone has a thick border and a note; only the numbers that it makes wrong are marked."""
    drawing = read_back(pictured(LINE, scaled("sin", 0, 2.0)))
    assert drawing.caption == [f"{NAMES}: the engine is wrong", MARKED]
    assert drawing.boxes["b"].startswith("b = sin(a)|first wrong here: what it passes back to a|value|")
    assert [name for name, width in drawing.borders.items() if width > 2] == ["b"]
    assert {name for name, box in drawing.boxes.items() if "≠" in box} == {"x", "a"}
    assert "|gradient|[|≠21.82|, |≠-6.706|]|[|≠10.91|, |≠-3.353|]|at [0]: 4.5e+15 ULP|" in drawing.boxes["a"]


def test_a_wrong_value() -> None:
    """Values that differ are shown for both sides, and so are those computed from them."""
    drawing = read_back(pictured(LINE, forward("sin", lambda x: np.sin(x) * np.array([1.0, 1.5]))))
    box = drawing.boxes["b"]
    assert box.startswith(
        "b = sin(a)|first wrong here: the value of b|ndgrad|PyTorch|value|[0.8415, |≠0.2117|]|[0.8415, |"
    )
    assert "≠" not in drawing.boxes["a"].partition("gradient")[0]


def test_a_small_difference_is_shown_with_all_digits() -> None:
    """The largest difference is shown with all digits, its place and its distance."""
    box = read_back(pictured(LINE, scaled("sin", 0, 1 + 1e-7))).boxes["a"]
    found = re.fullmatch(r".*\|at \[(\d)\]: ([\d.e+]+) ULP\|([-\d.]+)\|([-\d.]+)", box)
    assert found is not None
    mine, theirs = float(found[3]), float(found[4])
    assert mine / theirs == pytest.approx(1 + 1e-7, rel=1e-12)
    assert float(found[2]) == pytest.approx(abs(mine - theirs) / np.spacing(abs(theirs)), rel=0.01)


def test_a_few_ulp_are_not_set_off() -> None:
    """Numbers that agree at once are not marked; a slightly larger difference is."""
    within, beyond = (scaled("sin", 0, 1 + n * 2.0**-52) for n in (2, 40))
    assert "≠" not in "".join(read_back(pictured(LINE, within)).boxes.values())
    assert "≠" in read_back(pictured(LINE, beyond)).boxes["a"]


class Misfit(NdgradEngine):
    """An engine that returns the first row of a leaf's gradient. This is wrong on purpose."""

    def gradient(self, leaf: Any) -> Any:
        return leaf.grad[0]


def test_a_gradient_of_another_shape() -> None:
    """A gradient of a wrong shape is marked, with both dtypes and shapes."""
    program = parse("x=f8([[1.0,2.0]]); a=exp(x); back(a,f8([[0.0,0.0]]))")
    box = read_back(draw(program, Misfit(), TORCH, Result.ENGINE_WRONG)).boxes["x"]
    assert box.endswith("|gradient|[0, 0]|[[0, 0]]|≠|float64 (2,)|float64 (1, 2)")


def test_large_arrays_are_abbreviated() -> None:
    """Vectors and matrices show up to eight numbers; larger arrays show dtype, shape and the first three."""
    numbers = ",".join(f"{i}.0" for i in range(9))
    boxes = read_back(
        pictured(
            f"x=f8([{numbers}]); y=f8([[[1.0,2.0]]]); z=f8([[1.0],[2.0]]); w=f8([],shape=(0,2)); u=f8(-0.125); "
            f"a=getitem(x,index=(slice(0,8,None),)); b=add(a,u); c=sum(b,axis=None,keepdims=False); d=add(c,y); "
            f"e=add(d,z); f=sum(e,axis=None,keepdims=False); g=add(f,w); back(g,f8([],shape=(0,2)))"
        )
    ).boxes
    assert boxes["x"].startswith("x: float64 (9,)|value|float64 (9,)|[0, 1, 2, …]|")
    assert boxes["a"].startswith("a = getitem(x, index=(slice(0,8,None),))|value|[0, 1, 2, 3, 4, 5, 6, 7]|")
    assert boxes["y"].startswith("y: float64 (1, 1, 2)|value|float64 (1, 1, 2)|[1, 2]|")
    assert boxes["z"].startswith("z: float64 (2, 1)|value|[[1],| [2]]|")
    assert boxes["w"].startswith("w: float64 (0, 2)|value|[]|")
    assert boxes["u"].startswith("u: float64 ()|value|-0.125|")


def test_a_hidden_difference_is_marked() -> None:
    """If only a hidden number differs, the dots are marked, and the number follows."""
    index = np.arange(9.0)
    plant = pullback("exp", 0, lambda g, y, x: g * y * np.where(index == 7, 2.0, 1.0))
    zeros = ",".join(["0.0"] * 9)
    box = read_back(pictured(f"x=f8([{zeros}]); a=exp(x); back(a,f8([{zeros.replace('0.0', '1.0')}]))", plant)).boxes[
        "x"
    ]
    assert "|float64 (9,)|[1, 1, 1, |≠…|]|" in box
    assert box.endswith("|at [7]: 4.5e+15 ULP|2.0|1.0")


def test_second_order() -> None:
    """A program of second order shows each leaf's second-order gradient, and inner gradients as well."""
    boxes = read_back(pictured("x=f8(3.0); a=square(x); b=multiply(a,x); back(b,f8(1.0),along=(f8(0.5),))")).boxes
    assert boxes["x"].endswith("|gradient|27|27|second order|9|9")
    assert boxes["a"].endswith("|gradient|3|3")


# Refusals.


def test_a_step_that_both_refuse() -> None:
    """A step that both refuse shows both errors, and is not marked."""
    drawing = read_back(pictured("x=f8([1.0,2.0]); y=f8([1.0,2.0,3.0]); a=add(x,y)"))
    assert drawing.caption == [f"{NAMES}: agrees"]
    assert "ValueError: operands could not be broadcast|together with" in drawing.boxes["a"]
    assert "RuntimeError: The size of tensor a (2) must" in drawing.boxes["a"]
    assert "≠" not in drawing.boxes["a"]


def refuse(*_: Any) -> Any:
    """Refuse what it should not."""
    raise ValueError("<no> & nothing | of {it} \\N \x00")


def test_a_step_that_one_refuses() -> None:
    """A step that one side refuses shows its error beside the other's value; later values have a dash."""
    drawing = read_back(pictured(LINE, forward("sin", refuse)))
    assert drawing.boxes["b"].startswith(
        "b = sin(a)|first wrong here: it is not computed|ndgrad|PyTorch|value|ValueError: "
    )
    assert "|value|–|[|≠1.683|, |≠0.2822|]|" in drawing.boxes["c"]


def test_a_backward_pass_that_one_refuses() -> None:
    """The error of a backward pass is shown in place of the result's gradient."""
    drawing = read_back(pictured(LINE, pullback("sin", 0, refuse)))
    assert "|gradient|ValueError: <no>" in drawing.boxes["e"]
    assert drawing.boxes["b"].startswith("b = sin(a)|first wrong here: what it passes back to a|")


def test_a_fault_of_no_step_is_in_the_caption() -> None:
    """If each step alone is right, the caption says so, and no step is marked."""
    says = "each step alone is right; contributions to a do not meet as they should"
    drawing = read_back(draw(parse(LINE), NDGRAD, TORCH, Result.ENGINE_WRONG, Origin(None, says)))
    assert drawing.caption == [f"{NAMES}: the engine is wrong", says]
    assert max(drawing.borders.values()) < 2


# Any program, any text.


def test_text_is_shown_as_it_is() -> None:
    """Names, options and errors with any characters are shown as they are."""
    odd = r"<B>&amp;\\N\\ \"q\" {}</B> é"
    boxes = read_back(pictured(f'μ=f8([1.0]); a=pad(μ,pad_width=1,mode="{odd}"); back(a,f8([1.0,1.0,1.0]))')).boxes
    box = re.sub("[| ]", "", boxes["a"])  # line breaks may be anywhere
    assert boxes["μ"].startswith("μ: float64 (1,)")
    assert box.startswith(r'a=pad(μ,pad_width=1,mode="<B>&amp;\\N\\\"q\"{}</B>\u00e9")')
    assert r"""ValueError:mode'<B>&amp;\N\"q"{}</B>é'is""" in box
    refused = read_back(pictured(LINE, forward("sin", refuse))).boxes["b"]
    assert r"ValueError: <no> & nothing | of {it} " in refused
    assert r"|\|N ␀|" in refused


@pytest.mark.parametrize("op", [*OPS, EXPRESSIONS])
@pytest.mark.filterwarnings("ignore:Degrees of freedom")  # too few numbers occur on purpose
def test_any_program_has_a_picture(op: str) -> None:
    """Programs of each op have a box for each value, a table of three columns, and an edge for each use."""
    for program in sample(op, 3):
        source = draw(program, NDGRAD, TORCH, Result.AGREES).source
        tables = [ET.fromstring(table) for table in re.findall(r"label=<(<TABLE.*</TABLE>)>", source)]  # noqa: S314
        assert len(tables) == len(program.names)
        assert source.count(" -> ") == sum(len(step.inputs) for step in program.steps)
        columns = [sum(int(cell.get("COLSPAN", "1")) for cell in line) for table in tables for line in table]
        assert set(columns) == {3}


def test_graphviz_draws_every_picture() -> None:
    """Graphviz draws the pictures of all programs."""
    for program in sample(EXPRESSIONS, 6):
        assert len(read_back(draw(program, NDGRAD, TORCH, Result.AGREES)).boxes) == len(program.names)


# Files.


@pytest.mark.parametrize(
    ("suffix", "start"), [(".svg", b"<?xml"), (".png", b"\x89PNG"), (".pdf", b"%PDF"), (".dot", b"digraph {")]
)
def test_a_file_is_what_its_name_says(suffix: str, start: bytes, tmp_path: Path) -> None:
    """The suffix selects one of three formats or the source; a missing folder is made."""
    path = tmp_path / "made" / f"picture{suffix}"
    assert write(pictured(LINE), path) == (path, "")
    assert path.read_bytes().startswith(start)


def test_without_graphviz_the_source_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Graphviz the source is written with the suffix .dot, and a hint how to see it, but no picture."""
    monkeypatch.setattr(picture_read_back, "_PYGRAPHVIZ", None)
    monkeypatch.setattr("shutil.which", lambda _: None)
    picture = pictured(LINE)
    assert write(picture, tmp_path / "picture.png") == (tmp_path / "picture.dot", HINT)
    assert [path.name for path in tmp_path.iterdir()] == ["picture.dot"]
    assert (tmp_path / "picture.dot").read_text(encoding="utf-8") == picture.source
