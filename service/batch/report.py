"""A run as an HTML page that needs nothing else: its numbers, its plots as SVG, its slowest records."""

import html
import math
from collections.abc import Iterable, Sequence
from typing import Any

from service.batch.findings import Findings
from service.batch.progress import duration

_STYLE = """
:root { color-scheme: light dark; --ink: #1c1c1c; --soft: #666; --paper: #fff; --bar: #3465a4; --rule: #ddd }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e6e6; --soft: #a0a0a0; --paper: #191a1c; --bar: #7aa6dc; --rule: #3a3c40 } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 46rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.1rem; margin: 2.2rem 0 .4rem }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .8rem; margin: 0 }
dt { color: var(--soft); font-size: .85rem } dd { margin: 0; font-size: 1.15rem }
table { border-collapse: collapse; width: 100%; font-size: .9rem }
th, td { text-align: left; padding: .25rem .6rem .25rem 0; border-bottom: 1px solid var(--rule) }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums }
td.id { overflow-wrap: anywhere }
svg { width: 100%; height: auto } svg text { fill: var(--soft); font: 11px system-ui, sans-serif }
.bar { fill: var(--bar) } .line { fill: none; stroke: var(--bar); stroke-width: 2 }
.grid { stroke: var(--rule) } p { color: var(--soft) } code { overflow-wrap: anywhere }
"""

_ENDS = {
    "done": "Completed",
    "stopped": "Stopped early: too many errors",
    "interrupted": "Interrupted; the same command resumes",
    "failed": "Failed; the same command resumes",
}


def page(summary: dict[str, Any], findings: Findings) -> str:
    """The whole page."""
    title = f"dragoman batch {summary['task']}"
    body = [
        f"<h1>{html.escape(title)}</h1><p>{_ENDS[summary['end']]}, {html.escape(summary['ended_at'])}. "
        f"{html.escape(_models(summary))}</p>",
        _numbers(summary),
        *_length_spread(findings),
        *_rate(findings),
        *_errors(summary),
        *_flags(summary, findings),
        *_languages(findings),
        *_slowest(summary),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main>{''.join(body)}</main></body></html>\n"
    )


def _models(summary: dict[str, Any]) -> str:
    return "Models: " + ", ".join(f"{name} ({revision[:20]})" for name, revision in summary["models"].items())


def _numbers(summary: dict[str, Any]) -> str:
    shown = [
        ("Records", f"{summary['records']:,}"),
        ("Errors", f"{summary['errors']:,}"),
        ("Processed", f"{summary['made']:,}"),
        ("Reused", f"{summary['found']:,}"),
        ("Repeated", f"{summary['repeated']:,}"),
        ("Time", duration(summary["seconds"])),
        ("Records a second", f"{summary['records_per_s']:,.2f}"),
        ("Tokens a second", f"{summary['output_tokens_per_s']:,.0f}"),
        ("Tokens reused", f"{summary['remembered_tokens']:,}"),
    ]
    if summary["engine_s"]:
        shown.append(("Engine busy", f"{summary['engine_share']:.0%} of the time"))
    return "<dl>" + "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in shown) + "</dl>"


def _length_spread(findings: Findings) -> Iterable[str]:
    yield "<h2>Length of the records</h2>"
    if not findings.lengths:
        yield "<p>No record could be read.</p>"
        return
    span = range(min(findings.lengths), max(findings.lengths) + 1)
    bars = [(_short(1 << bits), float(findings.lengths[bits])) for bits in span]
    yield column_plot(bars, "Records by length")


def _short(number: int) -> str:
    for unit, size in (("M", 2**20), ("k", 2**10)):
        if number >= size:
            return f"{number // size}{unit}"
    return str(number)


def _rate(findings: Findings) -> Iterable[str]:
    yield "<h2>Rate over time</h2>"
    points = findings.rates()
    if len(points) < 2:
        yield "<p>The run was too short.</p>"
        return
    yield line_plot(points, "Records a second over time")


def _errors(summary: dict[str, Any]) -> Iterable[str]:
    if summary["errors_by_kind"]:
        yield "<h2>Errors</h2><p>Each kind with its first record.</p>"
        yield _table(
            ("records", "line", "kind", "message"),
            [
                (f"{each['records']:,}", f"{each['line']:,}", kind, each["message"])
                for kind, each in summary["errors_by_kind"].items()
            ],
        )


def _flags(summary: dict[str, Any], findings: Findings) -> Iterable[str]:
    yield "<h2>Flags</h2>"
    if not findings.flags:
        yield "<p>No record is flagged.</p>"
        return
    yield f"<p>By kind, in {summary['flagged_records']:,} of {summary['records']:,} records.</p>"
    yield row_plot([(kind, float(n)) for kind, n in findings.flags.most_common()], "Flags by kind")


def _languages(findings: Findings) -> Iterable[str]:
    if findings.languages:
        yield "<h2>Languages of the records</h2>"
        yield row_plot(
            [(name, float(n)) for name, n in findings.languages.most_common(20)], "Records by language"
        )


def _slowest(summary: dict[str, Any]) -> Iterable[str]:
    yield "<h2>Slowest records</h2>"
    if not summary["slowest"]:
        yield "<p>No record was processed in this run.</p>"
        return
    yield "<p>By their own text work and their share of the engine's time.</p>"
    yield _table(
        ("seconds", "characters", "line", "id"),
        [
            (f"{each['seconds']:.2f}", f"{each['characters']:,}", f"{each['line']:,}", each["id"])
            for each in summary["slowest"]
        ],
    )


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    kinds = [*["n"] * (len(head) - 1), "id"]
    top = "".join(f'<th class="{kind}">{name}</th>' for kind, name in zip(kinds, head, strict=True))
    body = "".join(
        "<tr>"
        + "".join(
            f'<td class="{kind}">{html.escape(cell)}</td>' for kind, cell in zip(kinds, cells, strict=True)
        )
        + "</tr>"
        for cells in lines
    )
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


# ---------------------------------------------------------------------- plots

WIDTH, HEIGHT = 720, 220
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 12, 40


def _number(value: float) -> str:
    """A number as an axis shows it."""
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.2g}"


def column_plot(bars: Sequence[tuple[str, float]], title: str) -> str:
    """A column for each bar, from left to right; a label is a length that the records are shorter than."""
    top, ticks = _scale(max((value for _, value in bars), default=0))
    step = (WIDTH - LEFT - RIGHT) / max(1, len(bars))
    parts = [_axis(top, ticks)]
    for i, (label, value) in enumerate(bars):
        x, y = LEFT + i * step, _y(value, top)
        parts.append(
            f'<rect class="bar" x="{x + 2:.1f}" y="{y:.1f}" width="{max(1, step - 4):.1f}" '
            f'height="{HEIGHT - BOTTOM - y:.1f}"><title>{html.escape(label)}: {_number(value)}</title></rect>'
        )
        parts.append(_text(x + step / 2, HEIGHT - BOTTOM + 15, label, "middle"))
    below = "fewer characters than this, and at least half as many"
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, below, "middle"))
    return _svg(parts, title, HEIGHT)


def row_plot(bars: Sequence[tuple[str, float]], title: str) -> str:
    """A row for each bar, with its name and its number."""
    most = max((value for _, value in bars), default=0) or 1
    room = WIDTH - 260
    parts = []
    for i, (label, value) in enumerate(bars):
        y, width = 8 + i * 24, max(1.0, room * value / most)
        parts.append(_text(168, y + 13, label, "end"))
        parts.append(f'<rect class="bar" x="176" y="{y}" width="{width:.1f}" height="18"/>')
        parts.append(_text(182 + width, y + 13, _number(value), "start"))
    return _svg(parts, title, 16 + 24 * len(bars))


def line_plot(points: Sequence[tuple[float, float]], title: str) -> str:
    """A rate over time: a line through the points, whose x are seconds and grow."""
    last = points[-1][0] if points else 1.0
    top, ticks = _scale(max((y for _, y in points), default=0))
    parts = [_axis(top, ticks)]

    def x_of(x: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * x / last

    path = " ".join(f"{x_of(x):.1f},{_y(y, top):.1f}" for x, y in points)
    parts.append(f'<polyline class="line" points="{path}"/>')
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        anchor = "end" if share == 1 else "middle"
        parts.append(_text(x_of(last * share), HEIGHT - BOTTOM + 15, duration(last * share), anchor))
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, "records a second", "middle"))
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


def _axis(top: float, ticks: Sequence[float]) -> str:
    parts = []
    for tick in ticks:
        y = _y(tick, top)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(_text(LEFT - 6, y + 4, _number(tick), "end"))
    return "".join(parts)


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(text)}</text>'


def _svg(parts: Sequence[str], title: str, height: float) -> str:
    said = html.escape(title)
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{said}"><title>{said}</title>'
        f"{''.join(parts)}</svg>"
    )
