"""What a training run is, as data. How either side makes it, it does not know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

import numpy as np

Batch: TypeAlias = tuple[np.ndarray, np.ndarray]  # inputs and targets
Name: TypeAlias = tuple[str, str]  # what it is, and of which parameter or input
Numbers: TypeAlias = dict[Name, Any]  # what came of a step: arrays, or None for a gradient that is missing

BY_HAND = "by hand"  # no optimizer, but the article's own line: `p.data += -rate * p.grad`


class Cleared(StrEnum):
    """How gradients are made to start anew before a pass back."""

    ZEROS = "p.grad = 0.0"
    BY_NETWORK = "network.zero_grad()"
    BY_OPTIMIZER = "optimizer.zero_grad()"
    IN_PLACE = "p.grad[...] = 0.0"
    NOT = "not at all: the next gradient is added"


class Given(StrEnum):
    """How inputs and targets are given. One by one, the loss is given a list of predictions."""

    ARRAYS = "arrays"
    LISTS = "lists of numbers"
    VALUES = "Values, which get their gradients"
    ROWS = "lists of numbers, one by one"
    ROWS_OF_VALUES = "Values, one by one"


class ListedAs(StrEnum):
    """How a new optimizer is given the parameters."""

    LIST = "a list"
    GENERATOR = "a generator"
    TWICE = "a list in which each comes twice"


@dataclass(frozen=True)
class Stage:
    """Some epochs with one optimizer.

    Args:
        optimizer: its name in both libraries, or BY_HAND.
        options: its options in both.
        epochs: how many.
        until_goal: whether it ends sooner, at the end of an epoch after which the task's goal is reached.
        goes_on: whether it is the optimizer of the stage before, with its state, and only these options are other ones.
        saved: whether network and optimizer are saved at first.
        reloaded: whether what was saved last is loaded: into new ones, if that was just now, and else into these.
        frozen: the names of parameters that want no gradient.
        cleared: how gradients are made to start anew.
        listed: how a new optimizer is given the parameters.
    """

    optimizer: str
    options: Mapping[str, Any]
    epochs: int
    until_goal: bool = False
    goes_on: bool = False
    saved: bool = False
    reloaded: bool = False
    frozen: tuple[str, ...] = ()
    cleared: Cleared = Cleared.ZEROS
    listed: ListedAs = ListedAs.LIST


@dataclass(frozen=True)
class Task:
    """What is learned, from what, by what.

    Args:
        name: for reports.
        widths: the numbers that go in, and the neurons of each layer.
        activations: of the layers before the last, and of the last.
        loss: a name of `LOSSES`.
        train: inputs and targets.
        stages: optimizers, one after the other.
        batch: how many examples a step takes; None for all.
        test: held-out inputs and targets.
        goal: the part of the held-out examples that must be right in the end.
        seed: of the parameters and of the batches.
        init: how parameters are drawn, by ndgrad's name.
        network: the name of its class: a Layer or a Neuron has but two widths.
        dtype: that of the parameters.
        given: how inputs and targets are given.
        reduction: how the loss is told to make one number of many; with no options it is not told.
        cotangent: the gradient that reaches the loss; None for the number 1.
    """

    name: str
    widths: tuple[int, ...]
    activations: tuple[str, str]
    loss: str
    train: Batch
    stages: tuple[Stage, ...]
    batch: int | None = None
    test: Batch | None = None
    goal: float | None = None
    seed: int = 0
    init: str = "uniform"
    network: str = "MLP"
    dtype: str = "float64"
    given: Given = Given.ARRAYS
    reduction: Mapping[str, str] = field(default_factory=dict)
    cotangent: np.ndarray | None = None
