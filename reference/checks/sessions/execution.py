"""The lines of a session, which are printed exactly as they are run."""

from __future__ import annotations

from dataclasses import dataclass
from types import CodeType
from typing import Any, NamedTuple

import numpy as np

from reference.engines.raised import Place, place_raised


@dataclass
class Line:
    """A line that was run, and the name of the error it was refused with; empty if it was not refused."""

    text: str
    code: CodeType
    refused: str = ""

    def __str__(self) -> str:
        indented = self.text.replace("\n", "\n    ")
        return f"with suppress({self.refused}):\n    {indented}" if self.refused else self.text


class Raising(NamedTuple):
    """An error without its traceback, which would keep the line's objects alive; and where it was raised."""

    error: Exception
    place: Place | None


def execute(code: CodeType, space: dict[str, Any]) -> Raising | None:
    """Run a line and return what it raised."""
    try:
        with np.errstate(all="ignore"):
            exec(code, space)  # noqa: S102 - the line was written here
    except Exception as error:  # noqa: BLE001 - any error is a result
        place = place_raised(error)
        return Raising(error.with_traceback(None), place)
    return None
