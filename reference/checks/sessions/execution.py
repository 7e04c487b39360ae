"""The lines of a session, which are printed exactly as they are run."""

from __future__ import annotations

from dataclasses import dataclass
from types import CodeType
from typing import Any

import numpy as np


@dataclass
class Line:
    """A line that was run, and the name of the error it was refused with; empty if it was not refused."""

    text: str
    code: CodeType
    refused: str = ""

    def __str__(self) -> str:
        indented = self.text.replace("\n", "\n    ")
        return f"with suppress({self.refused}):\n    {indented}" if self.refused else self.text


def execute(code: CodeType, space: dict[str, Any]) -> Exception | None:
    """Run a line and return what it raised, without the traceback, which would keep the line's objects alive."""
    try:
        with np.errstate(all="ignore"):
            exec(code, space)  # noqa: S102 - the line was written here
    except Exception as error:  # noqa: BLE001 - any error is a result
        return error.with_traceback(None)
    return None
