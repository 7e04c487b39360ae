"""A Dask cluster as who runs shards: it needs `pip install 'ndgrad[cluster]'`, here and where its workers are."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Lock
from typing import Self

from distributed import Client, Future, as_completed

from reference.campaign.records import Tally
from reference.campaign.runners import Begun
from reference.campaign.shards import Shard, Sides, run_shard

PATIENCE = 10  # seconds, until there is no scheduler at an address
_ALONE = Lock()  # a worker may have several threads, and sessions switch the garbage collector off


class Cluster:
    """The workers of a scheduler. What a worker that died was to do, another does.

    How many may die of one shard, until it is given up, is the scheduler's `allowed-failures`.

    Args:
        address: of the scheduler, as `tcp://10.0.0.1:8786`.
    """

    def __init__(self, address: str) -> None:
        self._client = Client(address, timeout=PATIENCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def run(self, shards: Iterator[Shard], sides: Sides, begun: Begun) -> Iterator[Shard]:
        """Hand out all shards at once, and give each as it is done."""
        waiting = {self._submitted(shard, sides): shard for shard in shards}
        for future in as_completed(waiting):
            shard = waiting[future]
            begun(shard, future.result())
            yield shard

    def _submitted(self, shard: Shard, sides: Sides) -> Future:
        return self._client.submit(_run_alone, shard, sides, pure=False)


def _run_alone(shard: Shard, sides: Sides) -> Tally:
    with _ALONE:
        return run_shard(shard, sides)
