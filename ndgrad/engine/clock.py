"""A clock that orders nodes and writes to data, and the lock that guards leaves shared between threads."""

from __future__ import annotations

import itertools
import threading

next_id = itertools.count(1).__next__  # ids of nodes and of writes to data
lock = threading.RLock()  # threads that share leaves would otherwise lose additions, or the time of a write


class writes:  # noqa: N801 - it is used as a variable, and never instantiated
    """The record of writes to data."""

    latest = 0  # the id of the latest write; newer nodes need no check for changes
