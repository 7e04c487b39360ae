"""How sessions speak to an engine: what its lines are, the names that they know, and what is read of its values.

Any engine that is `Stateful` is spoken to in one notation: `a = leaf([1.0, 2.0])`, `b = multiply(a, a)`, `backward(b)`.
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
    #     a line                                            the same of numbers and gradient
    Write("write({0}, data({0}) - 0.125 * gradient({0}))",  lambda x, g: x - 0.125 * g),
    Write("write({0}, data({0}) + 0.25)",                   lambda x, g: x + 0.25),  # noqa: ARG005
    Write("write({0}, data({0}) * 0.5)",                    lambda x, g: x * 0.5),   # noqa: ARG005
)
_UNRECORDED = (("with unrecorded():\n    {line}", False), ("with unrecorded():\n    pass\n{line}", True))
# What is written only for an engine that has a method or an attribute of this name.
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
# And only for one that has these ops.
_LESS_OFTEN = "{name} = {base}\nfor _ in range({times} - 1):\n    "
_AGAIN = "{name} = {base}\nfor _ in range({times}):\n    "
_OF_OPS: Mapping[tuple[str, ...], Mapping[str, str]] = {
    ("add",):                 {"summed":   _LESS_OFTEN + "{name} = add({name}, {base})",
                               "joined":   "{name} = add({base}, {other})"},
    ("add", "subtract"):      {"chain":    _AGAIN + "{name} = subtract(add({name}, 1.0), 1.0)"},
    ("add", "multiply"):      {"diamonds": _AGAIN + "{name} = multiply({name}, 0.5)\n    {name} = add({name}, {name})"},
    ("multiply", "subtract"): {"halved":   "{name} = subtract(multiply({base}, 0.5), {other})"},
}
# fmt: on


class Speaker:
    """An engine in a session, by its methods.

    Args:
        engine: the engine.

    Attributes:
        declares: whether the engine says that it has all that its lines need. Of another, calls that raise in a trial
            are left out.
        shows_inner: whether values that are no leaves show the gradient of the latest pass.
        adds_exactly: whether what a pass brings to a leaf is added at once: two bring twice as much, to the bit.
        none_or_zeros: whether a gradient that is missing may read as zeros.
        refuses: what it raises instead of reading numbers that were overwritten.
        header: what its lines begin with.
    """

    declares = False
    shows_inner = False
    adds_exactly = False
    none_or_zeros = True
    refuses: type[Exception] = Exception
    header = ""

    def __init__(self, engine: Stateful) -> None:
        self.engine = engine
        self._optional: Any = engine  # the same, for methods that it may have

    @property
    def ops(self) -> Sequence[str]:
        """The ops that it knows, but for those at whose kinks it may take any slope."""
        return tuple(name for name in self.engine.functions if name in OPS and _is_settled(OPS[name]))

    @cached_property
    def lines(self) -> Lines:
        """What it can be told."""
        said: dict[str, Any] = {}
        for name, statements in _OPTIONAL.items():
            said |= statements if getattr(self.engine, name, None) else {}
        for ops, statements in _OF_OPS.items():
            said |= statements if set(ops) <= self.engine.functions.keys() else {}
        if "step" in said:
            said["optimizers"] = tuple(self._known_optimizers())
        return self._in_single(Lines(leaf="{name} = leaf({given})", backward="backward({root}{then})", **said))

    def _known_optimizers(self) -> list[Optimizer]:
        """The kinds that the engine has, with the options that it has."""
        kinds: Mapping[str, Any] = getattr(self.engine, "optimizers", {})
        known = {name: inspect.signature(kind).parameters for name, kind in kinds.items()}
        return [
            replace(row, sometimes={n: c for n, c in row.sometimes.items() if n in known[row.name]})
            for row in (row.with_options(COMMON) for row in OPTIMIZERS)
            if row.name in known and row.always.keys() <= known[row.name].keys()
        ]

    def _in_single(self, lines: Lines) -> Lines:
        """The same with leaves in single precision, if the engine leaves such an array in it."""
        with suppress(Exception):
            if self.data(self._leaf(np.ones(1, np.float32))).dtype == np.float32:
                return replace(lines, leaf_dtypes=(*["float64"] * 7, "float32"), arrays=("array", "float32"))
        return lines

    def ways(self, op: Op) -> tuple[str, ...]:
        """How an op may be written: its operands by position, and its options by name."""
        return (f"{op.name}({{operands}}, {{options}})" if op.inputs.options else f"{op.name}({{operands}})",)

    def space(self) -> dict[str, Any]:
        """The names that lines know at first. An engine with something to forget forgets it now."""
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
        given = [self._like(root, g) for root, g in zip(roots, cotangents, strict=True)]
        self._optional.back_several(roots, given)

    def _like(self, value: Any, x: Any) -> np.ndarray:
        """An array in a value's shape and dtype, read-only: ones by default, and a view where that will do."""
        data = self.engine.data(value)
        given = np.asarray(1.0 if x is None else x, data.dtype)
        view = given.view() if given.shape == data.shape else np.full(data.shape, given)
        view.flags.writeable = False
        return view

    def _set_gradient(self, leaf: Any, x: Any) -> None:
        self._optional.set_gradient(leaf, self._like(leaf, x))

    def _write(self, leaf: Any, x: Any) -> None:
        self._optional.write(leaf, self._like(leaf, x))

    def _gradient_or_zeros(self, leaf: Any) -> np.ndarray:
        gradient = self.engine.gradient(leaf)
        return np.zeros_like(self.engine.data(leaf)) if gradient is None else gradient

    # What is read.

    def is_value(self, x: Any) -> bool:
        """Whether an object is a value of the engine."""
        del x
        return True

    def data(self, value: Any) -> np.ndarray:
        """Give a value's numbers."""
        return self.engine.data(value)

    def gradient(self, value: Any) -> np.ndarray | None:
        """Give a value's gradient; None if it is missing."""
        return self.engine.gradient(value)

    def wants(self, value: Any) -> bool | None:
        """Whether a value wants a gradient; None if the engine does not say."""
        del value
        return None

    def remembers(self, value: Any) -> bool:
        """Whether a value holds on to what it was made of, as far as the engine shows it."""
        del value
        return False

    def is_recording(self) -> bool:
        """Whether results join the graph, as far as the engine shows it."""
        return True

    def may_write(self, value: Any, *, is_result: bool) -> bool:
        """Whether a user may write into a value's numbers: here into those of leaves and constants alone."""
        del value
        return not is_result

    def may_assign(self, *, is_result: bool) -> bool:
        """Whether a user may assign a value's numbers."""
        return not is_result

    def owns(self, data: np.ndarray, *, is_result: bool) -> bool:
        """Whether an array of numbers must share its memory with no other. Results may be views."""
        del data
        return not is_result

    def moved(self, optimizer: Any) -> Sequence[Any] | None:
        """Give the values that an optimizer moves; None if the engine does not show them."""
        del optimizer
        return None

    def states(self, optimizer: Any) -> Sequence[State]:
        """Give what an optimizer keeps of each value; empty if the engine does not show it."""
        del optimizer
        return ()


def _is_settled(op: Op) -> bool:
    return op.kink is None or op.kink.settled


def _read_only(x: Any) -> np.ndarray:
    """A copy of numbers, floats all, that nobody writes into."""
    array = np.array(x)
    array = array if array.dtype.kind == "f" else array.astype(np.float64)
    array.flags.writeable = False
    return array
