"""The Python lines in which sessions write an engine's statements. They run as they are printed.

An engine with a library of its own has its own spelling. Others are written in the notation of
`reference.engines.speaker`. An empty field means that the engine lacks the statement; no call that needs it is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeAlias

import numpy as np

# Computes the new numbers from the old numbers and the gradient; the gradient is zeros if it is missing.
Change: TypeAlias = Callable[[np.ndarray, np.ndarray], Any]


@dataclass(frozen=True)
class Write:
    """A statement that changes a value's numbers.

    Args:
        form: the line; `{0}` is the value.
        change: the same change of arrays.
        in_place: whether the numbers of its views change, too.
    """

    form: str
    change: Change
    in_place: bool = True


@dataclass(frozen=True)
class Refused:
    """A line that must be refused.

    Args:
        form: the line; `{0}` is a value.
        error: the error that it must raise.
        why: the reason in words.
    """

    form: str
    error: type[Exception]
    why: str


@dataclass(frozen=True)
class Optimizer:
    """A kind of optimizer, with PyTorch's names.

    Args:
        name: the name of its class.
        always: options that it always gets, in addition to `lr`.
        sometimes: options that it sometimes gets, with their possible values.
    """

    name: str
    always: Mapping[str, Any] = field(default_factory=dict)
    sometimes: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    def with_options(self, more: Mapping[str, tuple[Any, ...]]) -> Optimizer:
        """Return the same kind with more optional options."""
        return replace(self, sometimes={**self.sometimes, **more})


# fmt: off
_BETAS, _EPS, _ALPHA = ((0.5, 0.75), (0.9, 0.99)), (1e-3, 1e-6), (0.5, 0.9)
OPTIMIZERS = (
    #         kind       options                               options that it sometimes gets
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
    """An engine's statements. Braces in a statement stand for names and random choices.

    Args:
        leaf: make a value that requires a gradient.
        constant: make a value that does not require a gradient.
        detached: make a constant with the numbers of another value.
        copies: ways to copy a value.
        dropped: delete a name. An engine with this statement must free at once what no name and no graph refers to.
        backward: a backward pass from one value, `{root}`, with an optional cotangent: `{given}`, or `{then}` with a
            comma before it.
        several: a backward pass from several values.
        in_modes: modes for a backward pass; `{}` is no mode.
        zero: clear a gradient.
        gradient: the array of a value's gradient; it never changes.
        assigned_gradient: assign a gradient.
        written_gradients: ways to write into the array of a gradient.
        assigned: assign numbers.
        assigned_in_place: whether an assignment changes the numbers of views, too.
        writes: ways to change numbers.
        subscript_writes: ways to change numbers which the engine notices only under `careful`.
        careful: statements that enter a mode in which the engine notices every write.
        modes: modes for an op, and whether its result joins the graph.
        indexed: select rows by an array of indices, which gives a copy.
        views: ways to make a view of a view.
        summed: add a value to itself several times.
        joined: the sum of two new leaves of one shape, which get the same cotangent.
        rows: the sum of a value's rows.
        augmented: ways to write `+=` and the like, with the function that they compute.
        chain: a chain of many nodes.
        diamonds: a chain of many doublings, each with two paths.
        halved: half of one value minus another.
        step: a step of an optimizer.
        optimizer_zero: clear gradients with an optimizer.
        hyperparameter: change an option of an optimizer.
        saved: save an optimizer's state.
        loaded: load a saved state into an optimizer.
        optimizers: the kinds of optimizers.
        hyperparameters: the options that may change between steps.
        odd_optimizers: per cent of optimizers that get a generator, a repeated leaf, or a NumPy number as rate.
        index: how to write an index as an argument.
        refused: lines that must be refused.
        cotangents: ways to pass a cotangent; `ones` passes none.
        arrays: ways to pass an operand with axes that is not a value.
        scalars: ways to pass an operand without axes that is not a value.
        shapes: shapes of leaves, the simplest first; few, so that two leaves of one shape often meet in one op.
        dtypes: dtypes of assigned numbers, repeated according to their frequency.
        leaf_dtypes: dtypes of leaves, likewise.
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
        """Return the statements among `needs` that the engine lacks."""
        return tuple(f.name for f in fields(self) if f.name in needs and not getattr(self, f.name))
