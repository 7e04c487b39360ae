"""Optimizers: SGD, Adam, AdamW and RMSprop, defined as in PyTorch.

An optimizer knows parameters, their gradients, and a state that lasts from one step to the next. It does not know what
the parameters are part of, or how the gradients were computed.
"""

from ndgrad.optim.adam import Adam, AdamW
from ndgrad.optim.optimizer import Optimizer
from ndgrad.optim.rmsprop import RMSprop
from ndgrad.optim.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "RMSprop"]
