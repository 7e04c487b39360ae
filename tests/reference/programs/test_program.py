"""A program is written as one line and parsed from it; other text is refused, and nothing in a line is run."""

from __future__ import annotations

import string
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays, from_dtype

from reference.ops import OPS
from reference.programs.program import (
    ARRAY,
    LAYOUTS,
    LEAF,
    NUMBER,
    NotAProgram,
    Operand,
    Program,
    Step,
    parse,
    text,
    with_layout,
)
from reference.programs.strategies import programs
from tests.reference.drawing import sample

DTYPES = ("float16", "float32", "float64", "int64", "bool")
SHORT = "x=f8([1.0,2.0]); y=f8([3.0,4.0]); a=multiply(x,y); back(a,f8([1.0,-2.0]))"


def exactly(x: Any) -> Any:
    """A key that is equal for identical values: type, dtype, shape and every bit; all NaNs count as equal."""
    if isinstance(x, np.ndarray):
        x = np.where(np.isnan(x), np.array(np.nan, x.dtype), x) if x.dtype.kind == "f" else x
        return ("array", x.dtype, x.shape, x.tobytes())
    if isinstance(x, tuple):
        return ("tuple", *map(exactly, x))
    if isinstance(x, slice):
        return ("slice", *map(exactly, (x.start, x.stop, x.step)))
    return (type(x), exactly(np.array(x)) if isinstance(x, float) else x)


def contents(program: Program) -> Any:
    """All contents of a program, as a key."""
    return (
        [(o.name, o.kind, o.layout, exactly(o.data)) for o in program.operands],
        [(s.op, s.inputs, {name: exactly(option) for name, option in s.options.items()}) for s in program.steps],
        exactly(program.cotangent),
        exactly(program.directions),
    )


def of_one_step(*operands: Operand, op: str = "tanh", **options: Any) -> Program:
    """A program with one step on these operands, with these options."""
    return Program(operands, (Step(op, tuple(range(len(operands))), options),), np.array(1.5))


# Round trips.


@given(programs())
def test_a_program_is_parsed_back_exactly(program: Program) -> None:
    """The line of any generated program, refused and second-order ones included, is parsed to the same program."""
    event(f"refused: {program.cotangent is None}, second-order: {bool(program.directions)}")
    assert contents(parse(str(program))) == contents(program)


@given(st.data())
def test_any_array_is_parsed_back_exactly(data: st.DataObject) -> None:
    """A constant may be of any dtype and shape; leaves, cotangents and directions are floats."""
    dtype = np.dtype(data.draw(st.sampled_from(DTYPES)))
    shapes = st.one_of(st.just(()), array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=3))
    array = data.draw(arrays(dtype, shapes, elements=from_dtype(dtype)))
    floats = array if dtype.kind == "f" else array.astype(float)
    program = Program((Operand("x", floats), Operand("y", array, ARRAY)), (Step("f", (0, 1)),), floats, (floats,))
    assert contents(parse(str(program))) == contents(program)


@given(st.floats() | st.integers(-(2**63), 2**63 - 1) | st.booleans())
def test_any_number_is_parsed_back_with_its_type(number: float) -> None:
    """A Python number stays a float, an int or a bool."""
    program = of_one_step(Operand("x", np.array(1.0)), Operand("y", np.asarray(number, type(number)), NUMBER))
    parsed = parse(str(program))
    assert exactly(parsed.operands[1].array) == exactly(number)


_plain_options = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.just(...)
    | st.text(string.ascii_letters + string.digits + "_ -")
    | st.builds(slice, *[st.none() | st.integers(-9, 9)] * 3)
    | arrays(np.int64, array_shapes(max_dims=2, max_side=3))
    | arrays(np.bool_, array_shapes(max_dims=2, max_side=3))
    | arrays(np.float32, array_shapes(max_dims=2, max_side=3))
)


@given(st.recursive(_plain_options, lambda entries: st.lists(entries, max_size=3).map(tuple), max_leaves=6))
def test_any_option_is_parsed_back_with_its_type(option: Any) -> None:
    """An option is None, a bool, an int, a float, a string, a slice, `...`, an array, or a nested tuple of these."""
    program = of_one_step(Operand("x", np.zeros(2)), axis=option)
    assert contents(parse(str(program))) == contents(program)


@pytest.mark.parametrize("option", ['"', "'", "\\", "a;b", "line\nline", "é", ""])
def test_any_string_is_parsed_back(option: str) -> None:
    """A string may contain quotes, backslashes, line ends and semicolons."""
    program = of_one_step(Operand("x", np.zeros(2)), mode=option)
    assert contents(parse(str(program))) == contents(program)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (np.array(-0.0), "f8(-0.0)"),
        (np.array([np.nan, np.inf, -np.inf]), "f8([nan,inf,-inf])"),
        (np.array(0.1), "f8(0.1)"),
        (np.array(0.1, np.float32), "f4(0.1)"),
        (np.array([1 / 3], np.float32), "f4([0.33333334])"),
        (np.array(5e-324), "f8(5e-324)"),
        (np.array(65504, np.float16), "f2(6.55e+04)"),
        (np.zeros((0, 3)), "f8([],shape=(0,3))"),
        (np.zeros((2, 0)), "f8([[],[]],shape=(2,0))"),
        (np.zeros(0, bool), "b1([],shape=(0,))"),
        (np.array([True, False]), "b1([True,False])"),
        (np.array(-(2**63)), "i8(-9223372036854775808)"),
        (slice(None, -1, 2), "slice(None,-1,2)"),
        (..., "..."),
        (None, "None"),
        ((), "()"),
        ((1,), "(1,)"),
        ((1, (2, None)), "(1,(2,None))"),
        ("edge", '"edge"'),
        (True, "True"),
        (1.0, "1.0"),
        (np.float32(0.1), "0.1"),
        (np.int64(3), "3"),
    ],
)
def test_how_values_are_written(value: Any, written: str) -> None:
    """Values are written as short as possible: float32 with its own shortest digits, a shape only for empty arrays."""
    assert text(value) == written


def test_how_a_program_is_written() -> None:
    """The line holds operands, steps and `back`, in this order."""
    program = Program(
        (
            Operand("x", np.array([[1.0, 2.0]]), LEAF, "F"),
            Operand("y", np.array([3, 4]), ARRAY),
            Operand("z", np.asarray(2), NUMBER),
        ),
        (Step("multiply", (0, 1)), Step("power", (3, 2)), Step("sum", (4,), {"axis": (0, -1), "keepdims": False})),
        np.array(0.5),
        (np.array([[1.0, 0.0]]),),
    )
    assert str(program) == (
        'x=f8([[1.0,2.0]],layout="F"); y=const(i8([3,4])); z=2; '
        "a=multiply(x,y); b=power(a,z); c=sum(b,axis=(0,-1),keepdims=False); "
        "back(c,f8(0.5),along=(f8([[1.0,0.0]]),))"
    )
    assert contents(parse(str(program))) == contents(program)


def test_a_program_that_must_be_refused_has_no_cotangent() -> None:
    """Its line ends with the last step, and is parsed to a program without a cotangent."""
    program = Program((Operand("x", np.zeros(2)),), (Step("sum", (0,), {"axis": 3}),), None)
    assert str(program) == "x=f8([0.0,0.0]); a=sum(x,axis=3)"
    assert parse(str(program)).cotangent is None


def test_spaces_and_line_ends_are_ignored() -> None:
    """A program may be written with spaces and over several lines."""
    spaced = "  x = f8([1.0,\n 2.0])\ny = f8([3.0, 4.0]); a = multiply(x, y)\nback(a, f8([1.0, -2.0]))\n"
    assert contents(parse(spaced)) == contents(parse(SHORT))


# Names.


@given(
    st.lists(st.sampled_from([*"abcdpqxyz", "t0", "t1"]), min_size=1, max_size=5, unique=True),
    st.integers(min_value=1, max_value=40),
)
def test_each_value_has_a_name_of_its_own(operands: list[str], steps: int) -> None:
    """Names are unique for any number of steps, even if operands have names that steps would get."""
    program = Program(
        tuple(Operand(name, np.zeros(())) for name in operands), tuple(Step("tanh", (0,)) for _ in range(steps)), None
    )
    assert len(set(program.names)) == len(operands) + steps
    assert program.names[: len(operands)] == tuple(operands)
    assert program.result == len(program.names) - 1


def test_leaves_are_the_operands_that_require_a_gradient() -> None:
    """Constants and Python numbers are not leaves, and the order of the operands stays."""
    kinds = [ARRAY, LEAF, NUMBER, LEAF]
    program = of_one_step(*(Operand(name, np.zeros(()), kind) for name, kind in zip("xyzw", kinds, strict=True)))
    assert [o.name for o in program.leaves] == ["y", "w"]


# Layouts.


ANY_SHAPE = st.one_of(st.just(()), array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4))


@given(ANY_SHAPE, st.sampled_from(LAYOUTS), st.sampled_from(DTYPES))
def test_a_layout_does_not_change_numbers(shape: tuple[int, ...], layout: str, dtype: str) -> None:
    """The array for engines has the operand's dtype, shape and numbers, is a copy, and is read-only."""
    data = np.arange(np.prod(shape)).astype(dtype).reshape(shape)
    if layout == "repeated" and data.ndim:
        data = np.repeat(data[:1], len(data), axis=0)
    before = exactly(data)
    array = Operand("x", data, LEAF, layout).array
    assert exactly(array) == exactly(data)
    assert not np.shares_memory(array, data)
    with pytest.raises(ValueError, match="read-only"):
        array[...] = 0
    assert exactly(data) == before


def test_each_layout_has_its_strides() -> None:
    """C and Fortran order, negative strides along every axis, and a stride of 0 along the first axis."""
    data = np.tile(np.arange(3.0), (2, 1))
    assert with_layout(data, "C").strides == (24, 8)
    assert with_layout(data, "F").strides == (8, 16)
    assert with_layout(data, "reversed").strides == (-24, -8)
    assert with_layout(data, "repeated").strides == (0, 8)
    assert with_layout(data.T.copy().T, "C").strides == (24, 8)


def test_a_number_is_passed_as_a_python_number() -> None:
    """It is not passed as a 0-d array, which NumPy would promote differently."""
    assert type(Operand("x", np.asarray(2), NUMBER).array) is int
    assert type(Operand("x", np.asarray(2.0), NUMBER).array) is float


def test_different_rows_cannot_be_repeated() -> None:
    """The layout `repeated` is refused if rows differ, for its array would hold other numbers than the line."""
    with pytest.raises(NotAProgram, match="the rows of x differ"):
        parse('x=f8([1.0,2.0],layout="repeated"); a=tanh(x); back(a,f8([1.0,1.0]))')
    assert parse('x=f8([2.0,2.0],layout="repeated"); a=tanh(x); back(a,f8([1.0,1.0]))').operands[0].layout == "repeated"


# Refused lines.

CODE = [
    "__import__('os').system('touch ran')",
    "__import__('os').system",
    "open('ran', 'w')",
    "exec('ran = 1')",
    "(lambda: open('ran', 'w'))()",
    "[open('ran', 'w') for _ in '1']",
    "{open('ran', 'w')}",
    "f\"{open('ran', 'w')}\"",
    "().__class__.__bases__[0]",
    "(y := 1)",
    "1 if open('ran', 'w') else 2",
    "print('ran')",
    "1 + 1",
    "x.data",
    "x[0]",
]


@pytest.mark.parametrize("expression", CODE)
@pytest.mark.parametrize(
    "line",
    [
        "{}",
        "x={}",
        "x=f8({})",
        "x=f8([1.0,{}])",
        "x=const({})",
        "x=f8([1.0],layout={})",
        "x=f8([],shape={})",
        "x=f8(1.0); a={}",
        "x=f8(1.0); a=tanh({})",
        "x=f8(1.0); a=sum(x,axis={})",
        "x=f8(1.0); a=sum(x,axis=(0,slice(None,{},None)))",
        "x=f8(1.0); a=tanh(x); {}",
        "x=f8(1.0); a=tanh(x); back({},f8(1.0))",
        "x=f8(1.0); a=tanh(x); back(a,{})",
        "x=f8(1.0); a=tanh(x); back(a,f8(1.0),along={})",
    ],
)
def test_nothing_in_a_line_is_run(line: str, expression: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls, attributes, subscripts, lambdas, comprehensions and f-strings are refused in every place, and not run."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotAProgram):
        parse(line.format(expression))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "no step"),
        ("   \n", "no step"),
        ("x=f8(1.0)", "no step"),
        ("this is no program", "not a program: .* at character"),
        ("x=f8([1.0", "not a program: .* at character"),
        ("x=f8(1.0); a=tanh(y)", "y is not the name of an earlier value"),
        ("x=f8(1.0); a=tanh(a)", "a is not the name of an earlier value"),
        ("x=f8(1.0); a=tanh(f8(1.0))", r"f8\(1.0\) is not the name of an earlier value"),
        ("x=f8(1.0); a=add(*x)", r"\*x is not the name of an earlier value"),
        ("x=f8(1.0); a=tanh(x); y=f8(1.0); b=add(a,y)", "operand y follows a step"),
        ("x=f8(1.0); a=tanh(x); back(x,f8(1.0))", "must take the last value"),
        ("x=f8(1.0); a=tanh(x); b=tanh(a); back(a,f8(1.0))", "must take the last value"),
        ("x=f8(1.0); a=tanh(x); back(a)", r"expected back\(value, cotangent\)"),
        ("x=f8(1.0); a=tanh(x); back(a,f8(1.0),f8(1.0))", r"expected back\(value, cotangent\)"),
        ("x=f9(1.0); a=tanh(x)", "1.0 is not the name of an earlier value"),
        ("x=const(f9(1.0)); a=tanh(x)", "f9"),
        ('x=f8(1.0,layout="D"); a=tanh(x)', "layout of x is 'D', but must be one of C, F, reversed, repeated"),
        ("x=f8(1.0); a=sum(x,axis=y)", "cannot read y"),
        ("x=i8([1,2]); a=negative(x)", r"x has dtype int64, but only floats .*: write const\(i8\(...\)\)"),
        ("y=f8(1.0); x=b1([True]); a=add(x,y)", r"x has dtype bool, but only floats .*: write const\(b1\(...\)\)"),
        ("x=f8(1.0); a=tanh(x); back(a,i8(1))", "the cotangent has dtype int64, but must be floating"),
        ("x=f8(1.0); a=tanh(x); back(a,f8(1.0),along=(b1(True),))", "a direction has dtype bool"),
        ("x: f8 = 1; a=tanh(x)", "expected name=op"),
        ("import os", "expected name=op"),
        ("x=f8(1.0); x+=1", "expected name=op"),
        ("x, y = 1, 2; a=add(x,y)", "expected name=op"),
    ],
)
def test_the_error_tells_what_is_wrong(line: str, message: str) -> None:
    """The message quotes the faulty part and tells what was expected."""
    with pytest.raises(NotAProgram, match=message):
        parse(line)


@pytest.mark.parametrize(
    "line",
    [
        # Not numbers, or not a valid array.
        "x=f8('a'); a=tanh(x)",
        "x=f8([1.0,[2.0]]); a=tanh(x)",
        "x=f8([1.0,None]); a=tanh(x)",
        "x=f8(...); a=tanh(x)",
        "x=f8(1j); a=tanh(x)",
        "x=i8(9223372036854775808); a=tanh(x)",
        "x=i8([1.5]); a=tanh(x)",
        "x=b1([2]); a=tanh(x)",
        "x=f8(-'a'); a=tanh(x)",
        "x=f8(-[1.0]); a=tanh(x)",
        "x=f8(); a=tanh(x)",
        "x=f8([1.0],shape=(2,)); a=tanh(x)",
        "x=f8([1.0],shape='2'); a=tanh(x)",
        "x=f8([1.0],shape=(1.5,)); a=tanh(x)",
        # Not an operand.
        "x=const(); a=tanh(x)",
        "x=const(5); a=tanh(x)",
        "x=const(f8(1.0),f8(2.0)); a=tanh(x)",
        "x=const(const(f8(1.0))); a=tanh(x)",
        "x='a'; a=tanh(x)",
        "x=None; a=tanh(x)",
        "x=...; a=tanh(x)",
        "x=(1,2); a=tanh(x)",
        "x=[1.0]; a=tanh(x)",
        "x=1j; a=tanh(x)",
        "x=y=f8(1.0); a=tanh(x)",
        "x=f8(1.0); x=f8(2.0); a=add(x,x)",
        "x=f8([1.0],layot='F'); a=tanh(x)",
        "x=f8([1.0],layout=['F']); a=tanh(x)",
        "x=f8([1.0],**2); a=tanh(x)",
        # Not a step.
        "x=f8(1.0); a=tanh(x,**2)",
        "x=f8(1.0); a=sum(x,axis=-None)",
        "x=f8(1.0); a=sum(x,axis=b'a')",
        "x=f8(1.0); a=sum(x,axis=1j)",
        "x=f8(1.0); a=sum(x,axis=slice(None))",
        # Not a valid back(...).
        "x=f8(1.0); back(x,f8(1.0))",
        "x=f8(1.0); a=tanh(x); back(a,1.0)",
        "x=f8(1.0); a=tanh(x); back(a,'a')",
        "x=f8(1.0); a=tanh(x); back(a,None)",
        "x=f8(1.0); a=tanh(x); back(a,f8(1.0),amid=(f8(1.0),))",
        "x=f8(1.0); a=tanh(x); back(a,f8(1.0),along=f8(1.0))",
        "x=f8(1.0); a=tanh(x); back(a,f8(1.0),along=5)",
        "x=f8(1.0); a=tanh(x); back(a,f8(1.0),along=(5,))",
        "x=f8(1.0); a=tanh(x); back(a,f8(1.0),along=(f8(1.0),f8(1.0)))",
        "x=f8(1.0); a=tanh(x); back(a,f8(1.0),along=(f8([1.0]),))",
        "x=f8(1.0); a=tanh(x); back(a,f8(1.0)); back(a,f8(2.0))",
        "x=f8(1.0); a=tanh(x); back(a,f8(1.0)); b=tanh(a)",
        # Python's own parser fails.
        "x=f8(\0)",
        "x=f8('\udcff')",
        "x=f8(1.0); a=tanh(x) \\",
        "x=i8(" + "9" * 5000 + ")",
        "x=f8(" + "[" * 70 + "1.0" + "]" * 70 + "); a=tanh(x)",
        "x=f8(" + "[" * 150 + "1.0" + "]" * 150 + "); a=tanh(x)",
        "x=f8(" + "[" * 5000,
        "x=f8(" + "-" * 3000 + "1.0); a=tanh(x)",
        "x=" + "-" * 100_000 + "1",
        "x=" + "a." * 20_000 + "b",
        "x=" + "+".join(["1"] * 20_000),
        "x=" + "f8(" * 90 + ")" * 90,
    ],
    ids=lambda line: line if len(line) < 70 else f"{line[:20]}... ({len(line)} characters)",
)
def test_a_line_that_is_not_a_program_is_refused(line: str) -> None:
    """It raises NotAProgram with a message, and no other error."""
    with pytest.raises(NotAProgram) as refusal:
        parse(line)
    assert str(refusal.value)


def _assert_parsed_or_refused(line: str) -> None:
    """Assert that a line gives either a program that survives the round trip, or NotAProgram with a message."""
    answer: Program | NotAProgram
    try:
        answer = parse(line)
    except NotAProgram as refusal:
        answer = refusal
    event(type(answer).__name__)
    assert str(answer)
    if isinstance(answer, Program):
        assert contents(parse(str(answer))) == contents(answer)


@given(st.text(st.characters(exclude_categories=())))
@example("x=f8('\udcff')")
def test_any_text_is_parsed_or_refused(line: str) -> None:
    """No text, even with surrogates and control characters, raises an error other than NotAProgram."""
    _assert_parsed_or_refused(line)


_TOKENS = [
    *"xyab()[],;=-.*:+ 012", "1.5", "nan", "inf", "None", "True", "...", "f8", "f4", "i8", "b1", "const", "back", "add",
    "slice", "layout", "shape", "along", "axis", '"F"', '"repeated"', "'a'", "1j", "**",
    "f8([1.0])", "f8([],shape=(0,))",
]  # fmt: skip


@given(st.lists(st.sampled_from(_TOKENS), max_size=12).map("".join))
def test_any_sequence_of_tokens_is_parsed_or_refused(line: str) -> None:
    """No text made of a program's tokens raises an error other than NotAProgram."""
    _assert_parsed_or_refused(line)


@cache
def lines() -> list[str]:
    """Valid lines of all kinds."""
    return [str(program) for op in OPS for program in sample(op, 4)]


@given(st.data())
def test_a_corrupted_line_is_parsed_or_refused(data: st.DataObject) -> None:
    """No valid line in which parts are removed, doubled or replaced raises an error other than NotAProgram."""
    line = data.draw(st.sampled_from(lines()))
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(line)))
        stop = start + data.draw(st.integers(0, 9))
        line = line[:start] + data.draw(st.sampled_from(["", line[start:stop] * 2, *_TOKENS])) + line[stop:]
    _assert_parsed_or_refused(line)
