"""A program's picture: drawn by Graphviz, and read back from what was drawn."""

from __future__ import annotations

import re
from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from ndgrad.graph import HINT
from ndgrad.graph import picture as drawn_picture
from reference.engines.ndgrad import NdgradEngine
from reference.engines.torch import TorchEngine
from reference.mutation.planting import Plant, forward, pullback, scaled
from reference.ops import OPS
from reference.programs import parse
from reference.report.picture import draw, write
from reference.verdict import Result, judge
from reference.verdict.localise import Origin, localise
from tests.reference.drawing import EXPRESSIONS, sample

NDGRAD, TORCH = NdgradEngine(), TorchEngine()
NAMES = f"{NDGRAD.name} beside {TORCH.name}"
MARKED = "≠ marks what is more than 8 units in the last place (ULP) apart"
SVG = "{http://www.w3.org/2000/svg}"

LINE = (
    "x=f8([0.5,1.0]); y=const(i8([2,3])); z=2; "
    "a=multiply(x,y); b=sin(a); c=multiply(b,z); d=multiply(c,c); e=sum(d,axis=0,keepdims=True); back(e,f8([3.0]))"
)


def pictured(line: str, plant: Plant = nullcontext) -> Any:
    """Judge a program, with a fault if there is one, and draw it."""
    program = parse(line)
    with plant():
        verdict = judge(program, NDGRAD, TORCH)
        origin = localise(program, NDGRAD, TORCH) if verdict.result.blames else None
        return draw(program, NDGRAD, TORCH, verdict.result, origin)


@dataclass
class Drawing:
    """What Graphviz drew, read from its SVG: the caption, what stands in each box, the widths of borders, the edges."""

    caption: list[str]
    boxes: dict[str, str]
    borders: dict[str, float]
    edges: Counter[tuple[str, str]]


def drawn(picture: Any) -> Drawing:
    """Draw a picture and read it back. A box goes by the name that its title begins with."""
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
    """The texts of an element, with ordinary spaces."""
    return [(text.text or "").replace("\N{NO-BREAK SPACE}", " ") for text in element.findall(path)]


# What it shows.


def test_a_program_that_agrees() -> None:
    """A box for each operand and step, with values once and gradients of both sides; edges for uses; nothing marked."""
    drawing = drawn(pictured(LINE))
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
    """The step at fault has the only thick border and says so; what goes wrong by it is set off, and no more."""
    drawing = drawn(pictured(LINE, scaled("sin", 0, 2.0)))
    assert drawing.caption == [f"{NAMES}: the engine is wrong", MARKED]
    assert drawing.boxes["b"].startswith("b = sin(a)|first wrong here: what it passes back to a|value|")
    assert [name for name, width in drawing.borders.items() if width > 2] == ["b"]
    assert {name for name, box in drawing.boxes.items() if "≠" in box} == {"x", "a"}
    assert "|gradient|[|≠21.82|, |≠-6.706|]|[|≠10.91|, |≠-3.353|]|at [0]: 4.5e+15 ULP|" in drawing.boxes["a"]


def test_a_wrong_value() -> None:
    """Both sides' values stand side by side where they differ; what is computed from them differs, too."""
    drawing = drawn(pictured(LINE, forward("sin", lambda x: np.sin(x) * np.array([1.0, 1.5]))))
    box = drawing.boxes["b"]
    assert box.startswith(
        "b = sin(a)|first wrong here: the value of b|ndgrad|PyTorch|value|[0.8415, |≠0.2117|]|[0.8415, |"
    )
    assert "≠" not in drawing.boxes["a"].partition("gradient")[0]


def test_a_difference_too_small_for_few_digits_is_told_in_full() -> None:
    """The furthest of the numbers follow with all digits, with their place and their distance."""
    box = drawn(pictured(LINE, scaled("sin", 0, 1 + 1e-7))).boxes["a"]
    found = re.fullmatch(r".*\|at \[(\d)\]: ([\d.e+]+) ULP\|([-\d.]+)\|([-\d.]+)", box)
    assert found is not None
    mine, theirs = float(found[3]), float(found[4])
    assert mine / theirs == pytest.approx(1 + 1e-7, rel=1e-12)
    assert float(found[2]) == pytest.approx(abs(mine - theirs) / np.spacing(abs(theirs)), rel=0.01)


def test_a_few_ulp_are_not_set_off() -> None:
    """What agrees at once is not marked; what is a little further away is."""
    within, beyond = (scaled("sin", 0, 1 + n * 2.0**-52) for n in (2, 40))
    assert "≠" not in "".join(drawn(pictured(LINE, within)).boxes.values())
    assert "≠" in drawn(pictured(LINE, beyond)).boxes["a"]


class Misfit(NdgradEngine):
    """An engine that gives a leaf's first row for its gradient. This is wrong, on purpose."""

    def gradient(self, leaf: Any) -> Any:
        return leaf.grad[0]


def test_a_gradient_of_another_shape() -> None:
    """Both sides' dtypes and shapes are told, and it is marked."""
    program = parse("x=f8([[1.0,2.0]]); a=exp(x); back(a,f8([[0.0,0.0]]))")
    box = drawn(draw(program, Misfit(), TORCH, Result.ENGINE_WRONG)).boxes["x"]
    assert box.endswith("|gradient|[0, 0]|[[0, 0]]|≠|float64 (2,)|float64 (1, 2)")


def test_large_arrays_are_abbreviated() -> None:
    """Of vectors and matrices up to eight numbers are shown; of all else dtype, shape and the first three."""
    numbers = ",".join(f"{i}.0" for i in range(9))
    boxes = drawn(
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


def test_what_lies_beyond_the_first_numbers_is_marked() -> None:
    """Where only a number that is not shown differs, the dots are marked, and the number follows."""
    index = np.arange(9.0)
    plant = pullback("exp", 0, lambda g, y, x: g * y * np.where(index == 7, 2.0, 1.0))
    zeros = ",".join(["0.0"] * 9)
    box = drawn(pictured(f"x=f8([{zeros}]); a=exp(x); back(a,f8([{zeros.replace('0.0', '1.0')}]))", plant)).boxes["x"]
    assert "|float64 (9,)|[1, 1, 1, |≠…|]|" in box
    assert box.endswith("|at [7]: 4.5e+15 ULP|2.0|1.0")


def test_second_order() -> None:
    """A program that is differentiated twice shows what each leaf gets of it; and inner gradients all the same."""
    boxes = drawn(pictured("x=f8(3.0); a=square(x); b=multiply(a,x); back(b,f8(1.0),along=(f8(0.5),))")).boxes
    assert boxes["x"].endswith("|gradient|27|27|second order|9|9")
    assert boxes["a"].endswith("|gradient|3|3")


# What is refused.


def test_what_both_refuse() -> None:
    """The step says what each side says of it, and is not marked."""
    drawing = drawn(pictured("x=f8([1.0,2.0]); y=f8([1.0,2.0,3.0]); a=add(x,y)"))
    assert drawing.caption == [f"{NAMES}: agrees"]
    assert "ValueError: operands could not be broadcast|together with" in drawing.boxes["a"]
    assert "RuntimeError: The size of tensor a (2) must" in drawing.boxes["a"]
    assert "≠" not in drawing.boxes["a"]


def refuse(*_: Any) -> Any:
    """Refuse what it should not."""
    raise ValueError("<no> & nothing | of {it} \\N \x00")


def test_what_one_refuses() -> None:
    """The step at fault says what it says, beside the right value; what would follow has a dash."""
    drawing = drawn(pictured(LINE, forward("sin", refuse)))
    assert drawing.boxes["b"].startswith(
        "b = sin(a)|first wrong here: it is not computed|ndgrad|PyTorch|value|ValueError: "
    )
    assert "|value|–|[|≠1.683|, |≠0.2822|]|" in drawing.boxes["c"]


def test_a_pass_back_that_one_refuses() -> None:
    """What the pass says stands in the place of the result's gradient."""
    drawing = drawn(pictured(LINE, pullback("sin", 0, refuse)))
    assert "|gradient|ValueError: <no>" in drawing.boxes["e"]
    assert drawing.boxes["b"].startswith("b = sin(a)|first wrong here: what it passes back to a|")


def test_a_fault_of_no_step_is_told_in_the_caption() -> None:
    """Where each step alone is right, none is marked."""
    says = "each step alone is right; contributions to a do not meet as they should"
    drawing = drawn(draw(parse(LINE), NDGRAD, TORCH, Result.ENGINE_WRONG, Origin(None, says)))
    assert drawing.caption == [f"{NAMES}: the engine is wrong", says]
    assert max(drawing.borders.values()) < 2


# Any program, any text.


def test_text_is_shown_as_it_is() -> None:
    """Whatever names, options and errors hold: a label shows it and nothing else."""
    odd = r"<B>&amp;\\N\\ \"q\" {}</B> é"
    boxes = drawn(pictured(f'μ=f8([1.0]); a=pad(μ,pad_width=1,mode="{odd}"); back(a,f8([1.0,1.0,1.0]))')).boxes
    box = re.sub("[| ]", "", boxes["a"])  # lines end where they will
    assert boxes["μ"].startswith("μ: float64 (1,)")
    assert box.startswith(r'a=pad(μ,pad_width=1,mode="<B>&amp;\\N\\\"q\"{}</B>\u00e9")')
    assert r"""ValueError:mode'<B>&amp;\N\"q"{}</B>é'is""" in box
    refused = drawn(pictured(LINE, forward("sin", refuse))).boxes["b"]
    assert r"ValueError: <no> & nothing | of {it} " in refused
    assert r"|\|N ␀|" in refused


@pytest.mark.parametrize("op", [*OPS, EXPRESSIONS])
@pytest.mark.filterwarnings("ignore:Degrees of freedom")  # that numbers run out is meant
def test_any_program_has_a_picture(op: str) -> None:
    """For each op: a box for each value and an edge for each use, each box a table of three columns."""
    for program in sample(op, 3):
        source = draw(program, NDGRAD, TORCH, Result.AGREES).source
        tables = [ET.fromstring(table) for table in re.findall(r"label=<(<TABLE.*</TABLE>)>", source)]  # noqa: S314
        assert len(tables) == len(program.names)
        assert source.count(" -> ") == sum(len(step.inputs) for step in program.steps)
        columns = [sum(int(cell.get("COLSPAN", "1")) for cell in line) for table in tables for line in table]
        assert set(columns) == {3}


def test_any_picture_is_drawn() -> None:
    """Graphviz takes them all."""
    for program in sample(EXPRESSIONS, 6):
        assert len(drawn(draw(program, NDGRAD, TORCH, Result.AGREES)).boxes) == len(program.names)


# Files.


@pytest.mark.parametrize(
    ("suffix", "start"), [(".svg", b"<?xml"), (".png", b"\x89PNG"), (".pdf", b"%PDF"), (".dot", b"digraph {")]
)
def test_a_file_is_what_its_name_says(suffix: str, start: bytes, tmp_path: Path) -> None:
    """Pictures in three formats, and the source; the directory is made if it is missing."""
    path = tmp_path / "made" / f"picture{suffix}"
    assert write(pictured(LINE), path) == (path, "")
    assert path.read_bytes().startswith(start)


def test_without_graphviz_the_source_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is written beside, with a hint how to see it, and nothing under the name that was asked for."""
    monkeypatch.setattr(drawn_picture, "_PYGRAPHVIZ", None)
    monkeypatch.setattr("shutil.which", lambda _: None)
    picture = pictured(LINE)
    assert write(picture, tmp_path / "picture.png") == (tmp_path / "picture.dot", HINT)
    assert [path.name for path in tmp_path.iterdir()] == ["picture.dot"]
    assert (tmp_path / "picture.dot").read_text(encoding="utf-8") == picture.source
