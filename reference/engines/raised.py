"""Where an engine raised an error: a line of its author's file, not of this harness."""

from __future__ import annotations

import linecache
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

_HARNESS = (str(Path(__file__).parents[1]),)
_INSTALLED = tuple(dict.fromkeys(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")))


class Place(NamedTuple):
    """A line of a file."""

    file: str
    line: int

    def __str__(self) -> str:
        """Return the file, relative to the current folder if it is inside, with the line's number and its source."""
        path, here = Path(self.file), Path.cwd()
        shown = path.relative_to(here) if path.is_relative_to(here) else path
        source = linecache.getline(self.file, self.line).strip()
        return f"{shown}:{self.line}" + (f": {source}" if source else "")


def place_raised(error: BaseException | None) -> Place | None:
    """Return the innermost line outside of this harness that raised an error; None if there is none.

    A line of an installed package counts only if there is no other: if a rule calls NumPy wrongly, the rule is shown.
    """
    outside = [place for place in _lines(error.__traceback__ if error else None) if not _is_inside(place, _HARNESS)]
    own = [place for place in outside if not _is_inside(place, _INSTALLED)]
    return next(reversed(own or outside), None)


def _lines(traceback: TracebackType | None) -> Iterator[Place]:
    """Yield the lines of a traceback that stand in files, the outermost first."""
    while traceback is not None:
        file = traceback.tb_frame.f_code.co_filename
        if not file.startswith("<"):
            yield Place(file, traceback.tb_lineno)
        traceback = traceback.tb_next


def _is_inside(place: Place, folders: tuple[str, ...]) -> bool:
    return any(Path(place.file).is_relative_to(folder) for folder in folders)
