"""What a peer makes of a line: something to run again and again, and to ask for its numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from benchmarks.workloads import Numbers


class Absence(Exception):  # noqa: N818 - it is an answer, and not an error
    """A peer does not run a line, and says why."""


class Job(NamedTuple):
    """A line, ready to run.

    Attributes:
        step: runs it once, forward and backward, and the update where there is one. It gives something that ...
        numbers: ... this turns into arrays: of a line that is differentiated, the result and the gradient towards each
            leaf; of one that trains, the loss and the parameters after the step.
    """

    step: Callable[[], Any]
    numbers: Callable[[Any], Sequence[np.ndarray]]


Builder = Callable[[Numbers], Job]


class Peer(Protocol):
    """A module of `benchmarks.peers`.

    Attributes:
        BUILDERS: the programs that it can run.
        ABSENT: why it cannot run others; under "" for all that are not named.
    """

    BUILDERS: Mapping[str, Builder]
    ABSENT: Mapping[str, str]
