"""Sessions: random calls on shared state, made in ndgrad and in PyTorch side by side, laws checked after each."""

from reference.sessions.calls import CALLS
from reference.sessions.drive import Running, SessionRecord, explained, replayed, run_session

__all__ = ["CALLS", "Running", "SessionRecord", "explained", "replayed", "run_session"]
