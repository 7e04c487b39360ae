"""Jobs: a line as written for a peer, which can be run repeatedly, and whose numbers can be read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from benchmarks.workloads import Numbers


class Absence(Exception):  # noqa: N818 - it is an answer, not an error
    """The reason why a peer does not run a line."""


class Job(NamedTuple):
    """A line, ready to run.

    Attributes:
        step: runs the forward pass, the backward pass, and the update if there is one. Its result is the argument of
            ...
        numbers: ... this function, which returns arrays: for a line that is differentiated, the result and the gradient
            of each leaf; for one that trains, the loss and the parameters after the step.
    """

    step: Callable[[], Any]
    numbers: Callable[[Any], Sequence[np.ndarray]]


Builder = Callable[[Numbers], Job]


class Peer(Protocol):
    """A module of `benchmarks.peers`.

    Attributes:
        BUILDERS: the programs that it can run.
        ABSENT: the reasons why it cannot run others, by program; under "" for all programs not listed.
    """

    BUILDERS: Mapping[str, Builder]
    ABSENT: Mapping[str, str]
