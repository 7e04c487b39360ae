"""A refilled program has other numbers, and the same steps, shapes, dtypes and whatever is no float."""

from __future__ import annotations

import numpy as np

from reference.programs import parse
from reference.programs.refilling import refilled


def halved(array: np.ndarray) -> np.ndarray:
    """Return half of each number, in another dtype and shape."""
    return np.ravel(array).astype(float) / 2


def test_floats_are_replaced_and_nothing_else() -> None:
    """Floats, also of constants, are replaced in their dtype and layout; numbers, integers and options stay."""
    line = (
        'x=f4([[2.0,4.0]],layout="F"); y=const(f8([6.0])); z=const(i8([8])); w=3.0; a=multiply(x,y); b=add(a,z); '
        "c=power(b,w); d=getitem(c,index=(i8([0]),)); back(d,f8([[2.0,2.0]]),along=(f4([[4.0,6.0]]),))"
    )
    new = (
        line.replace("[[2.0,4.0]]", "[[1.0,2.0]]")
        .replace("[6.0]", "[3.0]")
        .replace("[[2.0,2.0]]", "[[1.0,1.0]]")
        .replace("[[4.0,6.0]]", "[[2.0,3.0]]")
    )
    assert str(refilled(parse(line), halved)) == new


def test_the_cotangent_alone() -> None:
    """Operands keep their numbers on request."""
    line = "x=f8([2.0]); a=square(x); back(a,f8([4.0]),along=(f8([6.0]),))"
    new = "x=f8([2.0]); a=square(x); back(a,f8([2.0]),along=(f8([3.0]),))"
    assert str(refilled(parse(line), halved, operands=False)) == new


def test_repeated_rows_and_a_missing_cotangent_stay() -> None:
    """An operand whose rows share memory keeps its numbers, and a program that must be refused has no cotangent."""
    line = 'x=f8([[2.0],[2.0]],layout="repeated"); a=square(x)'
    assert str(refilled(parse(line), halved)) == line
