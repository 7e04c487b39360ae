"""check_engine: what an author of another engine is told."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch

from ndgrad.rules import RULES, Rule
from reference.check import check_engine, check_program
from reference.engines import Outcome, TapeEngine
from reference.engines.ndgrad import NdgradEngine
from reference.ops import OPS, Op
from reference.programs import Program


def test_a_right_engine_is_told_nothing() -> None:
    """Where all agrees, there is no text."""
    assert check_engine(NdgradEngine(), ["exp", "sum"]) == []


def test_a_wrong_op_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """An op that fails alone and in expressions is told of once, under its name; a right one beside it is not."""
    monkeypatch.setattr(RULES["exp"], "pullbacks", (lambda g, y, x: -g * y,))
    (words,) = check_engine(NdgradEngine(), ["exp", "sum"])
    assert words.startswith("exp: grad[x] is ")
    assert "ratio -1 everywhere: a sign?" in words


def test_a_slope_of_what_is_no_number_is_a_convention() -> None:
    """Of NaN there is no slope: another one than PyTorch's is told as another convention, and hides no fault."""
    relu = RULES["relu"]

    def engine(slope: Any) -> NdgradEngine:
        return NdgradEngine({**RULES, "relu": Rule(relu.forward, lambda g, y, x: np.where(x > 0, slope * g, 0.0))})

    (words,) = check_engine(engine(1.0), ["relu"])
    assert "and of what is NaN there is no slope (CONVENTION). Conventions differ." in words
    (words,) = check_engine(engine(1.5), ["relu"])
    assert "ndgrad is wrong" in words


def test_a_definition_with_numpys_functions_settles(monkeypatch: pytest.MonkeyPatch) -> None:
    """A function of a user's is told wrong, with the exact number, though its definition takes exponentials."""

    def silu(x: Any) -> Any:
        return x / (1 + np.exp(-x))

    monkeypatch.setitem(OPS, "silu", Op("silu", silu))
    wrong = Rule(silu, lambda g, y, x: g * (1 / (1 + np.exp(-x))))
    (words,) = check_engine(NdgradEngine({**RULES, "silu": wrong}), ["silu"])
    assert re.match(r"silu: grad\[x\] is .*, but PyTorch .* says .* \(exact: .*\)\. ndgrad is wrong\.", words)


def test_threads_are_given_back() -> None:
    """PyTorch computes in one thread while an engine is checked, and in as many as before when it has been."""
    before = torch.get_num_threads()
    seen: set[int] = set()

    class Watching(NdgradEngine):
        def run(self, program: Program) -> Outcome:
            seen.add(torch.get_num_threads())
            return super().run(program)

    torch.set_num_threads(2)
    try:
        check_engine(Watching(), ["exp"])
        assert seen == {1}
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_one_program_is_checked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its line: nothing is said of what agrees, and of what does not, the text of a failure."""
    line = "x=f8(2.0); a=exp(x); back(a,f8(1.0))"
    assert check_program(NdgradEngine(), line) == ""
    with pytest.raises(ValueError, match="nothing was compared: axis 3 is out of bounds"):
        check_program(NdgradEngine(), "x=f8(2.0); a=sum(x,axis=3,keepdims=False); back(a,f8(1.0))")
    with pytest.raises(ValueError, match="not a program"):
        check_program(NdgradEngine(), "x=")
    monkeypatch.setattr(RULES["exp"], "pullbacks", (lambda g, y, x: -g * y,))
    words = check_program(NdgradEngine(), line)
    assert words.startswith("exp: grad[x] is ")
    assert words.endswith(f"again: python -m reference repro '{line}'")


def test_what_is_not_known_is_refused() -> None:
    """An op outside the op table, one that the engine has not, and a profile that is none are errors that say so."""
    with pytest.raises(ValueError, match="expp: not in the op table, or not among the engine's ops"):
        check_engine(NdgradEngine(), ["exp", "expp"])
    with pytest.raises(ValueError, match=r"summ: not in .*; did you mean sum"):
        check_engine(NdgradEngine(), ["summ"])
    few = NdgradEngine({"exp": RULES["exp"]})
    with pytest.raises(ValueError, match="sum: not in the op table"):
        check_engine(few, ["sum"])
    with pytest.raises(ValueError, match="profile is 'thorough', but must be one of quick, standard, deep"):
        check_engine(few, profile="thorough")


def test_nothing_compared_is_an_error() -> None:
    """An engine without ops is not told that it is right."""
    with pytest.raises(
        ValueError, match=r"nothing was compared: no op was given, or ndgrad .* has none; known are add, "
    ):
        check_engine(NdgradEngine({}))
    with pytest.raises(ValueError, match="has no op of the table; give it functions by the names of the op table"):
        check_engine(NdgradEngine({}), ["exp"])


class Refusing(NdgradEngine):
    """An engine that cannot do a thing: wrong, on purpose."""

    def data(self, value: object) -> np.ndarray:
        raise NotImplementedError("not yet")


def test_an_engine_that_only_raises_is_told_so() -> None:
    """Errors of the engine are findings, with its own words, and no agreement."""
    (words,) = check_engine(Refusing({"exp": RULES["exp"]}))
    assert "raised NotImplementedError: not yet (RAISED)" in words


@pytest.mark.parametrize("op", ["multiply", "where", "stack", "split", "transpose", "getitem"])
def test_a_rule_of_ones_own_is_what_is_judged(op: str) -> None:
    """Where a rule stands in the place of ndgrad's it is called, though an operator or NumPy would call ndgrad's."""
    right = RULES[op]
    options = {
        k: getattr(right, k) for k in ("residual", "numpy", "operator", "variadic", "views", "doc") if hasattr(right, k)
    }
    bind = None if right.operands_alone else right.bind

    def pullback(*args: Any, **kwargs: Any) -> Any:
        assert right.pullbacks[0]
        return 2 * right.pullbacks[0](*args, **kwargs)

    def rule(first: Any) -> NdgradEngine:
        made = Rule(right.forward, first, *right.pullbacks[1:], bind=bind, **options)
        return NdgradEngine({**RULES, op: made})

    assert check_engine(rule(right.pullbacks[0]), [op]) == []
    (words,) = check_engine(rule(pullback), [op])
    assert words.startswith(f"{op}: grad[")


def test_an_engine_that_exits_is_told_so() -> None:
    """An engine that calls sys.exit ends no run, least of all with the status that all agrees."""

    class Exiting(NdgradEngine):
        def data(self, value: object) -> np.ndarray:
            raise SystemExit(value is None)

    (words,) = check_engine(Exiting({"exp": RULES["exp"]}))
    assert "raised SystemExit: False (RAISED)" in words


class Stale(TapeEngine):
    """An engine of one op whose pullback reads the operand when it is called: wrong, on purpose."""

    class Node:
        """A number or array; its gradient; what it is the square of."""

        def __init__(self, data: np.ndarray, root: Any = None) -> None:
            self.data, self.root, self.grad = np.asarray(data), root, np.zeros(np.shape(data), data.dtype)

    def __init__(self) -> None:
        super().__init__("Stale 1", {"square": lambda x: Stale.Node(x.data * x.data, x)})

    def leaf(self, array: np.ndarray, name: str) -> Any:  # noqa: ARG002 - it has no use for names
        return Stale.Node(array)

    def data(self, value: Any) -> np.ndarray:
        return value.data  # type: ignore[no-any-return]

    def back(self, result: Any, cotangent: np.ndarray) -> None:
        result.grad = result.grad + cotangent
        if result.root is not None:
            self.back(result.root, cotangent * 2 * result.root.data)

    def gradient(self, leaf: Any) -> np.ndarray:
        return np.asarray(leaf.grad)

    def write(self, leaf: Any, array: np.ndarray) -> None:
        leaf.data = array.copy()


def test_a_fault_of_state_is_told_when_all_ops_agree() -> None:
    """A session shows it, line by line; and no command claims to run it again. Asked about ops, nobody looks for it."""
    (words,) = check_engine(Stale())
    first, *lines = words.splitlines()
    assert re.fullmatch(r"sessions: grad\[a\] is .*, but PyTorch .* says .*\. Stale is wrong\.", first)
    assert [line.strip().partition("(")[0] for line in lines[:4]] == ["a = leaf", "b = square", "write", "backward"]
    assert "again: " not in words
    assert check_engine(Stale(), ["square"]) == []
