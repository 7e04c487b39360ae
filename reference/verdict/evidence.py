"""All that judges look at: made when first asked for, and only once."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from reference.engines import Engine, Noise, Outcome, Reference
from reference.ops import OPS
from reference.programs import Program
from reference.verdict.comparison import Comparison, Pair
from reference.verdict.exactness import Witnessed, by_name
from reference.verdict.findings import Finding, Kind, Part, Result, Verdict, parts
from reference.verdict.fitting import Misfit, fitting, misfits
from reference.verdict.rounding import MORE_RUNS, RUNS, is_single
from reference.verdict.steps import steps_alone

Open = dict[str, np.ndarray]  # of parts, by name, which numbers no judge has explained


class Evidence:
    """What there is to see of a program in an engine, beside a reference.

    Args:
        program: the case.
        engine: what is judged.
        reference: what is believed.
        judge: judges another program of the two.
        examine: asks what a comparison shows without a witness: the findings that are no numbers, and what is open.
        repeat: whether the engine may be run twice.
    """

    def __init__(
        self,
        program: Program,
        engine: Engine,
        reference: Reference,
        *,
        judge: Callable[[Program], Verdict],
        examine: Callable[[Comparison], tuple[Sequence[Finding], Open]],
        repeat: bool = True,
    ) -> None:
        self.program = program
        self.engine = engine
        self.reference = reference
        self._judge = judge
        self._examine = examine
        self._repeat = repeat

    # What both made of it.

    @cached_property
    def wanted(self) -> Outcome:
        """What the reference made of it."""
        return self.reference.run(self.program)

    @cached_property
    def got(self) -> Outcome:
        """What the engine made of it."""
        return self.engine.run(self.program)

    @cached_property
    def again(self) -> Outcome | None:
        """What the engine makes of it a second time, if it may be asked."""
        return self.engine.again(self.program) if self._repeat else None

    @cached_property
    def fitted(self) -> Outcome:
        """What the reference made of it; where that is no array of the leaf's shape and dtype, the engine's instead."""
        return fitting(self.wanted, self.misfits)

    @cached_property
    def misfits(self) -> list[Misfit]:
        """The reference's gradients that have not the shape and dtype of their leaves, though the engine's have."""
        return misfits(self.program, self.got, self.wanted)

    @property
    def is_meant_to_be_refused(self) -> bool:
        """Whether NumPy refuses the program, by what drew it."""
        return self.program.cotangent is None

    @property
    def can_be_compared(self) -> bool:
        """Whether both sides have run to the end, and have gradients to compare."""
        return not (self.is_meant_to_be_refused or self.got.error or self.wanted.error)

    # What the reference shows of rounding.

    @cached_property
    def compared(self) -> Comparison:
        """Both sides, part by part."""
        return self._comparison(self.fitted, None)

    @property
    def authority(self) -> bool:
        """Whether the reference settles what the witness cannot tell. One that cannot be disturbed does not."""
        return self.reference.abilities.disturb

    @cached_property
    def followed(self) -> Outcome:
        """What the reference makes of the engine's own values; of its own, if it cannot go on from others."""
        if not self.reference.abilities.path:
            return self.fitted
        return self.reference.run(self.program, path=self.got.values)

    @cached_property
    def gradients_on_its_own_way(self) -> dict[str, Any]:
        """The parts of it, by name."""
        return by_name(parts(self.program, self.followed))

    @cached_property
    def own_way(self) -> tuple[Comparison, Open] | None:
        """The engine beside the reference on the engine's own way, and what is open there; None if nothing is shown.

        Nothing is if the reference cannot go on from other values, if a value has a shape from which nothing goes on,
        or if a step's own value is wrong.
        """
        if not self.reference.abilities.path or self.followed.error is not None:
            return None
        comparison = self._comparison(self.followed, self.got.values, runs=MORE_RUNS)
        misfits, still = self._examine(comparison)
        values = any(pair.kind is Kind.FORWARD and pair.name in still for pair in comparison.pairs)
        return None if misfits or values else (comparison, still)

    @cached_property
    def beyond_jumps(self) -> Open:
        """What is open on the engine's own way if it is also held against what rounding alone does to the results."""
        _, still = self._examine(self._comparison(self.followed, self.got.values, scale=1.0))
        return still

    def error(self, pair: Pair) -> np.ndarray:
        """How far rounding may take each number of a part: by the larger of the estimates that there are."""
        error = self.compared.error(pair)
        if self.own_way is None:
            return error
        comparison, still = self.own_way
        return np.maximum(error, comparison.error(pair)) if pair.name in still else error

    # What the witness shows.

    @cached_property
    def witnessed(self) -> Witnessed:
        """The exact witness, for this program."""
        return Witnessed(self.program, self.engine, self.reference)

    @cached_property
    def reference_is_wrong_in_a_step(self) -> bool:
        """Whether it is wrong in one of several steps by itself."""
        alone = [step for _, step in steps_alone(self.program, self.got)] if len(self.program.steps) > 1 else []
        return any(self._judge(step).result is Result.REFERENCE_WRONG for step in alone)

    # What is a matter of convention.

    @cached_property
    def is_finite(self) -> bool:
        """Whether all numbers of the program are."""
        arrays = [*(o.data for o in self.program.operands), *self.got.values]
        return all(bool(np.isfinite(a).all()) for a in arrays)

    @cached_property
    def conventions_are_told(self) -> bool:
        """Whether each kink has a slope that both sides should take: references may differ, and so may releases."""
        kinks = [OPS[step.op].kink for step in self.program.steps]
        declared = self.reference.conventions & {step.op for step in self.program.steps}
        return all(kink.settled for kink in kinks if kink) and not declared

    @cached_property
    def kinks_are_met_alike(self) -> bool:
        """Whether both sides met kinks with the same numbers, so that rounding chose no slope for them."""
        values = zip(self.program.steps, self.got.values, self.followed.values, strict=False)
        return all(np.array_equal(a, b, equal_nan=True) for step, a, b in values if OPS[step.op].kink)

    # How.

    def _comparison(
        self, wanted: Outcome, path: Sequence[Any] | None, *, runs: int = RUNS, scale: float | None = None
    ) -> Comparison:
        can = self.reference.abilities.disturb and self.reference.abilities.precision

        def of(outcome: Outcome) -> list[Part]:
            second_order = self.engine.abilities.second_order
            return parts(self.program, outcome, second_order=second_order, steps=path is not None)

        def rerun(noise: Noise | None, precision: str | None) -> list[Part]:
            return of(self.reference.run(self.program, noise=noise, precision=precision, path=path))

        single = is_single([o.data for o in self.program.operands] + list(self.fitted.values))
        got, rerun_if = of(self.got), rerun if can else None
        return Comparison(got, of(wanted), rerun_if, single=single, seed=self._seed, runs=runs, scale=scale)

    @cached_property
    def _seed(self) -> int:
        """Of the disturbances: the program's own, so that no two programs share a lucky one."""
        return zlib.crc32(b"".join(o.data.tobytes() for o in self.program.operands))
