"""However `verify` ends, its results are reported, no process is left, and the status says what happened."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from reference.__main__ import main
from reference.campaign import PROFILES
from reference.checks import parse_case
from reference.checks.training import TASKS
from reference.ops import OPS
from tests.reference.started import SOON, Ended, Started

QUICK = ("verify", "--profile", "quick", "--workers", "2", "--json", "found.json")
FEW = ["negative", "add", "cos", *list(OPS)[-24:]]  # ops, which are worth a second process
SOME = ("--ops", ",".join(FEW))
WRONG = """
from ndgrad.rules import RULES
from reference.engines.ndgrad import NdgradEngine as Engine
RULES["negative"].pullbacks = (lambda g, y, *operands: g * y * 3,)
"""


def wrong(folder: Path) -> tuple[str, str]:
    """Write a module with an engine whose `negative` is wrong, and return the options that select it."""
    (folder / "wrong.py").write_text(WRONG)
    return "--engine", "wrong:Engine"


def found(folder: Path) -> Any:
    """Return the written JSON."""
    return json.loads((folder / "found.json").read_text())


def is_quiet(ended: Ended) -> bool:
    """Whether the command ended soon and printed nothing to standard error."""
    return ended.seconds < SOON and ended.err in ("", "interrupted\n")


ROWS = len(OPS) + 1 + len(PROFILES["quick"].checks) + len(TASKS)  # each op, expressions, checks, training runs
ENDINGS = [(signal.SIGINT, True), (signal.SIGINT, False), (signal.SIGTERM, True), (signal.SIGTERM, False)]


@pytest.mark.parametrize(("number", "group"), ENDINGS)
def test_a_signal_ends_it_while_workers_start(number: int, group: bool, tmp_path: Path) -> None:  # noqa: FBT001
    """While workers import PyTorch, a signal to one or all processes ends them with one line and a status."""
    started = Started(*QUICK, cwd=tmp_path)
    started.workers(3)  # the third is multiprocessing's own
    time.sleep(0.3)
    ended = started.send(number, group=group).ended()
    assert is_quiet(ended), ended.err
    assert ended.status == 128 + number
    assert ended.out.splitlines()[-1].startswith(f"interrupted after 0 of {ROWS} rows: ")
    assert not found(tmp_path)["agrees"]


@pytest.mark.parametrize("seconds", [0.3, 0.5, 0.7, 0.9, 1.1])
def test_a_signal_ends_it_while_it_starts(seconds: float, tmp_path: Path) -> None:
    """While the command imports PyTorch, a signal ends it without a message or traceback."""
    started = Started(*QUICK, cwd=tmp_path)
    time.sleep(seconds)
    ended = started.send(signal.SIGINT, group=True).ended()
    assert ended.status == 130
    assert is_quiet(ended), ended.err


# Each ending, and the seconds to a second Ctrl-C, if there is one.
WITH_SECOND = [
    (signal.SIGINT, True, None),
    (signal.SIGTERM, True, None),
    (signal.SIGTERM, False, None),
    (signal.SIGINT, False, 0.0),
    (signal.SIGINT, True, 0.02),
    (signal.SIGINT, True, 0.1),
]


@pytest.mark.parametrize(("number", "group", "pause"), WITH_SECOND)
def test_results_are_reported_after_a_signal(
    number: int,
    group: bool,  # noqa: FBT001
    pause: float | None,
    tmp_path: Path,
) -> None:
    """After a signal the failure is printed, stored and written to JSON, and the last line counts the rows.

    A second Ctrl-C at any time changes neither the output nor the status.
    """
    started = Started(*QUICK, *SOME, *wrong(tmp_path), cwd=tmp_path).printed("WRONG").send(number, group=group)
    if pause is not None:
        time.sleep(pause)
        started.send(signal.SIGINT, group=True)
    ended = started.ended()
    assert is_quiet(ended), ended.err
    assert ended.status == 128 + number
    last = ended.out.splitlines()[-1]
    assert last.startswith("interrupted after ")
    assert "disagrees with PyTorch 2" in last
    assert "\nnegative: " in ended.out
    written = found(tmp_path)
    assert (written["ended"], written["agrees"], written["error"]) == (
        "interrupted",
        False,
        signal.Signals(number).name,
    )
    line = written["failures"][0]["case"]
    assert f"again: python -m reference repro --engine wrong:Engine '{line}'" in ended.out
    assert line in (tmp_path / ".failures").read_text()


SLOW = """
import reference.campaign.campaign
def shrink(trial, reproduce):
    import time
    print("shrinking", flush=True)
    time.sleep(600)
reference.campaign.campaign.shrink = shrink
"""


@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_unshrunk_failure_is_reported(workers: str, tmp_path: Path) -> None:
    """After a signal in the middle of shrinking, the unshrunk program is printed, stored and written to JSON."""
    started = Started(*QUICK, "--workers", workers, *wrong(tmp_path), cwd=tmp_path, code=SLOW)
    ended = started.printed("shrinking").send(signal.SIGINT, group=True).ended()
    assert ended.status == 130
    assert is_quiet(ended), ended.err
    lines = [failure["case"] for failure in found(tmp_path)["failures"]]
    assert lines
    for line in lines:
        assert parse_case(line)
        assert line in (tmp_path / ".failures").read_text()
        assert f"again: python -m reference repro --engine wrong:Engine '{line}'" in ended.out


ONE_OF_EACH = """
import reference.campaign, reference.commands.verify
quick = reference.campaign.PROFILES["quick"]
reference.campaign.PROFILES["quick"] = reference.campaign.Profile(1, 1, dict.fromkeys(quick.checks, 1))
reference.commands.verify.WORTH_A_PROCESS = 1
"""


def test_a_signal_ends_it_while_training_runs_go(tmp_path: Path) -> None:
    """A signal ends a long training run, and all rows of the first table count as done."""
    started = Started(*QUICK, cwd=tmp_path, code=ONE_OF_EACH).printed("training  ")
    ended = started.printed("article").send(signal.SIGINT, group=True).ended()
    assert ended.status == 130
    assert is_quiet(ended), ended.err
    assert ended.out.splitlines()[-1].startswith(
        tuple(f"interrupted after {ROWS - left} of {ROWS} rows" for left in (2, 1))
    )


def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    """Workers notice that their parent was killed, and end."""
    for words in ("beside", "add "):
        started = Started(*QUICK, cwd=tmp_path).printed(words)
        started.workers(3)
        time.sleep(0.3)  # a worker without a task yet prints an error from multiprocessing
        ended = started.send(signal.SIGKILL, group=False).ended()
        assert ended.status == -signal.SIGKILL
        assert ended.seconds < SOON
        assert ended.err == ""


def test_a_worker_that_is_killed_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A killed worker is reported and replaced, and the JSON equals that of one process."""
    options = ("verify", "--profile", "quick", *SOME, "--json", "found.json")
    monkeypatch.chdir(tmp_path)
    assert main([*options, "--workers", "1"]) == 0
    alone = found(tmp_path)
    started = Started(*options, cwd=tmp_path).printed("add ")
    os.kill(max(started.workers(3)), signal.SIGKILL)
    ended = started.ended()
    assert ended.status == 0
    line = r"worker process \d+ was killed by SIGKILL while it ran .*\. Was memory short\? It is run again\.\n"
    assert re.fullmatch(line, ended.err)
    assert found(tmp_path) == alone


DEADLY = """
import os, signal
from reference.engines.ndgrad import NdgradEngine
class Engine(NdgradEngine):
    def run(self, program):
        if any(step.op == "cos" for step in program.steps):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().run(program)
"""


def test_a_shard_that_kills_each_worker_is_reported(tmp_path: Path) -> None:
    """A shard that kills each worker is reported in one sentence, with its own status."""
    (tmp_path / "deadly.py").write_text(DEADLY)
    ended = Started(*QUICK, *SOME, "--engine", "deadly:Engine", cwd=tmp_path).ended()
    assert ended.status == 4
    *again, error = ended.err.splitlines()
    assert [line.endswith(" It is run again.") for line in again].count(True) >= 2
    ended.err = error + "\n"
    assert ended.err.startswith("error: worker process ")
    assert " was killed by SIGKILL while it ran " in ended.err
    assert len(ended.err.splitlines()) == 1
    assert "the harness failed after " in ended.out.splitlines()[-1]
    written = found(tmp_path)
    assert (written["ended"], written["agrees"]) == ("harness failed", False)
    assert "SIGKILL" in written["error"]


CRASH = """
import reference.campaign.shards
def draw_case(op, seed, number, ops, right=reference.campaign.shards.draw_case, **options):
    if op == "exp":
        raise LookupError("planted")
    return right(op, seed, number, ops, **options)
reference.campaign.shards.draw_case = draw_case
"""


def test_a_crash_of_the_harness_is_reported(tmp_path: Path) -> None:
    """If the harness crashes, the results come first, then a line that blames the harness, and the traceback."""
    options = ("verify", "--ops", "negative,exp", "--profile", "quick", "--json", "found.json")
    ended = Started(*options, *wrong(tmp_path), cwd=tmp_path, code=CRASH).ended()
    assert ended.status == 4
    assert "\nnegative: " in ended.out
    assert ended.out.splitlines()[-1].startswith("the harness failed after 1 of 3 rows: ")
    lines = ended.err.splitlines()
    assert lines[0] == "error: the harness failed, and not the engine: LookupError: planted"
    assert lines[1].startswith("Traceback")
    written = found(tmp_path)
    assert (written["ended"], written["agrees"]) == ("harness failed", False)
    assert written["error"] == "LookupError: planted"
    assert [failure["op"] for failure in written["failures"]] == ["negative"]


def test_a_reader_that_leaves_ends_it(tmp_path: Path) -> None:
    """If the reader exits, the workers end quietly, and the results so far are written to JSON."""
    ended = Started(*QUICK, cwd=tmp_path).printed("beside").unread().ended()
    assert ended.status == 141
    assert ended.err == ""
    assert (found(tmp_path)["ended"], found(tmp_path)["agrees"]) == ("interrupted", False)


def test_an_interrupted_page_is_reported(tmp_path: Path) -> None:
    """If writing the page is interrupted, the verdict, already printed, is not printed twice."""
    started = Started("verify", "--ops", "exp", "--profile", "quick", "--page", "p.html", cwd=tmp_path).printed(
        "agrees"
    )
    time.sleep(0.5)
    ended = started.send(signal.SIGINT, group=True).ended()
    assert ended.status == 130
    assert ended.err == "p.html was not written\ninterrupted\n"
    assert ended.out.splitlines()[-1].startswith("1 op, ")


def test_a_replayed_failure_names_its_engine(tmp_path: Path) -> None:
    """The last line of `repro` is the command that was run."""
    line = "x=f8(1.0); a=negative(x); back(a,f8(1.0))"
    ended = Started("repro", *wrong(tmp_path), line, cwd=tmp_path).ended()
    assert ended.status == 1
    assert ended.out.splitlines()[-1] == f"  again: python -m reference repro --engine wrong:Engine '{line}'"
