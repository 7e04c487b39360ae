"""A file of failing cases, one on each line. They are tried first in the next run, until they agree again."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from ndgrad import files
from reference.checks import Case, NotACase, parse_case
from reference.programs import NotAProgram

if sys.platform != "win32":
    import fcntl

MOST = 100  # only the latest cases are stored: if more fail, they add little
HEADER = "# ndgrad: cases that failed, one on each line"
_SHOWN = 60  # characters shown of a refused line


class ForeignFileError(OSError):
    """The file holds something other than failing cases. It is never written to."""

    def __init__(self, path: Path, words: str) -> None:
        super().__init__(errno.EINVAL, f"{words}. Cases that fail are stored in a file of their own", str(path))


class Line(NamedTuple):
    """A line of the file and its case; None if this version of ndgrad cannot parse it."""

    text: str
    case: Case | None


class FailureStore:
    """A file of failing cases, which several runs may use at the same time.

    Args:
        path: the path of the file, which need not exist; None to store nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._read: dict[str, Case] = {}

    def cases(self) -> list[Case]:
        """Read the cases. Lines of another version of ndgrad that this one cannot parse are skipped.

        Raises:
            ForeignFileError: the file holds something other than cases, or is not a regular file.
            OSError: it cannot be read.
        """
        if self._path is None:
            return []
        cases = [line.case for line in _lines(self._path) if line.case is not None]
        self._read = {str(case): case for case in cases}
        return cases

    def keep(self, cases: Iterable[Case]) -> None:
        """Add these cases to the file, and remove those that `cases()` returned and that are not among these.

        Other lines added since then stay. A file without cases is removed.

        Raises:
            ForeignFileError: the file by now holds something other than cases.
            OSError: it cannot be written. Then it is unchanged.
        """
        failing = {str(case): case for case in cases}
        if self._path is None or not (failing or self._read):
            return
        target = Path(os.path.realpath(self._path))
        target.parent.mkdir(parents=True, exist_ok=True)
        _lines(target)  # refuses a pipe, on which `_locked` would block
        with _locked(target):
            gone = self._read.keys() - failing
            stay = [line for line in _lines(target) if str(line.case) not in gone]
            there = {str(line.case) for line in stay}
            _write(target, [*stay, *(Line(text, failing[text]) for text in failing if text not in there)])


def _write(path: Path, lines: Sequence[Line]) -> None:
    """Write the latest cases and all other lines. If there are none, remove the file."""
    cases = [line for line in lines if line.case is not None]
    dropped = cases[:-MOST]
    left = [line.text for line in lines if line not in dropped]
    if left:
        files.write(path, "".join(f"{text}\n" for text in (HEADER, *left)).encode())
    else:
        path.unlink()


def _lines(path: Path) -> list[Line]:
    """Read all lines but the header. Only a file with the header may hold lines that are not cases."""
    if not path.exists():
        return []
    if not path.is_file():
        raise ForeignFileError(path, "is not a regular file")
    try:
        with path.open(encoding="utf-8") as file:
            return list(_parsed(path, file))
    except UnicodeDecodeError:
        raise ForeignFileError(path, "is not a text in UTF-8") from None


def _parsed(path: Path, lines: Iterable[str]) -> Iterator[Line]:
    ours = False
    for number, line in enumerate(map(str.strip, lines), start=1):
        if number == 1 and line == HEADER:
            ours = True
        elif line:
            case = _case(line)
            if case is None and not ours:
                shown = line if len(line) <= _SHOWN else f"{line[:_SHOWN]}..."
                raise ForeignFileError(path, f"holds something other than failing cases: line {number} is {shown!r}")
            yield Line(line, case)


def _case(line: str) -> Case | None:
    try:
        return parse_case(line)
    except (NotAProgram, NotACase):
        return None


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Let only one run at a time read and replace the file.

    The file is its own lock, so that no lock file is needed. If it was replaced while this run waited for it, the run
    waits for the new file.
    """
    if sys.platform == "win32":  # it has no such lock, and an open file cannot be replaced there
        yield
        return
    while True:
        with path.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if not _is_at(file, path):
                continue
            try:
                yield
            finally:
                if _is_at(file, path) and not path.stat().st_size:  # it was created to be locked, and never written
                    path.unlink()
            return


def _is_at(file: IO[bytes], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
