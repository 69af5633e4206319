"""Plots as SVG: bars with a mark for the target, and lines over powers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

WIDTH, ROW, LEFT = 760, 26, 330
COLORS = ("#33658a", "#f26419", "#55a630", "#8d5a97")
STYLE = "font-family: sans-serif; font-size: 13px"


def bars(title: str, rows: Sequence[tuple[str, float, float | None]]) -> str:
    """Return a bar for each row: its label, its value, and its target, if it has one."""
    most = max([1.0, *(value for _, value, _ in rows), *(bound or 0 for *_, bound in rows)])
    scale = (WIDTH - LEFT - 60) / most
    parts = []
    for number, (label, value, bound) in enumerate(rows):
        y = 40 + number * ROW
        parts.append(f'<text x="{LEFT - 8}" y="{y + 14}" text-anchor="end">{escape(label)}</text>')
        parts.append(
            f'<rect x="{LEFT}" y="{y}" width="{value * scale:.1f}" height="{ROW - 8}"'
            f' fill="{COLORS[0]}"/>'
        )
        parts.append(f'<text x="{LEFT + value * scale + 6:.1f}" y="{y + 14}">{value:.2f}</text>')
        if bound is not None:
            x = LEFT + bound * scale
            parts.append(
                f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y - 3}" y2="{y + ROW - 5}"'
                f' stroke="{COLORS[1]}" stroke-width="3"/>'
            )
    return _svg(title, parts, 50 + len(rows) * ROW)


def lines(title: str, series: Mapping[str, Mapping[float, float]], unit: str) -> str:
    """Return a line for each series, over the logarithm of what it depends on."""
    points = [(math.log10(x), y) for line in series.values() for x, y in line.items()]
    left, right = min(x for x, _ in points), max(x for x, _ in points)
    most = max(y for _, y in points) * 1.1
    height, base = 320, 280

    def place(x: float, y: float) -> str:
        across = 70 + (math.log10(x) - left) / ((right - left) or 1) * (WIDTH - 270)
        return f"{across:.1f},{base - y / most * (base - 50):.1f}"

    parts = [f'<text x="8" y="50">{most:.3g} {escape(unit)}</text>']
    parts.append(f'<line x1="70" x2="{WIDTH - 200}" y1="{base}" y2="{base}" stroke="#888"/>')
    for number, (name, line) in enumerate(series.items()):
        color = COLORS[number % len(COLORS)]
        path = " ".join(place(x, y) for x, y in line.items())
        parts.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"/>')
        y = 60 + number * 20
        parts.append(f'<text x="{WIDTH - 190}" y="{y}" fill="{color}">{escape(name)}</text>')
    for x in {x for line in series.values() for x in line}:
        at = place(x, 0).partition(",")[0]
        parts.append(f'<text x="{at}" y="{base + 20}" text-anchor="middle">{x:,}</text>')
    return _svg(title, parts, height)


def _svg(title: str, parts: Sequence[str], height: int) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}"'
        f' style="{STYLE}"><rect width="100%" height="100%" fill="white"/>'
        f'<text x="8" y="22" font-weight="bold">{escape(title)}</text>{"".join(parts)}</svg>\n'
    )
