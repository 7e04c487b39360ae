"""What engines have in common whose values remember how they were made: an adapter of four small methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from reference.engines.protocol import Abilities, Outcome
from reference.engines.speaker import Speaker
from reference.programs import LEAF, Program


class TapeEngine:
    """An engine to be plugged in: subclass it, and say how to make a leaf, pass back, and read what came of it.

    It gets sessions, too: calls on shared state. With more methods, as `reference.engines.stateful` has them, they
    have more calls.

    Args:
        name: what reports call it.
        functions: for each op that it knows, by the op table's name, the function `f(*operands, **options)`.
    """

    abilities = Abilities()

    def __init__(self, name: str, functions: Mapping[str, Callable[..., Any]]) -> None:
        self.name = name
        self.functions = functions

    @property
    def ops(self) -> Sequence[str]:
        """The ops that it knows."""
        return tuple(self.functions)

    def leaf(self, array: np.ndarray, name: str) -> Any:
        """Make a value that wants a gradient. The array is read-only."""
        raise NotImplementedError(f"{type(self).__name__} must define leaf")

    def data(self, value: Any) -> np.ndarray:
        """Give a value's numbers as an array."""
        raise NotImplementedError(f"{type(self).__name__} must define data")

    def back(self, result: Any, cotangent: np.ndarray) -> None:
        """Pass back from the result. The cotangent has its shape, and is read-only."""
        raise NotImplementedError(f"{type(self).__name__} must define back")

    def gradient(self, leaf: Any) -> np.ndarray | None:
        """Give a leaf's gradient; None if none has arrived."""
        raise NotImplementedError(f"{type(self).__name__} must define gradient")

    def inner_gradient(self, value: Any) -> np.ndarray | None:
        """Give the gradient of a step's value, where the engine shows it; by default it does not."""
        del value
        return None

    def speaker(self) -> Speaker:
        """Give what sessions speak to the engine by. Set it to None where nothing lasts from one pass to the next."""
        return Speaker(self)

    def watch(self) -> AbstractContextManager[Any]:
        """Give the context that a program runs in. By default NumPy's warnings are off: poles are met on purpose."""
        return np.errstate(all="ignore")

    def once_more(self, program: Program, result: Any, leaves: Sequence[Any], outcome: Outcome) -> Outcome:
        """What else the engine can do with a graph that it has passed once; by default nothing."""
        del program, result, leaves
        return outcome

    def run(self, program: Program) -> Outcome:
        """Run a program. What the engine raises is part of the outcome."""
        given = [o.array for o in program.operands]
        held = tuple(a for a in given if isinstance(a, np.ndarray))
        steps: list[np.ndarray] = []
        try:
            with self.watch():
                values: list[Any] = [
                    self.leaf(array, operand.name) if operand.kind == LEAF else array
                    for array, operand in zip(given, program.operands, strict=True)
                ]
                leaves = [v for v, o in zip(values, program.operands, strict=True) if o.kind == LEAF]
                for step in program.steps:
                    values.append(self.functions[step.op](*(values[i] for i in step.inputs), **step.options))
                    steps.append(self.data(values[-1]))
                if program.cotangent is None:
                    return Outcome(tuple(steps), held=held)
                return self._back(program, values, leaves, tuple(steps), held)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever an engine raises is what it answers
            return Outcome(tuple(steps), held=held, error=error)

    def again(self, program: Program) -> Outcome:
        """Run a program once more, to see that it answers the same. What only the first run is asked for may go."""
        return self.run(program)

    def _back(
        self, program: Program, values: list[Any], leaves: Sequence[Any], steps: tuple[Any, ...], held: tuple[Any, ...]
    ) -> Outcome:
        result = values[-1]
        cotangent = np.array(program.cotangent)
        cotangent.flags.writeable = False
        self.back(result, cotangent)
        gradients = tuple(map(self.gradient, leaves))
        inner = tuple(map(self.inner_gradient, values[len(program.operands) :]))
        outcome = Outcome(steps, gradients, inner=inner, held=(*held, cotangent))
        return self.once_more(program, result, leaves, outcome)
