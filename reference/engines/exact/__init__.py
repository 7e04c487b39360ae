"""The exact witness: it computes with 120 digits or more, and so decides which side is right.

It runs programs forward by the definitions of the op table (`engine`), and differentiates each step by differences
(`differences`), one step after the other (`chain`). It contains no gradient rule, so it cannot share a bug with the
engines that are compared.
It is slow, some milliseconds per derivative, and is asked only if two sides disagree, and for audits.
"""

from reference.engines.exact.chain import Chain
from reference.engines.exact.differences import Sides, Unknown
from reference.engines.exact.engine import ExactEngine
from reference.engines.exact.jitter import Jitter
from reference.engines.exact.slopes import UNKNOWN, Slopes
from reference.engines.exact.usual import UsualChain
from reference.engines.exact.witness import Computed, Witness, enclosed, slopes_along, towards

__all__ = [
    "UNKNOWN",
    "Chain",
    "Computed",
    "ExactEngine",
    "Jitter",
    "Sides",
    "Slopes",
    "Unknown",
    "UsualChain",
    "Witness",
    "enclosed",
    "slopes_along",
    "towards",
]
