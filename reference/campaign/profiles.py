"""How many cases a campaign runs of what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Profile:
    """How many programs a campaign runs, for each op and of any ops, and how many cases of the other checks."""

    for_each_op: int
    expressions: int
    checks: Mapping[str, int] = field(default_factory=dict)

    def programs(self, ops: int) -> int:
        """How many programs and cases there are in all, of so many ops."""
        return self.for_each_op * ops + self.expressions + sum(self.checks.values())


PROFILES = {
    "quick": Profile(60, 400, {"sessions": 300, "training": 300, "library": 180}),
    "standard": Profile(130, 2_500, {"sessions": 650, "training": 650, "library": 390}),
    "deep": Profile(3_000, 60_000, {"sessions": 5_000, "training": 5_000, "library": 3_000}),
}
