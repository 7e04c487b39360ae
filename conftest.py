"""What every test run shares: Hypothesis profiles, one thread for torch, and what a run says of itself.

It knows how tests are run. What they test, it does not know.
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

# Every option is given: where Hypothesis sees a CI variable it loads a profile of its own, and whatever
# were left out here would follow from that one.
QUICK = settings(
    max_examples=100,
    stateful_step_count=30,
    derandomize=False,  # each run looks elsewhere; what it finds is kept in the database
    database=DirectoryBasedExampleDatabase(Path(__file__).parent / ".hypothesis" / "examples"),
    deadline=None,  # how long one example takes is a matter of the machine and of its other worker
    phases=tuple(Phase),
    print_blob=True,
    report_multiple_bugs=True,
    suppress_health_check=(HealthCheck.too_slow,),  # as the deadline; all else that it finds unhealthy is
    verbosity=Verbosity.normal,
    backend="hypothesis",
)
settings.register_profile("quick", QUICK)
settings.register_profile("deep", QUICK, max_examples=2_000, stateful_step_count=100)
# The same examples at every run, so that a run turns red by what was changed. Without chance, no database.
settings.register_profile("ci", QUICK, derandomize=True, database=None)
settings.load_profile("quick")  # --hypothesis-profile, read later, has the last word


class Absent(ModuleType):
    """Stands for a package that is not installed: a test that asks it for anything is skipped, and says why."""

    def __getattr__(self, name: str) -> Any:
        """Skip; what a table of a test file names is asked for later, when a test calls it."""
        if name.startswith("__"):  # Python itself asks how a module was imported
            raise AttributeError(name)
        return self() if "PYTEST_CURRENT_TEST" in os.environ else Absent(f"{self.__name__}.{name}")

    def __call__(self, *_: Any, **__: Any) -> Any:
        """Skip."""
        pytest.skip(f"needs {self.__name__.partition('.')[0]}")

    def __or__(self, other: object) -> Any:
        """Let a type be named: of what is absent, and of what else."""
        return Any

    __ror__ = __or__

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        """Let a class be derived from what is absent: whoever makes one is skipped before."""
        del bases
        return ()


try:
    import torch
except ModuleNotFoundError:  # the engine's own tests run without it, all but those that compare
    for package in ("torch", "torch.nn", "torch.nn.functional", "torch.autograd", "torch.autograd.graph"):
        sys.modules[package] = Absent(package)
    vars(sys.modules["torch.nn"])["functional"] = sys.modules["torch.nn.functional"]
else:
    # Each worker is a process and has a core; a pool of threads in each would only wait for the other's.
    torch.set_num_threads(1)


def profile() -> str:
    """The name of the Hypothesis profile in force."""
    return settings.get_current_profile_name()


def blas() -> str:
    """The BLAS that this NumPy was built with, and its version."""
    build = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return f"{build['name']} {build['version']}"


TOOLS = ("numpy", "torch", "hypothesis")


def is_installed(name: str) -> bool:
    """Whether a package is there."""
    try:
        return bool(version(name))
    except PackageNotFoundError:
        return False


def pytest_report_header() -> str:
    """Say what the numbers of this run came from."""
    tools = " ".join(f"{name}-{version(name)}" for name in TOOLS if is_installed(name))
    return f"ndgrad: python-{platform.python_version()} {tools}, BLAS {blas()}, profile {profile()}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave the slow tests to `make deep`."""
    if profile() != "deep":
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(pytest.mark.skip(reason="slow: only in make deep"))


def pytest_collection_finish() -> None:
    """Spare the garbage collector what was imported and collected: it goes through all else in many a test."""
    gc.collect()
    gc.freeze()


def reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Why this test, or this file of tests, was skipped."""
    if isinstance(report.longrepr, tuple):
        return report.longrepr[-1].removeprefix("Skipped: ")
    return str(report.longrepr)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Count the skips by reason: what was not tested is not to be overlooked."""
    reasons = Counter(map(reason, terminalreporter.stats.get("skipped", [])))
    counts = "; ".join(f"{count} × {why}" for why, count in reasons.most_common())
    terminalreporter.write_line(f"skipped: {counts or 'nothing'}")
