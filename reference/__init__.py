"""The verdict on an engine's gradients: every op, random expressions and training runs, beside PyTorch's."""

from importlib import import_module
from typing import Any


def __getattr__(name: str) -> Any:
    """Give `draw_dot` when it is asked for: PyTorch, which it needs, takes a second to import."""
    if name == "draw_dot":
        return import_module("reference.report.drawing").draw_dot
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
