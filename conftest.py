"""The configuration of all tests: Hypothesis profiles, one thread for torch, and the report of a run.

It knows how tests are run, and not what they test.
"""

import gc
import os
import platform
import sys
from collections import Counter
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, Verbosity, settings
from hypothesis.database import DirectoryBasedExampleDatabase

# Every option is given. If Hypothesis sees a CI variable, it loads a profile of its own, and options that are left out
# here would come from that.
QUICK = settings(
    max_examples=100,
    stateful_step_count=30,
    derandomize=False,  # each run draws other examples; failing ones are stored in the database
    database=DirectoryBasedExampleDatabase(Path(__file__).parent / ".hypothesis" / "examples"),
    deadline=None,  # the time of an example depends on the computer, and on the other worker
    phases=tuple(Phase),
    print_blob=True,
    report_multiple_bugs=True,
    suppress_health_check=(HealthCheck.too_slow,),  # for the reason of the deadline; all other health checks apply
    verbosity=Verbosity.normal,
    backend="hypothesis",
)
settings.register_profile("quick", QUICK)
settings.register_profile("deep", QUICK, max_examples=2_000, stateful_step_count=100)
# The same examples in every run, so that only a change of the code can make it fail. The database is not needed.
settings.register_profile("ci", QUICK, derandomize=True, database=None)
settings.load_profile("quick")  # --hypothesis-profile is read later, and overrides this


class Absent(ModuleType):
    """A placeholder for a package that is not installed: a test that uses it is skipped, with the reason."""

    def __getattr__(self, name: str) -> Any:
        """Skip the test, or outside a test return a placeholder, which skips the test that calls it."""
        if name.startswith("__"):  # Python's import system reads these
            raise AttributeError(name)
        return self() if "PYTEST_CURRENT_TEST" in os.environ else Absent(f"{self.__name__}.{name}")

    def __call__(self, *_: Any, **__: Any) -> Any:
        """Skip the test."""
        pytest.skip(f"needs {self.__name__.partition('.')[0]}")

    def __or__(self, other: object) -> Any:
        """Support union types in annotations."""
        return Any

    __ror__ = __or__

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        """Support subclasses of a missing class. A test that makes an instance is skipped before."""
        del bases
        return ()


try:
    import torch
except ModuleNotFoundError:  # the tests of ndgrad run without it, except for comparisons
    for package in ("torch", "torch.nn", "torch.nn.functional", "torch.autograd", "torch.autograd.graph"):
        sys.modules[package] = Absent(package)
    vars(sys.modules["torch.nn"])["functional"] = sys.modules["torch.nn.functional"]
else:
    # Each worker is a process with a core of its own; thread pools would only wait for each other.
    torch.set_num_threads(1)


def profile() -> str:
    """Return the name of the current Hypothesis profile."""
    return settings.get_current_profile_name()


def blas() -> str:
    """Return the BLAS that NumPy was built with, and its version."""
    build = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return f"{build['name']} {build['version']}"


TOOLS = ("numpy", "torch", "hypothesis")


def is_installed(name: str) -> bool:
    """Return whether a package is installed."""
    try:
        return bool(version(name))
    except PackageNotFoundError:
        return False


def pytest_report_header() -> str:
    """Report the versions of the tools, the BLAS, and the profile."""
    tools = " ".join(f"{name}-{version(name)}" for name in TOOLS if is_installed(name))
    return f"ndgrad: python-{platform.python_version()} {tools}, BLAS {blas()}, profile {profile()}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip slow tests, except in `make deep`."""
    if profile() != "deep":
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(pytest.mark.skip(reason="slow: only in make deep"))


def pytest_collection_finish() -> None:
    """Freeze the imported and collected objects, because many tests run the garbage collector."""
    gc.collect()
    gc.freeze()


def reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Return the reason why a test, or a test file, was skipped."""
    if isinstance(report.longrepr, tuple):
        return report.longrepr[-1].removeprefix("Skipped: ")
    return str(report.longrepr)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Count the skips by reason, so that skipped tests are noticed."""
    reasons = Counter(map(reason, terminalreporter.stats.get("skipped", [])))
    counts = "; ".join(f"{count} × {why}" for why, count in reasons.most_common())
    terminalreporter.write_line(f"skipped: {counts or 'nothing'}")
