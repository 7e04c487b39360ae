"""Runners of shards: this process, a pool of processes, or a cluster. The results are the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from reference.campaign.records import Tally
from reference.campaign.shards import Loaded, Shard, Sides, fill, run_shard
from reference.processes.workers import Workers

OnTally = Callable[[Shard, Tally], None]  # is called with a tally as soon as there is one


class Runner(Protocol):
    """Runs shards, in any order."""

    def run(self, shards: Iterator[Shard], sides: Sides, on_tally: OnTally) -> Iterator[Shard]:
        """Yield each shard when it is done.

        Args:
            shards: the shards to run. The next one is fetched when a worker is free.
            sides: the engine, the references and the seed.
            on_tally: called with each shard's tally, at the latest when the shard is done.
        """
        ...


class Here:
    """Runs shards in this process, which has the engine and the references and needs no names."""

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded

    def run(self, shards: Iterator[Shard], sides: Sides, on_tally: OnTally) -> Iterator[Shard]:
        """Run the shards in turn. Each tally is passed on before its shard runs, since a run may be interrupted."""
        for shard in shards:
            tally = Tally()
            on_tally(shard, tally)
            fill(tally, shard, self._loaded, sides.ops, sides.seed)
            yield shard


class Pool:
    """Runs shards in processes of this machine.

    Args:
        workers: the processes.
    """

    def __init__(self, workers: Workers) -> None:
        self._workers = workers

    def run(self, shards: Iterator[Shard], sides: Sides, on_tally: OnTally) -> Iterator[Shard]:
        """Run as many shards at a time as there are processes. If a process dies, another one reruns its shard."""
        for (shard, _), tally in self._workers.unordered(run_shard, ((shard, sides) for shard in shards)):
            on_tally(shard, tally)
            yield shard
