"""`faults`: a signal ends the search and all its processes, and the catches so far are summarized."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from reference.mutation import every
from tests.reference.started import SOON, Started


@pytest.mark.parametrize("seconds", [0.5, 3.0])
@pytest.mark.parametrize(("number", "group"), [(signal.SIGINT, True), (signal.SIGTERM, False)])
def test_a_signal_ends_it(number: int, group: bool, seconds: float, tmp_path: Path) -> None:  # noqa: FBT001
    """A signal ends the command while its workers start and in the middle of the search."""
    started = Started("faults", cwd=tmp_path).printed("fault ")
    time.sleep(seconds)
    ended = started.send(number, group=group).ended()
    assert (ended.status, ended.err) == (128 + number, "")
    assert ended.seconds < SOON
    assert ended.out.splitlines()[-1].startswith("interrupted after ")
    assert f" of {len(every())} faults: " in ended.out.splitlines()[-1]
