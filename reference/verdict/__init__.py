"""The verdict: is an engine's answer right, and if the two part, which side is wrong? It asks judges, in their order.

1. Do they agree at once, within a few units in the last place (ULP)?
2. Is it rounding? The reference runs again, disturbed, and in another precision: `rounding`.
3. Did rounding decide it by a hair? The reference goes the engine's own way, with the engine's values.
4. Who is right? What still differs, the exact witness decides, number by number: `exactness`, `number`.

The judges stand in `table`, the `bench` asks them, and `evidence` is what they look at. Where in a program things first
go wrong, `localise` finds; `explanation` holds it, with the likely cause.
"""

from reference.verdict.distance import ulps
from reference.verdict.findings import Finding, Kind, Part, Result, Verdict, parts
from reference.verdict.judge import compare, judge
from reference.verdict.panel import judge_by_all
from reference.verdict.rounding import AT_ONCE

__all__ = [
    "AT_ONCE",
    "Finding",
    "Kind",
    "Part",
    "Result",
    "Verdict",
    "compare",
    "judge",
    "judge_by_all",
    "parts",
    "ulps",
]
