"""A program as a script: it is standalone, and prints exactly the engines' numbers or errors."""

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


class ScriptRun(NamedTuple):
    """A script's results, its output, and its namespace."""

    ndgrad: dict[str, Any]
    pytorch: dict[str, Any]
    printed: str
    names: dict[str, Any]


def run_script(program: Program) -> ScriptRun:
    """Run a program's script in this process."""
    names: dict[str, Any] = {}
    with redirect_stdout(io.StringIO()) as printed, np.errstate(all="ignore"):
        exec(script(program), names)  # noqa: S102 - the test is that it runs
    return ScriptRun(names["ndgrads"], names["pytorchs"], printed.getvalue(), names)


def parts(program: Program, outcome: Outcome) -> dict[str, Any]:
    """Return the expected results of a script: none if the program is refused."""
    if outcome.error is not None:
        return {}
    leaves = [leaf.name for leaf in program.leaves]
    return {
        "value": outcome.values[-1],
        **{f"grad[{name}]": g for name, g in zip(leaves, outcome.gradients, strict=False)},
        **{f"second-order grad[{name}]": g for name, g in zip(leaves, outcome.second, strict=False)},
    }


def fingerprint(x: np.ndarray) -> Any:
    """Return everything in an array for comparison, with all NaN equal."""
    return x.dtype, x.shape, repr(x.tolist())


def alike(a: Any, b: Any) -> bool:
    """Whether two gradients have the same bits; a missing one counts as zeros."""
    return not np.any(b if a is None else a) if a is None or b is None else fingerprint(a) == fingerprint(b)


def check(program: Program) -> None:
    """Compare the results of a program's script with those of the engines."""
    run = run_script(program)
    for outcome, numbers in ((NDGRAD.run(program), run.ndgrad), (TORCH.run(program), run.pytorch)):
        expected = parts(program, outcome)
        assert list(numbers) == list(expected), str(program)
        assert all(alike(numbers[part], expected[part]) for part in expected), str(program)
        if outcome.error is not None:
            assert f"\n{type(outcome.error).__name__}: {outcome.error}\n" in run.printed


# The numbers.


@pytest.mark.parametrize("op", [*OPS, EXPRESSIONS])
@pytest.mark.filterwarnings("ignore:Degrees of freedom")  # too few numbers occur on purpose
def test_a_script_finds_what_the_engines_find(op: str) -> None:
    """For drawn programs of each op, a script gives the engines' values and gradients exactly, or the same error."""
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
def test_each_kind_of_program_is_covered(kind: str) -> None:
    """The same holds for programs of each kind."""
    programs = first(EXPRESSIONS, 5, KINDS[kind])
    assert len(programs) == 5
    for program in programs:
        check(parse(str(program)))


def assigned(program: Program, half: str, name: str) -> Any:
    """Return the initial value of a variable of one half."""
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
    """Constants in ndgrad have their dtype, shape, numbers and strides."""
    program = parse(f'x=f8(1.0); y=const({array[:-1]},layout="{layout}")); a=multiply(x,y); back(a,f8(1.0))')
    made, expected = assigned(program, "in_ndgrad", "y"), program.operands[1].array
    assert fingerprint(made) == fingerprint(expected)
    assert made.strides == expected.strides


# Output.

TANH = parse("x=f8([0.5,-1.0]); a=tanh(x); back(a,f8([1.0,3.0]))")


def test_a_fault_shows() -> None:
    """A planted fault shows as a difference between the printed gradients."""
    with scaled("square", 0, 2.0)():  # both sides compute square with equal bits on any processor
        run = run_script(parse("x=f8([0.5,-1.0]); a=square(x); back(a,f8([1.0,3.0]))"))
    off = float(np.abs(run.pytorch["grad[x]"]).max())
    assert run.printed.endswith(f"difference\nvalue = 0.0\ngrad[x] = {off}\n")


def refuse(x: Any) -> Any:
    """Refuse what it should not."""
    raise ValueError(f"no tanh of {x}")


def test_an_error_on_one_side_leaves_the_other() -> None:
    """If ndgrad raises, its error is printed before PyTorch's numbers, and no difference is printed."""
    with forward("tanh", refuse)():
        run = run_script(TANH)
    assert run.printed.splitlines()[1] == "ValueError: no tanh of [ 0.5 -1. ]"
    assert list(run.pytorch) == ["value", "grad[x]"]
    assert "difference" not in run.printed


def test_a_program_that_must_be_refused_says_so() -> None:
    """For a program that must be refused, both errors are printed, and the first line says so."""
    program = parse("x=f8([1.0,2.0]); y=f8([1.0,2.0,3.0]); a=add(x,y)")
    assert script(program).splitlines()[0].endswith(" Both must refuse it.")
    printed = run_script(program).printed.splitlines()
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


@pytest.mark.parametrize(("mine", "theirs", "expected"), DIFFERENCES)
def test_differences(mine: Any, theirs: Any, expected: Any) -> None:
    """The difference is the largest one, or states shapes and dtypes; NaN equals NaN, a missing gradient equals 0."""
    difference = run_script(TANH).names["difference"]
    with np.errstate(all="ignore"):
        assert difference(np.array(mine), None if theirs is None else np.array(theirs)) == expected


def test_nan_beside_a_number_is_a_difference() -> None:
    """NaN beside a number gives the difference NaN."""
    assert np.isnan(run_script(TANH).names["difference"](np.array([np.nan, 0.0]), np.array([1.0, 0.0])))


# Source.

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


def test_both_halves_are_written_as_users_write() -> None:
    """A script uses operators and brackets in ndgrad, and PyTorch's functions; its head quotes the program's line."""
    source = script(parse(LINE))
    for half in HALVES.split("|\n"):
        assert half in source
    assert f"\n# Made by: python -m reference repro --python '{LINE}'\n" in source
    assert "return _taken(x, _places(x)[index])" in source


def test_a_script_runs_by_itself(tmp_path: Path) -> None:
    """A script runs in another process and folder, without this package and without warnings."""
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
    """A script imports only NumPy, ndgrad, PyTorch and the standard library, whatever its ops."""
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
    """A function of PyTorch's table may be a lambda, which the script calls."""
    monkeypatch.setattr("reference.report.script.entries", lambda *_: {"tanh": "lambda x: _getitem(x, index=0).tanh()"})
    assert "a = (lambda x: _getitem(x, index=0).tanh())(x)" in script(TANH)
    assert "def _getitem(" in script(TANH)


def test_any_name_will_do() -> None:
    """Operands may have any name, even one that a script uses or that Python lacks, and are printed by it."""
    names = ["np", "torch", "ndgrad", "Value", "print", "cotangent", "_reduction", "μ", "x_", "x"]
    joined = parse(
        "; ".join(f"{name}=f8([{i}.0])" for i, name in enumerate(names))
        + f"; end=concatenate({','.join(names)},axis=0); in_pytorch=sum(end,axis=0,keepdims=False)"
        + "; back(in_pytorch,f8(2.0),along=(" + "f8([1.0])," * len(names) + "))"
    )  # fmt: skip
    check(joined)
    assert [part for part in run_script(joined).ndgrad if part.startswith("grad")] == [
        f"grad[{name}]" for name in names
    ]


def test_text_stays_text() -> None:
    """Quoted text of the line is quoted in the script, and none of it is executed."""
    evil = parse(r"""x=f8([1.0]); a=pad(x,pad_width=1,mode="\"'); raise SystemExit #\n\\"); back(a,f8([1.0]))""")
    check(evil)
    assert "mode is" in run_script(evil).printed


def test_options_that_an_op_does_not_take() -> None:
    """Invalid options are written to the script, so that both sides raise their errors."""
    for line in ("a=tanh(x,axis=0)", "a=add(x)", "a=add(x,x,axis=0)", "a=getitem(x)", 'a=astype(x,dtype="float99")'):
        run = run_script(parse(f"x=f8([1.0]); {line}; b=exp(a); back(b,f8([1.0]))"))
        assert not run.ndgrad
        assert not run.pytorch
