"""One clock for nodes and for writes to data: which came first? And the lock of those who share leaves."""

from __future__ import annotations

import itertools
import threading

next_id = itertools.count(1).__next__  # ids of nodes and of writes to data
lock = threading.RLock()  # around what threads that share leaves would lose: additions, and the time of a write


class writes:  # noqa: N801 - it is used as a variable, and never made
    """What is known of writes to data."""

    latest = 0  # the id of the latest one; nodes that are newer need not be asked what changed
