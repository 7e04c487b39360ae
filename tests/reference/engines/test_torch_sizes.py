"""The size of a program's values is computed before it is run, and too large a program is refused."""

from __future__ import annotations

import math
import time
import tracemalloc

import pytest
from hypothesis import given, settings

from reference.engines.torch import TorchEngine
from reference.engines.torch.sizes import LARGEST, TooLarge, _shape, check_sizes
from reference.programs import Program, parse
from reference.programs.strategies import programs

N = 400  # a column and a row of N numbers broadcast to 160,000
COLUMN = f"x=f8([[{'],['.join(['1.0'] * N)}]]); y=f8([[{','.join(['1.0'] * N)}]]); "
PLACES = f"i8([[{'],['.join(['0'] * N)}]]),i8([[{','.join(['0'] * N)}]])"

# fmt: off
LARGE = [
    ("x=f8(1.0); a=broadcast_to(x,shape=(100000,100000))",           "a=broadcast_to(...) has shape (100000, 100000)"),
    ("x=f8([1.0]); a=exp(x); b=broadcast_to(a,shape=(1000000,))",    "b=broadcast_to(...) has shape (1000000,)"),
    (f"{COLUMN}a=add(x,y)",                                           "a=add(...) has shape (400, 400), "),
    (f"{COLUMN}a=matmul(x,y)",                                        "a=matmul(...) has shape (400, 400)"),
    (f"{COLUMN}a=outer(x,y)",                                         "a=outer(...) has shape (400, 400)"),
    (f"{COLUMN}a=dot(x,y)",                                           "a=dot(...) has shape (400, 400)"),
    (f"{COLUMN}a=clip(x,y,y)",                                        "a=clip(...) has shape (400, 400)"),
    (f"{COLUMN}a=where(x,y,condition=b1(True))",                      "a=where(...) has shape (400, 400)"),
    ("x=f8([1.0]); a=pad(x,pad_width=10000000000)",                   "a=pad(...) has shape (20000000001,)"),
    ('x=f8([1.0]); a=pad(x,pad_width=10000000000,mode="edge")',       "a=pad(...) has shape (20000000001,)"),
    (f"x=f8([[1.0]]); a=getitem(x,index=({PLACES}))",                 "a=getitem(...) has shape (400, 400)"),
    (f"x=f8([[1.0]]); a=getitem(x,index=(None,...,{PLACES},None))",   "a=getitem(...) has shape (400, 400, 1, 1)"),
    ("x=f8(1.0); a=scatter(x,index=0,shape=(10000000000,))",          "a=scatter(...) has shape (10000000000,)"),
    (f"x=f8(1.0); a=scatter(x,index=({PLACES}),shape=(1,1))",         "a=scatter(...) has shape (400, 400)"),
    ("x=f8(1.0); a=broadcast_to(x,shape=(300,)); b=stack(a,a); c=outer(b,b)", "c=outer(...) has shape (600, 600)"),
]
# fmt: on


@pytest.mark.parametrize(("line", "words"), LARGE, ids=[words for _, words in LARGE])
def test_too_large_a_step_is_refused(line: str, words: str) -> None:
    """The error gives the step, its shape and the limit, quickly and without allocating the memory."""
    program = parse(line)
    check_sizes(parse("x=f8(1.0); a=exp(x)"))  # so that imports are done
    tracemalloc.start()
    start = time.monotonic()
    try:
        with pytest.raises(TooLarge) as error:
            check_sizes(program)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()
    assert time.monotonic() - start < 5
    assert f"step {words}" in str(error.value)
    assert "but a step may have at most 100,000" in str(error.value)


def test_the_limit_itself_is_allowed() -> None:
    """The largest allowed number of entries is accepted, and one more is refused."""
    check_sizes(parse(f"x=f8(1.0); a=broadcast_to(x,shape=({LARGEST},))"))
    with pytest.raises(TooLarge):
        check_sizes(parse(f"x=f8(1.0); a=broadcast_to(x,shape=({LARGEST + 1},))"))


def test_a_step_that_is_refused_ends_the_program() -> None:
    """Steps after one that engines refuse are not checked."""
    check_sizes(parse("x=f8([1.0]); a=sum(x,axis=3); b=broadcast_to(a,shape=(1000000,))"))


@given(program=programs())
@settings(max_examples=200)
def test_computed_shapes_are_right(program: Program) -> None:
    """The computed shape of each step is that of its value."""
    values = [operand.data for operand in program.operands]
    for step, value in zip(program.steps, TorchEngine().run(program).values, strict=False):
        assert _shape(step, [values[i].shape for i in step.inputs]) == value.shape
        assert math.prod(value.shape) <= LARGEST
        values.append(value)
