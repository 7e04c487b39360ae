"""The interface between sessions and engines: an engine's lines, the names in them, and how to read its values.

All `Stateful` engines share one notation: `a = leaf([1.0, 2.0])`, `b = multiply(a, a)`, `backward(b)`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from reference.engines.lines import COMMON, OPTIMIZERS, Lines, Optimizer, Write
from reference.engines.stateful import State, Stateful
from reference.ops import OPS, Op

Statement: TypeAlias = Callable[..., Any]

# fmt: off
WRITES = (
    #     a line                                            its effect on numbers and gradient
    Write("write({0}, data({0}) - 0.125 * gradient({0}))",  lambda x, g: x - 0.125 * g),
    Write("write({0}, data({0}) + 0.25)",                   lambda x, g: x + 0.25),  # noqa: ARG005
    Write("write({0}, data({0}) * 0.5)",                    lambda x, g: x * 0.5),   # noqa: ARG005
)
_UNRECORDED = (("with unrecorded():\n    {line}", False), ("with unrecorded():\n    pass\n{line}", True))
# Statements for engines that have a method or an attribute of this name.
_OPTIONAL: Mapping[str, Mapping[str, Any]] = {
    "constant":     {"constant": "{name} = constant({given})"},
    "zero":         {"zero": "zero({name})"},
    "set_gradient": {"assigned_gradient": "set_gradient({name}, {given})"},
    "write":        {"assigned": "write({name}, {given})", "assigned_in_place": True, "writes": WRITES},
    "back_several": {"several": "backward_several([{roots}], [{given}])"},
    "detach":       {"detached": "{name} = detach({base})"},
    "copy":         {"copies": ("copy({base})",)},
    "unrecorded":   {"modes": _UNRECORDED},
    "frees":        {"dropped": "del {names}"},
    "optimizers":   {"step": "{name}.step()", "optimizer_zero": "{name}.zero_grad()",
                     "hyperparameter": "{name}.{option} = {number}", "saved": "{name}.state_dict()",
                     "loaded": "{name}.load_state_dict({saved})"},
}
# Statements for engines that have these ops.
_ONE_LESS = "{name} = {base}\nfor _ in range({times} - 1):\n    "
_TIMES = "{name} = {base}\nfor _ in range({times}):\n    "
_OF_OPS: Mapping[tuple[str, ...], Mapping[str, str]] = {
    ("add",):                 {"summed":   _ONE_LESS + "{name} = add({name}, {base})",
                               "joined":   "{name} = add({base}, {other})"},
    ("add", "subtract"):      {"chain":    _TIMES + "{name} = subtract(add({name}, 1.0), 1.0)"},
    ("add", "multiply"):      {"diamonds": _TIMES + "{name} = multiply({name}, 0.5)\n    {name} = add({name}, {name})"},
    ("multiply", "subtract"): {"halved":   "{name} = subtract(multiply({base}, 0.5), {other})"},
}
# fmt: on


def method_of(statement: str) -> str:
    """Return the method or attribute that a statement needs; the statement's own name if it needs none."""
    return next((method for method, statements in _OPTIONAL.items() if statement in statements), statement)


class Speaker:
    """The interface of an engine that is used through its methods.

    Args:
        engine: the engine.

    Attributes:
        declares: whether the engine declares that it supports all its lines. For other engines, calls that raise in a
            trial are left out.
        shows_inner: whether values that are not leaves have the gradient of the latest backward pass.
        adds_exactly: whether a pass adds its whole gradient to a leaf at once, so that two passes give exactly twice
            as much.
        none_or_zeros: whether a missing gradient may be zeros in place of None.
        refuses: the error that it raises instead of reading overwritten numbers.
        header: the first lines of each session.
    """

    declares = False
    shows_inner = False
    adds_exactly = False
    none_or_zeros = True
    refuses: type[Exception] = Exception
    header = ""

    def __init__(self, engine: Stateful) -> None:
        self.engine = engine
        self._optional: Any = engine  # the same engine, typed for optional methods

    @property
    def ops(self) -> Sequence[str]:
        """The supported ops, except those at whose kinks any subgradient is accepted."""
        return tuple(name for name in self.engine.functions if name in OPS and _is_settled(OPS[name]))

    @cached_property
    def lines(self) -> Lines:
        """The engine's statements."""
        supported: dict[str, Any] = {}
        for name, statements in _OPTIONAL.items():
            supported |= statements if getattr(self.engine, name, None) else {}
        for ops, statements in _OF_OPS.items():
            supported |= statements if set(ops) <= self.engine.functions.keys() else {}
        if "step" in supported:
            supported["optimizers"] = tuple(self._known_optimizers())
        return self._in_single(Lines(leaf="{name} = leaf({given})", backward="backward({root}{then})", **supported))

    def _known_optimizers(self) -> list[Optimizer]:
        """Return the kinds of optimizers that the engine has, with the options that it supports."""
        kinds: Mapping[str, Any] = getattr(self.engine, "optimizers", {})
        known = {name: inspect.signature(kind).parameters for name, kind in kinds.items()}
        return [
            replace(row, sometimes={n: c for n, c in row.sometimes.items() if n in known[row.name]})
            for row in (row.with_options(COMMON) for row in OPTIMIZERS)
            if row.name in known and row.always.keys() <= known[row.name].keys()
        ]

    def _in_single(self, lines: Lines) -> Lines:
        """Add leaves in single precision, if the engine keeps this dtype."""
        with suppress(Exception):
            if self.data(self._leaf(np.ones(1, np.float32))).dtype == np.float32:
                return replace(lines, leaf_dtypes=(*["float64"] * 7, "float32"), arrays=("array", "float32"))
        return lines

    def ways(self, op: Op) -> tuple[str, ...]:
        """Return the ways to write an op: its operands by position, and its options by name."""
        return (f"{op.name}({{operands}}, {{options}})" if op.inputs.options else f"{op.name}({{operands}})",)

    def space(self) -> dict[str, Any]:
        """Return the names that a session's lines may use, and reset the engine for a new session."""
        getattr(self.engine, "fresh", lambda: None)()
        own = {name: method for name in _OPTIONAL if callable(method := getattr(self.engine, name, None))}
        statements: dict[str, Statement] = {
            "leaf": self._leaf,
            "constant": self._constant,
            "backward": self._backward,
            "backward_several": self._backward_several,
            "data": self.engine.data,
            "gradient": self._gradient_or_zeros,
            "set_gradient": self._set_gradient,
            "write": self._write,
        }
        kinds: Mapping[str, Any] = getattr(self.engine, "optimizers", {})
        return {"np": np, "suppress": suppress, **self.engine.functions, **own, **statements, **kinds}

    # Statements.

    def _leaf(self, x: Any) -> Any:
        return self.engine.leaf(_read_only(x), "x")

    def _constant(self, x: Any) -> Any:
        return self._optional.constant(_read_only(x))

    def _backward(self, root: Any, cotangent: Any = None) -> None:
        self.engine.back(root, self._like(root, cotangent))

    def _backward_several(self, roots: Sequence[Any], cotangents: Sequence[Any]) -> None:
        arrays = [self._like(root, g) for root, g in zip(roots, cotangents, strict=True)]
        self._optional.back_several(roots, arrays)

    def _like(self, value: Any, x: Any) -> np.ndarray:
        """Make a read-only array of a value's shape and dtype: ones by default, and a view if possible."""
        data = self.engine.data(value)
        array = np.asarray(1.0 if x is None else x, data.dtype)
        view = array.view() if array.shape == data.shape else np.full(data.shape, array)
        view.flags.writeable = False
        return view

    def _set_gradient(self, leaf: Any, x: Any) -> None:
        self._optional.set_gradient(leaf, self._like(leaf, x))

    def _write(self, leaf: Any, x: Any) -> None:
        self._optional.write(leaf, self._like(leaf, x))

    def _gradient_or_zeros(self, leaf: Any) -> np.ndarray:
        gradient = self.engine.gradient(leaf)
        return np.zeros_like(self.engine.data(leaf)) if gradient is None else gradient

    # Reading.

    def is_value(self, x: Any) -> bool:
        """Whether an object is a value of the engine."""
        del x
        return True

    def data(self, value: Any) -> np.ndarray:
        """Return a value's numbers."""
        return self.engine.data(value)

    def gradient(self, value: Any) -> np.ndarray | None:
        """Return a value's gradient; None if it is missing."""
        return self.engine.gradient(value)

    def wants(self, value: Any) -> bool | None:
        """Whether a value requires a gradient; None if the engine does not tell."""
        del value
        return None

    def remembers(self, value: Any) -> bool:
        """Whether a value refers to its operands, as far as the engine tells."""
        del value
        return False

    def is_recording(self) -> bool:
        """Whether results join the graph, as far as the engine tells."""
        return True

    def may_write(self, value: Any, *, is_result: bool) -> bool:
        """Whether a user may write into a value's numbers: here only into those of leaves and constants."""
        del value
        return not is_result

    def may_assign(self, *, is_result: bool) -> bool:
        """Whether a user may assign a value's numbers."""
        return not is_result

    def owns(self, data: np.ndarray, *, is_result: bool) -> bool:
        """Whether an array must not share its memory with another one. Results may be views."""
        del data
        return not is_result

    def moved(self, optimizer: Any) -> Sequence[Any] | None:
        """Return the values that an optimizer updates; None if the engine does not tell."""
        del optimizer
        return None

    def states(self, optimizer: Any) -> Sequence[State]:
        """Return an optimizer's state of each value; empty if the engine does not tell."""
        del optimizer
        return ()


def _is_settled(op: Op) -> bool:
    return op.kink is None or op.kink.settled


def _read_only(x: Any) -> np.ndarray:
    """Return a read-only copy of numbers as floats."""
    array = np.array(x)
    array = array if array.dtype.kind == "f" else array.astype(np.float64)
    array.flags.writeable = False
    return array
