"""Sessions: random calls on shared state, made in an engine and in the reference, and laws checked after each."""

from reference.checks.sessions.calls import CALLS
from reference.checks.sessions.drive import Running, SessionRecord, explained, replayed, run_session, unsupported

__all__ = ["CALLS", "Running", "SessionRecord", "explained", "replayed", "run_session", "unsupported"]
