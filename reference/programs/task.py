"""A training run as data. How an engine runs it is not known here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

import numpy as np

Batch: TypeAlias = tuple[np.ndarray, np.ndarray]  # inputs and targets
Name: TypeAlias = tuple[str, str]  # the kind of number, and its parameter or input
Numbers: TypeAlias = dict[Name, Any]  # the results of a step: arrays, or None for a missing gradient

BY_HAND = "by hand"  # no optimizer, but the article's update: `p.data += -rate * p.grad`


class Cleared(StrEnum):
    """How gradients are cleared before a backward pass."""

    ZEROS = "p.grad = 0.0"
    BY_NETWORK = "network.zero_grad()"
    BY_OPTIMIZER = "optimizer.zero_grad()"
    IN_PLACE = "p.grad[...] = 0.0"
    NOT = "not at all: the next gradient is added"


class Given(StrEnum):
    """How inputs and targets are passed. If inputs are passed one by one, the loss gets a list of predictions."""

    ARRAYS = "arrays"
    LISTS = "lists of numbers"
    VALUES = "Values, which get their gradients"
    ROWS = "lists of numbers, one by one"
    ROWS_OF_VALUES = "Values, one by one"


class ListedAs(StrEnum):
    """How parameters are passed to a new optimizer."""

    LIST = "a list"
    GENERATOR = "a generator"
    TWICE = "a list in which each comes twice"


@dataclass(frozen=True)
class Stage:
    """A number of epochs with one optimizer.

    Args:
        optimizer: the name of its class in both libraries, or BY_HAND.
        options: its options in both libraries.
        epochs: the number of epochs.
        until_goal: whether the stage ends early, after the first epoch that reaches the task's goal.
        goes_on: whether the previous stage's optimizer continues with its state, and only these options change.
        saved: whether network and optimizer are saved at the start.
        reloaded: whether the latest save is loaded: into new objects if it was made in this stage, else into these.
        frozen: the names of parameters that require no gradient.
        cleared: how gradients are cleared before a backward pass.
        listed: how parameters are passed to a new optimizer.
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
    """A network, its data, and how it is trained.

    Args:
        name: for reports.
        widths: the number of inputs, and the number of neurons of each layer.
        activations: that of the hidden layers, and that of the last layer.
        loss: a name in `LOSSES`.
        train: inputs and targets.
        stages: in order, each with its optimizer.
        batch: the number of examples per step; None for all.
        test: held-out inputs and targets.
        goal: the fraction of held-out examples that must be classified correctly at the end.
        seed: for the initial parameters and the batches.
        init: ndgrad's name of the scheme of initial parameters.
        network: the name of the network's class; a Layer or a Neuron has only two widths.
        dtype: the dtype of the parameters.
        given: how inputs and targets are passed.
        reduction: the loss's options that reduce many numbers to one; may be empty.
        cotangent: the cotangent of the loss; None for the number 1.
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
