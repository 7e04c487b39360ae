"""The interpreters of programs, all behind one protocol: nothing downstream knows which it is talking to."""

from reference.engines.ndgrad import NdgradEngine
from reference.engines.protocol import Engine, Outcome
from reference.engines.tape import TapeEngine
from reference.engines.torch import Noise, TorchEngine

__all__ = ["Engine", "NdgradEngine", "Noise", "Outcome", "TapeEngine", "TorchEngine"]
