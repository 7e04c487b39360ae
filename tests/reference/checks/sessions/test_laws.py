"""The laws: for each broken law some session finds it, and the shrunk session shows how."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from ndgrad import Value, optim
from ndgrad.engine import pass_back
from ndgrad.engine.backward import accumulate
from ndgrad.engine.recording import _result
from reference.checks.sessions import SessionRecord, run_session
from reference.checks.sessions.pairs import OptimizerPair
from reference.checks.sessions.session import Session
from reference.checks.sessions.state import Computed
from reference.mutation import BY_NAME
from reference.mutation.faults.passes import _uncopied
from reference.mutation.faults.steps import writes_unnoticed
from reference.mutation.planting import Plant, attribute, forward, function, method, scaled, setter
from reference.ops.source import Seeded
from reference.verdict import Kind
from tests.reference.both import BOTH, shrunk


def found(plant: Plant, *kinds: Kind, within: int = 400) -> SessionRecord:
    """Return the first session that finds a planted fault as one of these kinds, shrunk."""
    with plant():
        for number in range(within):
            record = run_session(Seeded("laws", number), *BOTH)
            if record.findings and record.findings[0].kind in kinds:
                return shrunk(record, *BOTH)
    pytest.fail(f"nothing is found in {within} sessions")


# The planted faults. Each is wrong on purpose.

_pass_back, _adapted = pass_back, optim.Adam._adapted


def _in_a_circle(*args: Any) -> Value:
    """A result refers to itself, so only the cyclic collector can free it."""
    y = _result(*args)
    if y._operands:
        y._shown = (y,)
    return y


def _with_operands(*args: Any) -> Value:
    """Under no_grad, a result still holds its operands."""
    y = _result(*args)
    y._operands = args[1]
    return y


def _along_every_path(roots: Any, *args: Any, **options: Any) -> Any:
    """A backward pass walks along every path before it begins."""

    def walk(node: Value) -> None:
        for operand in node._operands:
            if isinstance(operand, Value):
                walk(operand)

    ((root, _),) = roots
    if root._op == "+":  # chains end in a subtraction, and recursion would fail on them
        walk(root)
    return _pass_back(roots, *args, **options)


def _unnoticed(right: Any) -> Any:
    """Writes to data are not noted."""

    def write(value: Value, data: Any) -> None:
        with writes_unnoticed([value]):
            right(value, data)

    return write


def _put_down_first(right: Any) -> Any:
    """The first root gets its gradient before the pass, which may fail."""

    def put_down(roots: Any, *, create_graph: bool) -> None:
        root, root._grad = roots[0]
        right(roots, create_graph=create_graph)

    return put_down


def _one_more(right: Any) -> Any:
    """Detaching a value changes its gradient."""

    def detach(value: Value) -> Value:
        value.grad = value.data + 1
        return right(value)  # type: ignore[no-any-return]

    return detach


def _by_the_past(right: Any) -> Any:
    """A cotangent is scaled a little, by how many nodes there have been."""

    def cotangent(value: Value, gradient: Any) -> Any:
        made = right(value, gradient)
        return made if gradient is None else np.array(made * (1 + value._id % 7 * 2e-16), value.dtype)

    return cotangent


def _all_steps(self: optim.Adam, p: Any, g: Any, state: Any) -> Any:
    """Adam's parameters share one step count."""
    steps = max(int(other.get("step", 0)) for other in self.state)
    return _adapted(self, p, g, {**state, "step": steps})


FAULTS: list[tuple[str, Plant, Kind, str]] = [
    # the fault, its plant, its kind, its words
    (
        "a buffer handed out",
        BY_NAME["grad-shared"].plant,
        Kind.ALIASED,
        r"grad\[\w\] shares its memory with grad",
    ),
    (
        "an assignment for an addition",
        BY_NAME["grad-replaced"].plant,
        Kind.GRADIENT,
        r"grad\[\w\].* is .*, but PyTorch says",
    ),
    (
        "an addition in place",
        BY_NAME["grad-in-place"].plant,
        Kind.ALIASED,
        r"kept1 was written into by the engine",
    ),
    (
        "a cotangent that is not copied",
        method(Value, "_cotangent", _uncopied),
        Kind.ALIASED,
        r"n\d shares its memory with grad",
    ),
    (
        "no_grad kept by an exception",
        BY_NAME["modes-kept-by-errors"].plant,
        Kind.MISSING,
        r"no longer recorded, though no mode is active|requires_grad=",
    ),
    (
        "operands kept under no_grad",
        function(_result, lambda _: _with_operands),
        Kind.LEAK,
        r"still holds its operands|still held",
    ),
    (
        "a circle",
        function(_result, lambda _: _in_a_circle),
        Kind.LEAK,
        r"still held, though no name and no graph refers",
    ),
    (
        "every path walked",
        function(_pass_back, lambda _: _along_every_path),
        Kind.TOO_SLOW,
        r"took more than [\d,]+ calls",
    ),
    (
        "steps counted for all",
        attribute(optim.Adam, "_adapted", _all_steps),
        Kind.FORWARD,
        r"state\[\d\]\['step'\] is \d, but must be \d",
    ),
    (
        "a write that goes unnoticed",
        setter(Value, "data", _unnoticed),
        Kind.GRADIENT,
        r"grad\[\w\].* is .*, but PyTorch says",
    ),
    (
        "an array of data not copied",
        BY_NAME["b187-engine"].plant,
        Kind.ALIASED,
        r"shares its memory with",
    ),
    (
        "an index that is not copied",
        BY_NAME["getitem-index-shared"].plant,
        Kind.GRADIENT,
        r"grad\[\w\].* is .*, but PyTorch says",
    ),
    (
        "half a pass, and then an error",
        function(accumulate, _put_down_first),
        Kind.GRADIENT,
        r"grad\[\w\].* is .*, but PyTorch says",
    ),
    (
        "a cotangent that depends on the past",
        method(Value, "_cotangent", _by_the_past),
        Kind.NON_DETERMINISTIC,
        r"differs from one run of these lines to the next",
    ),
    ("1e-7 of a gradient", scaled("multiply", 0, 1 + 1e-7), Kind.GRADIENT, r"is 1.0000001, but PyTorch says 1.0"),
    (
        "1e-14 of a gradient",
        scaled("multiply", 0, 1 + 1e-14),
        Kind.GRADIENT,
        r"is 1.00000000000001, but PyTorch says 1.0",
    ),
]


@pytest.mark.parametrize(("plant", "kind", "words"), [fault[1:] for fault in FAULTS], ids=[f[0] for f in FAULTS])
def test_a_planted_fault_is_found(plant: Plant, kind: Kind, words: str) -> None:
    """Each fault is found as its kind, with its words, in a session of few calls."""
    record = found(plant, kind)
    assert record.findings[0].kind is kind
    assert re.search(words, record.text)
    assert len(record.script) <= 7


def _writing(x: np.ndarray) -> Any:
    """An op writes into its operand if it can."""
    y = np.exp(x)
    if x.flags.writeable:
        x += 1
    return y


@pytest.mark.parametrize(
    ("plant", "kind", "words"),
    [
        (forward("exp", _writing), Kind.INPUT_MUTATED, r"value of \w changed, though no call changed it"),
        (
            method(Value, "detach", lambda right: lambda x: (x.zero_grad(), right(x))[1]),
            Kind.MISSING,
            r"grad\[\w\] is missing",
        ),
        (
            method(Value, "detach", _one_more),
            Kind.ACCUMULATION,
            r"\] changed",
        ),
    ],
    ids=["numbers", "a gradient lost", "a gradient changed"],
)
def test_a_change_without_a_call_is_reported(plant: Plant, kind: Kind, words: str) -> None:
    """Numbers and gradients that change without a call are reported by name."""
    assert re.search(words, found(plant, kind).text)


def test_magnified_cancellation_in_single_precision_is_rounding() -> None:
    """0.1 * 0.625 - 0.0625 is 0 or 1e-9 depending on rounding, and RMSprop divides it by its own size plus 1e-8."""
    engine, torch = BOTH
    session = Session(engine.speaker(), torch.stateful())
    session.do("a = Value(np.array([0.625], np.float32))")
    a = session.pair("a", session.reference.leaf(np.array([0.625], np.float32)))
    session.do("opt1 = RMSprop([a], lr=0.125, weight_decay=0.1)")
    theirs = session.reference.optimizer("RMSprop", [a.theirs], {"lr": 0.125, "weight_decay": 0.1})
    optimizer = session.optimizers["opt1"] = OptimizerPair("opt1", "RMSprop", (a,), theirs)
    session.backward(a, "[-0.0625]", np.array([-0.0625], np.float32))
    session.check()
    before = theirs.snapshot()
    session.overwrite(a)
    session.do("opt1.step()")
    theirs.step()
    session.computed = Computed(
        lambda noise: optimizer.stepped_from(before, noise), optimizer.part_names(), single=True
    )
    moved = session.space["a"].data - a.numbers
    assert abs(moved) > 1e-2  # a large difference in single precision
    session.check()
