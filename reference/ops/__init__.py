"""The op table: one row per op, grouped by family. It imports no framework and knows no engine.

The generator, the witness, the shrinker, the verdict, sessions, tests and docs all read these rows. The name by which
an engine calls an op stands in that engine's own folder.
"""

from reference.ops import elementwise, products, reductions, shaping
from reference.ops.forward import forward, promoted
from reference.ops.op import ABOVE_M1, FACTORS, NONZERO, POSITIVE, POWERS, REAL, Domain, Kink, Op

OPS: dict[str, Op] = {op.name: op for family in (elementwise, reductions, shaping, products) for op in family.OPS}
AS_WRITTEN = dict(OPS)  # every process has these rows; rows that are added later must be sent to workers

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
