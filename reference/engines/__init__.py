"""Engines: interpreters of programs behind one protocol.

Each engine is a module or a folder of its own, with its names for the ops. None is imported here, so that each can be
used without installing the others.
"""

from reference.engines.functional import FunctionalEngine
from reference.engines.protocol import Abilities, Engine, Noise, Outcome, Reference
from reference.engines.tape import TapeEngine

__all__ = ["Abilities", "Engine", "FunctionalEngine", "Noise", "Outcome", "Reference", "TapeEngine"]
