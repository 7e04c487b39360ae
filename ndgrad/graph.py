"""Pictures of what a Value was made of: each Value a box with its data and gradient, each op an ellipse.

It knows Values from outside (operands, op, label, data, gradient) and DOT, the language of Graphviz. It knows
no rule and computes nothing. What draws the DOT is found where it runs: pygraphviz, whose wheels carry
Graphviz, or the `dot` program, by the graphviz package. Without both, a picture is its source and a hint.
Either draws in a process of its own.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import warnings
import webbrowser
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from ndgrad.engine import Value
from ndgrad.files import PathName, write
from ndgrad.folds import Fold, folds
from ndgrad.heat import heat_map, spread

try:
    import graphviz
except ImportError:
    graphviz = None

_PYGRAPHVIZ: Any = find_spec("pygraphviz")  # where it is, if it is: what imports it is the process that draws

HINT = 'To see the picture, install Graphviz: pip install "ndgrad[viz]". Its dot program on the PATH does, too.'

# What every Graphviz draws: bmp, tiff and webp are missing from the wheels of pygraphviz.
FORMATS = ("svg", "png", "pdf", "jpg", "jpeg", "gif", "eps", "ps", "svgz",
           "dot", "gv", "xdot", "json", "plain", "plain-ext")  # fmt: skip
ENGINES = ("dot", "neato", "fdp", "sfdp", "circo", "twopi", "osage", "patchwork")
RANKDIRS = ("LR", "TB", "RL", "BT")

Edge: TypeAlias = tuple[Value, Value]


# The graph.


def trace(root: Value) -> tuple[list[Value], list[Edge]]:
    """Walk all that a Value was made of.

    Args:
        root: where to start.

    Returns:
        The nodes, each once: operands before what is made of them, and `root` last. And the edges
        `(operand, result)`, one for each use of an operand: `x * x` has two.

    Raises:
        TypeError: `root` is no Value.
    """
    if not isinstance(root, Value):
        raise TypeError(f"a graph starts from a Value, but got {type(root).__name__}")
    nodes: list[Value] = []
    edges: list[Edge] = []
    met = {id(root)}
    opened = [_opened(root)]  # the way from the root to here, in a list: calls would run out of stack
    while opened:
        value, operands, ahead = opened[-1]
        unmet = next((operand for operand in ahead if id(operand) not in met), None)
        if unmet is not None:
            met.add(id(unmet))
            opened.append(_opened(unmet))
        else:
            nodes.append(value)
            edges.extend((operand, value) for operand in operands)
            opened.pop()
    return nodes, edges


def _opened(value: Value) -> tuple[Value, tuple[Value, ...], Iterator[Value]]:
    """A node, its operands, and those of them that the walk has ahead."""
    operands = value._prev  # noqa: SLF001 - a graph is read by it
    return value, operands, iter(operands)


# The graph in DOT. Colours only repeat what corners, outlines and words say.

GRAPH = {
    "nodesep": "0.15",
    "ranksep": "0.3",
    # Bounds to the search for a better layout. Where they bind, at hundreds of long edges, they save three
    # quarters of the time.
    "nslimit": "2",
    "nslimit1": "2",
}
NODES = {"fontname": "Helvetica,Arial,sans-serif", "fontsize": "10", "height": "0.3", "margin": "0.08,0.04"}
EDGES = {"arrowsize": "0.6", "color": "#555555"}

LEAF = {"shape": "record", "style": "filled", "fillcolor": "#dcebfa", "penwidth": "1.5"}
CONSTANT = {"shape": "record", "style": "filled,dashed", "fillcolor": "#f0f0f0"}
_RESULT = {"shape": "Mrecord"}  # rounded corners
_AS_TABLE = {"record": {"shape": "box"}, "Mrecord": {"shape": "box", "style": "rounded"}}  # where a box has a heat map
_OP = {
    "shape": "ellipse",
    "style": "filled",
    "fillcolor": "#ffefc9",
    "width": "0.3",
    "margin": "0.04,0.02",
    "ordering": "in",  # the first operand comes first, where it can: a - b is not b - a
}


_FOLD = {**_OP, "peripheries": "2"}  # ops that stand for a layer

_MANY = 40  # nodes: a picture of more is wider than a page, and is folded


def draw_dot(
    root: Value,
    format: str = "svg",  # noqa: A002 - the article's name
    rankdir: str = "LR",
    *,
    notes: Mapping[Value, str] | None = None,
    fold: bool = True,
) -> Picture:
    """Draw all that a Value was made of: boxes with `label | data | grad`, and ops between them.

    Leaves have square corners and results rounded ones; constants are dashed. A gradient that has not arrived
    is a dash. Of many numbers a box has a heat map: white is 0, blue above it, orange below. Boxes are numbered
    in the order of `trace`, so that the same program has the same source.

    In a graph of more than 40 nodes, what one layer does is one ellipse with a double line: a product with a parameter,
    and what is made of that alone and of further parameters. It names its ops, and how often a layer was used.

    Args:
        root: the Value whose making is drawn.
        format: what `render()` and `pipe()` give unless told otherwise, one of `FORMATS`. Notebooks show SVG.
        rankdir: where the graph grows, one of `RANKDIRS`: from left to right, from top to bottom, ...
        notes: what else the boxes of some nodes say. Those that are folded away do not say it.
        fold: whether a large graph is folded.

    Returns:
        A `graphviz.Digraph` where that package is installed, and always an object with `source`, `pipe()`,
        `render()` and a notebook display.

    Raises:
        TypeError: `root` is no Value.
        ValueError: there is no such format or direction, or a note is on a Value that `root` was not made of.
    """
    picture = Picture(
        format=_checked("format", format, FORMATS),
        graph_attr={"rankdir": _checked("rankdir", rankdir, RANKDIRS), **GRAPH},
        node_attr=NODES,
        edge_attr=EDGES,
    )
    nodes, edges = trace(root)
    strangers = set(map(id, notes or ())) - set(map(id, nodes))
    if strangers:
        raise ValueError(f"{len(strangers)} of the notes are on Values that the root was not made of")
    names = _Names(nodes, folds(nodes) if fold and len(nodes) > _MANY else ())
    picture.body.extend(_boxes(nodes, names, notes or {}, rankdir))
    picture.body.extend(_arrows(edges, names))
    return picture


def _checked(name: str, given: str, allowed: tuple[str, ...]) -> str:
    if given not in allowed:
        raise ValueError(f"{name} is {given!r}, but must be one of {', '.join(allowed)}")
    return given


class _Names:
    """What the nodes of a graph are called in the picture. The one result of a fold has a box of its own."""

    def __init__(self, nodes: Sequence[Value], found: Sequence[Fold]) -> None:
        self.folds = {f"fold{i}": fold for i, fold in enumerate(found)}
        self.box = {id(node): f"value{i}" for i, node in enumerate(nodes)}
        self.op = {id(node): f"op{i}" for i, node in enumerate(nodes)}
        for name, fold in self.folds.items():
            self.op.update((id(node), name) for node in fold.members)
            self.box.update((id(node), name) for node in fold.members if [id(node)] != list(map(id, fold.seen)))


def _boxes(nodes: Sequence[Value], names: _Names, notes: Mapping[Value, str], rankdir: str) -> Iterator[str]:
    """The boxes and ellipses, and the arrows from an op to its result."""
    for value in nodes:
        box, op = names.box[id(value)], names.op[id(value)]
        if box not in names.folds:
            yield statement(box, _box(value, notes.get(value, ""), rankdir))
        if value._op and op not in names.folds:  # noqa: SLF001 - a graph is read by it
            yield statement(op, {"label": _text(value._op), **_OP})  # noqa: SLF001 - as above
        if value._op and box != op:  # noqa: SLF001 - as above
            yield f"\t{op} -> {box}\n"
    for name, fold in names.folds.items():
        times = f"\n× {fold.times}" if fold.times > 1 else ""
        yield statement(name, {"label": _text(" → ".join(fold.ops) + times), **_FOLD})


def _arrows(edges: Sequence[Edge], names: _Names) -> Iterator[str]:
    """An arrow for each use of an operand; to a fold and inside of it, one at most."""
    drawn = set()
    for operand, result in edges:
        arrow = names.box[id(operand)], names.op[id(result)]
        if arrow[1] not in names.folds or (names.op[id(operand)] != arrow[1] and arrow not in drawn):
            yield "\t{} -> {}\n".format(*arrow)
        drawn.add(arrow)


def statement(name: str, attributes: Mapping[str, str]) -> str:
    """Write a node in DOT. Text in `<` and `>` is a label in Graphviz's HTML, as in the graphviz package."""
    quoted = {attribute: text if text.startswith("<") else f'"{text}"' for attribute, text in attributes.items()}
    listed = " ".join(f"{attribute}={text}" for attribute, text in quoted.items())
    return f"\t{name} [{listed}]\n"


def _look(value: Value) -> Mapping[str, str]:
    if value._op:  # noqa: SLF001 - a graph is read by it
        return _RESULT
    return LEAF if value.requires_grad else CONSTANT


def _box(value: Value, note: str, rankdir: str) -> Mapping[str, str]:
    """A box as a record, or as a table where its numbers are drawn, too."""
    look = _look(value)
    if _are_few(value.data):
        return {"label": _record(value, note, rankdir), **look}
    return {"label": f"<{_table(value, note)}>", **look, **_AS_TABLE[look["shape"]]}


def _record(value: Value, note: str, rankdir: str) -> str:
    """The cells of a box, one below the other; the first and the last are there if there is something to say.

    Graphviz turns records with the graph, and braces turn them back.
    """
    said = [
        _text(value.label) if value.label else "",
        f"data {_numbers(value.data)}",
        _gradient(value),
        _text(note),
    ]
    label = " | ".join(filter(None, said))
    return label if rankdir in ("LR", "RL") else f"{{ {label} }}"


def _table(value: Value, note: str) -> str:
    """The same cells as a table, with heat maps below the numbers that they are of."""
    gradient = _array(value.grad) if value.has_grad else None
    rows = [html(value.label)] if value.label else []
    rows += [_mapped(f"data {_numbers(value.data)}", value.data), _mapped(_gradient(value), gradient), html(note)]
    cells = "<HR/>".join(f"<TR><TD>{row}</TD></TR>" for row in filter(None, rows))
    return f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="2">{cells}</TABLE>'


def _mapped(said: str, array: np.ndarray | None) -> str:
    """What is said of numbers, and below it, where there are any, their spread and their heat map."""
    words = said.replace("\\n", "<BR/>")
    if array is None:
        return words
    return f"{words}<BR/>{spread(array)}</TD></TR><TR><TD>{heat_map(array)}"


def _are_few(array: np.ndarray) -> bool:
    """Whether numbers are shown alone: some few, or those of an array without axes."""
    return array.size <= _FEW or not array.ndim


def _array(grad: Any) -> np.ndarray:
    """A gradient's numbers: it is a Value after `backward(create_graph=True)`."""
    return np.asarray(grad.data if isinstance(grad, Value) else grad)


def _gradient(value: Value) -> str:
    if value.has_grad:
        return f"grad {_numbers(_array(value.grad))}"
    return "grad –" if value.requires_grad else "constant"


_FEW = 8  # so many numbers are all shown, in the rows of their matrix
_FIRST = 3  # so many of more


def _numbers(array: np.ndarray) -> str:
    if array.ndim == 0:
        return _number(array[()])
    if array.ndim in (1, 2) and 0 < array.size <= _FEW:
        text = np.array2string(array, separator=", ", formatter={"all": _short})
    else:
        more = ["…"] if array.size > _FIRST else []
        text = f"{array.dtype} {array.shape}\n[{', '.join([*map(_short, array.flat[:_FIRST]), *more])}]"
    return text.replace("\n", "\\n")


def _number(x: Any) -> str:
    """A number that stands alone, with four decimals where those tell its size."""
    return f"{x:.4f}" if x == 0 or _SMALL <= abs(x) < _BIG else _short(x)


_SMALL, _BIG = 1e-3, 1e6
_short = "{:.4g}".format


# Characters that Graphviz takes for its own become entities, for it reads those after it has looked for the
# others; the backslash two, for it looks for escapes once more. What cannot be shown or stand in XML, a sign.
SIGNS: dict[int, str] = {
    **{code: chr(0x2400 + code) for code in range(0x20)},  # ␀ for NUL, and so on
    **dict.fromkeys([*range(0x80, 0xA0), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF], "\N{REPLACEMENT CHARACTER}"),
    **{ord(character): f"&#{ord(character)};" for character in '&<>{}|"'},
    0x7F: "\N{SYMBOL FOR DELETE}",
    ord("\\"): "&#92;&#92;",
    ord("\n"): "\\n",
}
# Where a space must be an entity. Graphviz drops those at either end, and all but one of several. And where the
# first line of a label is empty, it forgets to clear a pointer (`storeline` in its labels.c, as of 14.1), and
# frees what that happens to point at: such a line gets a space.
_SPACE = re.compile(r"^ | (?= |$)|^(?=\\n)")


def _text(text: str) -> str:
    """Any text, written so that a label shows it and nothing else. Lines stay lines."""
    return _SPACE.sub("&#32;", text.replace("\r\n", "\n").translate(SIGNS))


# In HTML a backslash stands alone, for Graphviz takes it and an N for the name of the box, however they are written.
_HTML = {**SIGNS, ord("\\"): "<FONT>&#92;</FONT>", ord("\n"): "<BR/>", ord(" "): "&#160;"}


def html(text: str) -> str:
    """The same for a label in Graphviz's HTML."""
    return text.replace("\r\n", "\n").translate(_HTML)


# The picture.


class _Source:
    """What a picture needs of `graphviz.Digraph`, where that package is missing."""

    engine = "dot"
    filename: PathName = "Picture.gv"
    directory: PathName = ""

    def __init__(self, *, format: str, graph_attr: Any, node_attr: Any, edge_attr: Any) -> None:  # noqa: A002 - as there
        self.format = format
        defaults = {"graph": graph_attr, "node": node_attr, "edge": edge_attr}
        self.body = [statement(kind, attributes) for kind, attributes in defaults.items()]

    @property
    def source(self) -> str:
        """The picture in DOT."""
        return "".join(["digraph {\n", *self.body, "}\n"])

    def __str__(self) -> str:
        return self.source

    def pipe(self, *_: Any, **__: Any) -> Any:
        """Refuse: to call the `dot` program is that package's work."""
        raise RuntimeError(HINT)

    render = pipe


_Base: Any = graphviz.Digraph if graphviz is not None else _Source

_LARGEST = 3_000  # statements, of some thousand Values: most such graphs take 0.3 s to draw, the worst met took 80


class Picture(_Base):  # type: ignore[misc] # whichever of the two there is
    """A `graphviz.Digraph` that pygraphviz draws where it is installed, and the `dot` program elsewhere.

    Where there is neither, a notebook shows the source and a hint, `render()` writes the source, and `pipe()`
    raises, for it promised a picture.
    """

    filename: PathName
    directory: PathName

    def save(
        self, filename: PathName | None = None, directory: PathName | None = None, *, skip_existing: bool | None = False
    ) -> str:
        """Write the source to a file, all of it or nothing, and give its path.

        Args:
            filename: by default the last one given, or `Picture.gv`.
            directory: where to write, by default the last one given, or here; it is made if missing.
            skip_existing: whether to leave a file that exists as it is.
        """
        self.filename = self.filename if filename is None else filename
        self.directory = self.directory if directory is None else directory
        path = Path(self.directory, self.filename)
        if not (skip_existing and path.exists()):
            write(path, self.source.encode())
        return str(path)

    def pipe(
        self,
        format: str | None = None,  # noqa: A002 - as in graphviz
        *,
        engine: str | None = None,
        encoding: str | None = None,
        **options: Any,
    ) -> Any:
        """Draw it, and give what the file would hold: bytes, or a string where an encoding is named.

        Args:
            format: one of `FORMATS`; by default the picture's own.
            engine: what lays it out: `"dot"` by default, `"neato"`, ...
            encoding: how to decode it.
            options: what else `graphviz.Digraph.pipe` takes. They are for the `dot` program and ask for it.

        Raises:
            RuntimeError: there is no Graphviz here, it failed, or it found no layout in ten minutes.
            ValueError: there is no such format or engine.
        """
        if not _can_draw():
            raise RuntimeError(HINT)
        if _PYGRAPHVIZ is None or _for_dot(options):
            return super().pipe(format, engine=engine, encoding=encoding, **options)
        drawn = _drawn(self.source, format or self.format, engine or self.engine)
        return drawn.decode(encoding) if encoding else drawn

    def render(
        self,
        filename: PathName | None = None,
        directory: PathName | None = None,
        view: bool = False,  # noqa: FBT001, FBT002 - as in graphviz
        cleanup: bool = False,  # noqa: FBT001, FBT002 - as in graphviz
        format: str | None = None,  # noqa: A002 - as in graphviz
        *,
        outfile: PathName | None = None,
        engine: str | None = None,
        **options: Any,
    ) -> str:
        """Write the source to one file and the picture to another, each of them all or nothing.

        Where there is no Graphviz, only the source is written, and a warning says how to see it.

        Args:
            filename: for the source; `Picture.gv` by default.
            directory: where to write; it is made if missing.
            view: whether to open the picture.
            cleanup: whether to delete the source once it is drawn.
            format: one of `FORMATS`; by default that of `outfile`'s suffix, or the picture's own.
            outfile: for the picture; by default beside the source, `Picture.gv.svg`.
            engine: what lays it out: `"dot"` by default, `"neato"`, ...
            options: what else `graphviz.Digraph.render` takes. They are for the `dot` program, which then writes the
                picture itself.

        Returns:
            The path of the picture, or of the source where there is no Graphviz.

        Raises:
            RuntimeError: Graphviz failed, or found no layout in ten minutes.
            ValueError: there is no such format or engine, or `outfile` is the source's file.
        """
        if _for_dot(options):
            options |= {
                "view": view,
                "cleanup": cleanup,
                "format": format,
                "outfile": outfile,
                "engine": engine,
            }
            return str(super().render(filename, directory=directory, **options))
        kind = format or (Path(outfile).suffix[1:] if outfile else self.format)
        source = self.save(filename or (outfile and Path(outfile).with_suffix(".gv")), directory=directory)
        if not _can_draw():
            warnings.warn(f"only the source was written, to {source}. {HINT}", stacklevel=2)
            return str(source)
        picture = Path(outfile or f"{source}.{kind}")
        if picture == Path(source):
            raise ValueError(f"outfile is {picture}, but that is the source's file; give the source a filename")
        write(picture, self.pipe(kind, engine=engine))
        if cleanup:
            Path(source).unlink()
        if view:
            webbrowser.open(picture.absolute().as_uri())
        return str(picture)

    def _repr_mimebundle_(
        self, include: Iterable[str] | None = None, exclude: Iterable[str] | None = None, **_: Any
    ) -> dict[str, Any]:
        """What a notebook shows: SVG, or words where there is no picture."""
        words = self._words()
        wanted = {"text/plain" if words else "image/svg+xml"} if include is None else set(include)
        wanted -= set(exclude or ())
        if words:
            return {kind: words for kind in wanted if kind == "text/plain"}
        return {kind: self._image(kind) for kind in _NOTEBOOK if kind in wanted}

    def _image(self, kind: str) -> Any:
        drawn = self.pipe(_NOTEBOOK[kind])
        return drawn.decode() if "xml" in kind else drawn

    def apology(self) -> str:
        """Say why a notebook shows no picture; nothing, where it shows one."""
        if len(self.body) > _LARGEST:
            return f"A graph of {len(self.body):,} statements: render() draws it, but it may take minutes."
        return "" if _can_draw() else HINT

    def _words(self) -> str:
        """What to show where a notebook should show no picture; otherwise nothing."""
        words = self.apology()
        return f"{self.source}\n{words}" if words == HINT else words


_NOTEBOOK = {"image/svg+xml": "svg", "image/png": "png", "image/jpeg": "jpeg"}


def _can_draw() -> bool:
    return _PYGRAPHVIZ is not None or (graphviz is not None and shutil.which("dot") is not None)


def _for_dot(options: Mapping[str, Any]) -> bool:
    """Whether there are options that only the `dot` program has. Without it, there is nobody to quiet."""
    return any(given for name, given in options.items() if name != "quiet")


# A fault in a C library ends the process that it happens in, and Python waits for it to return before it heeds an
# interrupt. So the library has a process to itself, which imports nothing but it and takes a tenth of a second.
_DRAW = """
import sys
format, engine, directory = sys.argv[1:]
sys.path.append(directory)
from pygraphviz import AGraph
graph = AGraph()
graph.from_string(sys.stdin.buffer.read().decode())  # AGraph(string=...) would search the labels for an encoding
sys.stdout.buffer.write(graph.draw(format=format, prog=engine))
"""
_PATIENCE = 600  # seconds


def _drawn(source: str, format: str, engine: str) -> bytes:  # noqa: A002 - as in graphviz
    """Draw by the Graphviz that pygraphviz carries. What it prints is heard only if it fails."""
    wanted = _checked("format", format, FORMATS), _checked("engine", engine, ENGINES)
    command = [sys.executable, "-I", "-S", "-c", _DRAW, *wanted, str(Path(_PYGRAPHVIZ.origin).parents[1])]
    try:
        done = subprocess.run(  # noqa: S603 - ourselves, and a program that stands above
            command, input=source.encode(), capture_output=True, timeout=_PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"Graphviz found no layout in {_PATIENCE} s. {_ELSEWHERE}") from None
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip()
        raise RuntimeError(f"Graphviz failed, with exit code {done.returncode}. {_ELSEWHERE}\n{words}".strip())
    return done.stdout


_ELSEWHERE = "The picture's `source` is whole: `save()` writes it, for another program to draw."


# A Value in a notebook.


def _in_a_notebook(
    value: Value, include: Iterable[str] | None = None, exclude: Iterable[str] | None = None
) -> dict[str, Any]:
    """What a notebook shows of a Value: its picture; where there is none, its numbers and how to see the picture."""
    picture = draw_dot(value)
    shown = picture._repr_mimebundle_(include, exclude)
    if "text/plain" in shown:
        return {"text/plain": f"{value!r}\n{picture.apology()}"}
    return shown


Value._repr_mimebundle_ = _in_a_notebook  # type: ignore[attr-defined] # pictures stand on the engine, not it on them
