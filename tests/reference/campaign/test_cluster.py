"""A Dask cluster, really started: it finds what one process finds, also where its workers are killed."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reference.ops import OPS
from tests.reference.started import Started

pytest.importorskip("distributed", reason="distributed is not installed: pip install 'ndgrad[cluster]'")
from distributed import LocalCluster

OPTIONS = ("verify", "--profile", "quick", "--ops", ",".join(list(OPS)[:12]), "--json", "found.json")


@pytest.fixture(name="cluster")
def _cluster() -> Iterator[Any]:
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        yield cluster


def found(folder: Path) -> Any:
    """What was written down."""
    return json.loads((folder / "found.json").read_text())


def test_a_killed_worker_changes_nothing(cluster: Any, tmp_path: Path) -> None:
    """Its shards are run by others, and the record is that of one process, to the last number."""
    assert Started(*OPTIONS, "--workers", "1", cwd=tmp_path).ended().status == 0
    alone = found(tmp_path)
    started = Started(*OPTIONS, "--scheduler", cluster.scheduler_address, cwd=tmp_path).printed("add ")
    pids = [nanny.pid for nanny in cluster.workers.values()]
    os.kill(pids[0], signal.SIGKILL)
    assert started.ended().status == 0
    assert found(tmp_path) == alone
    assert pids[0] not in [nanny.pid for nanny in cluster.workers.values()]  # it was in mid-run


def test_no_cluster_is_told(tmp_path: Path) -> None:
    """An address at which there is no scheduler ends it with the status of the environment."""
    ended = Started(*OPTIONS, "--scheduler", "tcp://127.0.0.1:9", cwd=tmp_path).ended()
    assert ended.status == 3
    assert "tcp://127.0.0.1:9" in ended.err
