"""The texts of mutation testing: a row for each fault, a summary, and the comparison with other checkers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from reference.mutation import Fault
from reference.mutation.detection import Catch
from reference.mutation.rivals import Alarms, Row
from reference.report.text import WIDTH

_WIDTH = 32


def heading(seeds: Sequence[int], profile: str) -> str:
    """Return the heading and the head of the table."""
    several = f"seeds {seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else f"seed {seeds[0]}"
    return (
        f"one fault at a time, planted in ndgrad; the ordinary checks, profile {profile}, {several}\n\n"
        f"{'fault':<{_WIDTH}}{'caught by':<{WIDTH}}{'cases':>8}{'worst':>8}{'seconds':>9}  in what"
    )


def row(fault: Fault, catches: Sequence[Catch]) -> str:
    """Return a fault's row: the check that caught it first, and the median and largest number of cases over seeds."""
    caught = [catch for catch in catches if catch.check]
    first = min(caught, key=lambda c: c.cases, default=None)
    cases = [catch.cases for catch in catches]
    seconds = float(np.median([catch.seconds for catch in catches]))
    words = first.says if first else fault.what
    missed = "" if len(caught) == len(catches) else f"  NOT CAUGHT in {len(catches) - len(caught)} of {len(catches)}"
    return (
        f"{fault.name:<{_WIDTH}}{first.check if first else '-':<{WIDTH}}{np.median(cases):>8,.0f}{max(cases):>8,}"
        f"{seconds:>9.2f}  {words}{missed}"
    )


def last_lines(catches: Mapping[str, Sequence[Catch]]) -> str:
    """Return the summary: the cases needed over all faults and seeds, and how many faults every seed caught."""
    every = [catch for some in catches.values() for catch in some]
    cases = [catch.cases for catch in every if catch.check]
    median, most = (np.percentile(cases, p) if cases else float("nan") for p in (50, 95))
    caught = sum(all(catch.check for catch in some) for some in catches.values())
    return (
        f"cases to catch a fault: median {median:,.0f}, 95th percentile {most:,.0f}, most {max(cases, default=0):,}\n"
        f"{caught} / {len(catches)} caught"
    )


def cut_short(catches: Mapping[str, Sequence[Catch]], seeds: int) -> str:
    """Return the last line of an interrupted search."""
    done = [some for some in catches.values() if len(some) == seeds]
    caught = sum(all(catch.check for catch in some) for some in done)
    return f"interrupted after {len(done)} of {len(catches)} faults: {caught} caught, {len(done) - caught} not caught."


def comparison(
    rows: Sequence[Row], caught: Mapping[str, bool], alarms: Sequence[Alarms], names: Mapping[str, str]
) -> str:
    """Return the comparison of the checkers: how many visible faults each caught, and its false alarms.

    Args:
        rows: the checkers' results for each fault.
        caught: which faults this harness caught.
        alarms: each checker's failures on the right engine.
        names: each checker's name with its version.
    """
    visible = [row for row in rows if row.visible]
    groups = list(dict.fromkeys(alarm.group for alarm in alarms))
    head = "".join(f"{group:>14}" for group in groups)
    lines = [
        f"{'':<58}  false alarms / cases, on the right engine:",
        f"{'checker':<40}{'caught / planted':>18}{head}",
    ]
    for name, shown in names.items():
        found = sum(row.caught[name] is not None for row in visible)
        lines.append(f"{shown:<40}{f'{found} / {len(visible)}':>18}{_alarms(alarms, name, groups)}")
    own = sum(caught[row.fault.name] for row in visible)
    lines.append(f"{'this harness':<40}{f'{own} / {len(visible)}':>18}")
    more = [caught[row.fault.name] for row in rows if not row.visible]
    lines.append(
        f"{len(more)} more faults concern states and optimizers, which no checker sees: {sum(more)} caught here."
    )
    return "\n".join(lines)


def _alarms(alarms: Sequence[Alarms], name: str, groups: Sequence[str]) -> str:
    cells = {alarm.group: f"{len(alarm.false)} / {alarm.cases}" for alarm in alarms if alarm.checker == name}
    return "".join(f"{cells.get(group, '-'):>14}" for group in groups)
