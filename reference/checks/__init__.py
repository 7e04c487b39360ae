"""The kinds of case that an engine is checked with: programs, sessions, training runs and checks of the library.

Every case can be run, shrunk, printed as one line and parsed again. The code that runs cases does not depend on
their kind.
"""

from reference.checks.case import Case, Trial
from reference.checks.programs import ProgramCase
from reference.checks.reading import EXPRESSIONS, NotACase, draw_case, parse_case
from reference.checks.scripted import SCRIPTED, ScriptedCase, SeededCase, reference_for, skipped_calls, why_skipped
from reference.checks.shrinking import shrink

__all__ = [
    "EXPRESSIONS",
    "SCRIPTED",
    "Case",
    "NotACase",
    "ProgramCase",
    "ScriptedCase",
    "SeededCase",
    "Trial",
    "draw_case",
    "parse_case",
    "reference_for",
    "shrink",
    "skipped_calls",
    "why_skipped",
]
