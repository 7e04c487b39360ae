"""ndgrad as an engine. Ops are called as users call them: by operators, NumPy's functions, or ndgrad's own."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

import ndgrad
from ndgrad import Value
from ndgrad.rules import RULES, Rule
from reference.engines.ndgrad.speaker import NdgradSpeaker
from reference.engines.ndgrad.training import NdgradTrainer
from reference.engines.protocol import Abilities, Outcome
from reference.engines.speaker import Speaker
from reference.engines.tape import TapeEngine
from reference.engines.training import Trainer
from reference.programs import Program
from reference.programs.task import Task

_SPELLED: Mapping[str, Callable[..., Any]] = {
    # Ops that are not called as op(*operands, **options), or whose NumPy spelling is worth testing.
    "getitem": lambda x, *, index: x[index],
    "where": lambda a, b, *, condition: np.where(condition, a, b),
    "concatenate": lambda *xs, axis=0: np.concatenate(xs, axis=axis),
    "stack": lambda *xs, axis=0: np.stack(xs, axis=axis),
    "split": lambda x, *, indices_or_sections, axis=0, piece: np.split(x, indices_or_sections, axis)[piece],
    "transpose": lambda x, *, axes=None: np.transpose(x, axes),
    "reshape": lambda x, *, shape: np.reshape(x, shape),
    "pad": lambda x, *, pad_width, mode="constant", **values: np.pad(x, pad_width, mode, **values),
}


# How to call a rule that replaces one of these. NumPy's functions and operators would look up ndgrad's own rule.
_CALLED: Mapping[str, Callable[..., Any]] = {
    "where": lambda rule, a, b, *, condition: rule(condition, a, b),
    "concatenate": lambda rule, *xs, axis=0: rule(xs, axis=axis),
    "stack": lambda rule, *xs, axis=0: rule(xs, axis=axis),
    "split": lambda rule, x, *, indices_or_sections, axis=0, piece: rule(x, indices_or_sections, axis)[piece],
}


def _spelling(name: str, rule: Rule) -> Callable[..., Any]:
    """Return the operator if there is one, which tests NumPy's dispatch and reflection; else ndgrad's function."""
    if rule is not RULES.get(name):
        return partial(_CALLED[name], rule) if name in _CALLED else rule
    if name in _SPELLED:
        return _SPELLED[name]
    if rule.operator:
        function: Callable[..., Any] = getattr(operator, f"__{rule.operator}__")
        return function
    return rule


_AS_WRITTEN = {name: (rule, dict(vars(rule))) for name, rule in RULES.items()}


def _packed(name: str, function: Callable[..., Any]) -> Callable[..., Any] | None:
    """Return what to send to another process: None for a function that it has; a changed rule as it is now."""
    rule, as_written = _AS_WRITTEN.get(name, (None, {}))
    if rule is None or rule is not RULES.get(name) or function is not _spelling(name, rule):
        return function
    if vars(rule) == as_written and all(map(_is_ours, (rule.forward, rule.residual, *rule.pullbacks))):
        return None
    return partial(_CALLED[name], rule) if name in _CALLED else rule


def _is_ours(function: Callable[..., Any] | None) -> bool:
    """Whether a rule's function was defined in ndgrad. The rule may have been changed before it was recorded here."""
    module = getattr(function, "__module__", None) or "numpy"
    return module.partition(".")[0] in ("ndgrad", "numpy", "functools", "builtins", "_operator")


def _imports() -> Sequence[str]:
    return (
        "import numpy as np",
        "from ndgrad.engine import Value",
        "from ndgrad.library import MLP, Layer, Module, Neuron, cross_entropy, hinge, mean_squared_error",
        "from ndgrad.optim import SGD, Adam, AdamW, RMSprop",
    )


class _Unwatched(TapeEngine):
    """ndgrad as a user runs it: a backward pass, and a second one through the first for a second-order program."""

    abilities = Abilities(second_order=True)

    def leaf(self, array: np.ndarray, name: str) -> Value:
        """Make a Value, which copies the array."""
        return Value(array, name)

    def data(self, value: Any) -> np.ndarray:
        """Return a Value's data. A result of constants is not a Value, and is returned itself."""
        return value.data if isinstance(value, Value) else np.asarray(value)

    def back(self, result: Value, cotangent: np.ndarray) -> None:
        """Run a backward pass."""
        result.backward(cotangent)

    def gradient(self, leaf: Value) -> np.ndarray | None:
        """Return the gradient, or None."""
        return leaf.grad if leaf.has_grad else None

    def once_more(self, program: Program, result: Value, leaves: Sequence[Value], outcome: Outcome) -> Outcome:
        """Differentiate the backward pass, for a second-order program."""
        if not program.directions:
            return outcome
        return replace(outcome, second=self._second(program, result, leaves, outcome.held[-1]))

    def _second(
        self, program: Program, result: Value, leaves: Sequence[Value], cotangent: np.ndarray
    ) -> tuple[Any, ...]:
        """Differentiate the dot product of gradients and directions."""
        for leaf in leaves:
            leaf.zero_grad()
        with ndgrad.no_grad():  # create_graph records in any mode
            result.backward(cotangent, create_graph=True)
        along = sum((leaf.grad * d).sum() for leaf, d in zip(leaves, program.directions, strict=True) if leaf.has_grad)
        for leaf in leaves:
            leaf.zero_grad()
        if isinstance(along, Value) and along.requires_grad:
            along.backward()
        return tuple(map(self.gradient, leaves))


class NdgradEngine(_Unwatched):
    """ndgrad with more checks: it notices every write, gives inner gradients, and runs a second backward pass.

    Args:
        rules: the rules by name; by default ndgrad's table.
    """

    def __init__(self, rules: Mapping[str, Rule] = RULES) -> None:
        super().__init__(f"ndgrad {ndgrad.__version__}", {name: _spelling(name, rule) for name, rule in rules.items()})
        self._own_rules = rules is RULES

    @property
    def is_installed(self) -> bool:
        """Whether this is ndgrad as installed, so that its users' lines, library and optimizers run this engine."""
        return self._own_rules and type(self) is NdgradEngine

    def speaker(self) -> Speaker:
        """Return the interface for sessions: lines as users write them, if these run this very engine."""
        return NdgradSpeaker(self) if self.is_installed else super().speaker()

    @property
    def trainer(self) -> Callable[[Task], Trainer] | None:
        """The class of its side of a training run, if its library runs this very engine."""
        return NdgradTrainer if self.is_installed else None

    @property
    def library(self) -> Callable[[], Sequence[str]] | None:
        """A function that returns the lines that import its library, if that runs this very engine."""
        return _imports if self.is_installed else None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "functions": {name: _packed(name, f) for name, f in self.functions.items()}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.functions = {n: _spelling(n, RULES[n]) if f is None else f for n, f in state["functions"].items()}

    def again(self, program: Program) -> Outcome:
        """Run a program without the additional checks: the answer must be the same."""
        return _Unwatched(self.name, self.functions).run(program)

    def inner_gradient(self, value: Any) -> np.ndarray | None:
        """Return the gradient of the latest pass; None for a step on constants."""
        return value.grad if isinstance(value, Value) and value.has_grad else None

    def watch(self) -> AbstractContextManager[Any]:
        """Return a context that also notices every write into data that the graph needs."""
        stack = ExitStack()
        stack.enter_context(super().watch())
        stack.enter_context(ndgrad.check_writes())
        return stack

    def once_more(self, program: Program, result: Value, leaves: Sequence[Value], outcome: Outcome) -> Outcome:
        """Run a second backward pass first."""
        result.backward(outcome.held[-1])
        twice = tuple(map(self.gradient, leaves))
        return replace(super().once_more(program, result, leaves, outcome), twice=twice)
