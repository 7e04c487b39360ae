"""DOT, the language of Graphviz: statements, and labels with arbitrary text."""

from __future__ import annotations

import re
from collections.abc import Mapping


def statement(name: str, attributes: Mapping[str, str]) -> str:
    """Write a node in DOT. As in the graphviz package, text in `<` and `>` is a label in Graphviz's HTML."""
    quoted = {attribute: text if text.startswith("<") else f'"{text}"' for attribute, text in attributes.items()}
    listed = " ".join(f"{attribute}={text}" for attribute, text in quoted.items())
    return f"\t{name} [{listed}]\n"


# Characters that are special to Graphviz become entities, which it reads after it has looked for special characters.
# The backslash becomes two entities, because Graphviz then looks for escapes once more. Characters that cannot be
# shown, or that XML does not allow, become a visible sign.
SIGNS: dict[int, str] = {
    **{code: chr(0x2400 + code) for code in range(0x20)},  # ␀ for NUL, and so on
    **dict.fromkeys([*range(0x80, 0xA0), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF], "\N{REPLACEMENT CHARACTER}"),
    **{ord(character): f"&#{ord(character)};" for character in '&<>{}|"'},
    0x7F: "\N{SYMBOL FOR DELETE}",
    ord("\\"): "&#92;&#92;",
    ord("\n"): "\\n",
}
# Spaces that must be entities. Graphviz drops spaces at either end, and all but one of several. An empty first line of
# a label gets a space, because Graphviz otherwise frees an uninitialised pointer (`storeline` in its labels.c, as of
# 14.1).
_SPACE = re.compile(r"^ | (?= |$)|^(?=\\n)")


def label(text: str) -> str:
    """Escape a text so that a label shows exactly this text. Line breaks are preserved."""
    return _SPACE.sub("&#32;", text.replace("\r\n", "\n").translate(SIGNS))


# In HTML a backslash is in an element of its own, because Graphviz replaces a backslash and an N by the name of the
# box.
_HTML = {**SIGNS, ord("\\"): "<FONT>&#92;</FONT>", ord("\n"): "<BR/>", ord(" "): "&#160;"}


def html(text: str) -> str:
    """Escape a text for a label in Graphviz's HTML."""
    return text.replace("\r\n", "\n").translate(_HTML)
