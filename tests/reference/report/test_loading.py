"""A user's file is loaded as `python file.py` would run it, without side effects."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from reference.report.page.loading import NotLoaded, load_function

MAIN = """
from __future__ import annotations
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar
import neighbour

@dataclass
class Options:
    _: KW_ONLY
    count: ClassVar[int] = 3
    factor: float = 2.0

def f(x):
    return neighbour.twice(x) * Options().factor

def late(x):
    import later
    return later.thrice(x)

number = 3
"""


@pytest.fixture
def main(tmp_path: Path) -> Path:
    """Write a file with neighbouring modules."""
    (tmp_path / "neighbour.py").write_text("def twice(x): return 2 * x")
    (tmp_path / "later.py").write_text("def thrice(x): return 3 * x")
    (tmp_path / "main.py").write_text(MAIN)
    return tmp_path / "main.py"


def test_neighbours_are_found(main: Path) -> None:
    """Modules of the same folder are found while the file is loaded and when its function is called."""
    with load_function(main, "f") as f:
        assert f(1.0) == 4.0
    with load_function(main, "late") as late:
        assert late(1.0) == 3.0


def test_neighbours_are_found_through_a_link(main: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neighbours of a link's target are found, from any working directory."""
    (main.parent / "sub").mkdir()
    (main.parent / "sub" / "link.py").symlink_to("../main.py")
    monkeypatch.chdir(main.parent / "sub")
    with load_function(Path("link.py"), "f") as f:
        assert f(1.0) == 4.0


def test_nothing_is_left_behind(main: Path) -> None:
    """The interpreter's state is restored, even after an error, and no bytecode is written."""
    before = set(sys.modules), list(sys.path), sys.dont_write_bytecode
    with load_function(main, "late") as late:
        late(1.0)
        assert list(sys.path) == before[1]
    (main.parent / "broken.py").write_text("import neighbour; 1 / 0")
    with pytest.raises(NotLoaded), load_function(main.parent / "broken.py", "f"):
        pass
    assert (set(sys.modules), list(sys.path), sys.dont_write_bytecode) == before
    assert sorted(path.name for path in main.parent.iterdir()) == ["broken.py", "later.py", "main.py", "neighbour.py"]


def test_the_present_file_is_loaded(main: Path) -> None:
    """A file changed within the same second to the same length is read again, since no bytecode is cached."""
    times = []
    for factor in (2, 3):
        (main.parent / "neighbour.py").write_text(f"def twice(x): return {factor} * x")
        os.utime(main.parent / "neighbour.py", (1e9, 1e9))
        with load_function(main, "f") as f:
            times.append(f(1.0))
    assert times == [4.0, 6.0]


# fmt: off
WRONG = [
    ("import sys; sys.exit(0)",               "raised SystemExit: 0 (wrong.py, line 1)"),
    ("x = 1\nraise SystemExit",               "raised SystemExit:  (wrong.py, line 2)"),
    ("def f(x: return",                       "raised SyntaxError: invalid syntax (wrong.py, line 1)"),
    ("import asyncio\nraise asyncio.CancelledError", "raised CancelledError"),
    ("import nowhere_to_be_found",            "raised ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
    ("def g(): g()\ng()",                     "raised RecursionError"),
    ("x = '\\0'\n\0",                         "source code"),
    ("# coding: nonsense",                    "raised SyntaxError: unknown encoding: nonsense"),
    ("def g(x): return x",                    "there is no function 'f' in "),
    ("f = 3",                                 ", but a int of this name"),
]
# fmt: on


@pytest.mark.parametrize(("source", "words"), WRONG, ids=[words for _, words in WRONG])
def test_what_cannot_be_loaded(source: str, words: str, tmp_path: Path) -> None:
    """If a file raises, exits or lacks the function, the error names the file and the reason."""
    path = tmp_path / "wrong.py"
    path.write_text(source)
    with pytest.raises(NotLoaded, match=re.escape(words)) as error, load_function(path, "f"):
        pass
    assert str(path) in str(error.value)


def test_a_file_that_is_not_utf_8(tmp_path: Path) -> None:
    """A file that is not UTF-8 is refused with that reason."""
    path = tmp_path / "wrong.py"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(NotLoaded, match=r"wrong\.py raised SyntaxError"), load_function(path, "f"):
        pass


def test_an_interrupt_goes_through(tmp_path: Path) -> None:
    """Ctrl-C is not reported as an error of the file."""
    path = tmp_path / "wrong.py"
    path.write_text("raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt), load_function(path, "f"):
        pass
