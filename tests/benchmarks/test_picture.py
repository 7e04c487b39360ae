"""The picture: it has a dot for each ratio, and none for peers that were not measured."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from benchmarks.cells import Cell, Result
from benchmarks.picture import draw, place

RESULTS = [
    Result("chain-4", 1, [Cell("ndgrad", [1.0]), Cell("torch", [2.0]), Cell("jax", reason="absent")]),
    Result("bias", 1, [Cell("ndgrad", [1.0]), Cell("torch", [0.5]), Cell("jax", [500.0])]),
    Result("bias", 2, [Cell("ndgrad", [1.0]), Cell("torch", [0.25])]),
]


def test_each_ratio_has_a_dot() -> None:
    """Each ratio measured with one thread has a dot at its place, or at the edge if it is beyond the scale."""
    dots = [
        (dot[0].text, float(dot.attrib["cx"]))
        for dot in ET.fromstring(draw(RESULTS)).iter("{http://www.w3.org/2000/svg}circle")  # noqa: S314 - our own
        if len(dot)
    ]
    assert dots == [
        ("chain-4, PyTorch: 2.00×", round(place(2), 1)),
        ("bias, PyTorch: 0.50×", round(place(0.5), 1)),
        ("bias, JAX (jit): 500.00×", round(place(32), 1)),
    ]


def test_both_sides_are_drawn_alike() -> None:
    """The dot for twice as fast is as far from the middle as that for twice as slow."""
    assert round(place(2) - place(1), 6) == round(place(1) - place(0.5), 6) > 0
