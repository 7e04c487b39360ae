"""Failing cases are stored, each once, for the next run; those that agree again are removed."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from reference.campaign.store import HEADER, MOST, FailureStore, ForeignFileError
from reference.checks import parse_case

LINE = "x=f8(1.0); a=exp(x); back(a,f8(1.0))"
OTHER, THIRD = LINE.replace("exp", "sin"), LINE.replace("exp", "cos")


def test_stored_cases_are_read_back(tmp_path: Path) -> None:
    """Cases of any kind are read as they were written, each once; a missing file is created."""
    store = FailureStore(tmp_path / "made" / "failures")
    assert store.cases() == []
    lines = [LINE, OTHER, "sessions case 0; leaf 0,1; backward", "training 0 3"]
    store.keep(map(parse_case, [LINE, *lines]))
    assert list(map(str, store.cases())) == lines


def test_cases_that_agree_again_are_removed(tmp_path: Path) -> None:
    """Cases that no longer fail are removed, the file with the last one; cases added meanwhile stay."""
    path = tmp_path / "failures"
    FailureStore(path).keep([])
    assert not path.exists()
    FailureStore(path).keep([parse_case(LINE), parse_case(OTHER)])
    store = FailureStore(path)
    assert len(store.cases()) == 2
    FailureStore(path).keep([parse_case(THIRD)])
    store.keep([parse_case(OTHER)])
    assert [str(program) for program in store.cases()] == [OTHER, THIRD]
    store.keep([])
    assert list(tmp_path.iterdir()) == []


FOREIGN = {
    "text": (b"Buy milk\n", "line 1 is 'Buy milk'"),
    "long": (b"x" * 1000, f"line 1 is '{'x' * 60}...'"),
    "below": (f"{LINE}\n\nmine\n".encode(), "line 3 is 'mine'"),
    "bytes": (b"\xff\xfe", "is not a text in UTF-8"),
    "latin": (HEADER.encode() + b"\n\xe9\n", "is not a text in UTF-8"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_file_of_anything_else_is_refused(tmp_path: Path, name: str) -> None:
    """Such a file is neither read nor written to, and the error names it and its first foreign line."""
    content, words = FOREIGN[name]
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    for use in (lambda: FailureStore(path).cases(), lambda: FailureStore(path).keep([parse_case(LINE)])):
        with pytest.raises(ForeignFileError, match=re.escape(words)) as caught:
            use()
        assert caught.value.filename == str(path)
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_only_regular_files_are_touched(tmp_path: Path) -> None:
    """A pipe, a device and a directory are refused and stay unchanged. An empty file is not removed."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty").touch()
    for path in (tmp_path, tmp_path / "pipe", Path("/dev/null")):
        for use in (FailureStore(path).cases, lambda path=path: FailureStore(path).keep([parse_case(LINE)])):
            with pytest.raises(ForeignFileError, match="is not a regular file"):
                use()
    assert (tmp_path / "pipe").is_fifo()
    FailureStore(tmp_path / "empty").keep([])
    assert (tmp_path / "empty").exists()


def test_a_line_of_another_version_stays(tmp_path: Path) -> None:
    """In a file with the header, lines that cannot be parsed are skipped and stay."""
    path = tmp_path / "failures"
    path.write_text(f"{HEADER}\nx=f99(1.0) é\n{LINE}\n", encoding="utf-8")
    store = FailureStore(path)
    assert [str(program) for program in store.cases()] == [LINE]
    store.keep([parse_case(OTHER)])
    assert path.read_text("utf-8").splitlines() == [HEADER, "x=f99(1.0) é", OTHER]
    store.cases()
    store.keep([])
    assert path.read_text("utf-8").splitlines() == [HEADER, "x=f99(1.0) é"]


def test_an_error_leaves_the_file(tmp_path: Path) -> None:
    """On a full disk the stored cases stay, and no empty file is left."""
    FailureStore(tmp_path / "old").keep([parse_case(LINE)])
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limit[1]))
    try:
        for name in ("old", "new"):
            with pytest.raises(OSError, match=f"File too large: .*{name}"):
                FailureStore(tmp_path / name).keep([parse_case(OTHER)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert list(tmp_path.iterdir()) == [tmp_path / "old"]
    assert [str(program) for program in FailureStore(tmp_path / "old").cases()] == [LINE]


RUN = """
import sys
from pathlib import Path
from reference.campaign import FailureStore
from reference.checks import parse_case
path, base = Path(sys.argv[1]), int(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
for i in range(40):
    store = FailureStore(path)
    programs = store.cases()
    last = [p for p in programs if str(p).startswith(f"x=f8({base + i - 1}.0)")]
    assert len(last) == (i > 0), last
    stay = [p for p in programs if p not in last or i % 2]
    store.keep([*stay, parse_case(f"x=f8({base + i}.0); a=exp(x); back(a,f8(1.0))")])
"""


def test_two_runs_at_once_lose_nothing(tmp_path: Path) -> None:
    """Two processes add and remove programs concurrently, and all that fail in the end are stored.

    A program that one of them removed may be back, if it still failed when the other tried it.
    """
    path = tmp_path / "failures"
    bases = (100, 200)
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", RUN, str(path), str(base)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for base in bases
    ]
    for run in runs:
        assert run.stdout
        run.stdout.readline()
    for run in runs:
        assert run.stdin
        run.stdin.write("\n")
        run.stdin.flush()
    for run in runs:
        run.communicate(timeout=60)
    assert [run.returncode for run in runs] == [0, 0]
    expected = {f"x=f8({base + i}.0); a=exp(x); back(a,f8(1.0))" for base in bases for i in range(40) if i % 2 == 0}
    expected |= {f"x=f8({base + 39}.0); a=exp(x); back(a,f8(1.0))" for base in bases}
    assert {str(program) for program in FailureStore(path).cases()} >= expected
    assert list(tmp_path.iterdir()) == [path]


def test_the_number_of_stored_cases_is_limited(tmp_path: Path) -> None:
    """Only the latest cases are stored, up to a limit."""
    store = FailureStore(tmp_path / "failures")
    store.keep(parse_case(LINE.replace("f8(1.0);", f"f8({i}.0);")) for i in range(MOST + 5))
    assert str(store.cases()[-1]) == LINE.replace("f8(1.0);", f"f8({MOST + 4}.0);")
    assert len(store.cases()) == MOST


def test_without_a_file_nothing_is_stored() -> None:
    """Without a file, nothing is stored."""
    FailureStore(None).keep([parse_case(LINE)])
    assert FailureStore(None).cases() == []
