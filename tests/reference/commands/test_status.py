"""If a command's output cannot be written, it ends as other shell commands do, without a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMANDS = ["--help", "verify --help", "repro 'x=f8(1.0); a=tanh(x); back(a,f8(1.0))'", "repro 'library 0 1'"]


def shell(line: str, folder: Path, *, buffered: bool = True) -> tuple[int, str, str]:
    """Run a line in bash, with RUN replaced by the command line; return its status and its output."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "" if buffered else "1"}
    python = f"{sys.executable} -W error -m reference"
    done = subprocess.run(
        ["bash", "-c", "set -o pipefail\n" + line.replace("RUN ", f"{python} ")],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("buffered", [True, False])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_closed_pipe(command: str, buffered: bool, tmp_path: Path) -> None:  # noqa: FBT001
    """If the reader has exited, the status is that of a broken pipe, and nothing is printed."""
    assert shell(f"(sleep 0.2; RUN {command}) | true", tmp_path, buffered=buffered) == (141, "", "")


@pytest.mark.parametrize("command", ["faults b040-sum --workers 1", "verify --ops exp --profile quick"])
def test_a_reader_of_the_first_line(command: str, tmp_path: Path) -> None:
    """If the reader exits after the first line, as `head` does, the status is that of a broken pipe."""
    status, out, err = shell(f"RUN {command} | head -n 1", tmp_path)
    assert (status, err) == (141, "")
    assert len(out.splitlines()) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("buffered", [True, False])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_disk(command: str, buffered: bool, tmp_path: Path) -> None:  # noqa: FBT001
    """A full disk is an environment error, reported in one line."""
    done = shell(f"RUN {command} > /dev/full", tmp_path, buffered=buffered)
    assert done[::2] in [(3, f"error: {what}No space left on device\n") for what in ("", "cannot write the output: ")]


def test_closed_streams(tmp_path: Path) -> None:
    """With closed streams the status is right, and the JSON file is not mixed with printed text."""
    verify = "verify --ops exp --profile quick --json found.json"
    for closed in (">&-", "2>&-", "<&- >&- 2>&-"):
        status, _, err = shell(f"RUN {verify} {closed}", tmp_path)
        assert (status, err) == (0, "")
        assert (tmp_path / "found.json").read_text().startswith("{")


def test_words_that_the_terminal_cannot_show(tmp_path: Path) -> None:
    """A file name that the terminal cannot show is printed as an escape."""
    line = f"RUN {COMMANDS[2]} --picture $'\\xff.dot'"
    status, out, err = shell(f"PYTHONIOENCODING=ascii {line}", tmp_path)
    assert (status, err) == (0, "")
    assert out.endswith("picture: \\udcff.dot\n")
