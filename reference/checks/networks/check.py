"""A check of the library: a few lines of Python that are drawn, and run one by one; and what came of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from reference.engines import Noise
from reference.engines.training import LibraryReference, answering
from reference.verdict import Finding, Part, compare


@dataclass
class NetworkCheck:
    """A few lines of Python, and what came of them.

    Args:
        imports: the lines that it begins with: they import the library.
        reference: losses and weights to compare with.
        lines: what was run, line by line.
        numbers: how many were compared.
        findings: what is wrong.
        made: what the lines gave names to.
    """

    imports: Sequence[str]
    reference: LibraryReference = field(repr=False)
    lines: list[str] = field(default_factory=list)
    numbers: int = 0
    findings: list[Finding] = field(default_factory=list)
    made: dict[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for line in self.imports:
            self.run(line)

    def __str__(self) -> str:
        return "\n".join(self.lines)

    def run(self, line: str) -> None:
        """Run a line, after those before it."""
        self.lines.append(line)
        with answering():
            exec(line, self.made)  # noqa: S102 - a line of our own

    def judge(self, got: Sequence[Part], wanted: Sequence[Part], sizes: Sequence[float] | None = None) -> None:
        """Compare parts. Numbers may be off by rounding of numbers of the sizes given; without, by hardly anything."""

        def rerun(noise: Noise | None, precision: str | None) -> list[Part]:  # noqa: ARG001 - as the verdict asks
            moved = [noise.size * size if noise else 0.0 for size in sizes or [0.0] * len(wanted)]
            return [part._replace(array=part.array + by) for part, by in zip(wanted, moved, strict=True)]

        verdict = compare(got, wanted, rerun)
        self.numbers += verdict.numbers
        self.findings += verdict.findings
