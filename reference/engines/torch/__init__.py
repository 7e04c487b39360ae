"""PyTorch: the engine, what it calls the ops, and how a computation of it is disturbed."""

from reference.engines.torch.disturbance import Disturbance
from reference.engines.torch.engine import TorchEngine
from reference.engines.torch.ops import KNOWN, MIRRORS, mirror
from reference.engines.torch.threads import in_one_thread, one_thread

__all__ = ["KNOWN", "MIRRORS", "Disturbance", "TorchEngine", "in_one_thread", "mirror", "one_thread"]
