"""Checks arguments before any work: engines, ops, files. Errors are printed to standard error."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from ndgrad.files import check_writable
from reference.campaign import FailureStore, ForeignFileError, load
from reference.campaign.shards import Loaded
from reference.commands.status import ENVIRONMENT, USAGE
from reference.engines.references import ENGINES, NoEngine, is_installed
from reference.report import text


def load_sides(options: argparse.Namespace) -> Loaded | int:
    """Load the engine and the references. If one cannot be loaded, print an error and return an exit status."""
    missing = [name for name in (options.engine, *options.against) if not is_installed(name)]
    if missing:
        needed = " and ".join(ENGINES[name][1] for name in missing)
        print(f"error: {needed} not found. Install: pip install 'ndgrad[compare]'", file=sys.stderr)
        return ENVIRONMENT
    try:
        with options.stopping.at_once():
            return load(options.engine, options.against)
    except NoEngine as error:
        print(f"error: {error}", file=sys.stderr)
        return USAGE


def has_cluster() -> bool:
    """Whether Dask is installed; if not, print an error."""
    if find_spec("distributed") is None:
        print("error: distributed not found. A cluster needs: pip install 'ndgrad[cluster]'", file=sys.stderr)
        return False
    return True


def select_ops(option: str | None, there: Sequence[str]) -> Sequence[str] | None:
    """Return the ops of the option, or all. If one is unknown, print an error and return None."""
    if option is None:
        return list(there)
    names = list(dict.fromkeys(name.strip() for name in option.split(",") if name.strip()))
    if not names:
        print(f"error: --ops names no op, but is {option!r}", file=sys.stderr)
        return None
    return check_names(names, there, "op")


def check_names(names: Sequence[str], there: Sequence[str], what: str) -> Sequence[str] | None:
    """Return the names. If one is unknown, print an error and return None."""
    for name in names:
        if name not in there:
            print(f"error: there is no {what} {name!r}; {text.nearest(name, there)}", file=sys.stderr)
            return None
    return names


def writable(path: Path) -> bool:
    """Whether the file can be written; if not, print an error. It is checked before the work, not after it."""
    try:
        check_writable(path)
    except OSError as error:
        print(f"error: cannot write {path}: {error.strerror}", file=sys.stderr)
        return False
    return True


def can_store_failures(path: Path) -> bool:
    """Whether the file is free for failing cases: missing, or holding nothing else. Print an error if not."""
    try:
        FailureStore(path).cases()
    except ForeignFileError as error:
        print(f"error: {path} {error.strerror}", file=sys.stderr)
        return False
    return True
