"""An engine and the reference on their way to other processes."""

from __future__ import annotations

import gc
from functools import cached_property
from typing import Any

import cloudpickle

from reference.engines import Engine, Reference
from reference.engines.references import References
from reference.ops import AS_WRITTEN, OPS


class TravelError(ValueError):
    """An engine or a reference cannot be sent to another process."""


class Sides:
    """An engine and a reference, ready to travel to other processes.

    What can be imported there travels by its name, the rest by value. What was changed within modules at run time does
    not travel, but for the rules of ndgrad and the rows of the op table.

    Args:
        engine: what is judged.
        reference: what is believed.

    Raises:
        TravelError: one of them cannot be packed, or not be unpacked again.
    """

    def __init__(self, engine: Engine, reference: References) -> None:
        self._packed = [_packed(side, side.name) for side in (engine, reference)]
        self._rows = _packed({name: op for name, op in OPS.items() if op is not AS_WRITTEN.get(name)}, "the op table")

    def __getstate__(self) -> dict[str, Any]:
        return {"_packed": self._packed, "_rows": self._rows}

    @cached_property
    def both(self) -> tuple[Engine, References]:
        """The two, in a process that they have reached, which is made fit for them. The op table is as it was here."""
        OPS.update(cloudpickle.loads(self._rows))
        engine, reference = map(cloudpickle.loads, self._packed)
        ready(reference)
        return engine, reference


def ready(reference: Reference | References) -> None:
    """Make this process fit to run many small programs.

    The collector would go again and again through the hundreds of thousands of objects that importing PyTorch made: a
    tenth of the time.
    """
    reference.begin()
    gc.collect()
    gc.freeze()


def _packed(side: Any, name: str) -> bytes:
    try:
        packed: bytes = cloudpickle.dumps(side)
        cloudpickle.loads(packed)
    except Exception as error:
        raise TravelError(
            f"{name} cannot be sent to another process: {type(error).__name__}: {error}. "
            "Run the campaign without a pool, or let the engine hold nothing that cannot be pickled"
        ) from error
    return packed
