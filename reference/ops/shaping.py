"""Ops that move numbers without changing them: reshape, transpose, join, cut, pad, index."""

from __future__ import annotations

import numpy as np

from reference.ops import definitions as own
from reference.ops import indices, inputs, options
from reference.ops.inputs import unary
from reference.ops.op import REAL, Op
from reference.ops.shapes import with_ones

# fmt: off
OPS: tuple[Op, ...] = (
    #   op             definition        operands lie in  shapes and options                     what NumPy refuses
    Op("reshape",      np.reshape,       (REAL,),         unary(options.new_shape, ways=2),      unary(options.wrong_shape),
        written=("{0}.reshape({shape})", "np.reshape({0}, {shape})", "ndgrad.reshape({0}, {shape})")),
    Op("transpose",    np.transpose,     (REAL,),         unary(options.permutation, ways=2),    unary(options.wrong_permutation),
        written=("{0}.transpose({axes})", "np.transpose({0}, {axes})", "ndgrad.transpose({0}, {axes})")),
    Op("swapaxes",     np.swapaxes,      (REAL,),         unary(options.axis_pair),              unary(options.axis_pair_outside)),
    Op("expand_dims",  np.expand_dims,   (REAL,),         unary(options.new_axes, ways=2),       unary(options.axis_outside)),
    Op("squeeze",      np.squeeze,       (REAL,),         unary(options.ones, with_ones, ways=2), unary(options.not_one)),
    Op("broadcast_to", np.broadcast_to,  (REAL,),         unary(options.target_shape),           unary(options.narrow_target)),
    Op("flip",         np.flip,          (REAL,),         unary(options.axes),                   unary(options.axis_outside)),
    Op("concatenate",  own.concatenate,  (REAL,),         inputs.joined,                         inputs.misjoined,
        written=("np.concatenate([{operands}], {options})", "ndgrad.concatenate([{operands}], axis={axis})")),
    Op("stack",        own.stack,        (REAL,),         inputs.stacked,                        inputs.misstacked,
        written=("np.stack([{operands}], {options})", "ndgrad.stack([{operands}], axis={axis})")),
    Op("split",        own.split,        (REAL,),         unary(options.pieces, ways=2),         unary(options.uneven),
        written=("np.split({0}, {indices_or_sections}, {axis})[{piece}]", "{0}.split({indices_or_sections}, {axis})[{piece}]")),
    Op("pad",          np.pad,           (REAL,),         unary(options.padding, ways=2),        unary(options.negative_padding)),

    Op("getitem",      own.getitem,      (REAL,),         unary(indices.index, ways=4),          unary(indices.index_outside),
        written=("{0}[{index}]",)),
    Op("scatter",      own.scatter,      (REAL,),         unary(indices.scattered, ways=2),      unary(indices.scattered_outside), signed=False,
        written=("ndgrad.scatter({0}, np.index_exp[{index}], {shape})",)),
)
# fmt: on
