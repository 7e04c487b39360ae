"""Protocols of engines and references for training runs and for checks of a library."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

import numpy as np

from reference.engines.protocol import Noise
from reference.engines.raised import place_raised
from reference.programs.task import Batch, Numbers, Stage


class Trainer(Protocol):
    """An engine's side of a training run.

    Errors that the engine raises come as `Raised`.
    """

    @property
    def start(self) -> Mapping[str, np.ndarray]:
        """The initial parameters by name: weight and bias of each layer in turn."""
        ...

    def begin(self, stage: Stage) -> None:
        """Begin a stage."""
        ...

    def step(self, batch: Batch) -> Numbers:
        """Do one step: loss, backward pass, update. Return its loss, its inputs' gradients and `numbers`."""
        ...

    def numbers(self) -> Numbers:
        """Return gradients, parameters and the optimizer's state, without copying the arrays."""
        ...

    def sync(self, theirs: Numbers) -> None:
        """Copy the other side's numbers into the arrays, so that arrays which share memory still do."""
        ...

    def scores(self, x: np.ndarray) -> np.ndarray:
        """Return the network's outputs."""
        ...


class TrainerReference(Protocol):
    """The reference's side of a training run. It can repeat a step, disturbed or in another precision."""

    def begin(self, stage: Stage) -> None:
        """Begin a stage."""
        ...

    def step(self, batch: Batch, noise: Noise | None = None) -> Numbers:
        """Do one step; disturbed if `noise` is given."""
        ...

    def numbers(self) -> Numbers:
        """Return copies of gradients, parameters and the optimizer's state."""
        ...

    def again(self, numbers: Numbers, dtype: str) -> TrainerReference:
        """Return a copy of this side in the state in which it gave these numbers, in any precision."""
        ...

    def scores(self, x: np.ndarray) -> np.ndarray:
        """Return the network's outputs."""
        ...


class LibraryReference(Protocol):
    """The reference's library: losses and initial weights."""

    def loss(
        self, name: str, predicted: np.ndarray, wanted: np.ndarray, reduction: str, cotangent: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return a loss, and the gradient of the prediction."""
        ...

    def weights(self, init: str, nin: int, nout: int, seed: int) -> np.ndarray:
        """Draw the weights of a layer by an initializer's name."""
        ...


class Raised(Exception):  # noqa: N818 - the engine's answer, not an error of this package
    """An error that an engine raised."""

    @property
    def place(self) -> str:
        """The line that raised it, with its file; empty if it is unknown."""
        return str(place_raised(self.__cause__) or "")


@contextmanager
def answering() -> Iterator[None]:
    """Turn errors of an engine into `Raised`. It is also a decorator."""
    try:
        yield
    except Exception as error:
        raise Raised(f"raised {type(error).__name__}: {error}") from error
