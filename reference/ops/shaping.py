"""Ops that move numbers and change none: reshape, transpose, join, cut, pad, index."""

from __future__ import annotations

import numpy as np

from reference.ops import definitions as own
from reference.ops import indices, inputs, options
from reference.ops.inputs import alone
from reference.ops.op import REAL, Op
from reference.ops.shapes import with_ones

# fmt: off
OPS: tuple[Op, ...] = (
    #   op             definition        operands lie in  shapes and options                     what NumPy refuses
    Op("reshape",      np.reshape,       (REAL,),         alone(options.new_shape, ways=2),      alone(options.wrong_shape),
        written=("{0}.reshape({shape})", "np.reshape({0}, {shape})", "ndgrad.reshape({0}, {shape})")),
    Op("transpose",    np.transpose,     (REAL,),         alone(options.permutation, ways=2),    alone(options.wrong_permutation),
        written=("{0}.transpose({axes})", "np.transpose({0}, {axes})", "ndgrad.transpose({0}, {axes})")),
    Op("swapaxes",     np.swapaxes,      (REAL,),         alone(options.axis_pair),              alone(options.axis_pair_outside)),
    Op("expand_dims",  np.expand_dims,   (REAL,),         alone(options.new_axes, ways=2),       alone(options.axis_outside)),
    Op("squeeze",      np.squeeze,       (REAL,),         alone(options.ones, with_ones, ways=2), alone(options.not_one)),
    Op("broadcast_to", np.broadcast_to,  (REAL,),         alone(options.target_shape),           alone(options.narrow_target)),
    Op("flip",         np.flip,          (REAL,),         alone(options.axes),                   alone(options.axis_outside)),
    Op("concatenate",  own.concatenate,  (REAL,),         inputs.joined,                         inputs.misjoined,
        written=("np.concatenate([{operands}], {options})", "ndgrad.concatenate([{operands}], axis={axis})")),
    Op("stack",        own.stack,        (REAL,),         inputs.stacked,                        inputs.misstacked,
        written=("np.stack([{operands}], {options})", "ndgrad.stack([{operands}], axis={axis})")),
    Op("split",        own.split,        (REAL,),         alone(options.pieces, ways=2),         alone(options.uneven),
        written=("np.split({0}, {indices_or_sections}, {axis})[{piece}]", "{0}.split({indices_or_sections}, {axis})[{piece}]")),
    Op("pad",          np.pad,           (REAL,),         alone(options.padding, ways=2),        alone(options.negative_padding)),

    Op("getitem",      own.getitem,      (REAL,),         alone(indices.index, ways=4),          alone(indices.index_outside),
        written=("{0}[{index}]",)),
    Op("scatter",      own.scatter,      (REAL,),         alone(indices.scattered, ways=2),      alone(indices.scattered_outside), signed=False,
        written=("ndgrad.scatter({0}, np.index_exp[{index}], {shape})",)),
)
# fmt: on
