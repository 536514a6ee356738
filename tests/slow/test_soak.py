"""The short form of soak.py, and that what it looks for would be noticed."""

import os
import threading
import time
from dataclasses import replace

import pytest
from footprint import Footprint, look, unflat
from soak import Soak, SoakPlan
from soak_load import Disturbances

FLAT = Footprint(0.0, 300.0, 25, 12, 2, 0, 5, 0.5)


def test_a_mixed_load_with_kills_loses_nothing(tmp_path):
    plan = SoakPlan(seconds=6.0, callers=3, kill_every_s=4.0, records=40, delay_ms=2.0, seed=3)
    result = Soak(plan, tmp_path).run()
    # In seconds caches are still being filled, so that only the long form can tell of slow growth.
    assert not [fault for fault in result.faults if " grew from " not in fault]
    summary = result.summary()
    assert result.kills >= 1
    assert result.batches.kills >= 1
    assert summary["jobs_ended"] > 0
    assert summary["statuses"]["200"] >= plan.callers


def test_growth_is_told(tmp_path):
    assert unflat([FLAT] * 50) == []
    growing = [replace(FLAT, rss_mb=300.0 + 5 * i, temporary_files=i) for i in range(50)]
    assert [each.split()[0] for each in unflat(growing)] == ["rss_mb", "temporary_files"]
    jumping = [replace(FLAT, descriptors=25 + 10 * (i % 2)) for i in range(50)]
    assert unflat(jumping) == []
    assert unflat([FLAT] * 4) == ["there were too few looks to tell"]


def test_a_look_counts_files_and_this_process(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a").write_bytes(b"x" * 1_500_000)
    seen = look(os.getsid(0), started=time.monotonic(), data=tmp_path / "data", temporary=tmp_path)
    assert (seen.data_files, seen.data_mb, seen.temporary_files) == (1, 1.5, 1)
    assert seen.threads >= threading.active_count() > 0
    assert seen.rss_mb > 10


@pytest.mark.parametrize(
    ("start", "end", "missed"), [(-2.0, -1.0, False), (-1.0, 9.0, True), (8.0, 9.0, False)]
)
def test_only_what_a_kill_fell_into_is_excused(start, end, missed):
    disturbances, now = Disturbances(), time.monotonic()
    with disturbances.one():
        assert disturbances.between(now, now + 1)
    assert disturbances.between(now + start, now + end) == missed
