"""Says whether gradients are right, for engines and for single functions, beside reference frameworks.

Each name is imported when it is asked for: PyTorch, which some of them need, takes a second.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reference.check import check_engine, check_program
    from reference.engines import Engine, FunctionalEngine, Outcome, Reference, TapeEngine
    from reference.engines.ndgrad import NdgradEngine
    from reference.engines.torch import TorchEngine
    from reference.programs import Operand, Program, Step, parse
    from reference.report.drawing import draw_dot
    from reference.verdict import Finding, Kind, Result, Verdict, judge, ulps

# fmt: off
_MODULES = {
    "reference.check":           ("check_engine", "check_program"),
    "reference.engines":         ("Engine", "FunctionalEngine", "Outcome", "Reference", "TapeEngine"),
    "reference.engines.ndgrad":  ("NdgradEngine",),
    "reference.engines.torch":   ("TorchEngine",),
    "reference.programs":        ("Operand", "Program", "Step", "parse"),
    "reference.report.drawing":  ("draw_dot",),
    "reference.verdict":         ("Finding", "Kind", "Result", "Verdict", "judge", "ulps"),
}
# fmt: on
_MODULE = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "Engine",
    "Finding",
    "FunctionalEngine",
    "Kind",
    "NdgradEngine",
    "Operand",
    "Outcome",
    "Program",
    "Reference",
    "Result",
    "Step",
    "TapeEngine",
    "TorchEngine",
    "Verdict",
    "check_engine",
    "check_program",
    "draw_dot",
    "judge",
    "parse",
    "ulps",
]


def __getattr__(name: str) -> Any:
    """Import what is asked for by its name."""
    if name in _MODULE:
        return getattr(import_module(_MODULE[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List what can be asked for, too."""
    return sorted({*globals(), *__all__})
