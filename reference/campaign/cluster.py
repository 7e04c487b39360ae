"""Runs shards on a Dask cluster. It needs `pip install 'ndgrad[cluster]'`, here and on the workers' machines."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Lock
from typing import Self

from distributed import Client, Future, as_completed

from reference.campaign.records import Tally
from reference.campaign.runners import OnTally
from reference.campaign.shards import Shard, Sides, run_shard

PATIENCE = 10  # seconds to wait for a scheduler
_ALONE = Lock()  # a worker may have several threads, but sessions disable the garbage collector


class Cluster:
    """The workers of a scheduler. If a worker dies, another one takes over its shards.

    The scheduler's setting `allowed-failures` limits how many workers may die of one shard.

    Args:
        address: the scheduler's address, such as `tcp://10.0.0.1:8786`.
    """

    def __init__(self, address: str) -> None:
        self._client = Client(address, timeout=PATIENCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def run(self, shards: Iterator[Shard], sides: Sides, on_tally: OnTally) -> Iterator[Shard]:
        """Submit all shards at once, and yield each when it is done."""
        waiting = {self._submit(shard, sides): shard for shard in shards}
        for future in as_completed(waiting):
            shard = waiting[future]
            on_tally(shard, future.result())
            yield shard

    def _submit(self, shard: Shard, sides: Sides) -> Future:
        return self._client.submit(_run_alone, shard, sides, pure=False)


def _run_alone(shard: Shard, sides: Sides) -> Tally:
    with _ALONE:
        return run_shard(shard, sides)
