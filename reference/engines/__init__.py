"""The interpreters of programs, all behind one protocol: nothing downstream knows which it is talking to.

Each engine is a module or a folder of its own, with what it calls the ops. None is imported here, so whoever needs one
installs that one alone.
"""

from reference.engines.functional import FunctionalEngine
from reference.engines.protocol import Abilities, Engine, Noise, Outcome, Reference
from reference.engines.tape import TapeEngine

__all__ = ["Abilities", "Engine", "FunctionalEngine", "Noise", "Outcome", "Reference", "TapeEngine"]
