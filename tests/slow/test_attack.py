"""The short form of attack.py: whatever one caller sends, another is answered."""

from attack import BATCH_S, attack
from server_process import BenchServer


def test_one_who_attacks_holds_up_nobody_else(tmp_path):
    only = ("connections", "mcp")
    with BenchServer(tmp_path, request_timeout_s=20.0, delay_ms=1000 * BATCH_S) as server:
        found = dict(attack(server, 0.0, only))
    assert list(found) == ["idle", *only]
    assert [fault for times in found.values() for fault in times.faults] == []
    assert all(len(seconds) >= 3 for times in found.values() for seconds in times.seconds.values())
