"""Profiles: how many cases of each kind a campaign runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Profile:
    """The size of a campaign: programs for each op, expressions of any ops, and cases of the other checks."""

    for_each_op: int
    expressions: int
    checks: Mapping[str, int] = field(default_factory=dict)

    def programs(self, ops: int) -> int:
        """Return the total number of cases for this many ops."""
        return self.for_each_op * ops + self.expressions + sum(self.checks.values())


PROFILES = {
    "quick": Profile(60, 400, {"sessions": 300, "training": 300, "library": 180}),
    "standard": Profile(130, 2_500, {"sessions": 650, "training": 650, "library": 390}),
    "deep": Profile(3_000, 60_000, {"sessions": 5_000, "training": 5_000, "library": 3_000}),
}
