"""PyTorch: the engine, its functions for the ops, and disturbances of its computations."""

from reference.engines.torch.disturbance import Disturbance
from reference.engines.torch.engine import TorchEngine
from reference.engines.torch.ops import KNOWN, MIRRORS, mirror
from reference.engines.torch.threads import in_one_thread, one_thread

__all__ = ["KNOWN", "MIRRORS", "Disturbance", "TorchEngine", "in_one_thread", "mirror", "one_thread"]
