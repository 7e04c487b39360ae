"""How an engine is spoken to: by which statements it has methods for, and in arrays that it may not write into."""

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


class Noting(TapeEngine):
    """An engine whose values are lists, and which notes what it is given."""

    def __init__(self, **functions: Any) -> None:
        super().__init__("Noting 1", functions)
        self.given: list[np.ndarray] = []

    def leaf(self, array: np.ndarray, name: str) -> list[np.ndarray]:  # noqa: ARG002 - it has no use for names
        self.given.append(array)
        return [array.astype(np.float64)]

    def data(self, value: list[np.ndarray]) -> np.ndarray:
        return value[0]

    def back(self, result: list[np.ndarray], cotangent: np.ndarray) -> None:  # noqa: ARG002 - it is noted
        self.given.append(cotangent)

    def gradient(self, leaf: list[np.ndarray]) -> None:
        del leaf


def run(engine: TapeEngine, *lines: str) -> dict[str, Any]:
    """What lines leave, run as a session runs them."""
    space = Speaker(engine).space()
    for line in lines:
        exec(line, space)  # noqa: S102 - they stand in this file
    return space


def test_an_engine_has_the_statements_that_it_has_methods_for() -> None:
    """With the four methods alone it has leaves and passes; each method more brings its statements."""

    class More(Noting):
        optimizers = {"SGD": lambda leaves, lr: None}  # noqa: RUF012 - as a user would write it

        def write(self, leaf: Any, array: np.ndarray) -> None: ...

    bare, more = Speaker(Noting()).lines, Speaker(More()).lines
    assert bare == Lines(leaf=bare.leaf, backward=bare.backward)
    assert bare.missing(("writes", "zero")) == ("zero", "writes")
    assert more.missing(("writes", "zero")) == ("zero",)
    assert [(kind.name, kind.always, kind.sometimes) for kind in more.optimizers] == [("SGD", {}, {})]


def test_the_list_of_methods_is_that_of_the_docs() -> None:
    """Each is described by its own name, and in the page on plugging in."""
    assert all(says.startswith(name) for name, says in OPTIONAL.items())


def test_numbers_are_given_as_arrays_that_are_read_only() -> None:
    """A leaf gets a copy, of floats; a cotangent is the user's own array where it fits, or else one that does."""
    engine = Noting()
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


def test_an_engine_forgets_before_each_session() -> None:
    """If it has something to forget."""

    class Forgetful(Noting):
        def fresh(self) -> None:
            self.given.clear()

    engine = Forgetful()
    run(engine, "leaf(1.0)")
    run(engine, "leaf(2.0)")
    assert [array.tolist() for array in engine.given] == [2.0]


def test_ops_at_whose_kinks_any_slope_will_do_are_left_out() -> None:
    """In a session nobody asks whether another slope is a convention. What is not in the table is left out, too."""
    unsettled = next(name for name, op in OPS.items() if op.kink is not None and not op.kink.settled)
    assert Speaker(Noting(**{"exp": np.exp, unsettled: np.exp, "mine": np.exp})).ops == ("exp",)


def test_an_op_is_written_with_operands_by_position_and_options_by_name() -> None:
    """As the engine's functions take them."""
    assert Speaker(Noting()).ways(OPS["multiply"]) == ("multiply({operands})",)
    assert Speaker(Noting()).ways(OPS["sum"]) == ("sum({operands}, {options})",)


@pytest.mark.parametrize("what", ["trainer", "library"])
def test_ndgrad_offers_its_library_only_as_it_is_installed(what: str) -> None:
    """With rules of its own it is spoken to as any other engine, for its library would run other rules."""
    own = NdgradEngine({"exp": next(iter(NdgradEngine().functions.values()))})  # type: ignore[dict-item]
    assert offered(NdgradEngine(), what) is not None
    assert offered(TorchEngine(), what) is not None
    assert offered(own, what) is None
    assert type(own.speaker()) is Speaker


def test_what_an_engine_raises_is_its_answer() -> None:
    """With its kind and its words; the error itself is the cause."""
    with pytest.raises(Raised, match="raised KeyError: 'x'") as raised, answering():
        raise KeyError("x")
    assert isinstance(raised.value.__cause__, KeyError)
