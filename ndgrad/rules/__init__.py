"""The mathematics: one table per family, one row per op. A new op is one row in one of these tables."""

from ndgrad.rules import elementwise, indexing, linear_algebra, neural, reductions, shaping
from ndgrad.rules.rule import Rule, named

RULES: dict[str, Rule] = {
    name: rule
    for table in (elementwise, reductions, shaping, indexing, linear_algebra, neural)
    for name, rule in named(table)
}

__all__ = ["RULES", "Rule"]
