"""An engine's interface for sessions has the statements that its methods allow, and passes read-only arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from reference.engines import TapeEngine
from reference.engines.lines import Lines
from reference.engines.ndgrad import NdgradEngine
from reference.engines.speaker import Speaker
from reference.engines.stateful import OPTIONAL, offered
from reference.engines.torch import TorchEngine
from reference.engines.training import Raised, answering
from reference.ops import OPS


class Recording(TapeEngine):
    """An engine whose values are lists, and which records the arrays that are passed to it."""

    def __init__(self, **functions: Any) -> None:
        super().__init__("Recording 1", functions)
        self.given: list[np.ndarray] = []

    def leaf(self, array: np.ndarray, name: str) -> list[np.ndarray]:  # noqa: ARG002 - it has no use for names
        self.given.append(array)
        return [array.astype(np.float64)]

    def data(self, value: list[np.ndarray]) -> np.ndarray:
        return value[0]

    def back(self, result: list[np.ndarray], cotangent: np.ndarray) -> None:  # noqa: ARG002 - only recorded
        self.given.append(cotangent)

    def gradient(self, leaf: list[np.ndarray]) -> None:
        del leaf


def run(engine: TapeEngine, *lines: str) -> dict[str, Any]:
    """Run lines as a session does, and return their names."""
    space = Speaker(engine).space()
    for line in lines:
        exec(line, space)  # noqa: S102 - they stand in this file
    return space


def test_an_engine_has_the_statements_of_its_methods() -> None:
    """With the four required methods it has leaves and backward passes; each other method adds its statements."""

    class More(Recording):
        optimizers = {"SGD": lambda leaves, lr: None}  # noqa: RUF012 - as a user would write it

        def write(self, leaf: Any, array: np.ndarray) -> None: ...

    bare, more = Speaker(Recording()).lines, Speaker(More()).lines
    assert bare == Lines(leaf=bare.leaf, backward=bare.backward)
    assert bare.missing(("writes", "zero")) == ("zero", "writes")
    assert more.missing(("writes", "zero")) == ("zero",)
    assert [(kind.name, kind.always, kind.sometimes) for kind in more.optimizers] == [("SGD", {}, {})]


def test_each_optional_method_is_described() -> None:
    """The description of each method begins with its name."""
    assert all(says.startswith(name) for name, says in OPTIONAL.items())


def test_numbers_are_passed_as_read_only_arrays() -> None:
    """A leaf gets a copy as floats; a cotangent is a view of the user's array if it fits, or else a new array."""
    engine = Recording()
    space = run(
        engine, "n1 = np.array([1, 2])", "a = leaf(n1)", "n2 = np.ones(2)", "backward(a, n2)", "backward(a)",
        "backward(a, [1, 2])",
    )  # fmt: skip
    leaf, own, ones, listed = engine.given
    assert not any(array.flags.writeable for array in engine.given)
    assert {array.dtype for array in engine.given} == {np.dtype("float64")}
    assert not np.shares_memory(leaf, space["n1"])
    assert np.shares_memory(own, space["n2"])
    assert (ones.tolist(), listed.tolist()) == ([1.0, 1.0], [1.0, 2.0])


def test_an_engine_is_reset_before_each_session() -> None:
    """`fresh` is called before each session."""

    class Forgetful(Recording):
        def fresh(self) -> None:
            self.given.clear()

    engine = Forgetful()
    run(engine, "leaf(1.0)")
    run(engine, "leaf(2.0)")
    assert [array.tolist() for array in engine.given] == [2.0]


def test_ops_without_a_settled_convention_are_left_out() -> None:
    """Sessions do not judge conventions. Ops that are not in the table are left out, too."""
    unsettled = next(name for name, op in OPS.items() if op.kink is not None and not op.kink.settled)
    assert Speaker(Recording(**{"exp": np.exp, unsettled: np.exp, "mine": np.exp})).ops == ("exp",)


def test_an_op_is_written_with_operands_by_position_and_options_by_name() -> None:
    """An op is written as the engine's functions take it."""
    assert Speaker(Recording()).ways(OPS["multiply"]) == ("multiply({operands})",)
    assert Speaker(Recording()).ways(OPS["sum"]) == ("sum({operands}, {options})",)


@pytest.mark.parametrize("what", ["trainer", "library"])
def test_ndgrad_offers_its_library_only_as_it_is_installed(what: str) -> None:
    """With other rules it has the interface of any engine, for its library would run ndgrad's own rules."""
    own = NdgradEngine({"exp": next(iter(NdgradEngine().functions.values()))})  # type: ignore[dict-item]
    assert offered(NdgradEngine(), what) is not None
    assert offered(TorchEngine(), what) is not None
    assert offered(own, what) is None
    assert type(own.speaker()) is Speaker


def test_what_an_engine_raises_is_its_answer() -> None:
    """`Raised` has the error's type and message, and the error as its cause."""
    with pytest.raises(Raised, match="raised KeyError: 'x'") as raised, answering():
        raise KeyError("x")
    assert isinstance(raised.value.__cause__, KeyError)
