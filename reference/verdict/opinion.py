"""The opinion of a judge."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from reference.verdict.findings import Finding, Kind, Result

_NONE: Mapping[str, Any] = MappingProxyType({})


class Opinion(NamedTuple):
    """A judge's opinion. A judge that returns None instead leaves the question to the next judge.

    Args:
        result: the result.
        finding: the error, if the judge was asked about a run or a part.
        kind: the kind of a number's error, if it is not the kind of its part.
        says: the finding in words.
        where: a mask of the numbers of an array that the opinion is about; by default all.
        facts: values for the placeholders of the judge's reason.
    """

    result: Result
    finding: Finding | None = None
    kind: Kind | None = None
    says: str = ""
    where: Any = True
    facts: Mapping[str, Any] = _NONE
