"""Workers give results in order, errors with tracebacks and deaths with task names, and leave no process behind."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import pytest

from reference.processes.workers import TaskError, WorkerDeathError, Workers


def slowly(result: Any, seconds: float) -> Any:
    """Return an argument after a while."""
    time.sleep(seconds)
    return result


def test_results_come_in_order() -> None:
    """Results come in the order of the arguments, however long each takes."""
    with Workers(2) as workers:
        results = list(workers.map(slowly, "abcd", (0.3, 0, 0.1, 0)))
    assert results == list("abcd")
    assert not active_children()


def test_several_processes_take_part() -> None:
    """Tasks run in two processes, and not in this one."""
    with Workers(2) as workers:
        ran = set(workers.map(lambda _: slowly(os.getpid(), 0.3), "abcdef"))
    assert len(ran) == 2
    assert os.getpid() not in ran


def test_results_come_as_they_are_ready() -> None:
    """`unordered` gives each call with its result, and takes the next call when a worker is free."""
    with Workers(2) as workers:
        results = list(workers.unordered(slowly, iter([("a", 1.0), ("b", 0), ("c", 0)])))
    assert results == [(("b", 0), "b"), (("c", 0), "c"), (("a", 1.0), "a")]


def fail(name: str) -> None:
    """Raise an error that cannot be pickled."""
    raise type("OddError", (Exception,), {"held": lambda: 0})(f"no {name}")


ENDS: list[tuple[Callable[..., Any], str]] = [
    (lambda _: os.kill(os.getpid(), signal.SIGKILL), r"was killed by SIGKILL while it ran tanh\. Was memory short\?"),
    (lambda _: os.abort(), r"was killed by SIGABRT while it ran tanh\."),
    (lambda _: os._exit(3), r"ended by itself, with status 3, while it ran tanh\."),
]


@pytest.mark.parametrize(("task", "words"), ENDS)
def test_the_death_of_workers_is_reported(
    task: Callable[..., Any], words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """After three deaths, the error tells how the worker died and what it ran."""
    with Workers(1) as workers, pytest.raises(WorkerDeathError, match=words):
        list(workers.map(task, ["tanh"]))
    assert len(re.findall(words + r".* It is run again\.", capfd.readouterr().err)) == 2
    assert not active_children()


def once(name: str, folder: Path) -> str:
    """Die at the first call with each name."""
    mark = folder / name
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return name * 2


def test_a_worker_that_dies_is_replaced(tmp_path: Path) -> None:
    """Its task is run again, nothing is lost, and results stay in order."""
    with Workers(2) as workers:
        assert list(workers.map(once, "abcde", [tmp_path] * 5)) == ["aa", "bb", "cc", "dd", "ee"]


def test_an_error_comes_with_its_traceback() -> None:
    """The error of a task has the task's name, and the worker's traceback as a note."""
    with Workers(1) as workers, pytest.raises(TaskError, match="tanh: OddError: no tanh") as caught:
        list(workers.map(fail, ["tanh"]))
    assert "in fail" in caught.value.__notes__[0]


def test_a_result_that_cannot_be_pickled_is_an_error() -> None:
    """It is a TaskError, and not the death of a worker."""
    with Workers(1) as workers, pytest.raises(TaskError, match=r"tanh: .*(pickle|serialize)"):
        list(workers.map(lambda _: sys._getframe(), ["tanh"]))
