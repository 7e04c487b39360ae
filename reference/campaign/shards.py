"""Shards: small, pure parts of a campaign, which any process may run, and run again.

The cases of a shard depend only on the seed, the focus and their numbers. Engines are sent to processes by name.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from reference.campaign.records import Failing, Tally
from reference.checks import SCRIPTED, draw_case
from reference.engines import Engine
from reference.engines.references import References, make_engine, make_reference
from reference.ops.source import Unsuited

AT_A_TIME = 130  # programs: about half a second
SCRIPTED_AT_A_TIME = 65

Loaded: TypeAlias = tuple[Engine, References]


@dataclass(frozen=True, order=True)
class Shard:
    """Some cases of a focus.

    Args:
        focus: an op, `expressions`, or another check.
        first: the number of the first case.
        count: how many cases it has.
    """

    focus: str
    first: int
    count: int

    def __str__(self) -> str:
        """Return its name in messages."""
        return f"{self.focus} {self.first} to {self.first + self.count - 1}"


@dataclass(frozen=True)
class Sides:
    """An engine and its references by name, and whatever else a shard needs to know of a campaign.

    Args:
        engine: a name in `ENGINES`, or `module:name`.
        references: names of the same kind.
        ops: the ops that programs may contain.
        seed: the seed of all draws.
    """

    engine: str
    references: tuple[str, ...]
    ops: tuple[str, ...]
    seed: int

    def load(self) -> Loaded:
        """Import both and prepare this process, once in each process."""
        return load(self.engine, self.references)


@lru_cache(maxsize=8)
def load(engine: str, references: tuple[str, ...]) -> Loaded:
    """Import an engine and its references and prepare this process, once in each process."""
    loaded = make_engine(engine), References([make_reference(name) for name in references])
    ready(loaded[1])
    return loaded


def ready(references: References) -> None:
    """Prepare this process to run many small programs.

    Importing PyTorch makes hundreds of thousands of objects. They are frozen, since the garbage collector would
    otherwise spend a tenth of the time on them.
    """
    references.begin()
    gc.collect()
    gc.freeze()


def shards_of(numbers: Mapping[str, int]) -> Iterator[Shard]:
    """Divide cases into shards.

    Args:
        numbers: the number of cases of each focus.
    """
    for focus, number in numbers.items():
        size = SCRIPTED_AT_A_TIME if focus in SCRIPTED else AT_A_TIME
        yield from (Shard(focus, first, min(size, number - first)) for first in range(0, number, size))


def run_shard(shard: Shard, sides: Sides) -> Tally:
    """Run a shard in this process."""
    tally = Tally()
    fill(tally, shard, sides.load(), sides.ops, sides.seed)
    return tally


def fill(tally: Tally, shard: Shard, loaded: Loaded, ops: tuple[str, ...], seed: int) -> None:
    """Run the cases of a shard and count them, up to the first that the engine is wrong on.

    Later cases would fail in the same way. A difference of conventions does not end the shard, since it must not hide a
    bug.
    """
    engine, references = loaded
    for number in range(shard.first, shard.first + shard.count):
        try:
            case = draw_case(shard.focus, seed, number, ops, few_shapes=references.few_shapes)
        except Unsuited:
            tally.unsuited += 1
            continue
        trial = case.run(engine, references)
        tally.add(trial.verdict, number)
        if trial.verdict.result.condemns:
            tally.failing = Failing(trial, number)
            return
        if trial.verdict.result.blames and tally.failing is None:
            tally.failing = Failing(trial, number)
