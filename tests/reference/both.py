"""ndgrad and PyTorch, as most tests of this package want them."""

from __future__ import annotations

from reference.checks import ScriptedCase, shrink
from reference.checks.sessions import SessionRecord, replay
from reference.engines import Engine, Reference
from reference.engines.ndgrad import NdgradEngine
from reference.engines.references import References
from reference.engines.torch import TorchEngine

BOTH = NdgradEngine(), TorchEngine()


def shrunk(record: SessionRecord, engine: Engine, reference: Reference) -> SessionRecord:
    """The shortest session found that goes wrong in one of the same ways."""
    kinds, sides = frozenset(finding.kind for finding in record.findings), (engine, References([reference]))
    case = ScriptedCase("sessions", (("case", (int(record.careful),)), *record.script))
    (_, first), *calls = shrink(case, lambda smaller: smaller.fails(kinds, *sides)).script
    return replay(tuple(calls), engine, reference, careful=any(first))
