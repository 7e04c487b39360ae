"""Pictures of the graph of a Value, in DOT, the language of Graphviz."""

from ndgrad.graph.drawing import RANKDIRS, draw_dot
from ndgrad.graph.picture import ENGINES, FORMATS, HINT, Picture
from ndgrad.graph.tracing import Edge, trace

__all__ = ["ENGINES", "FORMATS", "HINT", "RANKDIRS", "Edge", "Picture", "draw_dot", "trace"]
