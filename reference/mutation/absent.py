"""The real faults of the collection that are not planted, each with the reason.

Some concern features that this engine and library do not have, and one is harmless here. Others are faults of a
checker, which cannot be planted in an engine; there the reason says how this harness avoids them. All other entries
are planted, in the tables of `faults`.
"""

from __future__ import annotations

from collections.abc import Mapping

# fmt: off
ABSENT: Mapping[str, str] = {
    # Features that do not exist here, or harmless faults.
    "B005": "broadcasting preserves the size only if no axis was repeated: then reshaping is right",
    "B012": "a Value has no item assignment",
    "B030": "a Value has no item assignment, and the operands of an op never change",
    "B142": "there is no einsum",
    "B162": "there is no batch normalization",
    "B166": "there is no dropout, and no op draws at random",
    "B215": "there is no clipping of gradients",

    # Faults of a checker.
    "B229": "compared numbers are counted, and a run that compared none ends with status 5, never with 0",
    "B230": "verdicts are compared with results by name; and a fault in every op's gradient must be reported",
    "B231": "each number is bounded by its own rounding error, without an absolute tolerance; cotangents are scaled down to "
    "2**-30, and gradients off by a ten-millionth are planted",
    "B232": "nothing is compared with stored results: PyTorch computes them anew, and an exact witness decides who is wrong",
    "B233": "every number of every gradient is compared, for a random cotangent, instead of a projection",
    "B237": "programs have steps before and after each op, and operands that are used again",
    "B239": "gradients are compared with PyTorch's; the witness takes differences at 120 digits, and operands are read-only, "
    "so that a write into them fails",
}
# fmt: on
