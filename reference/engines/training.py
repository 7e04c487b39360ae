"""What training runs and checks of a library ask of an engine and of the reference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

import numpy as np

from reference.engines.protocol import Noise
from reference.programs.task import Batch, Numbers, Stage


class Trainer(Protocol):
    """An engine's side of a training run.

    Whatever the engine raises where it should have gone on comes as `Raised`.
    """

    @property
    def start(self) -> Mapping[str, np.ndarray]:
        """The parameters, weight and bias of each layer in turn, by name."""
        ...

    def begin(self, stage: Stage) -> None:
        """Go on as a stage says."""
        ...

    def step(self, batch: Batch) -> Numbers:
        """Make one step: loss, backward pass, update. Give its loss and gradients, and `numbers`."""
        ...

    def numbers(self) -> Numbers:
        """Give gradients, parameters and the optimizer's state: the very arrays, no copies."""
        ...

    def sync(self, theirs: Numbers) -> None:
        """Take over the other side's numbers. Arrays are written into, so that those which share memory still do."""
        ...

    def scores(self, x: np.ndarray) -> np.ndarray:
        """Give the network's outputs."""
        ...


class TrainerReference(Protocol):
    """The reference's side of a run. It can go back to where it was, disturbed or in another precision."""

    def begin(self, stage: Stage) -> None:
        """Go on as a stage says."""
        ...

    def step(self, batch: Batch, noise: Noise | None = None) -> Numbers:
        """Make one step; disturbed, if noise is given."""
        ...

    def numbers(self) -> Numbers:
        """Give copies of gradients, parameters and the optimizer's state."""
        ...

    def again(self, numbers: Numbers, dtype: str) -> TrainerReference:
        """Give another side in the state in which this one gave these numbers, in any precision."""
        ...

    def scores(self, x: np.ndarray) -> np.ndarray:
        """Give the network's outputs."""
        ...


class LibraryReference(Protocol):
    """What the reference has of a library: losses, and how it draws weights."""

    def loss(
        self, name: str, predicted: np.ndarray, wanted: np.ndarray, reduction: str, cotangent: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Give a loss, and the gradient towards what was predicted."""
        ...

    def weights(self, init: str, nin: int, nout: int, seed: int) -> np.ndarray:
        """Draw the weights of a layer by an initializer's name."""
        ...


class Raised(Exception):  # noqa: N818 - an answer, not an error of this package
    """What an engine raised where it should have gone on."""


@contextmanager
def answering() -> Iterator[None]:
    """Tell what an engine raises from mistakes of this package. Serves as a decorator, too."""
    try:
        yield
    except Exception as error:
        raise Raised(f"raised {type(error).__name__}: {error}") from error
