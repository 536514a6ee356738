"""A run as an HTML page that needs nothing else: its numbers, its plots, its slowest records."""

import html
from collections.abc import Iterable, Sequence
from typing import Any

from service.batch import plots
from service.batch.progress import Tally, duration

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
    "done": "Came to its end",
    "stopped": "Stopped before its end: too many errors",
    "interrupted": "Interrupted; the same command goes on",
    "failed": "Broke off; the same command goes on",
}


def page(summary: dict[str, Any], tally: Tally) -> str:
    """The whole page."""
    title = f"dragoman batch {summary['task']}"
    body = [
        f"<h1>{html.escape(title)}</h1><p>{_ENDS[summary['end']]}, {html.escape(summary['ended_at'])}. "
        f"{html.escape(_models(summary))}</p>",
        _numbers(summary),
        *_length_spread(tally),
        *_rate(tally),
        *_errors(summary),
        *_flags(summary, tally),
        *_languages(tally),
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
        ("Made now", f"{summary['made']:,}"),
        ("There already", f"{summary['found']:,}"),
        ("Repeated", f"{summary['repeated']:,}"),
        ("Time", duration(summary["seconds"])),
        ("Records a second", f"{summary['records_per_s']:,.2f}"),
        ("Tokens a second", f"{summary['output_tokens_per_s']:,.0f}"),
        ("Tokens remembered", f"{summary['remembered_tokens']:,}"),
    ]
    if summary["engine_s"]:
        shown.append(("Engine had work", f"{summary['engine_share']:.0%} of the time"))
    return "<dl>" + "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in shown) + "</dl>"


def _length_spread(tally: Tally) -> Iterable[str]:
    yield "<h2>Length of the records</h2>"
    if not tally.lengths:
        yield "<p>No record could be read.</p>"
        return
    span = range(min(tally.lengths), max(tally.lengths) + 1)
    bars = [(_short(1 << bits), float(tally.lengths[bits])) for bits in span]
    yield plots.columns(bars, "Records by length", "fewer characters than this, and at least half as many")


def _short(number: int) -> str:
    for unit, size in (("M", 2**20), ("k", 2**10)):
        if number >= size:
            return f"{number // size}{unit}"
    return str(number)


def _rate(tally: Tally) -> Iterable[str]:
    yield "<h2>Rate over time</h2>"
    points = tally.rates()
    if len(points) < 2:
        yield "<p>The run was too short to tell.</p>"
        return
    yield plots.line(points, "Records made a second, over time", "records made a second", duration)


def _errors(summary: dict[str, Any]) -> Iterable[str]:
    if summary["errors_by_kind"]:
        yield "<h2>Errors</h2><p>Each kind with the first record that has it.</p>"
        yield _table(
            ("records", "line", "kind", "message"),
            [
                (f"{each['records']:,}", f"{each['line']:,}", kind, each["message"])
                for kind, each in summary["errors_by_kind"].items()
            ],
        )


def _flags(summary: dict[str, Any], tally: Tally) -> Iterable[str]:
    yield "<h2>What the checks found</h2>"
    if not tally.flags:
        yield "<p>Nothing.</p>"
        return
    yield f"<p>Flags by kind, in {summary['flagged_records']:,} of {summary['records']:,} records.</p>"
    yield plots.rows([(kind, float(n)) for kind, n in tally.flags.most_common()], "Flags by kind")


def _languages(tally: Tally) -> Iterable[str]:
    if tally.languages:
        yield "<h2>Languages of the records</h2>"
        yield plots.rows(
            [(name, float(n)) for name, n in tally.languages.most_common(20)], "Records by language"
        )


def _slowest(summary: dict[str, Any]) -> Iterable[str]:
    yield "<h2>Slowest records</h2>"
    if not summary["slowest"]:
        yield "<p>None was made in this run.</p>"
        return
    yield "<p>Their own text work, and their share of the engine's time.</p>"
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
