"""What a failing program goes through, from the draw to the report: few rooms, and each step once."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import reference
from ndgrad.rules import RULES
from reference.campaign import Campaign, FailureStore, Profile
from reference.checks import ProgramCase, draw_case, shrink
from reference.engines.ndgrad import NdgradEngine
from reference.engines.torch import TorchEngine
from reference.report import text

ROOT = Path(reference.__file__).parent
PAGE = (ROOT.parent / "docs/explanation/rooms.md").read_text(encoding="utf-8")

# The steps, in their order. What one of them calls in its turn is part of it: to shrink is to judge many programs.
STEPS: dict[str, Callable[..., Any]] = {
    "draw": draw_case,
    "judge": ProgramCase.run,
    "shrink": shrink,
    "explain": Campaign.explained,
    "store": FailureStore.keep,
    "print": text.failure,
}


class Trace:
    """The steps as they are entered, and the rooms of `reference` whose functions are called."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.rooms: set[str] = set()
        self._names = {step.__code__: name for name, step in STEPS.items()}
        self._inside: FrameType | None = None  # the step that runs

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        """Note a call, or the end of a step; `sys.setprofile` calls this."""
        if event == "return" and frame is self._inside:
            self._inside = None
        if event != "call":
            return
        path = Path(frame.f_code.co_filename)
        if ROOT in path.parents:
            self.rooms.add(path.relative_to(ROOT).parts[0])
        if self._inside is None and frame.f_code in self._names:
            self._inside = frame
            self.steps.append(self._names[frame.f_code])

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Trace what is called inside."""
        sys.setprofile(self)
        try:
            yield
        finally:
            sys.setprofile(None)


def test_a_failing_program_goes_through_each_step_once(monkeypatch: Any, tmp_path: Path) -> None:
    """It is drawn, judged, shrunk, explained, stored and printed, by eight rooms at the most."""
    wrong = (lambda g, y, x: g * (1 + y * y),)
    monkeypatch.setattr(RULES["tanh"], "pullbacks", wrong)
    campaign = Campaign(NdgradEngine(), TorchEngine(), ["tanh"], failures=tmp_path / "failures")
    trace = Trace()
    with trace.taken():
        records = list(campaign.run(Profile(1, 0)))
        (failure,) = records[0].failures
        words = text.failure(failure, "ndgrad", "PyTorch")
    assert "tanh" in words
    assert trace.steps == list(STEPS)
    assert trace.rooms <= {"campaign", "checks", "engines", "ops", "processes", "programs", "report", "verdict"}


def test_the_page_shows_the_steps_and_the_rooms() -> None:
    """Its table has the steps that are traced, with their functions and rooms; its picture has all rooms."""
    table = re.findall(r"^\| (\w+) \| `([\w.]+)` \| `(\w+)` \|", PAGE, re.MULTILINE)
    told = [(name, step.__qualname__, step.__module__.split(".")[1]) for name, step in STEPS.items()]
    assert [(name, function.removeprefix("text."), room) for name, function, room in table] == told
    folders = {path.name for path in ROOT.iterdir() if (path / "__init__.py").exists()}
    assert set(re.findall(r"^ (\w+) {2,}\w", PAGE, re.MULTILINE)) == folders
