"""The evidence that judges examine. Each piece is computed when it is first needed, and only once."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from reference.engines import Engine, Noise, Outcome, Reference
from reference.ops import OPS
from reference.programs import Program
from reference.verdict.comparison import Comparison, Pair
from reference.verdict.exactness import by_name
from reference.verdict.findings import Finding, Kind, Part, Result, Verdict, parts
from reference.verdict.fitting import Misfit, fitting, misfits
from reference.verdict.rounding import MORE_RUNS, RUNS, is_single
from reference.verdict.steps import steps_alone
from reference.verdict.subgradient import Subgradient
from reference.verdict.truth import Truth, truth_of

Open = dict[str, np.ndarray]  # a mask of the unexplained numbers of each part, by name


class Evidence:
    """The evidence about a program in an engine and a reference.

    Args:
        program: the case.
        engine: the engine to be judged.
        reference: the reference.
        judge: judges another program with the same engine and reference.
        examine: examines a comparison without a witness: returns errors of whole parts, and the open numbers.
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

    def is_chosen(self, share: int) -> bool:
        """Whether this program is one of those of which one in `share` is chosen; none for 0."""
        return share > 0 and self._seed % share == 0

    # Outcomes.

    @cached_property
    def wanted(self) -> Outcome:
        """The reference's outcome."""
        return self.reference.run(self.program)

    @cached_property
    def got(self) -> Outcome:
        """The engine's outcome."""
        return self.engine.run(self.program)

    @cached_property
    def again(self) -> Outcome | None:
        """The outcome of the engine's second run; None if it may not run twice."""
        return self.engine.again(self.program) if self._repeat else None

    @cached_property
    def fitted(self) -> Outcome:
        """The reference's outcome, with the engine's gradient in place of each that lacks its leaf's shape or dtype."""
        return fitting(self.wanted, self.misfits)

    @cached_property
    def misfits(self) -> list[Misfit]:
        """The reference's gradients that lack their leaf's shape or dtype, while the engine's have them."""
        return misfits(self.program, self.got, self.wanted)

    @property
    def is_meant_to_be_refused(self) -> bool:
        """Whether the generator meant the program to be refused."""
        return self.program.cotangent is None

    @property
    def can_be_compared(self) -> bool:
        """Whether both sides ran to the end and have gradients."""
        return not (self.is_meant_to_be_refused or self.got.error or self.wanted.error)

    # Rounding.

    @cached_property
    def compared(self) -> Comparison:
        """The comparison of both sides."""
        return self._comparison(self.fitted, None)

    @property
    def authority(self) -> bool:
        """Whether the reference decides where the witness cannot. One that cannot be disturbed does not."""
        return self.reference.abilities.disturb

    @cached_property
    def followed(self) -> Outcome:
        """The reference's outcome from the engine's intermediate values; from its own, if it lacks this ability."""
        if not self.reference.abilities.path:
            return self.fitted
        return self.reference.run(self.program, path=self.got.values)

    @cached_property
    def gradients_on_its_own_way(self) -> dict[str, Any]:
        """The parts of `followed`, by name."""
        return by_name(parts(self.program, self.followed))

    @cached_property
    def own_way(self) -> tuple[Comparison, Open] | None:
        """The comparison with the reference's run from the engine's values, and the numbers that stay open.

        None if the reference lacks this ability, if it raises, as on a value of a wrong shape, or if some step's value
        is wrong by itself.
        """
        if not self.reference.abilities.path or self.followed.error is not None:
            return None
        comparison = self._comparison(self.followed, self.got.values, runs=MORE_RUNS)
        misfits, unexplained = self._examine(comparison)
        values = any(pair.kind is Kind.FORWARD and pair.name in unexplained for pair in comparison.pairs)
        return None if misfits or values else (comparison, unexplained)

    @cached_property
    def beyond_jumps(self) -> Open:
        """The numbers open in a run from the engine's values, with disturbances as small as rounding as well."""
        _, unexplained = self._examine(self._comparison(self.followed, self.got.values, scale=1.0))
        return unexplained

    def error(self, pair: Pair) -> np.ndarray:
        """Return the rounding error of each number of a part: the larger one of the estimates."""
        error = self.compared.error(pair)
        if self.own_way is None:
            return error
        comparison, unexplained = self.own_way
        return np.maximum(error, comparison.error(pair)) if pair.name in unexplained else error

    # The witness.

    @cached_property
    def mine(self) -> Truth:
        """The exact numbers at the engine's values; at the reference's, if the engine has not a value for each step."""
        return truth_of(self.program, self.got if self.has_values else self.fitted, single=self.is_single)

    @cached_property
    def has_values(self) -> bool:
        """Whether the engine gives a value of the right kind and shape for each step."""
        mine, theirs = self.got.values, self.fitted.values
        pairs = zip(mine, theirs, strict=False)
        alike = (isinstance(a, np.ndarray) and a.dtype.kind == "f" and a.shape == b.shape for a, b in pairs)
        return len(mine) == len(theirs) and all(alike)

    @cached_property
    def theirs(self) -> Truth:
        """The exact numbers at the reference's values."""
        return truth_of(self.program, self.fitted, single=self.is_single)

    @cached_property
    def of_finite_results(self) -> dict[str, Any] | None:
        """The reference's gradients of the finite results only; None if all results are finite."""
        nonfinite, cotangent = self.mine.nonfinite_results, self.program.cotangent
        if cotangent is None or not nonfinite.any():
            return None
        rest = replace(self.program, cotangent=np.where(nonfinite, 0, cotangent))
        return by_name(parts(rest, self.reference.run(rest)))

    @cached_property
    def subgradient(self) -> Subgradient:
        """The engine's gradients, if the program is at a kink."""
        return Subgradient(self.mine, self.got, [o.data.shape for o in self.program.leaves])

    @cached_property
    def is_single(self) -> bool:
        """Whether some of the computation is in single precision."""
        return is_single([o.data for o in self.program.operands] + list(self.fitted.values))

    @cached_property
    def reference_is_wrong_in_a_step(self) -> bool:
        """Whether the reference is wrong in one of several steps, each run by itself."""
        alone = [step for _, step in steps_alone(self.program, self.got)] if len(self.program.steps) > 1 else []
        return any(self._judge(step).result is Result.REFERENCE_WRONG for step in alone)

    # Conventions.

    @cached_property
    def is_finite(self) -> bool:
        """Whether all operands and values are finite; the reference's values, if the engine does not have all."""
        values = self.got.values if self.has_values else self.fitted.values
        arrays = [*(o.data for o in self.program.operands), *values]
        return all(bool(np.isfinite(a).all()) for a in arrays)

    @cached_property
    def conventions_are_told(self) -> bool:
        """Whether each kink of the program has a convention that this reference and all its releases follow."""
        kinks = [OPS[step.op].kink for step in self.program.steps]
        declared = self.reference.conventions & {step.op for step in self.program.steps}
        return all(kink.settled for kink in kinks if kink) and not declared

    @cached_property
    def kinks_are_met_alike(self) -> bool:
        """Whether both sides have the same values at kinks, so that rounding did not choose a slope."""
        values = zip(self.program.steps, self.got.values, self.followed.values, strict=False)
        return all(np.array_equal(a, b, equal_nan=True) for step, a, b in values if OPS[step.op].kink)

    # Helpers.

    def _comparison(
        self, wanted: Outcome, path: Sequence[Any] | None, *, runs: int = RUNS, scale: float | None = None
    ) -> Comparison:
        can = self.reference.abilities.disturb and self.reference.abilities.precision

        def of(outcome: Outcome) -> list[Part]:
            second_order = self.engine.abilities.second_order
            return parts(self.program, outcome, second_order=second_order, steps=path is not None)

        def rerun(noise: Noise | None, precision: str | None) -> list[Part]:
            return of(self.reference.run(self.program, noise=noise, precision=precision, path=path))

        got, rerun_if = of(self.got), rerun if can else None
        return Comparison(got, of(wanted), rerun_if, single=self.is_single, seed=self._seed, runs=runs, scale=scale)

    @cached_property
    def _seed(self) -> int:
        """The seed of disturbances. It depends on the program, so that programs do not share a lucky seed."""
        return zlib.crc32(b"".join(o.data.tobytes() for o in self.program.operands))
