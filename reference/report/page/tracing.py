"""Turns a user's function into a program: calls it with Values and reads the graph.

Results of plain NumPy inside the function become constants of the program.
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
from reference.report.page.loading import Function, describe_error

LARGEST = 60  # the most steps, so that a reader can follow
MOST = 1_000  # the most numbers of all operands, since the exact witness runs the program for each


class Untraceable(ValueError):  # noqa: N818 - it says what the function is
    """The function cannot be turned into a program; the message says why."""


def trace_function(function: Function, shapes: Sequence[tuple[int, ...]], seed: int) -> Program:
    """Call a function with Values of short random numbers, and turn its graph into a program.

    Args:
        function: takes a Value for each shape, and returns a Value.
        shapes: the shapes of its operands.
        seed: the seed of the operands and of the cotangent.

    Raises:
        Untraceable: the function does not accept this many Values, returns no Value, or uses an op without a row.
    """
    numbers = sum(map(math.prod, shapes))
    if numbers > MOST:
        raise Untraceable(
            f"its operands have {numbers:,} numbers, but at most {MOST:,} can be computed exactly in time"
        )
    if not all(map(math.prod, shapes)):
        raise Untraceable(f"one of the shapes {list(shapes)} is empty: there is nothing to step through")
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
            f"called with Values of shapes {list(shapes)}, it raised {describe_error(error, _file(function))}"
        ) from error
    if not isinstance(result, Value) or not result.requires_grad:
        raise Untraceable(f"it must return a Value that depends on its operands, but returned {_type_of(result)}")
    program = _Reader(leaves).program(result, _short(rng, result.shape))
    try:
        check_sizes(program)
    except TooLarge as error:
        raise Untraceable(str(error)) from None
    return program


def _file(function: Function) -> str:
    """Return the file of a function; empty if it is unknown."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return code.co_filename if code else ""


def _type_of(result: Any) -> str:
    return "a Value without a gradient" if isinstance(result, Value) else type(result).__name__


def _short(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Draw numbers that can be checked by hand: nonzero eighths."""
    whole = rng.integers(1, 17, shape) * rng.choice((-1, 1), shape)
    return np.asarray(whole / 8)


def _names(function: Function, number: int) -> Iterator[str]:
    """Return names for operands: those of the function's parameters, then x, y, z."""
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
        self._alive: list[Any] = list(leaves)  # keeps objects alive, since a place is found by an object's id

    def program(self, result: Value, cotangent: np.ndarray) -> Program:
        """Return the program that computes this Value."""
        nodes, _ = trace(result)
        if self._places.keys().isdisjoint(map(id, nodes)):
            raise Untraceable(
                "its result does not depend on its operands: does it compute with .data, or with other Values?"
            )
        steps = [node for node in nodes if node._rule is not None]  # noqa: SLF001 - it is needed to read a graph
        if not steps:
            raise Untraceable("it returns one of its operands: it must compute something")
        if len(steps) > LARGEST:
            raise Untraceable(f"it has {len(steps)} steps, but the page shows at most {LARGEST}")
        for step in steps:
            for operand in step._operands:  # noqa: SLF001
                self._read(operand)
        first = len(self._operands)
        numbers = {id(node): first + k for k, node in enumerate(steps)} | self._places
        step_list = (
            Step(*_table_spelling(node, inputs=[numbers[id(operand)] for operand in node._operands]))  # noqa: SLF001
            for node in steps
        )
        return Program(tuple(self._operands), tuple(step_list), cotangent)

    def _read(self, operand: Any) -> None:
        """Add a step's operand if it is a leaf or a constant, which the engine stores as an array or a number."""
        if not isinstance(operand, Value):
            number = isinstance(operand, (bool, int, float)) and not isinstance(operand, np.generic)
            self._add_operand(operand, np.asarray(operand), NUMBER if number else ARRAY)
        elif operand._rule is None:  # noqa: SLF001 - as above
            self._add_operand(operand, operand.data, LEAF if operand.requires_grad else ARRAY, operand.label)

    def _add_operand(self, thing: Any, data: np.ndarray, kind: str, label: str = "") -> None:
        if id(thing) not in self._places:
            self._places[id(thing)] = len(self._operands)
            self._alive.append(thing)
            names = {operand.name for operand in self._operands}
            preferred = [label] if label and label not in names else []
            name = next(name for name in (*preferred, *_constants()) if name not in names)
            self._operands.append(Operand(name, data, kind))


def _constants() -> Iterator[str]:
    return (f"k{i}" for i in range(10_000))


def _table_spelling(node: Value, inputs: Sequence[int]) -> tuple[str, tuple[int, ...], Mapping[str, Any]]:
    """Return the op, its inputs and its options in the spelling of the op table, which differs from the engine's."""
    name = node._rule.__name__ if node._rule else ""  # noqa: SLF001 - a graph is read by it
    if name not in OPS:
        raise Untraceable(f"it uses {name}, which has no row in the op table")
    options = {key: option for key, option in node._options.items() if key != "residual"}  # noqa: SLF001
    if name == "astype":
        options["dtype"] = str(options["dtype"])
    if name == "pad":
        options["pad_width"] = options["pad_width"] or 0  # for operands of shape ()
    if name == "split":  # a piece is a slice
        around = (slice(None),) * (options["axis"] % node.ndim)
        name, options = "getitem", {"index": (*around, slice(options["start"], options["stop"]))}
    return name, tuple(inputs), options
