"""Shrinks a failing case of any kind: the case proposes smaller ones, and each is run to see if it still fails."""

from __future__ import annotations

from collections.abc import Callable

from reference.checks.case import Case, Trial

TRIES = 600  # smaller cases that are tried, at some milliseconds each


def shrink(trial: Trial, reproduce: Callable[[Case], Trial | None]) -> Trial:
    """Return the trial of the smallest case found that still fails.

    When a smaller case fails, shrinking goes on with that case's own smaller cases. It starts from the same place in
    their list, since those before it have just been tried on the larger case. At the end the whole list is tried once
    more. The smallest case is returned as it tells most, if it fails in that form, too.

    Args:
        trial: the trial of the case that fails.
        reproduce: runs a case and returns its trial if it still fails.
    """
    trial = _smallest(trial, reproduce)
    for shown in trial.case.shown():
        if str(shown) == str(trial.case):
            return trial
        if found := reproduce(shown):
            return found
    return trial


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
