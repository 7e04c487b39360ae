"""A small neural-network library: Neuron, Layer and MLP under micrograd's names, and three losses.

It initialises, finds, saves and loads parameters, and computes networks and losses. It does not know how gradients are
computed, or how an optimizer uses them.
"""

from ndgrad.library.initial import ACTIVATIONS, INITIALIZERS, Activation, Initializer
from ndgrad.library.losses import cross_entropy, hinge, mean_squared_error
from ndgrad.library.modules import Module
from ndgrad.library.network import MLP, Layer, Neuron

__all__ = [
    "ACTIVATIONS", "INITIALIZERS", "MLP", "Activation", "Initializer", "Layer", "Module", "Neuron",
    "cross_entropy", "hinge", "mean_squared_error",
]  # fmt: skip
