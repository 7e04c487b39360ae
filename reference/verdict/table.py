"""The judges in their order, each with its reason, its budget and the case that shows why it is needed.

The judges of a stage are asked one after the other, and the first opinion decides. Of laws, every breach is reported.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, NamedTuple

from reference.verdict.findings import Result
from reference.verdict.judges import appeals, audits, kinks, laws, numbers, parts, refusals, rounding
from reference.verdict.rounding import AT_ONCE, MORE_RUNS, RUNS
from reference.verdict.subgradient import KINKED, SIGNS

PLACES = 6  # how many numbers of an array are judged, those with the largest distance first
FEW_PLACES = 2  # likewise, if the witness also has to estimate rounding errors


class Stage(Enum):
    """What a judge judges. It determines the arguments of its function, which are in parentheses."""

    RUN = "a whole run"  # (evidence): an opinion is the verdict
    LAW = "a law for every engine"  # (evidence): gives findings
    PART = "an array"  # (pair)
    ROUNDING = "all numbers of an array"  # (comparison, pair, unexplained): an opinion has a mask of explained numbers
    OWN_WAY = (
        "all numbers of an array, with the reference run from the engine's values"  # (evidence, pair, unexplained)
    )
    NUMBER = "one number"  # (evidence, number)
    AUDIT = "a step's value that both sides agree on"  # (evidence, wrong value)
    APPEAL = "a finding about one number that accuses a side"  # (evidence, finding)
    PART_APPEAL = "the gravest finding of a part, with those of all other parts"  # (evidence, finding, findings)
    PANEL = (
        "the verdict by one of several references"  # (verdict, names of the references that do not blame the engine)
    )


class Bought(NamedTuple):
    """A case whose result changes if a judge is deleted.

    Args:
        answer: the result.
        program: the program.
        engine: the engine: ndgrad, or one that is wrong on purpose, by its name in the tests.
        reference: the reference or references: PyTorch, or one that is changed on purpose, by its name in the tests.
        patient: whether the witness is asked. It is not asked in sessions and training, nor while a program is shrunk.
    """

    answer: Result
    program: str
    engine: str = "ndgrad"
    reference: str = "PyTorch"
    patient: bool = True


class Judge(NamedTuple):
    """A row of the table.

    Args:
        name: its name in reports.
        stage: what it judges.
        function: takes the arguments of its stage, and returns an opinion, or None to leave the question to the next judge.
        reason: the sentence that is reported if it decides, with placeholders for the opinion's facts.
        budget: the most work that it does before it leaves the question to the next judge; empty if it runs nothing.
        bought: the case that shows why it is needed: its result changes if the judge is deleted.
    """

    name: str
    stage: Stage
    function: Callable[..., Any]
    reason: str
    budget: str
    bought: Bought


# fmt: off
JUDGES = (
    #     name                        stage              function                          reason, budget; below, the case that bought it
    Judge("refused as meant",         Stage.RUN,         refusals.as_meant,                "both sides refuse what NumPy refuses", "",
          Bought(Result.AGREES, "x=f8([1.0,2.0]); y=f8([1.0,2.0,3.0]); a=add(x,y)")),
    Judge("refused by both",          Stage.RUN,         refusals.by_both,                 "both sides refuse a program that should run", "",
          Bought(Result.INCONCLUSIVE, "x=f8([1.0,2.0]); y=f8([1.0,2.0,3.0]); a=add(x,y); back(a,f8([1.0,1.0]))")),
    Judge("refused by neither",       Stage.RUN,         refusals.by_neither,              "both sides accept a program that should be refused", "",
          Bought(Result.INCONCLUSIVE, "x=f8([1.0,2.0]); y=f8([3.0,5.0]); a=add(x,y)")),
    Judge("refused rightly",          Stage.RUN,         refusals.rightly_by_the_engine,   "NumPy refuses the program, and the reference accepts it", "",
          Bought(Result.REFERENCE_WRONG, "x=f8([1.0,2.0]); y=f8([1.0,2.0,3.0]); a=add(x,y)", "ndgrad", "PyTorch that accepts")),
    Judge("refused by the engine",    Stage.RUN,         refusals.by_the_engine,           "the engine alone refuses the program", "",
          Bought(Result.ENGINE_WRONG, "x=f8([1.5,-2.0]); a=square(x); back(a,f8([1.0,3.0]))", "a raised error")),
    Judge("not supported",            Stage.RUN,         refusals.not_supported,           "the reference raises NotImplementedError", "",
          Bought(Result.UNSUPPORTED, "x=f8([1.5,-2.0]); a=square(x); back(a,f8([1.0,3.0]))", "ndgrad", "PyTorch without this")),
    Judge("accepted by the engine",   Stage.RUN,         refusals.accepted_by_the_engine,  "NumPy refuses the program, and the engine accepts it", "",
          Bought(Result.ENGINE_WRONG, "x=f8([1.0,2.0]); y=f8([1.0,2.0,3.0]); a=add(x,y)", "all accepted")),
    Judge("refused by the reference", Stage.RUN,         refusals.by_the_reference,        "the reference alone refuses the program", "",
          Bought(Result.REFERENCE_WRONG, "x=f8([1.5,-2.0]); a=square(x); back(a,f8([1.0,3.0]))", "ndgrad", "PyTorch that refuses")),

    Judge("written into",             Stage.LAW,         laws.written_into,                "operands and the cotangent must stay unchanged", "",
          Bought(Result.ENGINE_WRONG, "x=f8([1.5,-2.0]); a=square(x); back(a,f8([1.0,3.0]))", "written into")),
    Judge("result gradient",          Stage.LAW,         laws.result_gradient,             "the gradient of the result must be the cotangent", "",
          Bought(Result.ENGINE_WRONG, "x=f8([1.5,-2.0]); a=square(x); back(a,f8([1.0,3.0]))", "a cotangent overwritten")),
    Judge("shared memory",            Stage.LAW,         laws.shared,                      "each gradient must have memory of its own", "",
          Bought(Result.ENGINE_WRONG, "x=f8([1.0,2.0]); y=f8([3.0,5.0]); a=add(x,y); back(a,f8([1.0,2.0]))", "the cotangent returned")),
    Judge("not doubled",              Stage.LAW,         laws.not_doubled,                 "a second backward pass must add the same gradients again", "",
          Bought(Result.ENGINE_WRONG, "x=f8([1.5,-2.0]); a=square(x); back(a,f8([1.0,3.0]))", "tripled")),
    Judge("not repeated",             Stage.LAW,         laws.not_repeated,                "two runs must be equal to the bit", "2 runs of the engine",
          Bought(Result.ENGINE_WRONG, "x=f8([1.5,-2.0]); a=square(x); back(a,f8([1.0,3.0]))", "another each time")),
    Judge("reference misshapen",      Stage.LAW,         laws.misshapen,                   "a gradient must have the shape and dtype of its leaf", "",
          Bought(Result.REFERENCE_WRONG, "x=f8([[1.0,2.0]]); a=square(x); back(a,f8([[1.0,2.0]]))", "ndgrad", "PyTorch in one row")),

    Judge("no gradient wanted",       Stage.PART,        parts.of_zeros,                   "no gradient is required", "",
          Bought(Result.AGREES, "x=f8(1.0); a=abs(x); back(a,f8(1.0),along=(f8(1.0),))")),
    Judge("missing",                  Stage.PART,        parts.missing,                    "a gradient is required", "",
          Bought(Result.ENGINE_WRONG, "x=f8([1.5,-2.0]); a=square(x); back(a,f8([1.0,3.0]))", "missing")),
    Judge("no array",                 Stage.PART,        parts.of_no_array,                "an array is required", "",
          Bought(Result.ENGINE_WRONG, "x=f8([1.5,-2.0]); a=square(x); back(a,f8([1.0,3.0]))", "a NumPy scalar")),
    Judge("another shape",            Stage.PART,        parts.of_another_shape,           "the shape must be the leaf's, or for a value NumPy's", "",
          Bought(Result.ENGINE_WRONG, "x=f8([1.5,-2.0]); a=square(x); back(a,f8([1.0,3.0]))", "a shape")),
    Judge("another dtype",            Stage.PART,        parts.of_another_dtype,           "the dtype must be the leaf's, or for a value NumPy's", "",
          Bought(Result.ENGINE_WRONG, "x=f8([1.5,-2.0]); a=square(x); back(a,f8([1.0,3.0]))", "a dtype")),

    Judge("at once",                  Stage.ROUNDING,    rounding.at_once,                 f"within {AT_ONCE:.0f} ULP", "",
          Bought(Result.AGREES, "x=f8([1.5,-2.0]); a=square(x); back(a,f8([1.0,3.0]))")),
    Judge("beyond single precision",  Stage.ROUNDING,    rounding.beyond_the_range,        "both sides left the range of single precision", "1 run of the reference",
          Bought(Result.CONDITIONED, "x=f4([[1000.0,1.0,-1e-12,1e-12,1e-12,1e-12],[1.0,-0.0,1.0,1.0,1.0,1.0]]); a=prod(x,axis=1,keepdims=False); b=log(a); back(b,f4([1.0,1.0]))")),
    Judge("imprecise formula",        Stage.ROUNDING,    rounding.imprecise,               "within conditioning: {ulp:.2g} ULP apart, and the reference in another precision explains {allowed:.2g}", "1 run of the reference",
          Bought(Result.CONDITIONED, "x=f4([1.0]); a=broadcast_to(x,shape=(6,)); back(a,f4([3.8,1e5,0.2,-1e5,4.9,5.5]))", "another order", patient=False)),
    Judge("ill-conditioned",          Stage.ROUNDING,    rounding.ill_conditioned,         "within conditioning: {ulp:.2g} ULP apart, and rounding of the operands explains {allowed:.2g}", f"{RUNS} runs of the reference; {MORE_RUNS} from the engine's values",
          Bought(Result.CONDITIONED, "x=f8([1.0]); y=f8([0.9999990463256836]); a=subtract(x,y); back(a,f8([1.0]))", "the value, 1e-10 off", patient=False)),
    Judge("seldom ill-conditioned",   Stage.ROUNDING,    rounding.seldom,                  "within conditioning: {ulp:.2g} ULP apart, and many runs explain {allowed:.2g}", f"{4 * MORE_RUNS} runs of the reference",
          Bought(Result.CONDITIONED, "x=f8([20.0,3.0]); y=f8([20.0,3.0]); a=maximum(x,y); b=softplus(a); back(b,f8([1.0,1.0]),along=(f8([1.0,1.0]),f8([1.0,1.0])))")),

    Judge("on its own way",           Stage.OWN_WAY,     rounding.on_its_own_way,          "rounding decided it: run from the engine's own values, the reference agrees", f"{MORE_RUNS + 2} runs of the reference",
          Bought(Result.CONDITIONED, "x=f8([1.0]); y=f8([-0.0]); a=cumsum(y,axis=0); b=divide(x,a); back(b,f8([1.0]))")),

    Judge("gradient of NaN",          Stage.NUMBER,      kinks.of_nan,                     "NaN has no slope", "",
          Bought(Result.CONVENTION, "x=f8([nan]); y=-3.625; a=maximum(x,y); back(a,f8([1.0]))", "maximum: ties go to the first")),
    Judge("both right",               Stage.NUMBER,      numbers.both_right,               "both are right, each by the exact number at its own values", f"{PLACES} numbers of a part",
          Bought(Result.CONDITIONED, "x=f8([2.03]); a=square(x); back(a,f8([1.0]))", "the value, 16 ULP off", "weak PyTorch")),
    Judge("half right beside NaN",    Stage.NUMBER,      numbers.half_right_beside_nan,    "half of the digits agree, and beside NaN rounding errors are unknown", "",
          Bought(Result.INCONCLUSIVE, "x=const(f8([nan,2.0])); y=f8(3.0); a=add(x,y); back(a,f8([1.0,7.125]))", "add: 1e-9 too much")),
    Judge("NaN twice over",           Stage.NUMBER,      numbers.twice_of_nan,             "neither the reference nor the witness gives a number", "",
          Bought(Result.INCONCLUSIVE, "x=f8([0.0]); a=abs(x); back(a,f8([1.0]),along=(f8([1.0]),))", "a second derivative of 1", "PyTorch, NaN twice")),
    Judge("explained, not witnessed", Stage.NUMBER,      numbers.explained_without_a_witness, "the witness cannot tell, and rounding explains the difference", "",
          Bought(Result.CONDITIONED, "y=f8([1.0]); n=const(f8([nan])); a=add(y,n); s=broadcast_to(y,shape=(4,)); e=concatenate(a,s,axis=None); back(e,f8([1e6,1e16,1.0,-1e16,0.3]))", "half too much")),
    Judge("unlike the reference",     Stage.NUMBER,      numbers.unlike_the_reference,     "the witness cannot tell, and the reference differs", "",
          Bought(Result.ENGINE_WRONG, "x=f8([-1.5]); a=log1p(x); back(a,f8([1.0]))", "log1p: that of log")),
    Judge("any slope at a kink",      Stage.NUMBER,      kinks.between_the_slopes,         "at this kink any slope between those of the two sides is accepted", "",
          Bought(Result.CONDITIONED, "x=f8([0.0]); a=relu(x); back(a,f8([1.0]))", "relu: slope 1/2 at 0", "weak PyTorch")),
    Judge("no subgradient",           Stage.NUMBER,      kinks.of_no_subgradient,          "it is not a subgradient at this kink", f"{KINKED} numbers at once, in {SIGNS + 2} directions",
          Bought(Result.ENGINE_WRONG, "x=f8([2.0,2.0]); a=max(x,axis=0,keepdims=False); back(a,f8(1.0))", "max: ties take all")),
    Judge("alike at a kink",          Stage.NUMBER,      kinks.alike,                      "at this kink both take the same slope, up to rounding", "",
          Bought(Result.CONDITIONED, 'x=f4([[0.0,0.0,0.0],[nan,nan,nan],[0.0,0.0,nan]]); a=log_softmax(x,axis=-1); b=astype(a,dtype="float32"); c=max(b,axis=1,keepdims=True); back(c,f4([[-2.625],[-1.125],[-3.875]]))')),
    Judge("no convention",            Stage.NUMBER,      kinks.without_a_convention,       "at this kink there is no convention", "",
          Bought(Result.CONDITIONED, "x=f8([1.0]); y=1.0; z=3.0; a=clip(x,y,z); back(a,f8([2.0]))", "clip: nothing at the bounds")),
    Judge("kink met otherwise",       Stage.NUMBER,      kinks.met_with_other_numbers,     "rounding chose the slope: the two sides reached the kink with different numbers", "",
          Bought(Result.CONDITIONED, "x=f8([1.0,3.0]); y=f8([0.0]); a=std(x,axis=0,keepdims=False,ddof=0); b=relu(y); c=add(a,b); back(c,f8([1.0]))", "met otherwise")),
    Judge("slope on its own way",     Stage.NUMBER,      kinks.alike_on_its_own_way,       "rounding chose the slope: run from the engine's own values, the reference takes it, too", "",
          Bought(Result.CONDITIONED, "x=f8([[[1.0,1.0,1.0],[1.0,1.0,1.0],[1.0,-0.9733509026636445,1.0]],[[1.0,1.0,1.0],[28.22428378123494,1.0,1.0],[1.0,-0.9733509026636445,1.0]]]); a=softplus(x); b=min(a,axis=(0,-2),keepdims=False); back(b,f8([1.0,1.0,1.0]))")),
    Judge("another convention",       Stage.NUMBER,      kinks.of_another_convention,      "both are slopes at this kink", "",
          Bought(Result.CONVENTION, "x=f8([0.0]); a=relu(x); back(a,f8([1.0]))", "relu: slope 1/2 at 0")),
    Judge("reference off",            Stage.NUMBER,      numbers.reference_off,            "the engine is right by the exact witness, and the reference is not", "",
          Bought(Result.REFERENCE_WRONG, "x=f8([20.5]); a=softplus(x); back(a,f8([1.0]))")),
    Judge("engine imprecise",         Stage.NUMBER,      numbers.engine_imprecise,         "the usual formulas lose as much there", "",
          Bought(Result.IMPRECISE, "x=f8([20.0]); a=tanh(x); back(a,f8([1.0]))")),
    Judge("engine off",               Stage.NUMBER,      numbers.engine_off,               "the exact witness sides with the reference", "",
          Bought(Result.ENGINE_WRONG, "x=f8([0.5]); a=exp(x); back(a,f8([1.0]))", "exp: 1e-7 too little")),

    Judge("audited value",            Stage.AUDIT,       audits.of_a_value,                "a step's value is not the exact one at its operands", "",
          Bought(Result.BOTH_WRONG, "x=f8([0.5]); a=exp(x); back(a,f8([1.0]))", "the value, 1e-6 off", "PyTorch, its value 1e-6 off")),

    Judge("no authority",             Stage.APPEAL,      appeals.without_authority,        "the reference cannot be disturbed, and no exact number decides", "",
          Bought(Result.INCONCLUSIVE, "x=f8([-1.5]); a=log1p(x); back(a,f8([1.0]))", "log1p: that of log", "weak PyTorch")),

    Judge("beside a jump",            Stage.PART_APPEAL, appeals.beside_a_jump,            "rounding makes the second derivative jump", f"{4 * MORE_RUNS} runs of the reference",
          Bought(Result.CONDITIONED, "x=f8([20.0,3.0]); y=f8([20.0,3.0]); a=maximum(x,y); b=softplus(a); back(b,f8([1.0,1.0]),along=(f8([1.0,1.0]),f8([1.0,1.0])))")),
    Judge("beside a wrong reference", Stage.PART_APPEAL, appeals.beside_a_wrong_reference, "the reference is wrong elsewhere in the program", "",
          Bought(Result.REFERENCE_WRONG, "x=f8([1.0,2.0]); y=f8([1.0,0.0]); a=maximum(x,y); back(a,f8([1.0,1.0]),along=(f8([1.0,0.0]),f8([0.0,0.0])))", "a second derivative of 1", "PyTorch, 1e-9 off")),
    Judge("beyond a wrong step",      Stage.PART_APPEAL, appeals.beyond_a_wrong_step,      "the reference is wrong in a step by itself", "each step once",
          Bought(Result.INCONCLUSIVE, "x=f8([20.5]); y=f4([1.0]); z=f8([20.5,2.0]); a=concatenate(x,y,axis=0); b=maximum(a,z); c=softplus(b); back(c,f8([1.0,1.0]),along=(f8([1.0]),f4([1.0]),f8([1.0,1.0])))")),

    Judge("borne out",                Stage.PANEL,       appeals.borne_out,                "{reference} and {others} disagree, and no exact number decides", "",
          Bought(Result.INCONCLUSIVE, "x=f8([0.0]); a=relu(x); back(a,f8([1.0]))", "relu: slope 1/2 at 0", "PyTorch; weak PyTorch, slope 1 at 0")),
)
# fmt: on
