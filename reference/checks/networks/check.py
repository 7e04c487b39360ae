"""A check of the library: a few drawn lines of Python, run one by one, and their results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from reference.engines import Noise
from reference.engines.training import LibraryReference, answering
from reference.verdict import Finding, Part, compare


@dataclass
class NetworkCheck:
    """A few lines of Python and their results.

    Args:
        imports: the first lines, which import the library.
        reference: gives the losses and weights to compare with.
        lines: the lines that were run.
        numbers: how many numbers were compared.
        findings: what is wrong.
        namespace: the namespace that the lines run in.
        raised: the line that raised the engine's error, with its file; empty if none did.
    """

    imports: Sequence[str]
    reference: LibraryReference = field(repr=False)
    lines: list[str] = field(default_factory=list)
    numbers: int = 0
    findings: list[Finding] = field(default_factory=list)
    namespace: dict[str, Any] = field(default_factory=dict, repr=False)
    raised: str = ""

    def __post_init__(self) -> None:
        for line in self.imports:
            self.run(line)

    def __str__(self) -> str:
        return "\n".join(self.lines)

    def run(self, line: str) -> None:
        """Run a line in the namespace that the earlier lines have filled."""
        self.lines.append(line)
        with answering():
            exec(line, self.namespace)  # noqa: S102 - the line was written here

    def judge(self, got: Sequence[Part], expected: Sequence[Part], sizes: Sequence[float] | None = None) -> None:
        """Compare parts. The sizes bound the rounding error; without sizes the parts must agree at once."""

        def rerun(noise: Noise | None, precision: str | None) -> list[Part]:  # noqa: ARG001 - the verdict's signature
            moved = [noise.size * size if noise else 0.0 for size in sizes or [0.0] * len(expected)]
            return [part._replace(array=part.array + by) for part, by in zip(expected, moved, strict=True)]

        verdict = compare(got, expected, rerun)
        self.numbers += verdict.numbers
        self.findings += verdict.findings
