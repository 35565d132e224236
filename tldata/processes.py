"""What worker processes have in common: how they start, what they leave out, and that they die with their parent."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from types import ModuleType

from tldata.errors import UsageError

ENGINES = ("local", "ray")  # where blocks and parts are done: on the cores of this machine, or of a cluster


class _WithoutPandas:
    """Arrow imports pandas, where it is installed, to ask whether a list is a frame: 0.2 s and 60 MB that a worker can do without."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError("a worker has no use for pandas", name=name)


def become_worker(parent: int) -> None:
    """Make this process a worker of another: it dies with its parent, so that no orphan writes on, and uses one core."""
    import pyarrow as pa

    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(1)
    pa.set_cpu_count(1)
    sys.meta_path.insert(0, _WithoutPandas())


def trim_memory() -> None:
    """Give back to the system what the C library keeps of freed memory: half of what reading a tokenizer takes, for one."""
    with contextlib.suppress(OSError, AttributeError):  # another C library than GNU's
        ctypes.CDLL(None).malloc_trim(0)


@contextmanager
def without_main() -> Iterator[None]:
    """Hide the user's script while a process starts: a worker has no use for it, and one without a ``__main__`` guard would run again."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def stop_now(pool: ProcessPoolExecutor) -> None:
    """End a pool's processes and wait until they are gone, so that none goes on writing beside a later run.

    What a worker has written under its final name is whole; a shutdown without waiting would leave it to finish its task.
    """
    workers = list((pool._processes or {}).values())
    for worker in workers:
        worker.kill()
    pool.shutdown(wait=True, cancel_futures=True)
    for worker in workers:
        worker.join()


def parse_shard(text: str) -> tuple[int, int]:
    """Which share of the work is ours: ``i/n`` is shard i of n, counted from 0.

    Raises:
        UsageError: it is no such text.

    >>> parse_shard("0/4")
    (0, 4)
    """
    first, _, second = text.partition("/")
    if not (first.isdecimal() and second.isdecimal()) or not int(first) < int(second):
        raise UsageError(f"--shard: {text!r} is no shard", hint="0/4 for the first of four, 3/4 for the last")
    return int(first), int(second)
