"""Stop Python code that takes too long: a second thread watches its processor time and raises an exception in the thread that runs it."""

from __future__ import annotations

import ctypes
import threading
import time
from types import TracebackType

IDLE_LOOKS = 4  # looks without a rendering after which the clock goes; the next rendering starts another


class Expired(BaseException):
    """Raised by the clock inside the rendering thread; a template cannot catch it."""


class Watchdog:
    """A time limit on a block of Python code; ``with Watchdog(10): ...`` raises ``TimeoutError`` after 10 seconds.

    The seconds are processor time of the thread where the platform tells it, so that a busy machine stops nobody; else they
    are the clock's. Works in any thread, unlike signals. It stops Python code between two byte codes; a single long step
    inside C is not stopped, which is why the sandbox also limits what one step may build. One thread at a time may be
    inside; entering costs about a microsecond.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._lock = threading.Lock()
        self._thread = 0  # whom to stop; 0: nobody
        self._entry = 0  # number of this block
        self._expired = False
        self._clock: threading.Thread | None = None

    def __enter__(self) -> Watchdog:
        with self._lock:  # a clock that is about to go sees this block, or is gone
            self._expired = False
            self._entry += 1
            self._thread = threading.get_ident()
            begin = self._clock is None or not self._clock.is_alive()  # a forked child has no clock
            if begin:
                self._clock = threading.Thread(target=self._watch, name="render-limit", daemon=True)
        if begin:
            self._clock.start()  # type: ignore[union-attr]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with self._lock:  # either the clock has struck by now, or it never will
                self._thread = 0
            if self._expired and kind is None:
                time.sleep(0.001)  # let the exception arrive here
        except Expired:
            pass
        if self._expired and (kind is None or kind is Expired):
            raise TimeoutError(f"more than {self.seconds:g} seconds") from None

    def _watch(self) -> None:
        entry, begun = 0, 0.0  # the block seen at the last look, and the time then
        idle = 0
        while True:
            time.sleep(min(0.25, self.seconds / 4))
            with self._lock:
                if not self._thread:
                    idle += 1
                    if (
                        idle >= IDLE_LOOKS
                    ):  # or every template ever made would keep a thread that wakes four times a second
                        self._clock = None
                        return
                    continue
                idle = 0
                if entry != self._entry:
                    entry, begun = self._entry, _time_of(self._thread)
                elif _time_of(self._thread) - begun > self.seconds:
                    self._expired = True
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._thread), ctypes.py_object(Expired))
                    self._thread = 0


def _time_of(thread: int) -> float:
    if hasattr(time, "pthread_getcpuclockid"):
        return time.clock_gettime(time.pthread_getcpuclockid(thread))
    return time.monotonic()
