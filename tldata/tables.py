"""Grow the columns of all tables together, one trajectory at a time, and remember what prefix merging needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson
import pyarrow as pa
from xxhash import xxh3_128_hexdigest

from tldata import schema
from tldata.jsontext import dumps
from tldata.pairing import pair
from tldata.record import Message, Trajectory
from tldata.tools import Tool, normalise_all, tool_rows, toolset_id

PREFIXES = pa.schema(
    [
        ("trajectory_id", pa.string()),
        ("source", pa.string()),
        ("source_line", pa.int64()),
        ("source_id", pa.string()),
        ("whole", pa.int64()),  # hash of tools and all messages
        ("beginnings", pa.list_(pa.int64())),  # hash of tools and the first 1, 2, ... n-1 messages
    ]
)


@dataclass(slots=True)
class Tables:
    """The columns of one block, as lists of equal length per table; ``calls`` lacks what classification adds."""

    trajectories: dict[str, list] = field(default_factory=lambda: _empty(schema.TRAJECTORIES))
    messages: dict[str, list] = field(default_factory=lambda: _empty(schema.MESSAGES))
    calls: dict[str, list] = field(default_factory=lambda: _empty(schema.CALLS))
    rejects: dict[str, list] = field(default_factory=lambda: _empty(schema.REJECTS))
    prefixes: dict[str, list] = field(default_factory=lambda: _empty(PREFIXES))
    toolsets: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    tools_of: dict[str, list[Tool]] = field(default_factory=dict)  # toolset_id -> what calls are checked against
    call_toolset: list[str | None] = field(default_factory=list)  # per row of calls
    n_orphans: int = 0

    def mark(self) -> tuple[int, int, int, int, int]:
        """Where the tables end now, for ``back_to``."""
        columns = (self.trajectories, self.messages, self.calls, self.prefixes)
        trajectories, messages, calls, prefixes = (len(table["trajectory_id"]) for table in columns)
        return trajectories, messages, calls, prefixes, self.n_orphans

    def back_to(self, mark: tuple[int, int, int, int, int]) -> None:
        """Take out what was added since the mark, also where a row is half there; tool sets that nobody uses are dropped later."""
        for table, end in zip((self.trajectories, self.messages, self.calls, self.prefixes), mark, strict=False):
            for column in table.values():
                del column[end:]
        del self.call_toolset[mark[2] :]
        self.n_orphans = mark[4]

    def add_reject(self, source: str, line: int, reason: str, raw: str) -> None:
        columns = self.rejects
        columns["source"].append(source)
        columns["source_line"].append(line)
        columns["reason"].append(reason)
        columns["raw"].append(raw)

    def add_toolset(self, declarations: list[Any] | None) -> str | None:
        """Remember a tool set once; returns its id, None where nothing is declared."""
        if not declarations:
            return None
        identity = toolset_id(declarations)
        if identity not in self.toolsets:
            tools = normalise_all(declarations)
            if not tools:
                return None
            self.toolsets[identity] = tool_rows(identity, tools)
            self.tools_of[identity] = tools
        return identity

    def add(self, trajectory: Trajectory, identity: str, source: str, line: int, format_name: str) -> None:
        """Append one trajectory to every table.

        Args:
            trajectory: what the reader gave; it has at least one message.
            identity: its trajectory_id.
            source, line, format_name: where it stood and who read it.
        """
        tools_id = self.add_toolset(trajectory.tools)
        if tools_id is None and trajectory.tools is not None:
            trajectory.metadata.setdefault("tools", trajectory.tools)
        messages = trajectory.messages
        whole, beginnings = fingerprints(tools_id, messages)
        n_calls = self._add_calls(trajectory, identity, tools_id)
        self._add_messages(messages, identity)
        columns = self.trajectories
        columns["trajectory_id"].append(identity)
        columns["source"].append(source)
        columns["source_line"].append(line)
        columns["source_id"].append(trajectory.source_id)
        columns["format"].append(format_name)
        columns["query"].append(next((m.content for m in messages if m.role == "user"), None))
        columns["toolset_id"].append(tools_id)
        columns["created_at"].append(trajectory.created_at)
        columns["model"].append(trajectory.model)
        columns["agent_version"].append(trajectory.agent_version)
        columns["outcome"].append(trajectory.outcome)
        columns["reward"].append(trajectory.reward)
        columns["n_messages"].append(len(messages))
        columns["n_calls"].append(n_calls)
        columns["n_errors"].append(0)  # counted once the calls are classified
        columns["content_hash"].append(whole)
        columns["metadata"].append(dumps(trajectory.metadata))
        if trajectory.branch is None:
            columns = self.prefixes
            columns["trajectory_id"].append(identity)
            columns["source"].append(source)
            columns["source_line"].append(line)
            columns["source_id"].append(trajectory.source_id)
            columns["whole"].append(beginnings.pop())
            columns["beginnings"].append(beginnings)

    def _add_messages(self, messages: list[Message], identity: str) -> None:
        columns = self.messages
        count = len(messages)
        columns["trajectory_id"].extend([identity] * count)
        columns["turn"].extend(range(count))
        columns["role"].extend([m.role for m in messages])
        columns["content"].extend([m.content for m in messages])
        columns["reasoning"].extend([m.reasoning for m in messages])
        columns["name"].extend([m.name for m in messages])
        columns["tool_call_id"].extend([m.tool_call_id for m in messages])
        columns["trainable"].extend([m.trainable for m in messages])
        columns["extra"].extend([dumps(m.extra) if m.extra else None for m in messages])

    def _add_calls(self, trajectory: Trajectory, identity: str, tools_id: str | None) -> int:
        columns = self.calls
        messages = trajectory.messages
        pairs = pair(messages)
        step, turn = -1, -1
        for made in pairs:
            if made.turn != turn:
                step, turn = step + 1, made.turn
            call = made.call
            answer = None if made.feedback_turn is None else messages[made.feedback_turn]
            columns["trajectory_id"].append(identity)
            columns["turn"].append(turn)
            columns["call_index"].append(made.call_index)
            columns["step"].append(step)
            columns["call_id"].append(call.call_id)
            columns["tool_name"].append(call.name)
            columns["arguments"].append(call.arguments)
            columns["raw_call"].append(call.raw)
            columns["paired_by"].append(made.paired_by)
            columns["feedback_turn"].append(made.feedback_turn)
            columns["feedback"].append(None if answer is None else answer.content or "")
            columns["feedback_truncated"].append(None if answer is None else answer.truncated)
            columns["native_error"].append(None if answer is None else answer.native_error)
            columns["native_error_code"].append(None if answer is None else answer.native_error_code)
            columns["native_error_source"].append(None if answer is None else answer.native_error_source)
            trains = messages[turn].trainable and (turn, made.call_index) not in trajectory.untrainable_calls
            columns["trainable"].append(trains)
            self.call_toolset.append(tools_id)
        feedbacks = sum(message.role == "tool" for message in messages)
        self.n_orphans += feedbacks - sum(made.feedback_turn is not None for made in pairs)
        return len(pairs)


def fingerprints(tools_id: str | None, messages: list[Message]) -> tuple[str, list[int]]:
    """Hash tools and messages, each message onto what came before it (XXH3, 128 bits).

    Call ids are left out: they are labels that change from run to run, not content.

    Returns:
        the hash of the whole, 32 hexadecimal digits, and the low 64 bits (as int64) of that of each beginning: of the first message,
        the first two, ... all of them.
    """
    state = tools_id or ""
    beginnings: list[int] = []
    for message in messages:
        calls = "\x1d".join([f"{call.name}\x1c{call.arguments}" for call in message.calls]) if message.calls else ""
        head = f"{state}\x1e{message.role}\x1f{message.name}\x1f{calls}\x1f{message.reasoning}\x1f{message.content}"
        try:
            state = xxh3_128_hexdigest(head.encode())
        except UnicodeEncodeError:  # a lone surrogate: hash what the tables will hold of it
            state = xxh3_128_hexdigest(head.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode())
        low = int(state[16:], 16)
        beginnings.append(low - (1 << 64) if low >> 63 else low)
    return state, beginnings


def _empty(table: pa.Schema) -> dict[str, list]:
    return {name: [] for name in table.names}


def raw_text(raw: bytes | dict, limit: int = 1 << 20) -> str:
    """A record as text for ``rejects``, at most ``limit`` characters of it."""
    if isinstance(raw, bytes):
        return raw[:limit].decode("utf-8", errors="replace")
    try:
        return orjson.dumps(raw, default=str)[:limit].decode("utf-8", errors="replace")
    except (TypeError, orjson.JSONEncodeError):
        return repr(raw)[:limit]
