"""The op table: one row an op, by family. No framework is imported here, and no engine is known.

What a row says serves the generator, the witness, the shrinker, the verdict, sessions, tests and docs alike. What an
engine calls an op is the engine's business, and stands in its own folder.
"""

from reference.ops import elementwise, products, reductions, shaping
from reference.ops.forward import forward, promoted
from reference.ops.op import ABOVE_M1, FACTORS, NONZERO, POSITIVE, POWERS, REAL, Domain, Kink, Op

OPS: dict[str, Op] = {op.name: op for family in (elementwise, reductions, shaping, products) for op in family.OPS}
AS_WRITTEN = dict(OPS)  # another process has the same: rows that are put in later travel there

__all__ = [
    "ABOVE_M1",
    "AS_WRITTEN",
    "FACTORS",
    "NONZERO",
    "OPS",
    "POSITIVE",
    "POWERS",
    "REAL",
    "Domain",
    "Kink",
    "Op",
    "forward",
    "promoted",
]
