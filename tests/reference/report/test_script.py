"""A program as a script: it stands alone, and prints the very numbers that the engines find, or what they say."""

from __future__ import annotations

import ast
import io
import os
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from reference.engines import Outcome
from reference.engines.ndgrad import NdgradEngine
from reference.engines.torch import TorchEngine
from reference.mutation.planting import forward, scaled
from reference.ops import OPS
from reference.programs.program import ARRAY, LAYOUTS, NUMBER, Program, parse
from reference.report.script import script
from tests.reference.drawing import EXPRESSIONS, first, sample

ROOT = Path(__file__).parent.parent.parent.parent
NDGRAD, TORCH = NdgradEngine(), TorchEngine()


class Ran(NamedTuple):
    """What a script found, what it printed, and the names that it left."""

    ndgrad: dict[str, Any]
    pytorch: dict[str, Any]
    printed: str
    names: dict[str, Any]


def ran(program: Program) -> Ran:
    """Run a program's script in this process."""
    names: dict[str, Any] = {}
    with redirect_stdout(io.StringIO()) as printed, np.errstate(all="ignore"):
        exec(script(program), names)  # noqa: S102 - that it can be run is the claim
    return Ran(names["ndgrads"], names["pytorchs"], printed.getvalue(), names)


def parts(program: Program, outcome: Outcome) -> dict[str, Any]:
    """What a script should find: nothing, if the program was refused."""
    if outcome.error is not None:
        return {}
    leaves = [leaf.name for leaf in program.leaves]
    return {
        "value": outcome.values[-1],
        **{f"grad[{name}]": g for name, g in zip(leaves, outcome.gradients, strict=False)},
        **{f"second-order grad[{name}]": g for name, g in zip(leaves, outcome.second, strict=False)},
    }


def bits(x: np.ndarray) -> Any:
    """All of an array: two with the same are one. All NaN are one."""
    return x.dtype, x.shape, repr(x.tolist())


def alike(a: Any, b: Any) -> bool:
    """Whether two gradients are the same to the bit; one that did not arrive stands for zeros."""
    return not np.any(b if a is None else a) if a is None or b is None else bits(a) == bits(b)


def check(program: Program) -> None:
    """Compare what a program's script finds with what the engines find."""
    found = ran(program)
    for outcome, numbers in ((NDGRAD.run(program), found.ndgrad), (TORCH.run(program), found.pytorch)):
        wanted = parts(program, outcome)
        assert list(numbers) == list(wanted), str(program)
        assert all(alike(numbers[part], wanted[part]) for part in wanted), str(program)
        if outcome.error is not None:
            assert f"\n{type(outcome.error).__name__}: {outcome.error}\n" in found.printed


# The numbers.


@pytest.mark.parametrize("op", [*OPS, EXPRESSIONS])
@pytest.mark.filterwarnings("ignore:Degrees of freedom")  # that numbers run out is meant
def test_a_script_finds_what_the_engines_find(op: str) -> None:
    """For each op and drawn programs around it: values and gradients of both sides to the bit, or the same refusal."""
    for program in sample(op, 4):
        check(parse(str(program)))
    assert sample(op, 4)


# fmt: off
KINDS = {
    "second order": lambda program: program.directions,
    "refused":      lambda program: program.cotangent is None,
    "single":       lambda program: any(o.data.dtype == np.float32 for o in program.operands),
    "mixed":        lambda program: len({o.data.dtype for o in program.leaves}) > 1,
    "whole":        lambda program: any(o.data.dtype.kind in "ib" and o.kind == ARRAY for o in program.operands),
    "a number":     lambda program: any(o.kind == NUMBER for o in program.operands),
    "no numbers":   lambda program: any(not o.data.size for o in program.leaves),
    "NaN":          lambda program: any(np.isnan(o.data).any() for o in program.leaves),
}
# fmt: on


@pytest.mark.parametrize("kind", KINDS)
def test_so_it_does_of_each_kind(kind: str) -> None:
    """Of each kind of program and operand there are some for which it holds."""
    programs = first(EXPRESSIONS, 5, KINDS[kind])
    assert len(programs) == 5
    for program in programs:
        check(parse(str(program)))


def assigned(program: Program, half: str, name: str) -> Any:
    """What a variable of one half starts as."""
    (function,) = (n for n in ast.parse(script(program)).body if isinstance(n, ast.FunctionDef) and n.name == half)
    (line,) = (n for n in function.body if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == name)
    names: dict[str, Any] = {"np": np}
    exec(ast.unparse(line), names)  # noqa: S102 - a line of the script
    return names[name]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "array", ["f4([[1.0,0.1],[1.0,0.1]])", "i8([3,3])", "b1([True,True])", "f8(-0.0)", "f8([],shape=(0,2))"]
)
def test_an_array_lies_in_memory_as_the_program_says(array: str, layout: str) -> None:
    """Constants come to ndgrad with their dtype, shape, numbers and strides."""
    program = parse(f'x=f8(1.0); y=const({array[:-1]},layout="{layout}")); a=multiply(x,y); back(a,f8(1.0))')
    made, wanted = assigned(program, "in_ndgrad", "y"), program.operands[1].array
    assert bits(made) == bits(wanted)
    assert made.strides == wanted.strides


# What a script shows.

TANH = parse("x=f8([0.5,-1.0]); a=tanh(x); back(a,f8([1.0,3.0]))")


def test_a_fault_shows() -> None:
    """The wrong gradient of a planted fault is printed beside the right one, with the difference."""
    with scaled("square", 0, 2.0)():  # which both sides compute alike to the bit, on any processor
        found = ran(parse("x=f8([0.5,-1.0]); a=square(x); back(a,f8([1.0,3.0]))"))
    off = float(np.abs(found.pytorch["grad[x]"]).max())
    assert found.printed.endswith(f"difference\nvalue = 0.0\ngrad[x] = {off}\n")


def refuse(x: Any) -> Any:
    """Refuse what it should not."""
    raise ValueError(f"no tanh of {x}")


def test_what_one_side_says_does_not_keep_the_other_from_answering() -> None:
    """Where ndgrad raises what it should not, its words stand above the numbers of PyTorch; no difference is told."""
    with forward("tanh", refuse)():
        found = ran(TANH)
    assert found.printed.splitlines()[1] == "ValueError: no tanh of [ 0.5 -1. ]"
    assert list(found.pytorch) == ["value", "grad[x]"]
    assert "difference" not in found.printed


def test_a_program_that_must_be_refused_says_so() -> None:
    """What both say is printed, and the first line tells that they must."""
    program = parse("x=f8([1.0,2.0]); y=f8([1.0,2.0,3.0]); a=add(x,y)")
    assert script(program).splitlines()[0].endswith(" Both must refuse it.")
    printed = ran(program).printed.splitlines()
    assert printed[1].startswith("ValueError: operands could not be broadcast together")
    assert printed[4].startswith("RuntimeError: The size of tensor a (2) must match")


# fmt: off
DIFFERENCES = [
    ([1.0, 4.0],           [1.0, 2.0],                 2.0),
    ([np.nan, np.inf],     [np.nan, np.inf],           0.0),
    ([np.inf],             [1.0],                      np.inf),
    ([0.0],                [-0.0],                     0.0),
    ([],                   [],                         0.0),
    ([0.0, 3.0],           None,                       3.0),
    ([1.0],                np.ones(1, np.float32),     "float64 (1,) beside float32 (1,)"),
    ([1.0],                [[1.0]],                    "float64 (1,) beside float64 (1, 1)"),
]
# fmt: on


@pytest.mark.parametrize(("mine", "theirs", "wanted"), DIFFERENCES)
def test_differences(mine: Any, theirs: Any, wanted: Any) -> None:
    """The largest difference, shapes and dtypes that differ; NaN and a gradient that did not arrive are no trouble."""
    difference = ran(TANH).names["difference"]
    with np.errstate(all="ignore"):
        assert difference(np.array(mine), None if theirs is None else np.array(theirs)) == wanted


def test_nan_beside_a_number_is_a_difference() -> None:
    """It is told as NaN."""
    assert np.isnan(ran(TANH).names["difference"](np.array([np.nan, 0.0]), np.array([1.0, 0.0])))


# What it looks like.

LINE = "x=f8([4.0,1.0]); y=2; a=multiply(x,y); b=getitem(a,index=(slice(None,None,-1),)); back(b,f8([1.0,-inf]))"
HALVES = """\
def in_ndgrad():
    x = Value(np.array([4.0, 1.0]), "x")
    y = 2
    a = x * y
    b = a[::-1]
    b.backward(np.array([1.0, -np.inf]))
    return {"value": b.data, "grad[x]": x.grad}
|
def in_pytorch():
    x = torch.tensor([4.0, 1.0], dtype=torch.float64, requires_grad=True)
    y = 2
    a = torch.multiply(x, torch.tensor(y, dtype=torch.float64))
    b = _getitem(a, index=(slice(None, None, -1),))
    b.backward(torch.tensor([1.0, -np.inf], dtype=torch.float64))
    return {"value": b, "grad[x]": x.grad}
"""
PRINTED = """\
ndgrad {ndgrad}
value = [2., 8.]
grad[x] = [-inf,   2.]

PyTorch {torch}
value = [2., 8.]
grad[x] = [-inf,   2.]

difference
value = 0.0
grad[x] = 0.0
"""


def test_both_halves_are_written_as_their_users_write() -> None:
    """Operators and brackets in ndgrad, the mirrors in PyTorch, and the line that the script was made of on top."""
    source = script(parse(LINE))
    for half in HALVES.split("|\n"):
        assert half in source
    assert f"\n# Made by: python -m reference repro --python '{LINE}'\n" in source
    assert "return _taken(x, _places(x)[index])" in source


def test_a_script_runs_by_itself(tmp_path: Path) -> None:
    """In a process of its own, elsewhere, without this package, and without a warning."""
    path = tmp_path / "pasted.py"
    path.write_text(f"import sys\nsys.modules['reference'] = None\n{script(parse(LINE))}", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", path], env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    versions = {"ndgrad": NDGRAD.name.split()[1], "torch": __import__("torch").__version__}
    assert done.stdout == PRINTED.format(**versions)
    assert not done.stderr


@pytest.mark.parametrize("op", OPS)
def test_nothing_of_this_package_is_imported(op: str) -> None:
    """NumPy, ndgrad, PyTorch and Python's own: a script needs no more, whatever its ops."""
    for program in sample(op, 2):
        tree = ast.parse(script(program))
        modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        modules |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert {name.partition(".")[0] for name in modules} - set(sys.stdlib_module_names) == {
            "numpy",
            "ndgrad",
            "torch",
        }


def test_a_mirror_may_be_a_lambda(monkeypatch: pytest.MonkeyPatch) -> None:
    """An op whose mirror is written as one calls it."""
    monkeypatch.setattr("reference.report.script.entries", lambda *_: {"tanh": "lambda x: _getitem(x, index=0).tanh()"})
    assert "a = (lambda x: _getitem(x, index=0).tanh())(x)" in script(TANH)
    assert "def _getitem(" in script(TANH)


def test_any_name_will_do() -> None:
    """Operands may be called as what a script uses, or as nothing that Python has; they are told by their own names."""
    names = ["np", "torch", "ndgrad", "Value", "print", "cotangent", "_reduction", "μ", "x_", "x"]
    joined = parse(
        "; ".join(f"{name}=f8([{i}.0])" for i, name in enumerate(names))
        + f"; end=concatenate({','.join(names)},axis=0); in_pytorch=sum(end,axis=0,keepdims=False)"
        + "; back(in_pytorch,f8(2.0),along=(" + "f8([1.0])," * len(names) + "))"
    )  # fmt: skip
    check(joined)
    assert [part for part in ran(joined).ndgrad if part.startswith("grad")] == [f"grad[{name}]" for name in names]


def test_text_stays_text() -> None:
    """Whatever stands in quotes on the line stands in quotes in the script, and nothing of it is run."""
    evil = parse(r"""x=f8([1.0]); a=pad(x,pad_width=1,mode="\"'); raise SystemExit #\n\\"); back(a,f8([1.0]))""")
    check(evil)
    assert "mode is" in ran(evil).printed


def test_options_that_an_op_does_not_take() -> None:
    """They are written all the same, for either side to say what it thinks of them."""
    for line in ("a=tanh(x,axis=0)", "a=add(x)", "a=add(x,x,axis=0)", "a=getitem(x)", 'a=astype(x,dtype="float99")'):
        found = ran(parse(f"x=f8([1.0]); {line}; b=exp(a); back(b,f8([1.0]))"))
        assert not found.ndgrad
        assert not found.pytorch
