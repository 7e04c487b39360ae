"""What engines have in common that differentiate functions: an adapter of one small method."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import numpy as np

from reference.engines.protocol import Abilities, Noise, Outcome
from reference.ops import promoted
from reference.programs import LEAF, NUMBER, Program, Step

Function = Callable[..., Any]


class FunctionalEngine:
    """An engine to be plugged in: subclass it, and say how a function's vector-Jacobian product is taken.

    Operands of several dtypes are cast before they meet, as the op table has it: integers, booleans and Python numbers
    take the dtype of the floats.

    Args:
        name: what reports call it.
        functions: for each op that it knows, by the op table's name, the function `f(*operands, **options)`.
    """

    abilities = Abilities()

    def __init__(self, name: str, functions: Mapping[str, Function]) -> None:
        self.name = name
        self.functions = functions

    @property
    def ops(self) -> Sequence[str]:
        """The ops that it knows."""
        return tuple(self.functions)

    def vjp(self, function: Function, arrays: Sequence[Any], cotangent: Any) -> Sequence[Any]:
        """Differentiate a function of several arrays in the direction of a cotangent.

        Args:
            function: it gives one array. For a second derivative it takes one itself.
            arrays: where; read-only, or the engine's own where this is differentiated in its turn.
            cotangent: of the result's shape.

        Returns:
            The gradient towards each array, of its shape; None where the result does not depend on it.
        """
        raise NotImplementedError(f"{type(self).__name__} must define vjp")

    def cast(self, x: Any, dtype: np.dtype[Any]) -> Any:
        """Cast an array of the engine's own to another dtype."""
        return x.astype(dtype)

    def array(self, x: Any) -> np.ndarray:
        """Give what the engine computed as a NumPy array."""
        return np.asarray(x)

    def watch(self) -> AbstractContextManager[Any]:
        """Give the context that a program runs in. By default warnings are off: poles are met on purpose."""
        stack = ExitStack()
        stack.enter_context(np.errstate(all="ignore"))
        stack.enter_context(warnings.catch_warnings(action="ignore"))
        return stack

    def run(self, program: Program) -> Outcome:
        """Run a program. What the engine raises is part of the outcome."""
        steps: list[np.ndarray] = []
        leaves = [o.array for o in program.operands if o.kind == LEAF]
        held = tuple(a for o in program.operands if isinstance(a := o.array, np.ndarray))
        try:
            with self.watch():
                for value in self._values(program, leaves):
                    steps.append(self.array(value))  # noqa: PERF401 - those before an error count
                if program.cotangent is None:
                    return Outcome(tuple(steps), held=held)
                return self._back(program, leaves, tuple(steps), held)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever an engine raises is what it answers
            return Outcome(tuple(steps), held=held, error=error)

    def again(self, program: Program) -> Outcome:
        """Run a program once more."""
        return self.run(program)

    def _values(self, program: Program, leaves: Sequence[Any]) -> Any:
        """The value of each step, one after the other, for these leaves."""
        rest = iter(leaves)
        values = [next(rest) if o.kind == LEAF else o.array for o in program.operands]
        weak = [o.kind == NUMBER for o in program.operands]
        for step in program.steps:
            values.append(self._applied(step, values, weak))
            yield values[-1]

    def _applied(self, step: Step, values: Sequence[Any], weak: Sequence[bool]) -> Any:
        inputs = [values[i] for i in step.inputs]
        numbers = [i < len(weak) and weak[i] for i in step.inputs]
        dtype = promoted([np.empty(0, x.dtype) for x, w in zip(inputs, numbers, strict=True) if not w])
        cast = [
            np.asarray(x, dtype) if w or isinstance(x, np.ndarray) else x if x.dtype == dtype else self.cast(x, dtype)
            for x, w in zip(inputs, numbers, strict=True)
        ]
        return self.functions[step.op](*cast, **step.options)

    def _back(
        self, program: Program, leaves: Sequence[Any], steps: tuple[np.ndarray, ...], held: tuple[np.ndarray, ...]
    ) -> Outcome:
        cotangent = np.array(program.cotangent)
        cotangent.flags.writeable = False

        def function(*xs: Any) -> Any:
            *_, result = self._values(program, xs)
            return result

        def along(*xs: Any) -> Any:
            pairs = zip(self.vjp(function, xs, cotangent), program.directions, strict=True)
            return sum((g * d).sum() for g, d in pairs if g is not None)

        first = self._arrays(self.vjp(function, leaves, cotangent))
        second: tuple[Any, ...] = ()
        if program.directions and self.abilities.second_order:
            second = self._arrays(self.vjp(along, leaves, np.ones(())))
        return Outcome(steps, first, second, held=(*held, cotangent))

    def _arrays(self, gradients: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(None if g is None else self.array(g) for g in gradients)


class FunctionalReference(FunctionalEngine):
    """Such an engine that is believed. It can do nothing that a reference may be asked beyond values and gradients."""

    known: Mapping[str, str] = {}
    conventions: frozenset[str] = frozenset()

    def begin(self) -> None:
        """Nothing is to be made ready."""

    def run(
        self,
        program: Program,
        *,
        noise: Noise | None = None,
        precision: str | None = None,
        path: Sequence[Any] | None = None,
        inner: bool = False,
    ) -> Outcome:
        """Run a program. Nobody asks for more: its abilities say that it has no more."""
        if noise is not None or precision is not None or path is not None or inner:
            raise NotImplementedError(f"{self.name} runs programs as they are, and has no such ability")
        return super().run(program)
