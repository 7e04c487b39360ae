"""A user's function as a program: it is called with Values, and the graph that it leaves is read.

What the function computes in plain NumPy it computes once, and it stands in the program as a constant.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ndgrad import Value
from ndgrad.graph import trace
from reference.engines.torch.sizes import TooLarge, check_sizes
from reference.ops import OPS
from reference.programs import ARRAY, LEAF, NUMBER, Operand, Program, Step, operand_names
from reference.report.page.loading import Function, described

LARGEST = 60  # steps that a reader goes through
MOST = 1_000  # numbers of all operands, which the exact witness goes through again and again


class Untraceable(ValueError):  # noqa: N818 - it says what the function is
    """A function that no program can be made of, and why."""


def traced(function: Function, shapes: Sequence[tuple[int, ...]], seed: int) -> Program:
    """Call a function with Values of short random numbers, and make a program of what it did.

    Args:
        function: takes a Value for each shape, and gives a Value.
        shapes: of its operands.
        seed: what their numbers, and those of the cotangent, are drawn from.

    Raises:
        Untraceable: the function does not take so many Values, gives none, or does what the op table has no row for.
    """
    numbers = sum(map(math.prod, shapes))
    if numbers > MOST:
        raise Untraceable(
            f"its operands have {numbers:,} numbers, but at most {MOST:,} can be worked out exactly in time"
        )
    if not all(map(math.prod, shapes)):
        raise Untraceable(f"of the shapes {list(shapes)} one has no numbers: there is nothing to step through")
    rng = np.random.default_rng(seed)
    leaves = [
        Value(_short(rng, shape), name) for shape, name in zip(shapes, _names(function, len(shapes)), strict=True)
    ]
    try:
        result = function(*leaves)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise Untraceable(
            f"called with Values of shapes {list(shapes)}, it raised {described(error, _file(function))}"
        ) from error
    if not isinstance(result, Value) or not result.requires_grad:
        raise Untraceable(f"it must give a Value made of its operands, but gave {_given(result)}")
    program = _Reader(leaves).program(result, _short(rng, result.shape))
    try:
        check_sizes(program)
    except TooLarge as error:
        raise Untraceable(str(error)) from None
    return program


def _file(function: Function) -> str:
    """Where a function was written, as far as it is known."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return code.co_filename if code else ""


def _given(result: Any) -> str:
    return "a Value without a gradient" if isinstance(result, Value) else type(result).__name__


def _short(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers that can be redone by hand: eighths, none of them 0."""
    whole = rng.integers(1, 17, shape) * rng.choice((-1, 1), shape)
    return np.asarray(whole / 8)


def _names(function: Function, number: int) -> Iterator[str]:
    """The names of the function's parameters; as far as it has none, x, y, z."""
    try:
        parameters = [
            p.name for p in inspect.signature(function).parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD
        ]
    except (TypeError, ValueError):
        parameters = []
    others = (name for name in operand_names() if name not in parameters)
    return (parameters[i] if i < len(parameters) else next(others) for i in range(number))


class _Reader:
    """Reads the graph of a Value."""

    def __init__(self, leaves: Sequence[Value]) -> None:
        self._operands = [Operand(leaf.label, leaf.data, LEAF) for leaf in leaves]
        self._places = {id(leaf): i for i, leaf in enumerate(leaves)}
        self._held: list[Any] = list(leaves)  # a place is an id, which a dead object would leave to another

    def program(self, result: Value, cotangent: np.ndarray) -> Program:
        """The program that ends in this Value."""
        nodes, _ = trace(result)
        if self._places.keys().isdisjoint(map(id, nodes)):
            raise Untraceable(
                "its result does not depend on its operands: does it compute with .data, or with other Values?"
            )
        steps = [node for node in nodes if node._rule is not None]  # noqa: SLF001 - a graph is read by it
        if not steps:
            raise Untraceable("it gives one of its operands back: it must compute something")
        if len(steps) > LARGEST:
            raise Untraceable(f"it makes {len(steps)} steps, but nobody steps through more than {LARGEST}")
        for step in steps:
            for operand in step._operands:  # noqa: SLF001
                self._read(operand)
        first = len(self._operands)
        numbers = {id(node): first + k for k, node in enumerate(steps)} | self._places
        made = (
            Step(*_spelled(node, inputs=[numbers[id(operand)] for operand in node._operands]))  # noqa: SLF001
            for node in steps
        )
        return Program(tuple(self._operands), tuple(made), cotangent)

    def _read(self, operand: Any) -> None:
        """Take down what a step brings along: leaves, and constants, which the engine keeps as arrays and numbers."""
        if not isinstance(operand, Value):
            number = isinstance(operand, (bool, int, float)) and not isinstance(operand, np.generic)
            self._take(operand, np.asarray(operand), NUMBER if number else ARRAY)
        elif operand._rule is None:  # noqa: SLF001 - as above
            self._take(operand, operand.data, LEAF if operand.requires_grad else ARRAY, operand.label)

    def _take(self, thing: Any, data: np.ndarray, kind: str, label: str = "") -> None:
        if id(thing) not in self._places:
            self._places[id(thing)] = len(self._operands)
            self._held.append(thing)
            taken = {operand.name for operand in self._operands}
            wanted = [label] if label and label not in taken else []
            name = next(name for name in (*wanted, *_constants()) if name not in taken)
            self._operands.append(Operand(name, data, kind))


def _constants() -> Iterator[str]:
    return (f"k{i}" for i in range(10_000))


def _spelled(node: Value, inputs: Sequence[int]) -> tuple[str, tuple[int, ...], Mapping[str, Any]]:
    """The op, its inputs and its options, as the op table spells them: what the engine keeps is a little different."""
    name = node._rule.__name__ if node._rule else ""  # noqa: SLF001 - a graph is read by it
    if name not in OPS:
        raise Untraceable(f"it uses {name}, which the op table has no row for")
    options = {key: option for key, option in node._options.items() if key != "residual"}  # noqa: SLF001
    if name == "astype":
        options["dtype"] = str(options["dtype"])
    if name == "pad":
        options["pad_width"] = options["pad_width"] or 0  # of what has no axes
    if name == "split":  # a piece is a slice
        around = (slice(None),) * (options["axis"] % node.ndim)
        name, options = "getitem", {"index": (*around, slice(options["start"], options["stop"]))}
    return name, tuple(inputs), options
