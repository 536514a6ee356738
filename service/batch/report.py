"""The report of a run: one self-contained HTML page with numbers, bars and tables."""

import html
from collections.abc import Iterable, Sequence
from typing import Any

from models.translate.confidence import likely_right
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
td.last { overflow-wrap: anywhere }
td.bar { width: 60% } td.bar i { display: block; height: .9rem; background: var(--bar) }
p { color: var(--soft) }
"""

_ENDS = {
    "done": "Completed",
    "stopped": "Stopped early: too many errors",
    "interrupted": "Interrupted; the same command resumes",
    "failed": "Failed; the same command resumes",
}

MOST_BARS = 24


def page(summary: dict[str, Any], tally: Tally) -> str:
    """Return the whole page."""
    title = html.escape(f"dragoman batch {summary['task']}")
    models = ", ".join(f"{name} ({revision[:20]})" for name, revision in summary["models"].items())
    begin = f"{_ENDS[summary['end']]}, {summary['ended_at']}. Models: {models}"
    body = [
        f"<h1>{title}</h1><p>{html.escape(begin)}</p>",
        *_right(tally),
        _numbers(summary),
        "<h2>Length of the records</h2><p>In characters.</p>",
        _bars([(f"under {_short(1 << bits)}", n) for bits, n in sorted(tally.lengths.items())]),
        "<h2>Records a second over time</h2>",
        _bars(_thinned(tally.rates())),
        *_errors(tally),
        "<h2>Flags</h2>",
        f"<p>{summary['flagged_records']:,} of {summary['records']:,} records are flagged. "
        "The checks look for wrong numbers, dates and names; wording is not checked.</p>",
        _bars(tally.flags.most_common()),
        "<h2>Languages of the records</h2>",
        _bars(tally.languages.most_common(MOST_BARS)),
        "<h2>Slowest records</h2><p>By their own text work and their share of the engine's time.</p>",
        _table(
            ("seconds", "characters", "line", "id"),
            [
                (f"{each['seconds']:.2f}", f"{each['characters']:,}", f"{each['line']:,}", each["id"])
                for each in summary["slowest"]
            ],
        ),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head>"
        f"<body><main>{''.join(body)}</main></body></html>\n"
    )


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


def _right(tally: Tally) -> Iterable[str]:
    if tally.sentences:
        told = likely_right(tally.likely_right, tally.sentences)
        yield f"<p><strong>{told[0].upper()}{told[1:]}.</strong></p>"


def _errors(tally: Tally) -> Iterable[str]:
    if rows := tally.causes_table():
        yield "<h2>Errors</h2><p>Each cause with its first record.</p>"
        yield _table(("records", "first", "type", "message"), rows)


def _short(number: int) -> str:
    for unit, size in (("M", 2**20), ("k", 2**10)):
        if number >= size:
            return f"{number // size}{unit}"
    return str(number)


def _thinned(rates: Sequence[tuple[float, float]]) -> list[tuple[str, float]]:
    """The means of neighbouring rates, so that there are few, by the time until the last of them."""
    step = -(-len(rates) // MOST_BARS) or 1
    groups = [rates[i : i + step] for i in range(0, len(rates), step)]
    return [(duration(group[-1][0]), sum(rate for _, rate in group) / len(group)) for group in groups]


def _bars(bars: Sequence[tuple[str, float]]) -> str:
    """A row for each bar: its name, the bar, its number."""
    if not bars:
        return "<p>None.</p>"
    most = max(value for _, value in bars) or 1
    rows = "".join(
        f"<tr><td>{html.escape(name)}</td>"
        f'<td class="bar"><i style="width: {100 * value / most:.1f}%"></i></td>'
        f'<td class="n">{value:,.{0 if value == int(value) else 1}f}</td></tr>'
        for name, value in bars
    )
    return f"<table><tbody>{rows}</tbody></table>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    kinds = [*["n"] * (len(head) - 1), "last"]
    top = "".join(f'<th class="{kind}">{name}</th>' for kind, name in zip(kinds, head, strict=True))
    body = ""
    for row in rows:
        cells = zip(kinds, map(html.escape, row), strict=True)
        body += "<tr>" + "".join(f'<td class="{kind}">{cell}</td>' for kind, cell in cells) + "</tr>"
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"
