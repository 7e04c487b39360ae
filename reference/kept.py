"""Programs that failed, kept in a file, one on each line: tried first the next time, until they agree again."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from ndgrad import files
from reference.program import NotAProgram, Program, parse

if sys.platform != "win32":
    import fcntl

MOST = 100  # programs, the latest: what fails all over is not worth more
HEADER = "# ndgrad: programs that failed, one on each line"
_SHOWN = 60  # characters of a line that is refused


class ForeignFileError(OSError):
    """A file that holds something other than failing programs. It is never written to."""

    def __init__(self, path: Path, words: str) -> None:
        super().__init__(errno.EINVAL, f"{words}. Programs that fail are kept in a file of their own", str(path))


class Line(NamedTuple):
    """A line of the file, and the program that it is; None if this version of ndgrad cannot read it."""

    text: str
    program: Program | None


class Kept:
    """A file of failing programs, which several runs may use at the same time.

    Args:
        path: of the file; None to keep nothing. It need not exist.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._read: dict[str, Program] = {}

    def programs(self) -> list[Program]:
        """Read the programs. Lines that another version of ndgrad wrote, and this one cannot read, are passed over.

        Raises:
            ForeignFileError: the file holds anything else, or is not a regular file.
            OSError: it cannot be read.
        """
        if self._path is None:
            return []
        programs = [line.program for line in _lines(self._path) if line.program is not None]
        self._read = {str(program): program for program in programs}
        return programs

    def keep(self, programs: Iterable[Program]) -> None:
        """Add these programs to the file, and remove those that `programs()` gave and that are not among them.

        Whatever else has come into the file since then stays. A file without programs is removed.

        Raises:
            ForeignFileError: the file holds something other than programs by now.
            OSError: it cannot be written. Then it is as it was.
        """
        failing = {str(program): program for program in programs}
        if self._path is None or not (failing or self._read):
            return
        target = Path(os.path.realpath(self._path))
        target.parent.mkdir(parents=True, exist_ok=True)
        _lines(target)  # refuses a pipe, which `_locked` would wait for
        with _locked(target):
            gone = self._read.keys() - failing
            stay = [line for line in _lines(target) if str(line.program) not in gone]
            there = {str(line.program) for line in stay}
            _write(target, [*stay, *(Line(text, failing[text]) for text in failing if text not in there)])


def _write(path: Path, lines: Sequence[Line]) -> None:
    """Write the lines: the latest of the programs, and all others. Without any, there is no file."""
    programs = [line for line in lines if line.program is not None]
    dropped = programs[:-MOST]
    left = [line.text for line in lines if line not in dropped]
    if left:
        files.write(path, "".join(f"{text}\n" for text in (HEADER, *left)).encode())
    else:
        path.unlink()


def _lines(path: Path) -> list[Line]:
    """All lines but the header. Only a file with the header may hold lines that are no programs."""
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
            program = _program(line)
            if program is None and not ours:
                shown = line if len(line) <= _SHOWN else f"{line[:_SHOWN]}..."
                raise ForeignFileError(path, f"holds something other than failing programs: line {number} is {shown!r}")
            yield Line(line, program)


def _program(line: str) -> Program | None:
    try:
        return parse(line)
    except NotAProgram:
        return None


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Let one run at a time read the file and replace it.

    The file is its own lock, so that nothing lies beside it. Whoever waited for a file that has been replaced
    meanwhile waits for the one that took its place.
    """
    if sys.platform == "win32":  # where there is no such lock, and a file that is open cannot be replaced
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
