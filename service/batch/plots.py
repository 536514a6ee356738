"""Small plots as SVG: bars and a line. Knows numbers and labels, and nothing of what they mean."""

import html
import math
from collections.abc import Callable, Sequence

WIDTH, HEIGHT = 720, 220
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 12, 40

Label = Callable[[float], str]


def plain(value: float) -> str:
    """A number as an axis shows it."""
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.2g}"


def columns(bars: Sequence[tuple[str, float]], title: str, below: str) -> str:
    """A column for each bar, from left to right."""
    top, ticks = _scale(max((value for _, value in bars), default=0))
    step = (WIDTH - LEFT - RIGHT) / max(1, len(bars))
    parts = [_axis(top, ticks, plain)]
    for i, (label, value) in enumerate(bars):
        x, y = LEFT + i * step, _y(value, top)
        parts.append(
            f'<rect class="bar" x="{x + 2:.1f}" y="{y:.1f}" width="{max(1, step - 4):.1f}" '
            f'height="{HEIGHT - BOTTOM - y:.1f}"><title>{html.escape(label)}: {plain(value)}</title></rect>'
        )
        parts.append(_text(x + step / 2, HEIGHT - BOTTOM + 15, label, "middle"))
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, below, "middle"))
    return _svg(parts, title, HEIGHT)


def rows(bars: Sequence[tuple[str, float]], title: str) -> str:
    """A row for each bar, with its name and its number."""
    most = max((value for _, value in bars), default=0) or 1
    room = WIDTH - 260
    parts = []
    for i, (label, value) in enumerate(bars):
        y, width = 8 + i * 24, max(1.0, room * value / most)
        parts.append(_text(168, y + 13, label, "end"))
        parts.append(f'<rect class="bar" x="176" y="{y}" width="{width:.1f}" height="18"/>')
        parts.append(_text(182 + width, y + 13, plain(value), "start"))
    return _svg(parts, title, 16 + 24 * len(bars))


def line(points: Sequence[tuple[float, float]], title: str, below: str, label_x: Label) -> str:
    """A line through the points, whose x grow."""
    last = points[-1][0] if points else 1.0
    top, ticks = _scale(max((y for _, y in points), default=0))
    parts = [_axis(top, ticks, plain)]

    def x_of(x: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * x / last

    path = " ".join(f"{x_of(x):.1f},{_y(y, top):.1f}" for x, y in points)
    parts.append(f'<polyline class="line" points="{path}"/>')
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        anchor = "end" if share == 1 else "middle"
        parts.append(_text(x_of(last * share), HEIGHT - BOTTOM + 15, label_x(last * share), anchor))
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, below, "middle"))
    return _svg(parts, title, HEIGHT)


def _scale(most: float) -> tuple[float, list[float]]:
    """An axis' upper end, and its ticks: 1, 2 or 5 times a power of ten apart."""
    if most < 1e-9:
        return 1.0, [0.0, 1.0]
    rough = most / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    count = math.ceil(most / step)
    return step * count, [step * i for i in range(count + 1)]


def _y(value: float, top: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * value / top


def _axis(top: float, ticks: Sequence[float], label: Label) -> str:
    parts = []
    for tick in ticks:
        y = _y(tick, top)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(_text(LEFT - 6, y + 4, label(tick), "end"))
    return "".join(parts)


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(text)}</text>'


def _svg(parts: Sequence[str], title: str, height: float) -> str:
    said = html.escape(title)
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{said}"><title>{said}</title>'
        f"{''.join(parts)}</svg>"
    )
