"""The picture: the ratio of each peer's time to ndgrad's on each line, as dots on a logarithmic scale.

It is written as SVG, and is readable on a light and on a dark page.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape

from benchmarks.cells import Result
from benchmarks.peers import TITLES
from benchmarks.workloads import WORKLOADS

LOWEST, HIGHEST = 1 / 32, 32.0  # the ends of the scale; a dot beyond is at the edge
LEFT, WIDTH, RIGHT, TOP, ROW = 210, 620, 20, 64, 22  # in pixels
COLOURS = {
    "by_hand": "#8a8f98", "torch": "#e4572e", "autograd": "#3a86c8", "mygrad": "#2a9d5c",
    "micrograd": "#b5851b", "jax": "#8b5fbf", "tinygrad": "#d1478c",
}  # fmt: skip
STYLE = """\
text { font: 12px system-ui, sans-serif; fill: #24292f }
.rule { stroke: #d0d7de } .one { stroke: #24292f; stroke-width: 1.5 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .rule { stroke: #30363d } .one { stroke: #e6edf3 }
}"""


def draw(results: Sequence[Result]) -> str:
    """Draw the results with one thread."""
    shown = [result for result in results if result.threads == 1]
    peers = [peer for peer in COLOURS if any(result.ratio(peer) for result in shown)]
    height = TOP + ROW * len(shown) + 12
    parts = [*_legend(peers), *_scale(height), *(part for i, r in enumerate(shown) for part in _row(i, r, peers))]
    size = f'viewBox="0 0 {LEFT + WIDTH + RIGHT} {height}" width="{LEFT + WIDTH + RIGHT}" height="{height}"'
    title = "<title>Time of a step, as a multiple of ndgrad's</title>"
    return "\n".join(
        [f'<svg xmlns="http://www.w3.org/2000/svg" {size}>', title, f"<style>\n{STYLE}\n</style>", *parts, "</svg>\n"]
    )


def place(ratio: float) -> float:
    """Return the horizontal position of a ratio."""
    within = min(max(ratio, LOWEST), HIGHEST)
    return LEFT + WIDTH * math.log(within / LOWEST) / math.log(HIGHEST / LOWEST)


def _legend(peers: Sequence[str]) -> Iterator[str]:
    for i, peer in enumerate(peers):
        x = LEFT + i * WIDTH / len(COLOURS)
        yield f'<circle cx="{x:.1f}" cy="14" r="5" fill="{COLOURS[peer]}"/>'
        yield f'<text x="{x + 9:.1f}" y="18">{escape(TITLES[peer])}</text>'


def _scale(height: int) -> Iterator[str]:
    """Draw lines at powers of two, and the meaning of the two sides."""
    one = place(1)
    yield f'<text x="{one - 8:.1f}" y="38" text-anchor="end">← faster than ndgrad</text>'
    yield f'<text x="{one + 8:.1f}" y="38">slower than ndgrad →</text>'
    for power in range(round(math.log2(LOWEST)), round(math.log2(HIGHEST)) + 1):
        x, label = place(2.0**power), f"{2**power}×" if power >= 0 else f"1/{2**-power}"
        yield f'<line class="{"rule" if power else "one"}" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 6}" y2="{height}"/>'
        yield f'<text x="{x:.1f}" y="{TOP - 10}" text-anchor="middle">{label}</text>'


def _row(i: int, result: Result, peers: Sequence[str]) -> Iterator[str]:
    y = TOP + ROW * i + ROW / 2
    yield f'<text x="{LEFT - 12}" y="{y + 4:.1f}" text-anchor="end">{escape(WORKLOADS[result.line].label)}</text>'
    yield f'<line class="rule" x1="{LEFT}" x2="{LEFT + WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>'
    for peer in peers:
        ratio = result.ratio(peer)
        if ratio:
            tooltip = f"<title>{escape(f'{result.line}, {TITLES[peer]}: {ratio.median:.2f}×')}</title>"
            yield f'<circle cx="{place(ratio.median):.1f}" cy="{y:.1f}" r="5" fill="{COLOURS[peer]}">{tooltip}</circle>'
