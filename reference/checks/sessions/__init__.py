"""Sessions: random calls on shared state, in an engine and in the reference, with laws checked after each call."""

from reference.checks.sessions.calls import CALLS
from reference.checks.sessions.drive import SessionRecord, SessionRun, describe, replay, run_session, unsupported

__all__ = ["CALLS", "SessionRecord", "SessionRun", "describe", "replay", "run_session", "unsupported"]
