"""Sessions of another engine: a tape of a hundred lines agrees as it is, and wrong variants of it are caught."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
import pytest

from reference.checks.sessions import CALLS, SessionRecord, replay, run_session, unsupported
from reference.engines import TapeEngine
from reference.engines.torch import TorchEngine
from reference.ops.source import Seeded
from reference.verdict import Kind
from tests.reference.both import shrunk

TORCH = TorchEngine()
Pull = Callable[[np.ndarray], np.ndarray]


class Node:
    """A value of the tape: its numbers, its gradient, and a pullback for each of its operands."""

    def __init__(self, data: Any, pulls: list[tuple[Node, Pull]] | None = None, *, wanted: bool = True) -> None:
        self.data = np.asarray(data)
        self.grad: np.ndarray | None = None
        self.wanted = wanted
        self.pulls = pulls or []
        self.passed = False

    def order(self) -> list[Node]:
        """Return the node and all it was computed from, each node after all that use it."""
        done: list[Node] = []
        seen: set[int] = set()
        waiting = [(self, False)]
        while waiting:
            node, left = waiting.pop()
            if left:
                done.append(node)
            elif id(node) not in seen:
                seen.add(id(node))
                waiting += [(node, True), *((operand, False) for operand, _ in node.pulls)]
        return done[::-1]


def summed(g: np.ndarray, like: Node) -> np.ndarray:
    """Sum a cotangent over the broadcast axes; it gets the operand's shape and dtype."""
    if g.shape == like.data.shape:
        return g.astype(like.data.dtype, copy=False)
    g = g.sum(axis=tuple(range(g.ndim - like.data.ndim)))
    ones = tuple(i for i, n in enumerate(like.data.shape) if n == 1 and g.shape[i] != 1)
    return (g.sum(axis=ones, keepdims=True) if ones else g).astype(like.data.dtype, copy=False)


class Tape(TapeEngine):
    """The engine. Wrong variants replace a method."""

    def __init__(self) -> None:
        functions: dict[str, Callable[..., Any]] = {
            "add": self.add,
            "subtract": self.subtract,
            "multiply": self.multiply,
            "exp": self.exp,
        }
        super().__init__("Tape 1.0", functions)
        self.recording = True

    # The ops.

    def made(self, data: Any, *pulls: tuple[Any, Pull]) -> Node:
        """Make a result, which holds those of its operands that require a gradient."""
        wanting = [(x, pull) for x, pull in pulls if self.recording and isinstance(x, Node) and x.wanted]
        return Node(data, wanting, wanted=bool(wanting))

    def numbers(self, x: Any) -> Any:
        """Return an operand's present numbers."""
        return x.data if isinstance(x, Node) else x

    def add(self, a: Any, b: Any) -> Node:
        return self.made(self.numbers(a) + self.numbers(b), (a, lambda g: g), (b, lambda g: g))

    def subtract(self, a: Any, b: Any) -> Node:
        return self.made(self.numbers(a) - self.numbers(b), (a, lambda g: g), (b, lambda g: -g))

    def multiply(self, a: Any, b: Any) -> Node:
        x, y = self.numbers(a), self.numbers(b)
        return self.made(x * y, (a, lambda g: g * y), (b, lambda g: g * x))

    def exp(self, a: Any) -> Node:
        y = np.exp(self.numbers(a))
        return self.made(y, (a, lambda g: g * y))

    # Required methods.

    def leaf(self, array: np.ndarray, name: str) -> Node:  # noqa: ARG002 - it has no use for names
        return Node(array.copy())

    def data(self, value: Any) -> np.ndarray:
        return value.data  # type: ignore[no-any-return]

    def back(self, result: Node, cotangent: np.ndarray) -> None:
        arrived = {id(result): cotangent}
        for node in result.order():
            g = arrived[id(node)]
            for operand, pull in node.pulls:
                more = summed(pull(g), operand)
                arrived[id(operand)] = arrived[id(operand)] + more if id(operand) in arrived else more
            if not node.pulls:
                self.receive(node, g)

    def receive(self, leaf: Node, g: np.ndarray) -> None:
        leaf.grad = np.array(g if leaf.grad is None else leaf.grad + g)

    def gradient(self, leaf: Node) -> np.ndarray | None:
        return leaf.grad

    # Optional methods.

    def zero(self, leaf: Node) -> None:
        leaf.grad = None

    def write(self, leaf: Node, array: np.ndarray) -> None:
        leaf.data = array.copy()


class Rich(Tape):
    """The same engine with all optional methods."""

    frees = True

    def constant(self, array: np.ndarray) -> Node:
        return Node(array.copy(), wanted=False)

    def set_gradient(self, leaf: Node, array: np.ndarray) -> None:
        leaf.grad = array.copy()

    def detach(self, value: Node) -> Node:
        return Node(value.data.copy(), wanted=False)

    def copy(self, leaf: Node) -> Node:
        return Node(leaf.data.copy(), wanted=leaf.wanted)

    def back_several(self, results: list[Node], cotangents: list[np.ndarray]) -> None:
        for result, cotangent in zip(results, cotangents, strict=True):
            self.back(result, cotangent)

    @contextmanager
    def unrecorded(self) -> Iterator[None]:
        before, self.recording = self.recording, False
        try:
            yield
        finally:
            self.recording = before

    class SGD:
        """Gradient descent with momentum, as PyTorch has it."""

        def __init__(self, leaves: list[Node], lr: float, momentum: float = 0.0) -> None:
            self.leaves, self.lr, self.momentum = leaves, lr, momentum
            self.sums: dict[int, np.ndarray] = {}

        def state_dict(self) -> dict[str, Any]:
            return {"lr": self.lr, "momentum": self.momentum, **{f"{i}.sum": x.copy() for i, x in self.sums.items()}}

        def load_state_dict(self, saved: dict[str, Any]) -> None:
            self.lr, self.momentum = saved["lr"], saved["momentum"]
            self.sums = {int(name[:-4]): x.copy() for name, x in saved.items() if name.endswith(".sum")}

        def step(self) -> None:
            for i, p in enumerate(self.leaves):
                if p.grad is not None:
                    g = p.grad
                    if self.momentum:
                        g = self.sums[i] = np.asarray(self.momentum * self.sums[i] + g if i in self.sums else g)
                    p.data = np.asarray(p.data - self.lr * g)

        def zero_grad(self) -> None:
            for p in self.leaves:
                p.grad = None

    optimizers: ClassVar = {"SGD": SGD}


def sessions(engine: TapeEngine, number: int, seed: str = "other") -> Iterator[SessionRecord]:
    """Run so many sessions of an engine."""
    return (run_session(Seeded(seed, i), engine, TORCH) for i in range(number))


@pytest.mark.parametrize("engine", [Tape(), Rich()])
def test_a_right_engine_agrees(engine: TapeEngine) -> None:
    """A hundred sessions of twenty calls find nothing, and thousands of numbers are compared."""
    records = list(sessions(engine, 100))
    assert [record.text for record in records if record.findings] == []
    assert {record.calls for record in records} == {20}
    assert sum(record.numbers for record in records) > 5_000


def test_calls_without_statements_are_never_drawn() -> None:
    """Such calls are listed with the missing statements; all other calls are made."""
    tape, rich = Tape(), Rich()
    lacking = unsupported(tape, TORCH)
    assert lacking["constant"] == "has no constant"
    assert lacking["trained"] == "has no optimizers"
    made = {name for record in sessions(tape, 60) for name, _ in record.script}
    assert made == CALLS.keys() - lacking.keys()
    more = CALLS.keys() - unsupported(rich, TORCH).keys()
    assert more > made
    assert {"constant", "detached", "copied", "in_a_mode", "backward_several", "trained", "dropped"} <= more


class Once(Rich):
    """An engine that frees the graph in the backward pass."""

    def back(self, result: Node, cotangent: np.ndarray) -> None:
        nodes = result.order()
        if any(node.passed for node in nodes):
            raise RuntimeError("the graph was passed before")
        super().back(result, cotangent)
        for node in nodes:
            node.passed = bool(node.pulls)


class Recursive(Tape):
    """An engine whose backward pass follows each path, by recursion."""

    def back(self, result: Node, cotangent: np.ndarray) -> None:
        if not result.pulls:
            self.receive(result, cotangent)
        for operand, pull in result.pulls:
            self.back(operand, summed(pull(cotangent), operand))


# fmt: off
LACKING = [
    # engine      lacks                      because
    (Once(),      "backward, a second time", "raised RuntimeError: the graph was passed before"),
    (Once(),      "twice",                   "raised RuntimeError: the graph was passed before"),
    (Recursive(), "diamond",                 "is a node visited once for each path to it"),
    (Recursive(), "chain",                   "raised RecursionError"),
]
# fmt: on


@pytest.mark.parametrize(("engine", "call", "why"), LACKING)
def test_calls_that_raise_in_a_trial_are_not_drawn(engine: Tape, call: str, why: str) -> None:
    """An engine without a second pass, or with recursive passes, is not wrong: it only lacks some calls."""
    assert why in unsupported(engine, TORCH)[call]
    records = list(sessions(engine, 40))
    assert [record.text for record in records if record.findings] == []
    assert call not in {name for record in records for name, _ in record.script}
    assert "backward(" in records[0].text


def test_single_precision_is_tested_only_if_supported() -> None:
    """An engine that converts everything to float64 is not wrong, and receives no float32."""

    class Double(Tape):
        def leaf(self, array: np.ndarray, name: str) -> Node:  # noqa: ARG002 - as above
            return Node(array.astype(np.float64))

    texts = "".join(record.text for record in sessions(Double(), 40))
    assert "float32" not in texts
    assert "float32" in "".join(record.text for record in sessions(Tape(), 40))


def test_an_engine_may_have_no_sessions() -> None:
    """An engine that declares no speaker has no sessions."""

    class Stateless(Tape):
        speaker = None  # type: ignore[assignment]

    with pytest.raises(ValueError, match=r"Tape 1\.0 has no sessions"):
        run_session(Seeded(0), Stateless(), TORCH)


def test_pytorch_itself_is_right() -> None:
    """PyTorch, the reference, can be judged as an engine and agrees with itself."""

    class Torch(TapeEngine):
        """PyTorch's eager mode."""

        def __init__(self) -> None:
            self.torch = TORCH.stateful()

            def applied(op: str) -> Callable[..., Any]:
                return lambda *operands, **options: self.torch.apply(op, list(map(self.value, operands)), options)

            super().__init__("PyTorch", {op: applied(op) for op in self.torch.ops})

        def value(self, x: Any) -> Any:
            return self.torch.leaf(x, wanted=False) if isinstance(x, np.ndarray) else x

        def leaf(self, array: np.ndarray, name: str) -> Any:  # noqa: ARG002 - as above
            return self.torch.leaf(array)

        def data(self, value: Any) -> np.ndarray:
            return self.torch.data(value)

        def back(self, result: Any, cotangent: np.ndarray) -> None:
            result.backward(self.torch.leaf(cotangent, wanted=False), retain_graph=True)

        def gradient(self, leaf: Any) -> np.ndarray | None:
            return self.torch.gradient(leaf)

        def zero(self, leaf: Any) -> None:
            self.torch.set_gradient(leaf, None)

    records = list(sessions(Torch(), 100))
    assert [record.text for record in records if record.findings] == []
    assert "logsumexp" not in "".join(record.text for record in records)


# Wrong, on purpose.


class DoubleOnRepeat(Tape):
    """A node's cotangent stays, and a second pass adds to it and propagates the sum."""

    def back(self, result: Node, cotangent: np.ndarray) -> None:
        result.grad = cotangent.copy() if result.grad is None else result.grad + cotangent
        for node in result.order():
            for operand, pull in node.pulls:
                assert node.grad is not None
                self.receive(operand, summed(pull(node.grad), operand))


class DoubleOnTwoPaths(Tape):
    """Depth first: whenever a cotangent arrives at a node, the whole sum so far is propagated again."""

    def back(self, result: Node, cotangent: np.ndarray) -> None:
        arrived: dict[int, np.ndarray] = {}
        waiting = [(result, cotangent)]
        while waiting:
            node, g = waiting.pop()
            total = arrived[id(node)] = arrived.get(id(node), 0.0 * g) + g
            waiting += [(operand, summed(pull(total), operand)) for operand, pull in node.pulls]
            if not node.pulls:
                self.receive(node, g)


class CotangentsMemory(Tape):
    """A gradient is the array that arrives, even if that is the user's cotangent."""

    def receive(self, leaf: Node, g: np.ndarray) -> None:
        leaf.grad = np.asarray(g if leaf.grad is None else leaf.grad + g)


class SharedBuffer(CotangentsMemory):
    """The cotangent is copied, but both operands of a sum get the same array."""

    def back(self, result: Node, cotangent: np.ndarray) -> None:
        super().back(result, cotangent.copy())


class LateRead(Tape):
    """The pullback of a product reads its operands' numbers when it is called, not those of the forward pass."""

    def multiply(self, a: Any, b: Any) -> Node:
        data = self.numbers(a) * self.numbers(b)
        return self.made(data, (a, lambda g: g * self.numbers(b)), (b, lambda g: g * self.numbers(a)))


class ZeroForgets(Tape):
    """Zeroing a gradient does nothing."""

    def zero(self, leaf: Node) -> None:
        del leaf


class UsersMemory(Tape):
    """An assigned array is not copied."""

    def write(self, leaf: Node, array: np.ndarray) -> None:
        leaf.data = array


class ModeLeft(Rich):
    """A mode that has been entered is never left."""

    @contextmanager
    def unrecorded(self) -> Iterator[None]:
        self.recording = False
        yield


class Circle(Rich):
    """A result refers to itself, so only the cyclic collector can free it."""

    def made(self, data: Any, *pulls: tuple[Any, Pull]) -> Node:
        node = super().made(data, *pulls)
        node.itself = node  # type: ignore[attr-defined]
        return node


class StepsUp(Rich):
    """An optimizer uses the first gradient's array as its momentum buffer, and writes into it."""

    class SGD(Rich.SGD):
        """Halve it, so that the write shows."""

        def step(self) -> None:
            for i, p in enumerate(self.leaves):
                if p.grad is not None:
                    self.sums.setdefault(i, p.grad)
                    self.sums[i] *= 0.5
            super().step()

    optimizers: ClassVar = {"SGD": SGD}


# fmt: off
WRONG: list[tuple[type[Tape], Kind, str]] = [
    # engine             kind                 words
    (DoubleOnRepeat,     Kind.GRADIENT,       r"grad\[\w\].* is .*, but PyTorch says"),
    (DoubleOnTwoPaths,   Kind.GRADIENT,       r"grad\[\w\].* is .*, but PyTorch says"),
    (CotangentsMemory,   Kind.ALIASED,        r"grad\[a\] shares its memory with n1"),
    (SharedBuffer,       Kind.ALIASED,        r"grad\[a\] shares its memory with grad\[b\]"),
    (LateRead,           Kind.GRADIENT,       r"grad\[\w\].* is .*, but PyTorch says"),
    (ZeroForgets,        Kind.MISSING,        r"grad\[\w\] is there, but must be missing"),
    (UsersMemory,        Kind.ALIASED,        r"value of a shares its memory with n1"),
    (ModeLeft,           Kind.MISSING,        r"grad\[\w\] is missing: no gradient arrived"),
    (Circle,             Kind.LEAK,           r"is still held, though no name and no graph refers to it"),
    (StepsUp,            Kind.ACCUMULATION,   r"grad\[\w\] changed, though no call changed it"),
]
# fmt: on


@pytest.mark.parametrize(("kind", "finding", "words"), WRONG, ids=[kind.__name__ for kind, _, _ in WRONG])
def test_a_wrong_engine_is_caught(kind: type[Tape], finding: Kind, words: str) -> None:
    """A hundred sessions catch each wrong engine, and the shrunk session is a few lines long."""
    engine = kind()
    wrong = next(record for record in sessions(engine, 100) if finding in {found.kind for found in record.findings})
    short = shrunk(wrong, engine, TORCH)
    assert short.findings[0].kind is finding
    assert re.search(words, short.text)
    assert len(short.script) <= 6


def test_the_text_is_in_a_notation_of_its_own() -> None:
    """The text lists leaves, ops by their names in the table, passes, and the finding."""
    script = tuple((name, ()) for name in ("leaf", "op", "backward", "backward"))
    record = replay(script, DoubleOnRepeat(), TORCH, careful=False)
    assert record.text.splitlines() == [
        "a = leaf(1.0)",
        "b = add(a, 1.0)",
        "backward(b)",
        "backward(b)",
        "# GRADIENT: grad[a] is 3.0, but PyTorch says 2.0",
    ]
