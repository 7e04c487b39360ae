"""The interface of a case: how it is run, shrunk, printed and replayed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, Self

from reference.engines import Engine
from reference.engines.references import References
from reference.verdict import Kind, Verdict


class Case(Protocol):
    """One test case for an engine. It is immutable: running it does not change it.

    Its string form is the line that `repro` replays. A kind of case that can be shrunk overrides `smaller` and `size`.

    Attributes:
        kind: `program`, or the name of another check.
    """

    kind: str

    def run(self, engine: Engine, references: References) -> Trial:
        """Run the case and judge the engine by its results."""
        ...

    def reproduce(self, kinds: frozenset[Kind], engine: Engine, references: References) -> Trial | None:
        """Run it and return the trial if the engine is wrong in one of these ways, decided as quickly as possible."""
        trial = self.run(engine, references)
        return trial if kinds & {finding.kind for finding in trial.verdict.findings} else None

    def smaller(self) -> Iterator[Self]:
        """Yield cases that are simpler in one respect, the largest cuts first."""
        return iter(())

    @property
    def size(self) -> tuple[Any, ...]:
        """What shrinking reduces, the most important first."""
        return ()

    def shown(self) -> Iterator[Self]:
        """Yield this case as it may be shown once no smaller case fails, the most telling first."""
        return iter(())


@dataclass(frozen=True)
class Trial:
    """The result of running a case.

    Args:
        case: the case that was run. If it was drawn while it ran, it holds the choices that were made.
        verdict: the verdict on the engine.
        transcript: what was done, line by line, if the case itself does not say it.
        raised: the line that raised the engine's error, with its file; empty if none did, or if the case is a program,
            which can be run again.
    """

    case: Case
    verdict: Verdict
    transcript: str = ""
    raised: str = ""
