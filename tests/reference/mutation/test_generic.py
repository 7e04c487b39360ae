"""Generic faults: each row has those that apply to it, each has its effect, and the third is a fixed selection."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import numpy as np
import pytest

import ndgrad
from ndgrad import Value
from ndgrad.rules import RULES
from reference.mutation import FAULTS, GENERIC, every, generic
from reference.ops import OPS

KINDS: dict[str, set[str]] = {}
for fault in generic():
    name, _, kind = fault.name.rpartition("-")
    KINDS.setdefault(name, set()).add(kind)

ALWAYS = {"factor", "sign", "detached"}


def test_each_pullback_of_each_row_has_some() -> None:
    """The faults cover exactly the pullbacks that exist, each with the kinds that always apply."""
    pullbacks = {
        f"{op.replace('_', '-')}-{slot}"
        for op in OPS
        for slot, pullback in enumerate(RULES[op].pullbacks)
        if pullback is not None
    }
    assert set(KINDS) == pullbacks
    assert all(kinds >= ALWAYS for kinds in KINDS.values())


# fmt: off
MORE: list[tuple[str, set[str]]] = [
    ("add-0",          {"unsummed"}),
    ("multiply-1",     {"unsummed", "swapped", "aliased"}),
    ("where-1",        {"unsummed", "aliased"}),
    ("tanh-0",         {"aliased"}),
    ("negative-0",     {"aliased"}),
    ("positive-0",     set()),
    ("astype-0",       set()),
    ("broadcast-to-0", {"unsummed"}),
    ("sum-0",          {"transposed"}),
    ("softmax-0",      {"aliased"}),
    ("transpose-0",    {"transposed", "aliased"}),
    ("concatenate-0",  {"transposed", "swapped"}),
    ("getitem-0",      {"transposed", "aliased"}),
    ("matmul-0",       {"unsummed", "transposed", "swapped", "aliased"}),
]
# fmt: on


@pytest.mark.parametrize(("pullback", "more"), MORE)
def test_the_applicable_kinds_exist(pullback: str, more: set[str]) -> None:
    """The other kinds apply only where they change something."""
    assert KINDS[pullback] == ALWAYS | more


CURVED = {"multiply", "tanh", "prod", "matmul", "log_softmax", "divide", "power", "sigmoid", "std", "cumprod"}
FLAT = {"add", "relu", "max", "maximum", "sum", "clip", "where", "astype", "getitem", "abs", "cumsum", "flip"}


@pytest.mark.parametrize("op", sorted(CURVED | FLAT))
def test_detached_faults_say_what_is_constant(op: str) -> None:
    """Only a pullback that depends on the numbers has a fault that treats all but the cotangent as constant."""
    what = every()[f"{op.replace('_', '-')}-0-detached"].what
    assert what.endswith(("treats all but the cotangent as constant", "treats the cotangent as constant"))
    assert ("all but" in what) == (op in CURVED)


def wrong(name: str, op: str, *operands: Any, cotangent: Any) -> list[Any]:
    """Compute the gradients of operands with a fault planted."""
    values = [Value(x) for x in operands]
    with every()[name].plant():
        getattr(ndgrad, op)(*values).backward(np.asarray(cotangent, float))
    return [value.grad.tolist() for value in values]


def test_each_kind_has_its_effect() -> None:
    """One fault of each kind has its effect, on numbers that can be checked by hand."""
    two, ones = [[1.0, 2.0], [3.0, 4.0]], [[1.0, 1.0], [1.0, 1.0]]
    assert wrong("multiply-0-factor", "multiply", 2.0, 3.0, cotangent=1) == [3.0 * (1 + 1e-7), 2.0]
    assert wrong("multiply-0-sign", "multiply", 2.0, 3.0, cotangent=1) == [-3.0, 2.0]
    assert wrong("multiply-0-swapped", "multiply", 2.0, 3.0, cotangent=1) == [2.0, 2.0]
    assert wrong("multiply-0-swapped", "multiply", 2.0, [3.0], cotangent=[1]) == [3.0, [2.0]]
    assert wrong("add-0-unsummed", "add", 2.0, [3.0, 5.0], cotangent=[7, 11]) == [7.0, [7.0, 11.0]]
    assert wrong("reshape-0-transposed", "positive", two, cotangent=ones) == [ones]
    assert wrong("matmul-1-transposed", "matmul", two, ones, cotangent=ones) == [[[2, 2], [2, 2]], [[4, 6], [4, 6]]]
    x = Value([1.0, 2.0])
    with every()["negative-0-aliased"].plant():
        (x + (-x)).backward(np.array([3.0, 5.0]))
    assert x.grad.tolist() == [-6.0, -10.0]


def test_a_detached_fault_shows_at_second_order_only() -> None:
    """With a detached pullback the gradient is right, and its own gradient lacks the operand's term."""
    x = Value(3.0)
    with every()["square-0-detached"].plant():
        ndgrad.square(x).backward(create_graph=True)
        assert x.grad.data == 6.0
        assert ndgrad.grad(ndgrad.grad(ndgrad.square))(3.0) == 0.0
    assert ndgrad.grad(ndgrad.grad(ndgrad.square))(3.0) == 2.0


def test_generic_names_are_unique() -> None:
    """All faults, generic or written by hand, have different names."""
    names = [fault.name for fault in (*FAULTS, *generic())]
    assert [name for name, times in Counter(names).items() if times > 1] == []
    assert list(every()) == names
    assert all(re.fullmatch(r"[a-z0-9-]+-\d-[a-z]+", fault.name) for fault in generic())


def test_a_third_is_always_the_same() -> None:
    """The third is selected by name and has some faults of each kind."""
    some = [fault.name for fault in GENERIC["third"]()]
    assert 0.25 < len(some) / len(generic()) < 0.42
    assert {name.rpartition("-")[2] for name in some} == set.union(*KINDS.values())
    assert {"add-0-sign" in some, "add-0-factor" in some} == {fault in some for fault in ("add-0-sign", "add-0-factor")}
    assert tuple(GENERIC["all"]()) == generic()
    assert tuple(GENERIC["none"]()) == ()
