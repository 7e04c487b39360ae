"""DOT, the language of Graphviz: statements, and any text as the label of a node."""

from __future__ import annotations

import re
from collections.abc import Mapping


def statement(name: str, attributes: Mapping[str, str]) -> str:
    """Write a node in DOT. Text in `<` and `>` is a label in Graphviz's HTML, as in the graphviz package."""
    quoted = {attribute: text if text.startswith("<") else f'"{text}"' for attribute, text in attributes.items()}
    listed = " ".join(f"{attribute}={text}" for attribute, text in quoted.items())
    return f"\t{name} [{listed}]\n"


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


def label(text: str) -> str:
    """Any text, written so that a label shows it and nothing else. Lines stay lines."""
    return _SPACE.sub("&#32;", text.replace("\r\n", "\n").translate(SIGNS))


# In HTML a backslash stands alone, for Graphviz takes it and an N for the name of the box, however they are written.
_HTML = {**SIGNS, ord("\\"): "<FONT>&#92;</FONT>", ord("\n"): "<BR/>", ord(" "): "&#160;"}


def html(text: str) -> str:
    """The same for a label in Graphviz's HTML."""
    return text.replace("\r\n", "\n").translate(_HTML)
