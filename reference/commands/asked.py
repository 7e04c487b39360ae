"""What is asked for, looked at before any work: engines, ops, files. What cannot be had is told on standard error."""

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


def loaded(options: argparse.Namespace) -> Loaded | int:
    """The engine and the references; or a status where one cannot be made, which is told."""
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
    """Whether a cluster can be spoken to; else it is told."""
    if find_spec("distributed") is None:
        print("error: distributed not found. A cluster needs: pip install 'ndgrad[cluster]'", file=sys.stderr)
        return False
    return True


def ops(asked: str | None, there: Sequence[str]) -> Sequence[str] | None:
    """The ops asked for; None, with a word on standard error, if one is not known."""
    if asked is None:
        return list(there)
    wanted = list(dict.fromkeys(name.strip() for name in asked.split(",") if name.strip()))
    if not wanted:
        print(f"error: --ops names no op, but is {asked!r}", file=sys.stderr)
        return None
    return known(wanted, there, "op")


def known(wanted: Sequence[str], there: Sequence[str], what: str) -> Sequence[str] | None:
    """What was asked for; None, with a word on standard error, if one is not known."""
    for name in wanted:
        if name not in there:
            print(f"error: there is no {what} {name!r}; {text.nearest(name, there)}", file=sys.stderr)
            return None
    return wanted


def writable(path: Path) -> bool:
    """Whether the file can be written, which is better known before the work than after it."""
    try:
        check_writable(path)
    except OSError as error:
        print(f"error: cannot write {path}: {error.strerror}", file=sys.stderr)
        return False
    return True


def is_for_failures(path: Path) -> bool:
    """Whether failing cases can be stored in a file: it holds nothing else, or does not exist."""
    try:
        FailureStore(path).cases()
    except ForeignFileError as error:
        print(f"error: {path} {error.strerror}", file=sys.stderr)
        return False
    return True
