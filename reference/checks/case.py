"""What a case is to whoever runs, shrinks, prints and replays it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, Self

from reference.engines import Engine
from reference.engines.references import References
from reference.verdict import Kind, Verdict


class Case(Protocol):
    """One thing that an engine is checked with. It is a value: running it changes nothing.

    It is run, and printed as the line that `repro` replays. What can be shrunk says how.

    Attributes:
        kind: `program`, or the name of another check.
    """

    kind: str

    def run(self, engine: Engine, references: References) -> Trial:
        """Run it, and judge the engine by what comes of it."""
        ...

    def reproduce(self, kinds: frozenset[Kind], engine: Engine, references: References) -> Trial | None:
        """Run it, and give the trial if the engine is wrong in one of these ways; as quickly as that can be told."""
        trial = self.run(engine, references)
        return trial if kinds & {finding.kind for finding in trial.verdict.findings} else None

    def smaller(self) -> Iterator[Self]:
        """Give cases that are simpler in one respect, the largest cuts first."""
        return iter(())

    @property
    def size(self) -> tuple[Any, ...]:
        """What shrinking makes less, the most important first."""
        return ()

    def shrunk(self) -> Self:
        """Give the same case as it is shown when nothing smaller fails."""
        return self


@dataclass(frozen=True)
class Trial:
    """A case that was run.

    Args:
        case: as it was run; if it was drawn while it ran, with the choices that were made.
        verdict: what came of it.
        transcript: what was done, line by line, where the case itself does not say it.
    """

    case: Case
    verdict: Verdict
    transcript: str = ""
