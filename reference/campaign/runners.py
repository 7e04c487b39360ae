"""Who runs shards: this process, a pool of processes, or a cluster. What comes of them is the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from reference.campaign.records import Tally
from reference.campaign.shards import Loaded, Shard, Sides, fill, run_shard
from reference.processes.workers import Workers

Begun = Callable[[Shard, Tally], None]  # is shown a tally as soon as there is one


class Runner(Protocol):
    """Runs shards, in any order."""

    def run(self, shards: Iterator[Shard], sides: Sides, begun: Begun) -> Iterator[Shard]:
        """Give each shard when it is done.

        Args:
            shards: what to run. The next is asked for when there is room for it.
            sides: what they are run with.
            begun: is given the tally of each, at the latest when it is done.
        """
        ...


class Here:
    """This process, which needs no names: it has the engine and the references themselves."""

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded

    def run(self, shards: Iterator[Shard], sides: Sides, begun: Begun) -> Iterator[Shard]:
        """Run one after the other. A tally is shown before its shard is run: a run may be cut short in the middle."""
        for shard in shards:
            tally = Tally()
            begun(shard, tally)
            fill(tally, shard, self._loaded, sides.ops, sides.seed)
            yield shard


class Pool:
    """Processes of this machine.

    Args:
        workers: the processes.
    """

    def __init__(self, workers: Workers) -> None:
        self._workers = workers

    def run(self, shards: Iterator[Shard], sides: Sides, begun: Begun) -> Iterator[Shard]:
        """Run as many at a time as there are processes. A shard whose process dies is run by another."""
        for (shard, _), tally in self._workers.unordered(run_shard, ((shard, sides) for shard in shards)):
            begun(shard, tally)
            yield shard
