"""An engine and the reference on their way to other processes."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import cloudpickle

from reference.catalog import CATALOG
from reference.engines import Engine, TorchEngine


class TravelError(ValueError):
    """An engine or a reference cannot be sent to another process."""


class Sides:
    """An engine and a reference, ready to travel to other processes.

    What can be imported there travels by its name, the rest by value. What was changed within modules at run time does
    not travel, but for the rules of ndgrad and the rows of the catalogue.

    Args:
        engine: what is judged.
        reference: what is believed.

    Raises:
        TravelError: one of them cannot be packed, or not be unpacked again.
    """

    def __init__(self, engine: Engine, reference: TorchEngine) -> None:
        self._packed = [_packed(side) for side in (engine, reference)]

    def __getstate__(self) -> dict[str, Any]:
        return {"_packed": self._packed}

    @cached_property
    def both(self) -> tuple[Engine, TorchEngine]:
        """The two, in a process that they have reached. Programs are drawn by the catalogue that came with them."""
        engine, reference = map(cloudpickle.loads, self._packed)
        CATALOG.update(reference.catalog)
        return engine, reference


def _packed(side: Engine) -> bytes:
    try:
        packed: bytes = cloudpickle.dumps(side)
        cloudpickle.loads(packed)
    except Exception as error:
        raise TravelError(
            f"{side.name} cannot be sent to another process: {type(error).__name__}: {error}. "
            "Run the campaign without a pool, or let the engine hold nothing that cannot be pickled"
        ) from error
    return packed
