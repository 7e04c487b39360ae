"""ndgrad and PyTorch, for most tests of this package."""

from __future__ import annotations

from reference.checks import ScriptedCase, shrink
from reference.checks.sessions import SessionRecord, replay
from reference.engines import Engine, Reference
from reference.engines.ndgrad import NdgradEngine
from reference.engines.references import References
from reference.engines.torch import TorchEngine

BOTH = NdgradEngine(), TorchEngine()


def shrunk(record: SessionRecord, engine: Engine, reference: Reference) -> SessionRecord:
    """Shrink a session to the shortest found that fails with a finding of the same kinds."""
    kinds, sides = frozenset(finding.kind for finding in record.findings), (engine, References([reference]))
    case = ScriptedCase("sessions", (("case", (int(record.careful),)), *record.script))
    small = shrink(case.run(*sides), lambda smaller: smaller.reproduce(kinds, *sides)).case
    assert isinstance(small, ScriptedCase)
    (_, first), *calls = small.script
    return replay(tuple(calls), engine, reference, careful=any(first))
