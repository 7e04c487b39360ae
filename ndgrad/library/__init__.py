"""A small neural-network library: Neuron, Layer and MLP under micrograd's names, and three losses.

It knows how parameters are drawn, found, saved and loaded, and what networks and losses compute. How
gradients arise, and how an optimizer uses them, it does not know.
"""

from ndgrad.library.initial import ACTIVATIONS, INITIALIZERS, Activation, Initializer
from ndgrad.library.losses import cross_entropy, hinge, mean_squared_error
from ndgrad.library.modules import Module
from ndgrad.library.network import MLP, Layer, Neuron

__all__ = [
    "ACTIVATIONS", "INITIALIZERS", "MLP", "Activation", "Initializer", "Layer", "Module", "Neuron",
    "cross_entropy", "hinge", "mean_squared_error",
]  # fmt: skip
