"""An adapter for engines whose values record how they were computed. An engine defines four small methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from reference.engines.protocol import Abilities, Outcome
from reference.engines.speaker import Speaker
from reference.programs import LEAF, Program


class TapeEngine:
    """Base class of engines that define how to make a leaf, run a backward pass, and read numbers and gradients.

    Such an engine is also tested in sessions: sequences of calls on shared state. With more of the methods in
    `reference.engines.stateful`, sessions have more kinds of calls.

    Args:
        name: its name in reports.
        functions: the function `f(*operands, **options)` of each supported op, by the op table's name.
    """

    abilities = Abilities()

    def __init__(self, name: str, functions: Mapping[str, Callable[..., Any]]) -> None:
        self.name = name
        self.functions = functions

    @property
    def ops(self) -> Sequence[str]:
        """The names of the supported ops."""
        return tuple(self.functions)

    def leaf(self, array: np.ndarray, name: str) -> Any:
        """Make a value that requires a gradient. The array is read-only."""
        raise NotImplementedError(f"{type(self).__name__} must define leaf")

    def data(self, value: Any) -> np.ndarray:
        """Return a value's numbers as an array."""
        raise NotImplementedError(f"{type(self).__name__} must define data")

    def back(self, result: Any, cotangent: np.ndarray) -> None:
        """Run a backward pass from the result. The cotangent has its shape, and is read-only."""
        raise NotImplementedError(f"{type(self).__name__} must define back")

    def gradient(self, leaf: Any) -> np.ndarray | None:
        """Return a leaf's gradient, or None."""
        raise NotImplementedError(f"{type(self).__name__} must define gradient")

    def inner_gradient(self, value: Any) -> np.ndarray | None:
        """Return the gradient of a step's value, if the engine gives it; by default None."""
        del value
        return None

    def speaker(self) -> Speaker:
        """Return the engine's interface for sessions. Set it to None if no state lasts from one pass to the next."""
        return Speaker(self)

    def watch(self) -> AbstractContextManager[Any]:
        """Return the context in which a program runs. By default NumPy's warnings are off: programs meet poles."""
        return np.errstate(all="ignore")

    def once_more(self, program: Program, result: Any, leaves: Sequence[Any], outcome: Outcome) -> Outcome:
        """Do more with a graph after its first backward pass, and return the outcome; by default unchanged."""
        del program, result, leaves
        return outcome

    def run(self, program: Program) -> Outcome:
        """Run a program. The outcome holds an error that the engine raises."""
        arrays = [o.array for o in program.operands]
        held = tuple(a for a in arrays if isinstance(a, np.ndarray))
        steps: list[np.ndarray] = []
        try:
            with self.watch():
                values: list[Any] = [
                    self.leaf(array, operand.name) if operand.kind == LEAF else array
                    for array, operand in zip(arrays, program.operands, strict=True)
                ]
                leaves = [v for v, o in zip(values, program.operands, strict=True) if o.kind == LEAF]
                for step in program.steps:
                    values.append(self.functions[step.op](*(values[i] for i in step.inputs), **step.options))
                    steps.append(self.data(values[-1]))
                if program.cotangent is None:
                    return Outcome(tuple(steps), held=held)
                return self._back(program, values, leaves, tuple(steps), held)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - any error is the engine's answer
            return Outcome(tuple(steps), held=held, error=error)

    def again(self, program: Program) -> Outcome:
        """Run a program again, to check that the answer is the same. It may leave out checks of the first run."""
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
