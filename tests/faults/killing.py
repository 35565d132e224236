"""Runs that die at a chosen step: a process forks a child a run, which is killed before its nth change of the file system, or after some time.

``python -m tests.faults.killing`` reads jobs as JSON lines from stdin and answers each with a line: whether the child was
killed, and how many steps it took. Forking spares the second that importing takes, so that hundreds of kills take minutes.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import signal
import struct
import subprocess
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

# Events (PEP 578) that come before a change of the file system, and the place of the path in their arguments.
STEPS = {
    "open": 0, "os.rename": 0, "os.remove": 0, "os.rmdir": 0, "os.mkdir": 0, "os.link": 0, "shutil.rmtree": 0,
    "os.truncate": 0, "ctypes.dlsym": None,
}  # fmt: skip


class Killer:
    """Runs jobs in children of a process of its own; use it as a context manager."""

    def __enter__(self) -> Killer:
        environment = {**os.environ, "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
        root = Path(__file__).resolve().parents[2]
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.killing"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root, env=environment,
        )  # fmt: skip
        return self

    def __exit__(self, *error: object) -> None:
        self._server.communicate()

    def run(self, job: dict[str, Any], *, at: int = 0, after: float = 0.0) -> dict[str, Any]:
        """Do a job; it is killed before its ``at``-th step, or ``after`` some seconds, where these are given.

        Returns:
            ``killed``: whether it was; ``steps``: how many it came to; ``error``: what it raised, if anything.
        """
        assert self._server.stdin is not None and self._server.stdout is not None
        self._server.stdin.write(json.dumps({"job": job, "at": at, "after": after}) + "\n")
        self._server.stdin.flush()
        answer: dict[str, Any] = json.loads(self._server.stdout.readline())
        return answer


def _serve() -> None:
    import duckdb  # noqa: F401
    import pyarrow.parquet  # noqa: F401

    import tldata.engine
    import tldata.finish
    import tldata.tokenize
    import tldata.tokenize.pipeline  # noqa: F401

    for line in sys.stdin:
        order = json.loads(line)
        shared = mmap.mmap(-1, 8)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            _child(order["job"], order["at"], shared, writing)
        os.close(writing)
        timer = threading.Timer(order["after"], _kill, [child])
        if order["after"]:
            timer.start()
        with os.fdopen(reading) as pipe:
            said = pipe.read()  # until the child and its workers are gone
        _, status = os.waitpid(child, 0)
        timer.cancel()
        answer = {
            "killed": os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL,
            "steps": struct.unpack("<q", shared)[0],
            "error": said,
        }
        shared.close()
        print(json.dumps(answer), flush=True)


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _child(job: dict[str, Any], at: int, shared: mmap.mmap, pipe: int) -> None:
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDWR), 1)
    watched = job["folder"]
    steps = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal steps
        if event not in STEPS:
            return
        place = STEPS[event]
        if place is None:
            if arguments[1] != "renameat2":
                return
        elif event == "open":
            path, mode, flags = arguments
            writes = (
                any(c in mode for c in "wax+")
                if isinstance(mode, str)
                else flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            )
            if not (writes and isinstance(path, str) and path.startswith(watched)):
                return
        elif not os.fsdecode(arguments[place]).startswith(watched) and not (
            event in ("os.remove", "os.rmdir") and arguments[1] >= 0
        ):
            return  # rmtree names what it removes within an open folder
        steps += 1
        struct.pack_into("<q", shared, 0, steps)
        if steps == at:
            os.killpg(0, signal.SIGKILL)

    status = 0
    try:
        sys.addaudithook(hook)
        JOBS[job["kind"]](job)
    except BaseException:
        os.write(pipe, traceback.format_exc().encode())
        status = 1
    os._exit(status)


def _annotate(job: dict[str, Any]) -> None:
    from tldata import engine

    engine.SMALLEST_BLOCK = 20_000
    if job["workers"] > 1:
        engine.SMALL = 0
    engine.annotate(job["raw"], job["target"], overwrite=True, workers=job["workers"])


def _tokenize(job: dict[str, Any]) -> None:
    from tldata.tokenize import cut, tokenize

    cut.SMALL, cut.SMALLEST, cut.LARGEST = 0, 20_000, 20_000
    tokenize(
        job["dataset"],
        job["tokenizer"],
        name=job["name"],
        overwrite=True,
        workers=job["workers"],
        **job.get("options", {}),
    )


JOBS = {"annotate": _annotate, "tokenize": _tokenize}

if __name__ == "__main__":
    _serve()
