"""The entries of the collection of real faults that are not planted, each with the reason.

Some are faults of what this engine and library do not have, one cannot do harm here, and some are faults of a checker: no
engine can carry those, and the reason says what this harness has against them. All other entries are planted, in the
tables beside this one.
"""

from __future__ import annotations

from collections.abc import Mapping

# fmt: off
ABSENT: Mapping[str, str] = {
    # What there is not, or is harmless.
    "B005": "broadcasting leaves the count of numbers as it was only if no axis was repeated: then reshaping is right",
    "B012": "a Value has no item assignment",
    "B030": "a Value has no item assignment, and no op is ever pointed to another operand",
    "B142": "there is no einsum",
    "B162": "there is no batch normalization",
    "B166": "there is no dropout, and no op draws at random",
    "B215": "there is no clipping of gradients",

    # Faults of a checker.
    "B229": "numbers are counted as they are compared, and a run that compared none ends with status 5, never with 0",
    "B230": "a verdict is asked for its result by name; and every op's gradient is spoilt once to see that it is reported",
    "B231": "a number is bounded by its own rounding, without an absolute tolerance; cotangents are scaled down to 2**-30, "
            "and gradients off by a ten-millionth are planted",
    "B232": "nothing is compared with a stored result: PyTorch computes it anew, and an exact witness decides who is wrong",
    "B233": "every number of every gradient is compared, for a drawn cotangent; no projection stands in for them",
    "B237": "an op stands in mid-program, with steps before and after it and operands that are used again",
    "B239": "slopes are compared with PyTorch's; the witness takes differences at 120 digits, and operands are handed in "
            "read-only, so that who writes into them fails there",
}
# fmt: on
