"""Atomic writes: a reader finds either the old file or the new one, at any time and after any error.

It knows paths and bytes, and not what the bytes mean.
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
    """Open a file for writing, which replaces the one at the path when the block ends.

    After an error in the block the old file remains. Links are followed, and a replaced file keeps its mode. A pipe, a
    character device or an open file of this process (`/dev/stdout`, `/dev/fd/3`) is not replaced, but written to when
    the block ends.

    Args:
        path: the path of the file. Its folder must exist.

    Raises:
        OSError: the path cannot be written, or is a directory, a socket or a block device.
    """
    with _path_in_errors(path):
        mode = _mode(path)
        with _replaced(Path(path), mode) if _is_file(mode) else _streamed(Path(path)) as file:
            yield file


def write(path: PathName, content: bytes) -> None:
    """Write a file as `whole` does, and create its folder if it is missing.

    Raises:
        OSError: as for `whole`.
    """
    check_writable(path)
    with _path_in_errors(path):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as file:
        file.write(content)


def check_writable(path: PathName) -> None:
    """Raise the error that `whole` would raise, if it can be known in advance. Nothing is created or changed.

    Args:
        path: the path of the file. Its folder need not exist yet.

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
    """Make errors name the given path, instead of a temporary file or nothing."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error


def _mode(path: PathName) -> int | None:
    """Return the kind and the permissions of the file at a path; None if there is none."""
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
    """Return the descriptor of the open file that a path such as `/dev/stdout` refers to."""
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
    """Raise an error for a write-protected file, which the system would allow to be replaced."""
    with target.open("r+b"):
        pass


@contextmanager
def _replaced(path: Path, mode: int | None) -> Iterator[BinaryIO]:
    """Open a temporary file beside the target, which replaces the target in the end."""
    target = Path(os.path.realpath(path))
    if mode is not None:
        _check_unprotected(target)
    unfinished = target.with_name(f".unfinished-{os.urandom(8).hex()}")
    try:
        with unfinished.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # otherwise a power failure could leave the name without the bytes
        if mode is not None:
            unfinished.chmod(stat.S_IMODE(mode))
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def _streamed(path: Path) -> Iterator[BinaryIO]:
    """Open a buffer, which is written to the path in the end."""
    buffer = BytesIO()
    yield buffer
    number = _descriptor(path)
    # An open file is written to at its position: a regular file opened by its path would be truncated.
    with path.open("wb") if number is None else os.fdopen(os.dup(number), "wb") as stream:
        stream.write(buffer.getbuffer())
