"""How an engine's statements are written in a session: lines of Python that run as they are printed.

An engine that is a library of its own has its own spelling. Any other is written in the notation of `reference.engines.
speaker`. A field that is empty says that the engine has no such statement: no call that needs it is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeAlias

import numpy as np

# The numbers that a write leaves, of the numbers and of the gradient that there were; zeros, if there was none.
Change: TypeAlias = Callable[[np.ndarray, np.ndarray], Any]


@dataclass(frozen=True)
class Write:
    """A statement that changes a value's numbers.

    Args:
        form: the line; `{0}` is the value.
        change: the same, of arrays.
        in_place: whether the numbers of its views change as well.
    """

    form: str
    change: Change
    in_place: bool = True


@dataclass(frozen=True)
class Refused:
    """A line that must be refused.

    Args:
        form: the line; `{0}` is a value.
        error: what it must raise.
        why: the reason, in words.
    """

    form: str
    error: type[Exception]
    why: str


@dataclass(frozen=True)
class Optimizer:
    """A kind of optimizer, by PyTorch's name for it and for its options.

    Args:
        name: its name.
        always: options that it is made with; beside them `lr`.
        sometimes: options that it is made with at times, and their choices.
    """

    name: str
    always: Mapping[str, Any] = field(default_factory=dict)
    sometimes: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    def with_options(self, more: Mapping[str, tuple[Any, ...]]) -> Optimizer:
        """The same with more options at times."""
        return replace(self, sometimes={**self.sometimes, **more})


# fmt: off
_BETAS, _EPS, _ALPHA = ((0.5, 0.75), (0.9, 0.99)), (1e-3, 1e-6), (0.5, 0.9)
OPTIMIZERS = (
    #         kind       what it is made with                  what else it is made with at times
    Optimizer("SGD"),
    Optimizer("SGD",     {"momentum": 0.9}),
    Optimizer("SGD",     {"momentum": 0.9, "nesterov": True}),
    Optimizer("SGD",     {"momentum": 0.5, "dampening": 0.3}),
    Optimizer("Adam",    {},                                   {"betas": _BETAS, "eps": _EPS}),
    Optimizer("Adam",    {"amsgrad": True},                    {"betas": _BETAS, "eps": _EPS}),
    Optimizer("AdamW",   {},                                   {"betas": _BETAS, "amsgrad": (True,)}),
    Optimizer("RMSprop", {},                                   {"alpha": _ALPHA, "eps": _EPS}),
    Optimizer("RMSprop", {"momentum": 0.5},                    {"alpha": _ALPHA}),
    Optimizer("RMSprop", {"centered": True},                   {"alpha": _ALPHA, "momentum": (0.5,)}),
)
COMMON: Mapping[str, tuple[Any, ...]] = {"weight_decay": (0.1, 0.5, 0.0), "maximize": (True,)}
# fmt: on


@dataclass(frozen=True)
class Lines:
    """An engine's statements. In a form, braces stand for names and for what is drawn.

    Args:
        leaf: a value that wants a gradient.
        constant: a value that wants none.
        detached: a constant with the numbers of another value.
        copies: a copy of a value, in several ways.
        dropped: a name is deleted. Who has this statement must free what no name and no graph leads to, at once.
        backward: a backward pass from one value, `{root}`, with a cotangent or without: `{given}`, or `{then}` after a
            comma.
        several: one from several.
        in_modes: a pass in each of several modes, `{}` without any.
        zero: a gradient is made missing.
        gradient: the array that a value has as its gradient; it never changes.
        assigned_gradient: a gradient is assigned.
        written_gradients: a user writes into the array that is a gradient.
        assigned: numbers are assigned.
        assigned_in_place: whether the numbers of views then change as well.
        writes: numbers change.
        subscript_writes: numbers change, and the engine can see it only under `careful`.
        careful: statements that enter a mode in which every write is noticed.
        modes: an op in each of several modes, and whether its result joins the graph.
        indexed: rows by an array, which is copied.
        views: views of a view, in several ways.
        summed: one value added to itself some times.
        joined: the sum of two new leaves of one shape, to which one array arrives.
        rows: the sum of a value's rows.
        augmented: how `+=` and the like are written, and what they compute.
        chain: many nodes, one after the other.
        diamonds: many doublings, each of two paths.
        halved: a half of one value, less another.
        step: a step of an optimizer.
        optimizer_zero: an optimizer makes gradients missing.
        hyperparameter: an option of an optimizer is changed.
        saved: what an optimizer needs to go on later.
        loaded: an optimizer goes on from that.
        optimizers: the kinds of optimizers.
        hyperparameters: those of their options that may change between steps.
        odd_optimizers: in how many of a hundred cases they are given a generator, one leaf twice, or a rate of NumPy's.
        index: how an index is given by name, of what stands between its brackets.
        refused: lines that must be refused.
        cotangents: how a cotangent may be given: `ones` says nothing.
        arrays: how an operand with axes may be given that is no value.
        scalars: how one without axes may be given.
        shapes: those of leaves, the simplest first: few, for two of one shape meet most often in one op.
        dtypes: those of numbers that are assigned, each as often as it is to be drawn.
        leaf_dtypes: those that leaves are made of, likewise.
    """

    leaf: str
    backward: str
    constant: str = ""
    detached: str = ""
    copies: tuple[str, ...] = ()
    dropped: str = ""
    several: str = ""
    in_modes: tuple[str, ...] = ("{}",)
    zero: str = ""
    gradient: str = ""
    assigned_gradient: str = ""
    written_gradients: tuple[tuple[str, Callable[[np.ndarray], Any]], ...] = ()
    assigned: str = ""
    assigned_in_place: bool = False
    writes: tuple[Write, ...] = ()
    subscript_writes: tuple[Write, ...] = ()
    careful: str = ""
    modes: tuple[tuple[str, bool], ...] = ()
    indexed: str = ""
    views: tuple[str, ...] = ()
    summed: str = ""
    joined: str = ""
    rows: str = ""
    augmented: tuple[tuple[str, Callable[[Any, float], Any]], ...] = ()
    chain: str = ""
    diamonds: str = ""
    halved: str = ""
    step: str = ""
    optimizer_zero: str = ""
    hyperparameter: str = ""
    saved: str = ""
    loaded: str = ""
    optimizers: tuple[Optimizer, ...] = ()
    hyperparameters: tuple[str, ...] = ("lr",)
    odd_optimizers: int = 0
    index: str = "np.index_exp[{}]"
    refused: tuple[Refused, ...] = ()
    cotangents: tuple[str, ...] = ("ones", "array", "array", "list")
    arrays: tuple[str, ...] = ("array",)
    scalars: tuple[str, ...] = ("number", "array")
    shapes: tuple[tuple[int, ...], ...] = ((), (2,), (2, 3), (1, 3))
    dtypes: tuple[str, ...] = ("float64",)
    leaf_dtypes: tuple[str, ...] = ("float64",)

    def missing(self, needs: tuple[str, ...]) -> tuple[str, ...]:
        """Those statements of several that the engine does not have."""
        return tuple(f.name for f in fields(self) if f.name in needs and not getattr(self, f.name))
