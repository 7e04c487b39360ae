"""A function of a user's own file, loaded as `python file.py` would run it.

Its neighbours are found, nothing is left in the interpreter afterwards, and no bytecode is written.
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
    """A file that no function could be loaded from, and why."""


@contextmanager
def load_function(path: Path, name: str) -> Iterator[Function]:
    """Run a file, and give its function of this name. What is imported from its folder is forgotten at the end.

    Raises:
        NotLoaded: the file cannot be read, raises or ends the interpreter; or it has no such function.
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
    """The module that a file makes. It is named so that it is neither a main program nor anybody's neighbour."""
    module = ModuleType(f"page_of_{path.stem}")
    module.__file__ = str(path.resolve())
    sys.modules[module.__name__] = module  # where a dataclass looks for the names in its annotations
    try:
        code = compile(importlib.util.decode_source(path.read_bytes()), module.__file__, "exec", dont_inherit=True)
        with _found_first(folder):
            exec(code, vars(module))  # noqa: S102 - the user's own file, which the user asks to run
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise NotLoaded(f"{path} raised {described(error, module.__file__)}") from error
    return module


def _beside(folder: Path, function: Function) -> Function:
    """A function that finds its neighbours whenever it is called; meanwhile nobody else does."""

    @functools.wraps(function)
    def call(*arguments: Any) -> Any:
        with _found_first(folder):
            return function(*arguments)

    return call


@contextmanager
def _found_first(folder: Path) -> Iterator[None]:
    """Import from this folder before all others, and leave no bytecode there."""
    path, silent = list(sys.path), sys.dont_write_bytecode
    sys.path.insert(0, str(folder))
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        sys.path[:], sys.dont_write_bytecode = path, silent


def described(error: BaseException, file: str) -> str:
    """An error in words, with the last line of this file on the way to it: that is where its author looks."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    place = f" ({Path(file).name}, line {lines[-1]})" if lines else ""
    return f"{type(error).__name__}: {error}{place}"
