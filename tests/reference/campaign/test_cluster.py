"""A real Dask cluster gives the results of one process, even if a worker is killed."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reference.__main__ import main
from reference.ops import OPS
from tests.reference.started import Started

pytest.importorskip("distributed", reason="distributed is not installed: pip install 'ndgrad[cluster]'")
from distributed import LocalCluster

OPTIONS = ("verify", "--profile", "quick", "--ops", ",".join(list(OPS)[:12]), "--json", "found.json")


@pytest.fixture(name="cluster")
def _cluster() -> Iterator[Any]:
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        yield cluster


def report(folder: Path) -> Any:
    """Return the written JSON."""
    return json.loads((folder / "found.json").read_text())


def test_a_killed_worker_changes_nothing(cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other workers run the shards of a killed worker, and the JSON equals that of one process."""
    monkeypatch.chdir(tmp_path)
    assert main([*OPTIONS, "--workers", "1"]) == 0
    alone = report(tmp_path)
    started = Started(*OPTIONS, "--scheduler", cluster.scheduler_address, cwd=tmp_path).printed("add ")
    pids = [nanny.pid for nanny in cluster.workers.values()]
    os.kill(pids[0], signal.SIGKILL)
    assert started.ended().status == 0
    assert report(tmp_path) == alone
    assert pids[0] not in [nanny.pid for nanny in cluster.workers.values()]  # it was replaced during the run


def test_a_missing_cluster_is_reported(tmp_path: Path) -> None:
    """An address without a scheduler ends the run with the status of an environment error."""
    ended = Started(*OPTIONS, "--scheduler", "tcp://127.0.0.1:9", cwd=tmp_path).ended()
    assert ended.status == 3
    assert "tcp://127.0.0.1:9" in ended.err
