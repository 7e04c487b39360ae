"""What a judge says of what it is asked."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from reference.verdict.findings import Finding, Kind, Result

_NONE: Mapping[str, Any] = MappingProxyType({})


class Opinion(NamedTuple):
    """What a judge says of what it is asked. None in its place leaves the question to the next judge.

    Args:
        result: what it comes to.
        finding: what is wrong, where the judge was asked of more than a number.
        kind: in what way a number is wrong, if not as its part is.
        says: what was found, in words, for the finding.
        where: of an array, which numbers this holds of; by default all.
        facts: what the reason of the judge has to be filled in with.
    """

    result: Result
    finding: Finding | None = None
    kind: Kind | None = None
    says: str = ""
    where: Any = True
    facts: Mapping[str, Any] = _NONE
