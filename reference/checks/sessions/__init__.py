"""Sessions: random calls on shared state, made in an engine and in the reference, and laws checked after each."""

from reference.checks.sessions.calls import CALLS
from reference.checks.sessions.drive import SessionRecord, SessionRun, describe, replay, run_session, unsupported

__all__ = ["CALLS", "SessionRecord", "SessionRun", "describe", "replay", "run_session", "unsupported"]
