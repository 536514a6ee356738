"""Findings of a run about its input and its results, in a few numbers whatever its size."""

import heapq
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from service.batch.record import Record
from service.batch.tally import Tally
from service.batch.unit import Kept

SLOWEST = 10
MOST_SAMPLES = 240


@dataclass(slots=True)
class Findings:
    """Hears of everything in a run; see `service.batch.run.RunWatcher`."""

    id_field: str = "id"
    lengths: Counter[int] = field(default_factory=Counter)
    """Records by length: n stands for 2**(n-1) to 2**n - 1 characters."""
    languages: Counter[str] = field(default_factory=Counter)
    """Of the records that have a result."""
    flags: Counter[str] = field(default_factory=Counter)
    flagged: int = 0
    """Records with at least one flag."""
    samples: list[tuple[float, int, int]] = field(default_factory=list)
    """Seconds since the begin, contents made until then, output tokens until then."""
    slowest: list[tuple[float, int, str, int]] = field(default_factory=list)
    """Seconds, line, id, characters; the first is the least slow."""
    _every_s: float = 0.5

    def update(self, tally: Tally) -> None:
        """A sample of the pace now and then, seldom enough that they don't become many."""
        last = self.samples[-1][0] if self.samples else 0.0
        if tally.seconds - last < self._every_s:
            return
        self.samples.append((tally.seconds, tally.made, tally.tokens))
        if len(self.samples) > MOST_SAMPLES:
            self.samples = self.samples[1::2]
            self._every_s *= 2

    def made(self, characters: int, kept: Kept, record: Record) -> None:
        """A content was worked on."""
        name = str(record.fields.get(self.id_field, ""))[:80]
        entry = (kept.seconds, record.line, name, characters)
        if len(self.slowest) < SLOWEST:
            heapq.heappush(self.slowest, entry)
        else:
            heapq.heappushpop(self.slowest, entry)

    def wrote(self, characters: int, kept: Kept | None) -> None:
        """A record is written."""
        if kept is None:
            return
        self.lengths[characters.bit_length()] += 1
        if not kept.failed:
            self.languages[kept.language] += 1
        self.flags.update(kept.flags)
        self.flagged += bool(kept.flags)

    def rates(self) -> list[tuple[float, float]]:
        """(seconds since the begin, contents a second since the sample before)."""
        points, before = [], (0.0, 0, 0)
        for sample in self.samples:
            points.append((sample[0], (sample[1] - before[1]) / (sample[0] - before[0])))
            before = sample
        return points


def summary(job: dict[str, Any], tally: Tally, findings: Findings, end: str) -> dict[str, Any]:
    """A run in numbers, as JSON."""
    return {
        "end": end,
        **job,
        "records": tally.records,
        "errors": tally.errors,
        "made": tally.made,
        "found": tally.found,
        "repeated": tally.repeated,
        "seconds": round(tally.seconds, 3),
        "records_per_s": round(tally.rate(), 3),
        "characters_per_s": round(tally.characters / tally.seconds, 1) if tally.seconds else 0.0,
        "output_tokens_per_s": round(tally.tokens_per_s(), 1),
        "source_tokens": tally.effort.source_tokens,
        "output_tokens": tally.effort.output_tokens,
        "remembered_tokens": tally.effort.remembered_tokens,
        "engine_s": round(tally.effort.engine_s, 3),
        "text_s": round(tally.effort.text_s, 3),
        "engine_share": round(tally.engine_share(), 4),
        "languages": dict(findings.languages.most_common()),
        "flags": dict(findings.flags.most_common()),
        "flagged_records": findings.flagged,
        "errors_by_kind": {kind: asdict(each) for kind, each in tally.errors_by_kind.items()},
        "left_out": dict(tally.left_out),
        "slowest": [
            {"seconds": round(seconds, 3), "line": line, "id": name, "characters": characters}
            for seconds, line, name, characters in sorted(findings.slowest, reverse=True)
        ],
    }
