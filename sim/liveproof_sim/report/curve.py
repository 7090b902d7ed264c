"""How many behaviours were seen after how many executions, as SVG. A curve that still climbs says: go on."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["curve_svg"]

WIDTH, HEIGHT = 640, 200
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 12, 32


def curve_svg(points: Sequence[Sequence[int]]) -> str:
    """(executions, behaviours) each, in order; both axes begin at 0."""
    right = max([1, *(x for x, _ in points)])
    top = max([1, *(y for _, y in points)])

    def place(x: float, y: float) -> tuple[float, float]:
        wide, high = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
        return LEFT + wide * x / right, TOP + high * (1 - y / top)

    line = " ".join(f"{a:.1f},{b:.1f}" for a, b in (place(x, y) for x, y in [(0, 0), *points]))
    edge_x, base = place(right, 0)
    edge_y = place(right, top)[1]
    dots = "".join(
        f'<circle cx="{a:.1f}" cy="{b:.1f}" r="2.5"><title>{x:,} executions: {y:,} behaviours</title></circle>'
        for (a, b), (x, y) in ((place(x, y), (x, y)) for x, y in points)
    )
    return (
        f'<svg class="curve" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{top:,} behaviours after {right:,} executions">'
        f'<path class="axis" d="M{LEFT},{edge_y:.1f} V{base:.1f} H{edge_x:.1f}"/>'
        f'<polyline points="{line}"/>{dots}'
        f'<text x="{LEFT - 8}" y="{edge_y + 4:.1f}" text-anchor="end">{top:,}</text>'
        f'<text x="{LEFT - 8}" y="{base:.1f}" text-anchor="end">0</text>'
        f'<text x="{edge_x:.1f}" y="{HEIGHT - 10}" text-anchor="end">{right:,} executions</text>'
        f'<text x="{LEFT}" y="{HEIGHT - 10}">behaviours seen</text></svg>'
    )
