"""Lines of a session: run one by one, and printed as they were run."""

from __future__ import annotations

from dataclasses import dataclass
from types import CodeType
from typing import Any

import numpy as np


@dataclass
class Line:
    """A line that was run, and what it was refused with; empty if it was not."""

    text: str
    code: CodeType
    refused: str = ""

    def __str__(self) -> str:
        indented = self.text.replace("\n", "\n    ")
        return f"with suppress({self.refused}):\n    {indented}" if self.refused else self.text


def execute(code: CodeType, space: dict[str, Any]) -> Exception | None:
    """Run a line. What it raised is given without its traceback, which would hold on to what the line used."""
    try:
        with np.errstate(all="ignore"):
            exec(code, space)  # noqa: S102 - lines that were written here
    except Exception as error:  # noqa: BLE001 - whatever it raises is what was found
        return error.with_traceback(None)
    return None
