"""PyTorch's gradients are noted in the picture of a Value's graph."""

from __future__ import annotations

import numpy as np
import pytest

import reference
from ndgrad import MLP, Value, cross_entropy, draw_dot
from ndgrad.graph import trace
from ndgrad.rules import RULES
from reference.report.drawing import notes


def test_notes_of_a_product() -> None:
    """Each node with a gradient has PyTorch's gradient in its note, and the distance to its own."""
    x, y = Value(3.0, "x"), Value(0.1, "y")
    z = x * y * 2.0
    z.backward()
    assert [notes(z).get(node, "") for node in trace(z)[0]] == [
        "PyTorch 0.2000\nthe same to the bit", "PyTorch 6.0000\nthe same to the bit",
        "PyTorch 2.0000\nthe same to the bit", "", "PyTorch 1.0000\nthe same to the bit",
    ]  # fmt: skip


def test_before_the_pass() -> None:
    """Before `backward`, the notes hold only PyTorch's gradients."""
    x = Value(np.arange(3.0), "x")
    assert notes((x * x).sum())[x] == "PyTorch [0, …]"


def test_a_wrong_pullback_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a wrong pullback of tanh, the note shows PyTorch's number and an enormous distance."""
    monkeypatch.setattr(RULES["tanh"], "pullbacks", (lambda g, y, x: g * (1 - y),))
    x = Value(1.0)
    y = x.tanh()
    y.backward()
    words = notes(y)[x].split("\n")
    assert words[0] == "PyTorch 0.4200"
    assert float(words[1].split(" ")[0]) > 1e15


def test_what_a_graph_may_hold() -> None:
    """PyTorch runs any recorded graph: layers, losses, splits, indices, weak and strong constants."""
    x = Value(np.arange(12.0).reshape(3, 4) / 8, "x")
    a, b = np.split(x, [1], axis=-2)
    single = Value(np.float32(0.1)) * 3
    network = MLP(4, [3, 2], rng=0)
    loss = cross_entropy(network(x), np.array([0, 1, 1])) + (a * b).sum() + np.where(x.data > 0.5, x, 2.0)[1:].max()
    root = (loss + single + np.linspace(0.0, 1.0, 3)).sum()
    root.backward()
    found = notes(root)
    assert set(network.parameters()) | {x} <= found.keys()
    assert len(found) == sum(node.requires_grad for node in trace(root)[0])
    far = [words for words in found.values() if "ULP" in words and float(words.split("\n")[1].split(" ")[0]) > 1e5]
    assert not far


def test_the_picture_has_the_notes() -> None:
    """The picture is ndgrad's with the notes in its boxes."""
    x = Value(2.0, "x")
    y = x.exp()
    assert reference.draw_dot(y, "png", "TB").source == draw_dot(y, "png", "TB", notes=notes(y)).source


@pytest.mark.parametrize("root", [Value(1.0), Value(1.0, requires_grad=False) * 2.0])
def test_nothing_recorded(root: Value) -> None:
    """If nothing was recorded, drawing raises an error."""
    with pytest.raises(ValueError, match="PyTorch has no gradient to show"):
        notes(root)
