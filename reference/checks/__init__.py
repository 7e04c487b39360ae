"""The kinds of case that an engine is checked with: programs, sessions, training runs and the library's parts.

A case can be run, shrunk, printed as one line and read again; whoever runs it need not know of which kind it is.
"""

from reference.checks.case import Case, Trial
from reference.checks.programs import ProgramCase
from reference.checks.reading import EXPRESSIONS, NotACase, draw_case, parse_case
from reference.checks.scripted import SCRIPTED, DrawnCase, ScriptedCase, able, left_out, without
from reference.checks.shrinking import shrink

__all__ = [
    "EXPRESSIONS",
    "SCRIPTED",
    "Case",
    "DrawnCase",
    "NotACase",
    "ProgramCase",
    "ScriptedCase",
    "Trial",
    "able",
    "draw_case",
    "left_out",
    "parse_case",
    "shrink",
    "without",
]
