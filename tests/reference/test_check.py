"""check_engine reports failures to the author of another engine."""

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
from reference.mutation import BY_NAME
from reference.ops import OPS, Op
from reference.programs import Program


def test_a_right_engine_has_no_failures() -> None:
    """If everything agrees, the list is empty."""
    assert check_engine(NdgradEngine(), ["exp", "sum"]) == []


def test_a_wrong_op_is_reported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """An op that fails alone and in expressions is reported once, under its name; a right op is not."""
    monkeypatch.setattr(RULES["exp"], "pullbacks", (lambda g, y, x: -g * y,))
    (words,) = check_engine(NdgradEngine(), ["exp", "sum"])
    assert words.startswith("exp: grad[x] is ")
    assert "ratio -1 everywhere: a sign?" in words


def test_a_slope_of_nan_is_a_convention() -> None:
    """Another slope of NaN than PyTorch's is reported as another convention, and does not hide an error."""
    relu = RULES["relu"]

    def engine(slope: Any) -> NdgradEngine:
        return NdgradEngine({**RULES, "relu": Rule(relu.forward, lambda g, y, x: np.where(x > 0, slope * g, 0.0))})

    (words,) = check_engine(engine(1.0), ["relu"])
    assert "and NaN has no slope (CONVENTION). Conventions differ." in words
    (words,) = check_engine(engine(1.5), ["relu"])
    assert "ndgrad is wrong" in words


def test_a_definition_with_numpys_functions_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of a user's op is reported with the exact number, by a definition with exponentials."""

    def silu(x: Any) -> Any:
        return x / (1 + np.exp(-x))

    monkeypatch.setitem(OPS, "silu", Op("silu", silu))
    wrong = Rule(silu, lambda g, y, x: g * (1 / (1 + np.exp(-x))))
    (words,) = check_engine(NdgradEngine({**RULES, "silu": wrong}), ["silu"])
    assert re.match(r"silu: grad\[x\] is .*, but PyTorch .* says .* \(exact: .*\)\. ndgrad is wrong\.", words)


def test_the_number_of_threads_is_restored() -> None:
    """PyTorch computes in one thread while an engine is checked, and in as many as before afterwards."""
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


def test_one_program_can_be_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """`check_program` takes a program's line, and returns an empty text or the text of a failure."""
    line = "x=f8(2.0); a=exp(x); back(a,f8(1.0))"
    assert check_program(NdgradEngine(), line) == ""
    with pytest.raises(ValueError, match=r"nothing was compared: the line has no back"):
        check_program(NdgradEngine(), "x=f8([1.0]); a=exp(x)")
    with pytest.raises(ValueError, match="nothing was compared: axis 3 is out of bounds"):
        check_program(NdgradEngine(), "x=f8(2.0); a=sum(x,axis=3,keepdims=False); back(a,f8(1.0))")
    with pytest.raises(ValueError, match="not a program"):
        check_program(NdgradEngine(), "x=")
    monkeypatch.setattr(RULES["exp"], "pullbacks", (lambda g, y, x: -g * y,))
    words = check_program(NdgradEngine(), line)
    assert words.startswith("exp: grad[x] is ")
    assert words.endswith(f"again: python -m reference repro '{line}'")


def test_a_session_can_be_checked_by_its_line() -> None:
    """A case that is no program is replayed from its line, and described if it fails."""
    assert check_program(NdgradEngine(), "sessions 0 3") == ""
    with BY_NAME["grad-replaced"].plant():
        described = [check_program(NdgradEngine(), f"sessions 0 {number}") for number in range(40)]
    assert any(words.startswith("sessions: ") and "  again: " in words for words in described)


def test_unknown_ops_and_profiles_are_refused() -> None:
    """An op that the table or the engine lacks, and an unknown profile, raise ValueError."""
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
    """An engine without ops is not reported to be right."""
    with pytest.raises(
        ValueError, match=r"nothing was compared: no op was given, or ndgrad .* has none; known are add, "
    ):
        check_engine(NdgradEngine({}))
    with pytest.raises(ValueError, match="has no op of the table; give it functions by the names of the op table"):
        check_engine(NdgradEngine({}), ["exp"])


class Refusing(NdgradEngine):
    """An engine that always raises: it is wrong on purpose."""

    def data(self, value: object) -> np.ndarray:
        raise NotImplementedError("not yet")


def test_errors_of_the_engine_are_reported() -> None:
    """An error that the engine raises is a failure, with the engine's message."""
    (words,) = check_engine(Refusing({"exp": RULES["exp"]}))
    assert "raised NotImplementedError: not yet (RAISED)" in words


@pytest.mark.parametrize("op", ["multiply", "where", "stack", "split", "transpose", "getitem"])
def test_a_users_rule_is_judged(op: str) -> None:
    """A rule in place of ndgrad's is called, although operators and NumPy's functions would call ndgrad's."""
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


def test_an_engine_that_exits_is_reported() -> None:
    """An engine that calls sys.exit does not end the run, and its failure is reported."""

    class Exiting(NdgradEngine):
        def data(self, value: object) -> np.ndarray:
            raise SystemExit(value is None)

    (words,) = check_engine(Exiting({"exp": RULES["exp"]}))
    assert "raised SystemExit: False (RAISED)" in words


class Stale(TapeEngine):
    """An engine of one op whose pullback reads the operand late: it is wrong on purpose."""

    class Node:
        """An array, its gradient, and the node of which it is the square."""

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


def test_an_error_of_state_is_reported_if_all_ops_agree() -> None:
    """A session shows it line by line, and its last line replays it. If ops are given, sessions are not run."""
    (words,) = check_engine(Stale())
    first, *lines = words.splitlines()
    assert re.fullmatch(r"sessions: grad\[a\] is .*, but PyTorch .* says .*\. Stale is wrong\.", first)
    assert [line.strip().partition("(")[0] for line in lines[:4]] == ["a = leaf", "b = square", "write", "backward"]
    replay = re.fullmatch(r"  again: python -m reference repro --engine module:name '(.*)'", lines[-1])
    assert replay
    assert check_program(Stale(), replay[1]) == words
    assert check_engine(Stale(), ["square"]) == []
