"""The differentiation rules: one table per family of ops, one row per op. A new op is a new row."""

from ndgrad.rules import elementwise, indexing, linear_algebra, neural, reductions, shaping
from ndgrad.rules.rule import Rule, rules_of

RULES: dict[str, Rule] = {
    name: rule
    for table in (elementwise, reductions, shaping, indexing, linear_algebra, neural)
    for name, rule in rules_of(table)
}

__all__ = ["RULES", "Rule"]
