"""A program prints itself as one line and is read back from it; what is no program is refused, and nothing is run."""

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
    with_layout,
    parse,
    text,
)
from reference.programs.strategies import programs
from tests.reference.drawing import sample

DTYPES = ("float16", "float32", "float64", "int64", "bool")
SHORT = "x=f8([1.0,2.0]); y=f8([3.0,4.0]); a=multiply(x,y); back(a,f8([1.0,-2.0]))"


def bits(x: Any) -> Any:
    """What two values must have in common to be the same one: type, dtype, shape and every bit; all NaN are one."""
    if isinstance(x, np.ndarray):
        x = np.where(np.isnan(x), np.array(np.nan, x.dtype), x) if x.dtype.kind == "f" else x
        return ("array", x.dtype, x.shape, x.tobytes())
    if isinstance(x, tuple):
        return ("tuple", *map(bits, x))
    if isinstance(x, slice):
        return ("slice", *map(bits, (x.start, x.stop, x.step)))
    return (type(x), bits(np.array(x)) if isinstance(x, float) else x)


def whole(program: Program) -> Any:
    """All that a program says."""
    return (
        [(o.name, o.kind, o.layout, bits(o.data)) for o in program.operands],
        [(s.op, s.inputs, {name: bits(option) for name, option in s.options.items()}) for s in program.steps],
        bits(program.cotangent),
        bits(program.directions),
    )


def of_one_step(*operands: Operand, op: str = "tanh", **options: Any) -> Program:
    """A program that hands these operands and options to one step."""
    return Program(operands, (Step(op, tuple(range(len(operands))), options),), np.array(1.5))


# There and back.


@given(programs())
def test_a_drawn_program_is_read_back_to_the_bit(program: Program) -> None:
    """Whatever the generator draws, refused and second-order programs too, its line gives the same program again."""
    event(f"refused: {program.cotangent is None}, second-order: {bool(program.directions)}")
    assert whole(parse(str(program))) == whole(program)


@given(st.data())
def test_any_array_is_read_back_to_the_bit(data: st.DataObject) -> None:
    """Any numbers of any dtype and shape as a constant; floats as leaf, cotangent and direction, too."""
    dtype = np.dtype(data.draw(st.sampled_from(DTYPES)))
    shapes = st.one_of(st.just(()), array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=3))
    array = data.draw(arrays(dtype, shapes, elements=from_dtype(dtype)))
    floats = array if dtype.kind == "f" else array.astype(float)
    program = Program((Operand("x", floats), Operand("y", array, ARRAY)), (Step("f", (0, 1)),), floats, (floats,))
    assert whole(parse(str(program))) == whole(program)


@given(st.floats() | st.integers(-(2**63), 2**63 - 1) | st.booleans())
def test_any_number_is_read_back_with_its_type(number: float) -> None:
    """A Python number stays the float, the int or the bool that it was."""
    program = of_one_step(Operand("x", np.array(1.0)), Operand("y", np.asarray(number, type(number)), NUMBER))
    read = parse(str(program))
    assert bits(read.operands[1].array) == bits(number)


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
def test_any_option_is_read_back_with_its_type(option: Any) -> None:
    """None, bools, ints, floats, strings, slices, `...`, arrays, and tuples of all of these in any depth."""
    program = of_one_step(Operand("x", np.zeros(2)), axis=option)
    assert whole(parse(str(program))) == whole(program)


@pytest.mark.parametrize("option", ['"', "'", "\\", "a;b", "line\nline", "é", ""])
def test_any_string_is_read_back(option: str) -> None:
    """Quotes, backslashes, line ends and the line's own signs may stand in a string."""
    program = of_one_step(Operand("x", np.zeros(2)), mode=option)
    assert whole(parse(str(program))) == whole(program)


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
    """As short as can be read back: float32 by its own shortest digits, a shape only where no number tells it."""
    assert text(value) == written


def test_how_a_program_is_written() -> None:
    """Operands, steps and `back`, in this order, each kind of operand and each option by its own sign."""
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
    assert whole(parse(str(program))) == whole(program)


def test_a_program_that_must_be_refused_has_no_way_back() -> None:
    """Without a cotangent the line ends with the last step, and is read back without one."""
    program = Program((Operand("x", np.zeros(2)),), (Step("sum", (0,), {"axis": 3}),), None)
    assert str(program) == "x=f8([0.0,0.0]); a=sum(x,axis=3)"
    assert parse(str(program)).cotangent is None


def test_spaces_and_line_ends_mean_nothing() -> None:
    """A line may be broken and spaced, as it will be where people edit it."""
    spaced = "  x = f8([1.0,\n 2.0])\ny = f8([3.0, 4.0]); a = multiply(x, y)\nback(a, f8([1.0, -2.0]))\n"
    assert whole(parse(spaced)) == whole(parse(SHORT))


# Names.


@given(
    st.lists(st.sampled_from([*"abcdpqxyz", "t0", "t1"]), min_size=1, max_size=5, unique=True),
    st.integers(min_value=1, max_value=40),
)
def test_each_value_has_a_name_of_its_own(operands: list[str], steps: int) -> None:
    """However many steps there are, and though operands take letters that steps would have."""
    program = Program(
        tuple(Operand(name, np.zeros(())) for name in operands), tuple(Step("tanh", (0,)) for _ in range(steps)), None
    )
    assert len(set(program.names)) == len(operands) + steps
    assert program.names[: len(operands)] == tuple(operands)
    assert program.result == len(program.names) - 1


def test_leaves_are_the_operands_that_want_a_gradient() -> None:
    """Constants and Python numbers are none; the order stays."""
    kinds = [ARRAY, LEAF, NUMBER, LEAF]
    program = of_one_step(*(Operand(name, np.zeros(()), kind) for name, kind in zip("xyzw", kinds, strict=True)))
    assert [o.name for o in program.leaves] == ["y", "w"]


# Layouts.


ANY_SHAPE = st.one_of(st.just(()), array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4))


@given(ANY_SHAPE, st.sampled_from(LAYOUTS), st.sampled_from(DTYPES))
def test_a_layout_changes_no_number(shape: tuple[int, ...], layout: str, dtype: str) -> None:
    """The array that an engine is given has the operand's dtype, shape and numbers, and lets nobody write into it."""
    data = np.arange(np.prod(shape)).astype(dtype).reshape(shape)
    if layout == "repeated" and data.ndim:
        data = np.repeat(data[:1], len(data), axis=0)
    before = bits(data)
    array = Operand("x", data, LEAF, layout).array
    assert bits(array) == bits(data)
    assert not np.shares_memory(array, data)
    with pytest.raises(ValueError, match="read-only"):
        array[...] = 0
    assert bits(data) == before


def test_what_each_layout_promises() -> None:
    """C and Fortran order, strides below 0 along every axis, and stride 0 along the first."""
    data = np.tile(np.arange(3.0), (2, 1))
    assert with_layout(data, "C").strides == (24, 8)
    assert with_layout(data, "F").strides == (8, 16)
    assert with_layout(data, "reversed").strides == (-24, -8)
    assert with_layout(data, "repeated").strides == (0, 8)
    assert with_layout(data.T.copy().T, "C").strides == (24, 8)


def test_a_number_is_handed_over_as_a_python_number() -> None:
    """Not as an array of no axes, which NumPy would promote otherwise."""
    assert type(Operand("x", np.asarray(2), NUMBER).array) is int
    assert type(Operand("x", np.asarray(2.0), NUMBER).array) is float


def test_unlike_rows_cannot_be_repeated() -> None:
    """`repeated` with rows that differ would compute with other numbers than the line shows: it is refused."""
    with pytest.raises(NotAProgram, match="x has unlike rows"):
        parse('x=f8([1.0,2.0],layout="repeated"); a=tanh(x); back(a,f8([1.0,1.0]))')
    assert parse('x=f8([2.0,2.0],layout="repeated"); a=tanh(x); back(a,f8([1.0,1.0]))').operands[0].layout == "repeated"


# What is no program.

RUNS = [
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


@pytest.mark.parametrize("expression", RUNS)
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
def test_nothing_of_a_line_is_run(line: str, expression: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls, attributes, subscripts, lambdas, comprehensions, f-strings: refused wherever they stand, and not run."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotAProgram):
        parse(line.format(expression))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("", "no step"),
        ("   \n", "no step"),
        ("x=f8(1.0)", "no step"),
        ("this is no program", "not a program: .* at character"),
        ("x=f8([1.0", "not a program: .* at character"),
        ("x=f8(1.0); a=tanh(y)", "y is no value made before"),
        ("x=f8(1.0); a=tanh(a)", "a is no value made before"),
        ("x=f8(1.0); a=tanh(f8(1.0))", r"f8\(1.0\) is no value made before"),
        ("x=f8(1.0); a=add(*x)", r"\*x is no value made before"),
        ("x=f8(1.0); a=tanh(x); y=f8(1.0); b=add(a,y)", "operand y stands after a step"),
        ("x=f8(1.0); a=tanh(x); back(x,f8(1.0))", "must take the last value"),
        ("x=f8(1.0); a=tanh(x); b=tanh(a); back(a,f8(1.0))", "must take the last value"),
        ("x=f8(1.0); a=tanh(x); back(a)", r"expected back\(value, cotangent\)"),
        ("x=f8(1.0); a=tanh(x); back(a,f8(1.0),f8(1.0))", r"expected back\(value, cotangent\)"),
        ("x=f9(1.0); a=tanh(x)", "1.0 is no value made before"),
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
def test_what_is_wrong_is_said(line: str, says: str) -> None:
    """The message names what stands there, and what was expected."""
    with pytest.raises(NotAProgram, match=says):
        parse(line)


@pytest.mark.parametrize(
    "line",
    [
        # Not numbers, or not those of an array.
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
        # Not a way back.
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
        # What Python's own parser stumbles over.
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
def test_what_is_no_program_is_refused(line: str) -> None:
    """Each by a NotAProgram with words of its own, and by no other error; nothing is passed over in silence."""
    with pytest.raises(NotAProgram) as refusal:
        parse(line)
    assert str(refusal.value)


def _read_or_refused(line: str) -> None:
    """What is read is a program: its own line gives it again. All else is a NotAProgram, with words."""
    read: Program | NotAProgram
    try:
        read = parse(line)
    except NotAProgram as refusal:
        read = refusal
    event(type(read).__name__)
    assert str(read)
    if isinstance(read, Program):
        assert whole(parse(str(read))) == whole(read)


@given(st.text(st.characters(exclude_categories=())))
@example("x=f8('\udcff')")
def test_any_text_is_read_or_refused(line: str) -> None:
    """No text at all, surrogates and control characters among it, leads to an error of another kind."""
    _read_or_refused(line)


_TOKENS = [
    *"xyab()[],;=-.*:+ 012", "1.5", "nan", "inf", "None", "True", "...", "f8", "f4", "i8", "b1", "const", "back", "add",
    "slice", "layout", "shape", "along", "axis", '"F"', '"repeated"', "'a'", "1j", "**",
    "f8([1.0])", "f8([],shape=(0,))",
]  # fmt: skip


@given(st.lists(st.sampled_from(_TOKENS), max_size=12).map("".join))
def test_any_row_of_a_lines_own_signs_is_read_or_refused(line: str) -> None:
    """The same of text that is made of what programs are made of."""
    _read_or_refused(line)


@cache
def lines() -> list[str]:
    """Valid lines of all kinds."""
    return [str(program) for op in OPS for program in sample(op, 4)]


@given(st.data())
def test_a_spoilt_line_is_read_or_refused(data: st.DataObject) -> None:
    """The same of a valid line in which stretches are cut out, doubled, or replaced by some of a line's own signs."""
    line = data.draw(st.sampled_from(lines()))
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(line)))
        stop = start + data.draw(st.integers(0, 9))
        line = line[:start] + data.draw(st.sampled_from(["", line[start:stop] * 2, *_TOKENS])) + line[stop:]
    _read_or_refused(line)
