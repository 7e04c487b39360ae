"""The judges in their order, each with its reason, its budget and the program that it was bought by.

Of each stage the judges are asked one after the other, and the first opinion decides; of laws, every breach is told.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, NamedTuple

from reference.verdict.exactness import COPIES, KINKED, SAMPLES
from reference.verdict.findings import Result
from reference.verdict.judges import appeals, kinks, laws, numbers, parts, refusals, rounding
from reference.verdict.rounding import AT_ONCE, MORE_RUNS, RUNS

PLACES = 6  # how many numbers of an array are looked at, the furthest apart first
FEW_PLACES = 2  # the same where the witness also has to find out what rounding does


class Stage(Enum):
    """What a judge is asked of, and so what it is called with."""

    RUN = "a whole run"  # (evidence): an opinion ends the matter
    LAW = "what holds of any engine"  # (evidence): findings
    PART = "an array"  # (pair)
    ROUNDING = "all numbers of an array"  # (comparison, pair, still): the opinion says of which numbers it holds
    OWN_WAY = "the same, on the engine's own way"  # (evidence, pair, still)
    NUMBER = "one number"  # (evidence, number)
    APPEAL = "one number that a side is accused of"  # (evidence, finding)
    PART_APPEAL = "the gravest number of a part, when those of all others are known"  # (evidence, finding, findings)
    PANEL = "a verdict among those of several references"  # (verdict, names of the references that blame nobody)


class Bought(NamedTuple):
    """A case that answers otherwise if a judge is deleted.

    Args:
        program: what is run.
        answer: what it comes to.
        engine: what is judged, where it is not ndgrad as it is: one that is wrong, by its name in the tests.
        reference: what it is held against, where that is not PyTorch as it is, by its name in the tests; or several.
    """

    program: str
    answer: Result
    engine: str = "ndgrad"
    reference: str = "PyTorch"


class Judge(NamedTuple):
    """A row of the table.

    Args:
        name: what it is called in reports.
        stage: what it is asked of.
        function: takes what its stage says, and gives an opinion, or None to leave it to the next.
        reason: the sentence that is reported if it decides; what stands in braces is filled in from the opinion's facts.
        budget: how much work it may do, at the most; nothing where it only looks. What is beyond it stays undecided.
        bought: the case that it was learned from, and that answers otherwise without it.
    """

    name: str
    stage: Stage
    function: Callable[..., Any]
    reason: str
    budget: str = ""
    bought: Bought = Bought("", Result.AGREES)


# fmt: off
JUDGES = (
    #     name                            stage            function                          reason
    Judge("refused as meant",             Stage.RUN,      refusals.as_meant,                "both sides refuse what NumPy refuses"),
    Judge("refused by both",              Stage.RUN,      refusals.by_both,                 "both sides refuse what was to run"),
    Judge("refused by neither",           Stage.RUN,      refusals.by_neither,              "both sides accept what was to be refused"),
    Judge("refused rightly",              Stage.RUN,      refusals.rightly_by_the_engine,   "NumPy refuses it, and the reference accepts it"),
    Judge("refused by the engine",        Stage.RUN,      refusals.by_the_engine,           "the engine alone refuses it"),
    Judge("not supported",                Stage.RUN,      refusals.not_supported,           "the reference says that it has no such thing"),
    Judge("accepted by the engine",       Stage.RUN,      refusals.accepted_by_the_engine,  "NumPy refuses it, and the engine accepts it"),
    Judge("refused by the reference",     Stage.RUN,      refusals.by_the_reference,        "the reference alone refuses it"),

    Judge("written into",                 Stage.LAW,      laws.written_into,                "operands and the cotangent must stay as they are"),
    Judge("shared memory",                Stage.LAW,      laws.shared,                      "each gradient must have memory of its own"),
    Judge("not doubled",                  Stage.LAW,      laws.not_doubled,                 "a second backward pass must add the same gradients again"),
    Judge("not repeated",                 Stage.LAW,      laws.not_repeated,                "two runs must be equal to the bit", "2 runs of the engine"),
    Judge("reference misshapen",          Stage.LAW,      laws.misshapen,                   "a gradient must have the shape and dtype of its leaf"),

    Judge("no gradient wanted",           Stage.PART,     parts.of_zeros,                   "no gradient is wanted"),
    Judge("missing",                      Stage.PART,     parts.missing,                    "a gradient is wanted"),
    Judge("no array",                     Stage.PART,     parts.of_no_array,                "an array is wanted"),
    Judge("another shape",                Stage.PART,     parts.of_another_shape,           "the shape must be that of the leaf, or what NumPy gives"),
    Judge("another dtype",                Stage.PART,     parts.of_another_dtype,           "the dtype must be that of the leaf, or what NumPy gives"),

    Judge("at once",                      Stage.ROUNDING, rounding.at_once,                 f"within {AT_ONCE:.0f} ULP"),
    Judge("beyond single precision",      Stage.ROUNDING, rounding.beyond_the_range,        "both sides left the range of single precision", "1 run of the reference"),
    Judge("imprecise formula",            Stage.ROUNDING, rounding.imprecise,               "within conditioning: {ulp:.2g} ULP apart, and the reference in another precision explains {allowed:.2g}", "1 run of the reference"),
    Judge("ill-conditioned",              Stage.ROUNDING, rounding.ill_conditioned,         "within conditioning: {ulp:.2g} ULP apart, and rounding of the operands explains {allowed:.2g}", f"{RUNS} runs of the reference; {MORE_RUNS} on the engine's own way"),
    Judge("seldom ill-conditioned",       Stage.ROUNDING, rounding.seldom,                  "within conditioning: {ulp:.2g} ULP apart, and many runs explain {allowed:.2g}", f"{4 * MORE_RUNS} runs of the reference"),
    Judge("on its own way",               Stage.OWN_WAY,  rounding.on_its_own_way,          "rounding decided it: from the engine's own values the reference agrees", f"{MORE_RUNS + 2} runs of the reference"),

    Judge("gradient of NaN",              Stage.NUMBER,   kinks.of_nan,                     "of what is NaN there is no slope"),
    Judge("both right",                   Stage.NUMBER,   numbers.both_right,               "the exact witness bears both out", f"{PLACES} numbers of a part"),
    Judge("right by luck",                Stage.NUMBER,   numbers.engine_right_by_luck,     "the engine errs as much as the reference on numbers nearby", f"{COPIES} programs nearby"),
    Judge("half right beside NaN",        Stage.NUMBER,   numbers.half_right_beside_nan,    "half of the digits are alike, and beside NaN nobody knows what rounding does"),
    Judge("NaN twice over",               Stage.NUMBER,   numbers.twice_of_nan,             "neither the reference nor the witness has a number"),
    Judge("unlike the reference",         Stage.NUMBER,   numbers.unlike_the_reference,     "the witness cannot tell, and the reference says otherwise"),
    Judge("any slope at a kink",          Stage.NUMBER,   kinks.between_the_slopes,         "at this kink each slope between the two sides' will do"),
    Judge("no subgradient",               Stage.NUMBER,   kinks.of_no_subgradient,          "it is no slope at this kink", f"{SAMPLES} points, {KINKED} numbers at once"),
    Judge("no convention",                Stage.NUMBER,   kinks.without_a_convention,       "at this kink there is no convention"),
    Judge("kink met otherwise",           Stage.NUMBER,   kinks.met_with_other_numbers,     "rounding chose the slope: the two sides met the kink with other numbers"),
    Judge("slope on its own way",         Stage.NUMBER,   kinks.alike_on_its_own_way,       "rounding chose the slope: from the engine's own values the reference takes it as well"),
    Judge("another convention",           Stage.NUMBER,   kinks.of_another_convention,      "both are slopes at this kink"),
    Judge("poor formula",                 Stage.NUMBER,   numbers.poor_formula,             "the reference loses fewer than half of its digits"),
    Judge("reference off",                Stage.NUMBER,   numbers.reference_off,            "the exact witness sides with the engine", f"{COPIES} programs nearby"),
    Judge("reference right by luck",      Stage.NUMBER,   numbers.reference_right_by_luck,  "the reference errs as much as the engine on numbers nearby", f"{COPIES} programs nearby"),
    Judge("engine off",                   Stage.NUMBER,   numbers.engine_off,               "the exact witness sides with the reference"),

    Judge("no authority",                 Stage.APPEAL,   appeals.without_authority,        "the reference cannot be disturbed, and no exact number tells"),
    Judge("beside a jump",                Stage.PART_APPEAL, appeals.beside_a_jump,            "rounding makes the second derivative jump", f"{4 * MORE_RUNS} runs of the reference"),
    Judge("beside a wrong reference",     Stage.PART_APPEAL, appeals.beside_a_wrong_reference, "the reference is wrong elsewhere in the program"),
    Judge("beyond a wrong step",          Stage.PART_APPEAL, appeals.beyond_a_wrong_step,      "the reference is wrong in a step by itself", "each step once"),

    Judge("borne out",                    Stage.PANEL,       appeals.borne_out,                "{reference} and {others} part, and no exact number tells"),
)
# fmt: on
