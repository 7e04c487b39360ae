"""ndgrad behind the engine protocol. Each op is spelled as users spell it: operator, NumPy function or ndgrad's own."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

import ndgrad
from ndgrad import Value
from ndgrad.rules import RULES, Rule
from reference.engines.protocol import Outcome
from reference.program import LEAF, Program

_SPELLED: Mapping[str, Callable[..., Any]] = {
    # What is not called as op(*operands, **options).
    "getitem": lambda x, *, index: x[index],
    "where": lambda a, b, *, condition: np.where(condition, a, b),
    "concatenate": lambda *xs, axis: np.concatenate(xs, axis=axis),
    "stack": lambda *xs, axis: np.stack(xs, axis=axis),
    "split": lambda x, *, indices_or_sections, axis, piece: ndgrad.split(x, indices_or_sections, axis)[piece],
    "transpose": lambda x, *, axes: np.transpose(x, axes),
    "reshape": lambda x, *, shape: np.reshape(x, shape),
    "pad": lambda x, *, pad_width, mode, **values: np.pad(x, pad_width, mode, **values),
}


def _spelling(name: str, rule: Rule) -> Callable[..., Any]:
    """The operator where there is one, for NumPy's dispatch and reflection meet there; else ndgrad's function."""

    if name in _SPELLED:
        return _SPELLED[name]
    if rule.operator:
        function: Callable[..., Any] = getattr(operator, f"__{rule.operator}__")
        return function
    return rule


class NdgradEngine:
    """The engine of this repository.

    Args:
        rules: the rules by name; its own table by default.
    """

    name = f"ndgrad {ndgrad.__version__}"

    def __init__(self, rules: Mapping[str, Rule] = RULES) -> None:
        self._spelled = {name: _spelling(name, rule) for name, rule in rules.items()}

    @property
    def ops(self) -> Sequence[str]:
        """Every rule."""
        return tuple(self._spelled)

    def run(self, program: Program) -> Outcome:
        """Build the graph, pass back twice, and for a second-order program differentiate what the pass did."""
        given = [o.array for o in program.operands]
        held = tuple(a for a in given if isinstance(a, np.ndarray))
        values: list[Any] = [
            Value(array, operand.name) if operand.kind == LEAF else array
            for array, operand in zip(given, program.operands, strict=True)
        ]
        leaves = [v for v in values if isinstance(v, Value)]
        try:
            with np.errstate(all="ignore"), ndgrad.check_writes():
                for step in program.steps:
                    values.append(self._spelled[step.op](*(values[i] for i in step.inputs), **step.options))
                steps = tuple(v.data if isinstance(v, Value) else v for v in values[len(given) :])
                if program.cotangent is None:
                    return Outcome(steps, held=held)
                return self._back(program, values[-1], leaves, steps, held)
        except Exception as error:  # noqa: BLE001 - whatever an engine raises is what it answers
            done = tuple(v.data for v in values[len(given) :] if isinstance(v, Value))
            return Outcome(done, held=held, error=error)

    def _back(
        self,
        program: Program,
        result: Value,
        leaves: Sequence[Value],
        steps: tuple[np.ndarray, ...],
        held: tuple[np.ndarray, ...],
    ) -> Outcome:
        cotangent = np.array(program.cotangent)
        cotangent.flags.writeable = False
        result.backward(cotangent)
        gradients = tuple(leaf.grad if leaf.has_grad else None for leaf in leaves)
        result.backward(cotangent)
        twice = tuple(leaf.grad if leaf.has_grad else None for leaf in leaves)
        second = self._second(program, result, leaves, cotangent) if program.directions else ()
        return Outcome(steps, gradients, second, twice, (*held, cotangent))

    def _second(
        self, program: Program, result: Value, leaves: Sequence[Value], cotangent: np.ndarray
    ) -> tuple[Any, ...]:
        """Differentiate the sum of gradients times directions."""
        for leaf in leaves:
            leaf.zero_grad()
        result.backward(cotangent, create_graph=True)
        along = sum((leaf.grad * d).sum() for leaf, d in zip(leaves, program.directions, strict=True) if leaf.has_grad)
        for leaf in leaves:
            leaf.zero_grad()
        if isinstance(along, Value) and along.requires_grad:
            along.backward()
        return tuple(leaf.grad if leaf.has_grad else None for leaf in leaves)
