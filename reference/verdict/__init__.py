"""The verdict: whether an engine's answer is right and, if engine and reference differ, which one is wrong.

1. Do they agree at once, within a few units in the last place (ULP)?
2. Does rounding explain the difference? The reference runs again, disturbed and in another precision: `rounding`.
3. Did rounding decide a comparison or a sign? The reference runs again from the engine's intermediate values.
4. Which one is right? If numbers still differ, the exact witness decides, number by number: `truth`, `number`.
5. Do both err? The exact witness audits some of the programs on which both agree: `audit`.

The judges are the rows of `table`, the `bench` asks them in their order, and `evidence` holds what they examine.
`localise` finds the step that first goes wrong, and `explanation` holds this step and the likely cause.
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
