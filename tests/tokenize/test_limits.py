"""The clock that stops renderings: it strikes once, again when asked again, and does not stay behind."""

from __future__ import annotations

import threading
import time

import pytest

from tldata.limits import Watchdog


def clocks() -> int:
    return sum(thread.name == "render-limit" for thread in threading.enumerate())


def test_a_loop_is_stopped_each_time_and_a_quick_block_never():
    dog = Watchdog(0.1)
    for _ in range(3):
        with dog:
            pass
        with pytest.raises(TimeoutError, match=r"more than 0\.1 seconds"), dog:
            while True:
                pass


def test_clocks_without_work_go_away_and_come_back():
    before = clocks()
    dogs = [Watchdog(0.2) for _ in range(20)]
    for dog in dogs:
        with dog:
            pass
    limit = time.monotonic() + 30
    while clocks() > before and time.monotonic() < limit:
        time.sleep(0.05)
    assert clocks() <= before
    with pytest.raises(TimeoutError), dogs[0]:
        while True:
            pass
