"""Draws the graph of a Value: each Value is a box with its data and gradient, and each op is an ellipse.

It reads the operands, op, label, data and gradient of Values. It knows no rule and computes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ndgrad.engine import Value
from ndgrad.graph.boxes import box
from ndgrad.graph.dot import label, statement
from ndgrad.graph.folds import Fold, folds
from ndgrad.graph.picture import FORMATS, Picture, checked
from ndgrad.graph.tracing import Edge, trace

RANKDIRS = ("LR", "TB", "RL", "BT")

GRAPH = {
    "nodesep": "0.15",
    "ranksep": "0.3",
    # Limits of the search for a better layout. With hundreds of long edges they save three quarters of the time.
    "nslimit": "2",
    "nslimit1": "2",
}
NODES = {"fontname": "Helvetica,Arial,sans-serif", "fontsize": "10", "height": "0.3", "margin": "0.08,0.04"}
EDGES = {"arrowsize": "0.6", "color": "#555555"}
_OP = {
    "shape": "ellipse",
    "style": "filled",
    "fillcolor": "#ffefc9",
    "width": "0.3",
    "margin": "0.04,0.02",
    "ordering": "in",  # operands appear in order where possible: a - b is not b - a
}


_FOLD = {**_OP, "peripheries": "2"}  # ops that stand for a layer

_MANY = 40  # nodes: a picture of more nodes is wider than a page, so it is folded


def draw_dot(
    root: Value,
    format: str = "svg",  # noqa: A002 - the article's name
    rankdir: str = "LR",
    *,
    notes: Mapping[Value, str] | None = None,
    fold: bool = True,
) -> Picture:
    """Draw the graph of a Value: boxes with `label | data | grad`, and ops between them.

    Leaves have square corners, results have rounded ones, and constants are dashed. A missing gradient is a dash. Large
    arrays have a heat map: white is 0, blue is positive, orange is negative. Boxes are numbered in the order of
    `trace`, so that the same program always has the same source.

    In a graph of more than 40 nodes each layer is folded into one ellipse with a double outline. A layer is a product
    with a parameter, and the results computed from it with no other operands than parameters. The ellipse lists the
    ops, and how often the layer was used.

    Args:
        root: the Value whose graph is drawn.
        format: the default format of `render()` and `pipe()`, one of `FORMATS`. Notebooks show SVG.
        rankdir: the direction of the graph, one of `RANKDIRS`: from left to right, from top to bottom, ...
        notes: additional text for the boxes of some nodes. Folded nodes do not show it.
        fold: whether to fold a large graph.

    Returns:
        An object with `source`, `pipe()`, `render()` and a notebook display; a `graphviz.Digraph` if that package is
        installed.

    Raises:
        TypeError: `root` is not a Value.
        ValueError: there is no such format or direction; or a note is on a Value outside the graph of `root`.
    """
    picture = Picture(
        format=checked("format", format, FORMATS),
        graph_attr={"rankdir": checked("rankdir", rankdir, RANKDIRS), **GRAPH},
        node_attr=NODES,
        edge_attr=EDGES,
    )
    nodes, edges = trace(root)
    strangers = set(map(id, notes or ())) - set(map(id, nodes))
    if strangers:
        raise ValueError(f"{len(strangers)} of the notes are on Values that are not in the graph of the root")
    names = _Names(nodes, folds(nodes) if fold and len(nodes) > _MANY else ())
    picture.body.extend(_boxes(nodes, names, notes or {}, rankdir))
    picture.body.extend(_arrows(edges, names))
    return picture


class _Names:
    """The names of nodes in DOT. A fold is one node, but if a single result of it is used, that has its own box."""

    def __init__(self, nodes: Sequence[Value], found: Sequence[Fold]) -> None:
        self.folds = {f"fold{i}": fold for i, fold in enumerate(found)}
        self.box = {id(node): f"value{i}" for i, node in enumerate(nodes)}
        self.op = {id(node): f"op{i}" for i, node in enumerate(nodes)}
        for name, fold in self.folds.items():
            self.op.update((id(node), name) for node in fold.members)
            self.box.update((id(node), name) for node in fold.members if [id(node)] != list(map(id, fold.seen)))


def _boxes(nodes: Sequence[Value], names: _Names, notes: Mapping[Value, str], rankdir: str) -> Iterator[str]:
    """Yield the boxes and ellipses, and the arrows from an op to its result."""
    for value in nodes:
        name, op = names.box[id(value)], names.op[id(value)]
        if name not in names.folds:
            yield statement(name, box(value, notes.get(value, ""), rankdir))
        if value._op and op not in names.folds:  # noqa: SLF001 - a graph is read by it
            yield statement(op, {"label": label(value._op), **_OP})  # noqa: SLF001 - as above
        if value._op and name != op:  # noqa: SLF001 - as above
            yield f"\t{op} -> {name}\n"
    for name, fold in names.folds.items():
        times = f"\n× {fold.times}" if fold.times > 1 else ""
        yield statement(name, {"label": label(" → ".join(fold.ops) + times), **_FOLD})


def _arrows(edges: Sequence[Edge], names: _Names) -> Iterator[str]:
    """Yield an arrow for each use of an operand; from one box to a fold at most one, and none inside a fold."""
    written = set()
    for operand, result in edges:
        arrow = names.box[id(operand)], names.op[id(result)]
        if arrow[1] not in names.folds or (names.op[id(operand)] != arrow[1] and arrow not in written):
            yield "\t{} -> {}\n".format(*arrow)
        written.add(arrow)


# The display of a Value in a notebook.


def _in_a_notebook(
    value: Value, include: Iterable[str] | None = None, exclude: Iterable[str] | None = None
) -> dict[str, Any]:
    """Return a Value's display: its picture, or if that cannot be drawn, its numbers and how to see the picture."""
    picture = draw_dot(value)
    shown = picture._repr_mimebundle_(include, exclude)
    if "text/plain" in shown:
        return {"text/plain": f"{value!r}\n{picture.no_picture_message()}"}
    return shown


Value._repr_mimebundle_ = _in_a_notebook  # type: ignore[attr-defined] # the engine must not import pictures
