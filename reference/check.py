"""For authors of other engines: plug an engine in, and be told what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from reference.campaign import PROFILES, Campaign
from reference.engines import Engine, TorchEngine
from reference.report import text


def check_engine(
    engine: Engine,
    ops: Sequence[str] | None = None,
    profile: str = "quick",
    seed: int = 0,
    kept: Path | None = None,
) -> list[str]:
    """Compare an engine with PyTorch, and say what is wrong: one text for each op that fails, none if all agree.

    Args:
        engine: any engine; `reference.engines.TapeEngine` makes one of four small methods.
        ops: the ops to try, by the catalogue's names; by default all that the engine knows.
        profile: how many programs: `quick`, `standard` or `deep`.
        seed: what they are drawn from.
        kept: a file in which programs that fail are kept, to be tried first the next time.

    Raises:
        ValueError: an op or a profile is not known, or nothing was compared.
    """
    reference = TorchEngine()
    wanted = tuple(engine.ops) if ops is None else tuple(ops)
    unknown = [op for op in wanted if op not in reference.ops or op not in engine.ops]
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: not in the catalogue, or not among the engine's ops")
    if profile not in PROFILES:
        raise ValueError(f"profile is {profile!r}, but must be one of {', '.join(PROFILES)}")
    programs = replace(PROFILES[profile], checks={})  # sessions, training and the library are ndgrad's own
    records = list(Campaign(engine, reference, wanted, seed, kept).run(programs))
    if not any(record.numbers or record.failures for record in records):
        raise ValueError("nothing was compared: no op to try, or no program came of them")
    failures = {failure.op: failure for record in records[::-1] for failure in record.failures}
    return [text.failure(failure, engine.name, reference.name) for failure in list(failures.values())[::-1]]
