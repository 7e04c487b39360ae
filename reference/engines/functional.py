"""An adapter for engines that differentiate functions. An engine defines one method, `vjp`."""

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
    """Base class of engines that define a function's vector-Jacobian product.

    Operands of different dtypes are cast before each op, as the op table defines it: integers, booleans and Python
    numbers take the dtype of the floats.

    Args:
        name: its name in reports.
        functions: the function `f(*operands, **options)` of each supported op, by the op table's name.
    """

    abilities = Abilities()

    def __init__(self, name: str, functions: Mapping[str, Function]) -> None:
        self.name = name
        self.functions = functions

    @property
    def ops(self) -> Sequence[str]:
        """The names of the supported ops."""
        return tuple(self.functions)

    def vjp(self, function: Function, arrays: Sequence[Any], cotangent: Any) -> Sequence[Any]:
        """Compute the vector-Jacobian product of a function of several arrays.

        Args:
            function: returns one array. For a second derivative, it calls `vjp` itself.
            arrays: the arguments; read-only, or the engine's own arrays in a second derivative.
            cotangent: the cotangent of the result, of its shape.

        Returns:
            The gradient of each array, of its shape; None if the result does not depend on it.
        """
        raise NotImplementedError(f"{type(self).__name__} must define vjp")

    def cast(self, x: Any, dtype: np.dtype[Any]) -> Any:
        """Cast one of the engine's own arrays to another dtype."""
        return x.astype(dtype)

    def array(self, x: Any) -> np.ndarray:
        """Convert one of the engine's arrays to a NumPy array."""
        return np.asarray(x)

    def watch(self) -> AbstractContextManager[Any]:
        """Return the context in which a program runs. By default warnings are off: programs meet poles on purpose."""
        stack = ExitStack()
        stack.enter_context(np.errstate(all="ignore"))
        stack.enter_context(warnings.catch_warnings(action="ignore"))
        return stack

    def run(self, program: Program) -> Outcome:
        """Run a program. The outcome holds an error that the engine raises."""
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
        except (Exception, SystemExit) as error:  # noqa: BLE001 - any error is the engine's answer
            return Outcome(tuple(steps), held=held, error=error)

    def again(self, program: Program) -> Outcome:
        """Run a program again."""
        return self.run(program)

    def _values(self, program: Program, leaves: Sequence[Any]) -> Any:
        """Give the value of each step in order, for these leaves."""
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
    """A functional engine as a reference. It has no abilities beyond values and gradients."""

    known: Mapping[str, str] = {}
    conventions: frozenset[str] = frozenset()

    def begin(self) -> None:
        """Do nothing: no preparation is needed."""

    def run(
        self,
        program: Program,
        *,
        noise: Noise | None = None,
        precision: str | None = None,
        path: Sequence[Any] | None = None,
        inner: bool = False,
    ) -> Outcome:
        """Run a program. The other arguments need abilities that it lacks."""
        if noise is not None or precision is not None or path is not None or inner:
            raise NotImplementedError(f"{self.name} has no abilities beyond values and gradients")
        return super().run(program)
