"""Optimizers: how parameters follow their gradients. SGD, Adam, AdamW and RMSprop, with PyTorch's meaning.

It knows parameters, their gradients, and what must be remembered from one step to the next. What the
parameters are part of, and how the gradients came about, it does not know.
"""

from ndgrad.optim.adam import Adam, AdamW
from ndgrad.optim.optimizer import Optimizer
from ndgrad.optim.rmsprop import RMSprop
from ndgrad.optim.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "RMSprop"]
