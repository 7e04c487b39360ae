"""Shrinks a case that fails, of whatever kind: it asks the case for smaller ones, and whether each still fails."""

from __future__ import annotations

from collections.abc import Callable

from reference.checks.case import Case, Trial

TRIES = 600  # of smaller cases, some milliseconds each


def shrink(trial: Trial, reproduce: Callable[[Case], Trial | None]) -> Trial:
    """Shrink a case that fails, and give the trial of the smallest one found that still fails.

    When a smaller case fails, its own smaller cases are tried from the same place on: those before it have just been
    tried. All of them are tried once more at the end.

    Args:
        trial: of the case that fails.
        reproduce: runs a case, and gives its trial if it still fails.
    """
    trial = _smallest(trial, reproduce)
    shown = trial.case.shrunk()
    return trial if str(shown) == str(trial.case) else reproduce(shown) or trial


def _smallest(trial: Trial, reproduce: Callable[[Case], Trial | None]) -> Trial:
    tries, start = TRIES, 0
    while True:
        for place, candidate in enumerate(trial.case.smaller()):
            if place < start or candidate.size >= trial.case.size:
                continue
            tries -= 1
            if tries < 0:
                return trial
            if found := reproduce(candidate):
                trial, start = found, place
                break
        else:
            if not start:
                return trial
            start = 0
