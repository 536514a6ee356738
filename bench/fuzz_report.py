"""What came of a fuzz run: figures, failures to be sent again, and what the server's log has of them."""

import json
import re
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wire import Reply, Sent

FRAME = re.compile(r'  File "([^"]+)", line (\d+) in (\S+)')
TEXT_WORK = (
    "/models/",
    "/service/documents/",
    "/service/schemas/",
    "/service/http/compat/",
    "/service/glossaries",
)
"""Where the places of a stall are looked for, from the innermost call outwards."""


@dataclass
class Report:
    """What came of a run; threads add to it under its lock."""

    failures: list[dict[str, Any]] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    routes: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    slowest: str = ""
    healthz_s: list[float] = field(default_factory=list)
    seconds: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def sent(self) -> int:
        return self.statuses.total()

    def add(self, number: int, sent: Sent, answer: Reply, found: Sequence[str]) -> None:
        with self.lock:
            self.statuses[answer.status] += 1
            if answer.seconds > self.slowest_s:
                self.slowest_s, self.slowest = answer.seconds, f"{number} {sent.method} {sent.target[:60]}"
            if found:
                told = {"number": number, "faults": list(found), "status": answer.status}
                self.failures.append({**told, "seconds": round(answer.seconds, 2), "request": sent.to_json()})

    def summary(self) -> dict[str, Any]:
        """The run in figures."""
        return {
            "requests": self.sent,
            "seconds": round(self.seconds, 1),
            "requests_per_s": round(self.sent / max(self.seconds, 1e-9)),
            "failures": len(self.failures),
            "statuses": {str(status): count for status, count in sorted(self.statuses.items())},
            "slowest_s": round(self.slowest_s, 2),
            "slowest": self.slowest,
            "healthz_worst_s": round(max(self.healthz_s, default=0.0), 3),
            "healthz_probes": len(self.healthz_s),
        }


def traces(log: str) -> list[str]:
    """The last line of each trace in a log: what failed without anybody's knowing of it."""
    return re.findall(r"^Traceback .*?\n(?:[ \t].*\n|\n)*(\S.*)$", log, re.MULTILINE)


def stalls(log: str) -> Counter[str]:
    """The innermost calls of threads that worked on texts while /healthz was late, by the log's stacks."""
    found: Counter[str] = Counter()
    for stack in re.split(r"^(?:Current thread|Thread) 0x.*$", log, flags=re.MULTILINE)[1:]:
        frames = [match for match in FRAME.findall(stack) if any(part in match[0] for part in TEXT_WORK)]
        if frames and "/http/work.py" not in frames[0][0]:
            path, line, name = frames[0]
            found[f"{'/'.join(Path(path).parts[-3:])}:{line} in {name}"] += 1
    return found


def show_log(log: str) -> bool:
    """Print what a log has of failures; whether there were traces."""
    found = traces(log)
    for line, count in Counter(found).most_common():
        print(f"TRACE in the log, {count} times: {line}")
    for place, count in stalls(log).most_common(10):
        print(f"STALLED {count} times while a thread was at {place}")
    return bool(found)


def show(report: Report, failures: Path) -> None:
    """Print the run, and write its failures, whole, into a file."""
    failures.write_text("".join(json.dumps(each) + "\n" for each in report.failures))
    for each in report.failures:
        print(f"FAILED {each['number']}: {'; '.join(each['faults'])}")
        print(f"  {Sent.from_json(each['request'])}")
    print(json.dumps(report.summary(), indent=1))
    if report.failures:
        print(f"{failures} has them whole; send them again with --replay {failures}")
