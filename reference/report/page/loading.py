"""Loads a function from a user's file as `python file.py` would run it.

Modules of its folder are found, the interpreter is restored afterwards, and no bytecode is written.
"""

from __future__ import annotations

import functools
import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

Function = Callable[..., Any]


class NotLoaded(ValueError):  # noqa: N818 - it says what the file is
    """The function could not be loaded from the file; the message says why."""


@contextmanager
def load_function(path: Path, name: str) -> Iterator[Function]:
    """Run a file and yield its function of this name. Modules of its folder are unloaded at the end.

    Raises:
        NotLoaded: the file cannot be read, raises, exits, or has no such function.
    """
    folder, before = path.resolve().parent, set(sys.modules)
    try:
        function = getattr(_run(path, folder), name, None)
        if not callable(function):
            instead = "" if function is None else f", but a {type(function).__name__} of this name"
            raise NotLoaded(f"there is no function {name!r} in {path}{instead}")
        yield _beside(folder, function)
    finally:
        for module in sys.modules.keys() - before:
            if folder in Path(getattr(sys.modules[module], "__file__", None) or "/").parents:
                del sys.modules[module]


def _run(path: Path, folder: Path) -> ModuleType:
    """Run a file as a module, with a name that is neither `__main__` nor that of a module in its folder."""
    module = ModuleType(f"page_of_{path.stem}")
    module.__file__ = str(path.resolve())
    sys.modules[module.__name__] = module  # dataclasses look up the names in annotations there
    try:
        code = compile(importlib.util.decode_source(path.read_bytes()), module.__file__, "exec", dont_inherit=True)
        with _import_first(folder):
            exec(code, vars(module))  # noqa: S102 - the user asks to run this file
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise NotLoaded(f"{path} raised {describe_error(error, module.__file__)}") from error
    return module


def _beside(folder: Path, function: Function) -> Function:
    """Wrap a function so that modules of its folder are found while it runs, and only then."""

    @functools.wraps(function)
    def call(*arguments: Any) -> Any:
        with _import_first(folder):
            return function(*arguments)

    return call


@contextmanager
def _import_first(folder: Path) -> Iterator[None]:
    """Import from this folder first, and write no bytecode."""
    path, silent = list(sys.path), sys.dont_write_bytecode
    sys.path.insert(0, str(folder))
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        sys.path[:], sys.dont_write_bytecode = path, silent


def describe_error(error: BaseException, file: str) -> str:
    """Describe an error, with the last line of this file in its traceback, where the author will look."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    place = f" ({Path(file).name}, line {lines[-1]})" if lines else ""
    return f"{type(error).__name__}: {error}{place}"
