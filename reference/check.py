"""For authors of other engines: plug an engine in, and be told what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from reference.campaign import PROFILES, Campaign, Profile
from reference.checks import Case, ProgramCase, parse_case
from reference.engines import Engine, Reference
from reference.engines.references import EVERY, References
from reference.engines.torch import TorchEngine, in_one_thread
from reference.report import text


@in_one_thread()
def check_engine(
    engine: Engine,
    ops: Sequence[str] | None = None,
    profile: str = "quick",
    seed: int = 0,
    failures: Path | None = None,
) -> list[str]:
    """Compare an engine with PyTorch, and say what is wrong: one text for each op that fails, none if all agree.

    If all ops agree, an engine with state is given sessions as well: calls on shared state, as leaves whose gradients
    add up over passes. The first that goes wrong is one more text.

    Args:
        engine: any engine; `reference.engines.TapeEngine` makes one of four small methods.
        ops: the ops to try, by the op table's names, and nothing else; by default all that the engine knows.
        profile: how many programs: `quick`, `standard` or `deep`.
        seed: what they are drawn from.
        failures: a file in which cases that fail are stored, to be tried first the next time.

    Raises:
        ValueError: an op or a profile is not known, or nothing was compared.
    """
    reference = TorchEngine()
    wanted = tuple(engine.ops) if ops is None else tuple(ops)
    unknown = [op for op in wanted if op not in reference.ops or op not in engine.ops]
    if unknown:
        known = [op for op in reference.ops if op in engine.ops]
        hint = "; ".join(dict.fromkeys(text.nearest(op, known) for op in unknown))
        hint = (
            hint if known else f"{engine.name} has no op of the table; give it functions by the names of the op table"
        )
        raise ValueError(f"{', '.join(unknown)}: not in the op table, or not among the engine's ops; {hint}")
    if profile not in PROFILES:
        raise ValueError(f"profile is {profile!r}, but must be one of {', '.join(PROFILES)}")
    size = PROFILES[profile]
    records = list(Campaign(engine, reference, wanted, seed, failures).run(replace(size, checks={})))
    if not any(record.numbers or record.failures for record in records):
        raise ValueError(f"nothing was compared: {_nothing(engine, wanted)}")
    if ops is None and not any(record.failures for record in records):
        records += Campaign(engine, reference, (), seed).run(Profile(0, 0, size.checks))
    found = {failure.op: failure for record in records[::-1] for failure in record.failures}
    return [text.failure(failure, engine.name, reference.name) for failure in list(found.values())[::-1]]


def _nothing(engine: Engine, ops: Sequence[str]) -> str:
    if not ops:
        return f"no op was given, or {engine.name} has none; known are {', '.join(TorchEngine().ops)}"
    return f"both {engine.name} and the reference refuse every program of {', '.join(ops)}"


def _why_nothing(case: Case, engine: Engine, reference: Reference) -> str:
    if not isinstance(case, ProgramCase):
        return f"{engine.name} is not given this case"
    if case.program.cotangent is None:
        return "the line has no back(...)"
    return f"{engine.run(case.program).error or reference.run(case.program).error}"


@in_one_thread()
def check_program(engine: Engine, line: str) -> str:
    """Compare an engine with PyTorch on one case, and return a description of the failure; empty if they agree.

    Args:
        engine: any engine.
        line: the program, or the case of another kind, from the last line of a failure.

    Raises:
        ValueError: the line is no case; or nothing was compared, because both sides refuse it.
    """
    case, reference = parse_case(line), TorchEngine()
    trial = case.run(engine, References([reference], EVERY))
    verdict = trial.verdict
    if verdict.result.blames:
        return text.failure(Campaign(engine, reference).explained(trial), engine.name, reference.name)
    if not verdict.numbers and not verdict.refused:
        raise ValueError(f"nothing was compared: {_why_nothing(case, engine, reference)}")
    return ""
