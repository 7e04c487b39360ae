"""Pictures drawn by Graphviz.

Graphviz is called through pygraphviz, whose wheels include it, or through the graphviz package, which runs the `dot`
program. Both draw in a separate process. Without either, a picture is its source and a hint.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import warnings
import webbrowser
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ndgrad.files import PathName, write
from ndgrad.graph.dot import statement

try:
    import graphviz
except ImportError:
    graphviz = None

_PYGRAPHVIZ: Any = find_spec("pygraphviz")  # only its location: the process that draws imports it

HINT = 'To see the picture, install Graphviz: pip install "ndgrad[viz]". Its dot program on the PATH does, too.'

# Formats of every Graphviz: the wheels of pygraphviz lack bmp, tiff and webp.
FORMATS = ("svg", "png", "pdf", "jpg", "jpeg", "gif", "eps", "ps", "svgz",
           "dot", "gv", "xdot", "json", "plain", "plain-ext")  # fmt: skip
ENGINES = ("dot", "neato", "fdp", "sfdp", "circo", "twopi", "osage", "patchwork")


def checked(name: str, given: str, allowed: tuple[str, ...]) -> str:
    """Return an option if it is allowed, and raise ValueError otherwise."""
    if given not in allowed:
        raise ValueError(f"{name} is {given!r}, but must be one of {', '.join(allowed)}")
    return given


class _Source:
    """The part of `graphviz.Digraph` that a picture needs, if that package is not installed."""

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
        """Raise RuntimeError: without the graphviz package nothing runs the `dot` program."""
        raise RuntimeError(HINT)

    render = pipe


_Base: Any = graphviz.Digraph if graphviz is not None else _Source

_LARGEST = 3_000  # statements, for about 1,000 Values: most such graphs take 0.3 s to draw, the worst seen took 80 s


class Picture(_Base):  # type: ignore[misc] # one of the two classes
    """A `graphviz.Digraph` drawn by pygraphviz if that is installed, and otherwise by the `dot` program.

    Without either, a notebook shows the source and a hint, `render()` writes the source only, and `pipe()` raises an
    error.
    """

    filename: PathName
    directory: PathName

    def save(
        self, filename: PathName | None = None, directory: PathName | None = None, *, skip_existing: bool | None = False
    ) -> str:
        """Write the source to a file atomically, and return its path.

        Args:
            filename: by default the previous one, or `Picture.gv`.
            directory: the folder of the file, by default the previous one, or the current one. It is created if
                missing.
            skip_existing: whether to leave an existing file unchanged.
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
        """Draw the picture, and return the contents of the file: bytes, or a string if an encoding is given.

        Args:
            format: one of `FORMATS`; by default that of the picture.
            engine: the layout engine: `"dot"` by default, `"neato"`, ...
            encoding: how to decode the bytes.
            options: further options of `graphviz.Digraph.pipe`. They need the `dot` program, which is then used.

        Raises:
            RuntimeError: Graphviz is not installed, failed, or found no layout in ten minutes.
            ValueError: there is no such format or engine.
        """
        if not _can_draw():
            raise RuntimeError(HINT)
        if _PYGRAPHVIZ is None or _for_dot(options):
            return super().pipe(format, engine=engine, encoding=encoding, **options)
        image = _draw(self.source, format or self.format, engine or self.engine)
        return image.decode(encoding) if encoding else image

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
        """Write the source to one file and the picture to another, both atomically.

        Without Graphviz, only the source is written, and a warning says how to see the picture.

        Args:
            filename: the file of the source; `Picture.gv` by default.
            directory: the folder of the files. It is created if missing.
            view: whether to open the picture.
            cleanup: whether to delete the source after drawing.
            format: one of `FORMATS`; by default that of `outfile`'s suffix, or that of the picture.
            outfile: the file of the picture; by default beside the source, `Picture.gv.svg`.
            engine: the layout engine: `"dot"` by default, `"neato"`, ...
            options: further options of `graphviz.Digraph.render`. They need the `dot` program, which then writes the
                picture itself.

        Returns:
            The path of the picture, or that of the source without Graphviz.

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
        """Return the notebook display: SVG, or text if there is no picture."""
        words = self._notebook_text()
        requested = {"text/plain" if words else "image/svg+xml"} if include is None else set(include)
        requested -= set(exclude or ())
        if words:
            return {kind: words for kind in requested if kind == "text/plain"}
        return {kind: self._image(kind) for kind in _NOTEBOOK if kind in requested}

    def _image(self, kind: str) -> Any:
        image = self.pipe(_NOTEBOOK[kind])
        return image.decode() if "xml" in kind else image

    def no_picture_message(self) -> str:
        """Return the reason why a notebook shows no picture; an empty string if it shows one."""
        if len(self.body) > _LARGEST:
            return f"A graph of {len(self.body):,} statements: render() draws it, but it may take minutes."
        return "" if _can_draw() else HINT

    def _notebook_text(self) -> str:
        """Return the text that a notebook shows instead of a picture; an empty string if it shows one."""
        words = self.no_picture_message()
        return f"{self.source}\n{words}" if words == HINT else words


_NOTEBOOK = {"image/svg+xml": "svg", "image/png": "png", "image/jpeg": "jpeg"}


def _can_draw() -> bool:
    return _PYGRAPHVIZ is not None or (graphviz is not None and shutil.which("dot") is not None)


def _for_dot(options: Mapping[str, Any]) -> bool:
    """Return whether an option needs the `dot` program. `quiet` does not: without that program it has no effect."""
    return any(given for name, given in options.items() if name != "quiet")


# A crash in a C library ends its process, and Python handles an interrupt only after the library returns. So the
# library runs in a process of its own, which imports nothing else and takes a tenth of a second.
_DRAW = """
import sys
format, engine, directory = sys.argv[1:]
sys.path.append(directory)
from pygraphviz import AGraph
graph = AGraph()
graph.from_string(sys.stdin.buffer.read().decode())  # AGraph(string=...) would search the labels for an encoding
sys.stdout.buffer.write(graph.draw(format=format, prog=engine))
"""
_PATIENCE = 600  # seconds until a layout is given up


def _draw(source: str, format: str, engine: str) -> bytes:  # noqa: A002 - as in graphviz
    """Draw by the Graphviz of pygraphviz. Its output is reported only if it fails."""
    requested = checked("format", format, FORMATS), checked("engine", engine, ENGINES)
    command = [sys.executable, "-I", "-S", "-c", _DRAW, *requested, str(Path(_PYGRAPHVIZ.origin).parents[1])]
    try:
        done = subprocess.run(  # noqa: S603 - this Python, and the program above
            command, input=source.encode(), capture_output=True, timeout=_PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"Graphviz found no layout in {_PATIENCE} s. {_ELSEWHERE}") from None
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip()
        raise RuntimeError(f"Graphviz failed, with exit code {done.returncode}. {_ELSEWHERE}\n{words}".strip())
    return done.stdout


_ELSEWHERE = "The picture's `source` is complete: `save()` writes it, for another program to draw."
