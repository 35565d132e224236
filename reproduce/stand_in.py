"""A local OpenAI-compatible server that stands in for a model: real HTTP, answers by a function, faults on demand, a log of what was asked."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[[dict[str, Any]], dict[str, Any]]


def says(content: str | None = None, *calls: tuple[str, Any], finish_reason: str = "stop") -> dict[str, Any]:
    """One choice of the chat API, with calls as (name, arguments)."""
    message: dict[str, Any] = {"role": "assistant", "content": content, "refusal": None}
    if calls:
        message["tool_calls"] = [
            {
                "id": f"call_{number}",
                "type": "function",
                "function": {"name": name, "arguments": a if isinstance(a, str) else json.dumps(a)},
            }
            for number, (name, a) in enumerate(calls)
        ]
    return {"index": 0, "message": message, "finish_reason": "tool_calls" if calls else finish_reason}


def last_text(body: dict[str, Any]) -> str:
    """The content of the last message, or the prompt."""
    return body["prompt"] if "prompt" in body else body["messages"][-1]["content"]


class Server(ThreadingHTTPServer):
    """``answer`` makes a choice out of a request's body; ``faults`` are taken, one a request, before it is asked.

    A fault: a status ("429", "500", with a Retry-After behind a colon), "slow:SECONDS", "drip", "broken" (no JSON), "empty" (no
    choices), "cut" (a body shorter than promised), "hangup" (no answer at all).
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, answer: Answer) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer = answer
        self.faults: list[str] = []
        self.log: list[dict[str, Any]] = []
        self.times: list[float] = []
        self.headers: list[dict[str, str]] = []
        self.lock = threading.Lock()
        self.delay = 0.0
        self.under_way = self.most_under_way = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # clients that hang up are part of the tests


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *details: Any) -> None:
        pass

    def do_POST(self) -> None:
        server = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with server.lock:
            server.times.append(time.monotonic())
            server.headers.append(dict(self.headers))
            fault = server.faults.pop(0) if server.faults else ""
            if not fault:
                server.log.append(body)
            server.under_way += 1
            server.most_under_way = max(server.most_under_way, server.under_way)
        try:
            time.sleep(server.delay)
            self._answer(body, fault)
        finally:
            with server.lock:
                server.under_way -= 1

    def _answer(self, body: dict[str, Any], fault: str) -> None:
        kind, _, value = fault.partition(":")
        if kind.isdigit():
            headers = {"Retry-After": value} if value else {}
            self._send(int(kind), {"error": {"message": f"injected {kind}"}}, headers)
        elif kind == "broken":
            self._raw(200, b"<html>gateway</html>")
        elif kind == "empty":
            self._send(200, {"choices": []})
        elif kind == "cut":
            self._raw(200, b'{"choices": [', promised=500)
        elif kind == "hangup":
            self.close_connection = True
        elif kind == "drip":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            for _ in range(100):
                self.wfile.write(b" ")
                self.wfile.flush()
                time.sleep(0.1)
        else:
            if kind == "slow":
                time.sleep(float(value))
            if self.path not in ("/v1/chat/completions", "/v1/completions"):
                self._send(404, {"error": {"message": f"no such path {self.path}"}})
                return
            choice = self.server.answer(body)
            if "status" in choice:
                self._send(choice["status"], {"error": {"message": choice["says"]}})
                return
            if self.path == "/v1/completions":
                choice = {"index": 0, "text": choice["message"]["content"], "finish_reason": "stop"}
            usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
            self._send(200, {"id": "x", "model": body["model"], "choices": [choice], "usage": usage})

    def _send(self, status: int, value: Any, headers: dict[str, str] | None = None) -> None:
        self._raw(status, json.dumps(value).encode(), headers)

    def _raw(
        self, status: int, body: bytes, headers: dict[str, str] | None = None, promised: int | None = None
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body) if promised is None else promised))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        if promised is not None:
            self.close_connection = True


@contextmanager
def serving(answer: Answer) -> Iterator[Server]:
    """A server on a free port of this machine, ended with the block."""
    with Server(answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
