"""Files that are whole or not there: whoever reads one, at any time and after any error, finds the old or the new.

It knows paths and bytes. What the bytes mean, it does not know.
"""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, TypeAlias

PathName: TypeAlias = str | os.PathLike[str]

_REFUSED = {
    stat.S_IFDIR: (errno.EISDIR, "is a directory: name a file in it"),
    stat.S_IFSOCK: (errno.EINVAL, "is a socket: name a file, a pipe or a character device"),
    stat.S_IFBLK: (errno.EINVAL, "is a block device: name a file, a pipe or a character device"),
}


@contextmanager
def whole(path: PathName) -> Iterator[BinaryIO]:
    """Give a file to write to. When the block ends, all of it takes the place of what was at the path.

    An error in the block leaves what was there. Links are followed, and a file that is replaced keeps its mode. A pipe,
    a character device and an open file of this process (`/dev/stdout`, `/dev/fd/3`) are not replaced: they are written
    to, when the block ends.

    Args:
        path: of the file. Its folder must exist.

    Raises:
        OSError: the path cannot be written, or is a directory, a socket or a block device.
    """
    with _path_in_errors(path):
        mode = _mode(path)
        with _replaced(Path(path), mode) if _is_file(mode) else _streamed(Path(path)) as file:
            yield file


def write(path: PathName, content: bytes) -> None:
    """Write a file as `whole` does, and create its folder if that is missing.

    Raises:
        OSError: as for `whole`.
    """
    check_writable(path)
    with _path_in_errors(path):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as file:
        file.write(content)


def check_writable(path: PathName) -> None:
    """Raise the error that `whole` would raise, as far as it can be known before. Nothing is created or changed.

    Args:
        path: of the file. Its folder need not exist yet.

    Raises:
        OSError: as for `whole`.
    """
    with _path_in_errors(path):
        mode = _mode(path)
        if _is_file(mode):
            _check_replaceable(Path(os.path.realpath(path)), mode)
        elif not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


@contextmanager
def _path_in_errors(path: PathName) -> Iterator[None]:
    """Let errors name the path that was given, instead of a temporary file or nothing."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error


def _mode(path: PathName) -> int | None:
    """The kind and permissions of what a path leads to; None if there is nothing."""
    try:
        mode = Path(path).stat().st_mode
    except FileNotFoundError:
        return None
    if stat.S_IFMT(mode) in _REFUSED:
        raise OSError(*_REFUSED[stat.S_IFMT(mode)])
    return mode if _descriptor(Path(path)) is None else stat.S_IFIFO


def _is_file(mode: int | None) -> bool:
    return mode is None or stat.S_ISREG(mode)


def _descriptor(path: Path) -> int | None:
    """The number of the open file that a path such as `/dev/stdout` stands for."""
    while not (path.name.isdecimal() and os.path.realpath(path.parent) == os.path.realpath("/dev/fd")):
        if not path.is_symlink():
            return None
        path = path.parent / path.readlink()
    return int(path.name)


def _check_replaceable(target: Path, mode: int | None) -> None:
    if mode is not None:
        _check_unprotected(target)
    with tempfile.TemporaryFile(dir=next(folder for folder in target.parents if folder.exists())):
        pass


def _check_unprotected(target: Path) -> None:
    """Refuse to replace a file that may not be written to: the system would permit it."""
    with target.open("r+b"):
        pass


@contextmanager
def _replaced(path: Path, mode: int | None) -> Iterator[BinaryIO]:
    """A temporary file beside the target, which replaces it in the end."""
    target = Path(os.path.realpath(path))
    if mode is not None:
        _check_unprotected(target)
    unfinished = target.with_name(f".unfinished-{os.urandom(8).hex()}")
    try:
        with unfinished.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # or a loss of power could leave the name without the bytes
        if mode is not None:
            unfinished.chmod(stat.S_IMODE(mode))
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def _streamed(path: Path) -> Iterator[BinaryIO]:
    """A buffer, which is written to what is at the path in the end."""
    buffer = BytesIO()
    yield buffer
    number = _descriptor(path)
    # An open file goes on where it stands: a regular one, opened by its path, would lose what is in it.
    with path.open("wb") if number is None else os.fdopen(os.dup(number), "wb") as stream:
        stream.write(buffer.getbuffer())
