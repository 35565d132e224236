"""Claude Code sessions: a line per message of a tree, whose last branch is the conversation; agents that it starts stand beside it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tldata.errors import RecordError
from tldata.formats.anthropic import read_message
from tldata.formats.base import Format, Group, ReadOptions, Skip, each_row, read_groups
from tldata.formats.shape import found, in_a_line, kind, need_object, scalar_text
from tldata.record import Message, Trajectory

_SPOKEN = frozenset({"user", "assistant"})
_LINKS = frozenset(
    {"uuid", "parentUuid", "logicalParentUuid", "sessionId", "type", "message", "isSidechain", "toolUseResult"}
)
MAX_BRANCHES = 1000  # that ``branches`` all tells of one session: each repeats what it shares with the others
_OF_SESSION = ("cwd", "gitBranch", "version", "userType", "entrypoint")


def row(record: dict[str, Any]) -> tuple[str, Any]:
    """A line of a session; lines that are no messages (summaries, snapshots, progress) are skipped by their type."""
    what = record.get("type")
    if not isinstance(what, str):
        raise RecordError(f"type is {kind(what)}, not a string; found {found(record)}")
    boundary = what == "system" and "logicalParentUuid" in record
    if what not in _SPOKEN and not boundary:
        raise Skip(f"line of type {in_a_line(what)}")
    if not boundary:
        message = need_object(record.get("message"), "message")
        if not isinstance(message.get("role", what), str):
            raise RecordError(f"role is {kind(message.get('role'))}, not a string")
    session = scalar_text(record.get("sessionId", record.get("session_id"))) or ""
    return session, record


def assemble(group: Group, options: ReadOptions) -> Iterable[Trajectory]:
    """The session's conversation, and one trajectory for each agent that it started.

    With ``branches`` all, a conversation that was taken back and gone on from an earlier place is a trajectory too.
    """
    lines: dict[str, int] = {}  # uuid -> place of its last line
    for place, line in enumerate(group.rows):
        uuid = scalar_text(line.get("uuid")) or f"line {place}"
        if uuid in lines:  # a session that was resumed repeats what came before
            group.skipped[lines[uuid]] = "line told again later"
        lines[uuid] = place
    chains: dict[str, list[int]] = {}
    names: dict[int, str] = {}
    for place in sorted(lines.values()):
        names[place] = _chain(group.rows, lines, place, names)
        chains.setdefault(names[place], []).append(place)
    found = []
    for name, places in chains.items():
        paths = _paths(group.rows, lines, places, options.branches)
        told = {place for path in paths for place in path}
        group.skipped.update({place: "line that was taken back" for place in places if place not in told})
        for path in paths:
            if (trajectory := _told(group, path)) is not None:
                if name:
                    trajectory.metadata["sidechain"] = name
                found.append(trajectory)
    if len(found) > 1:
        for branch, trajectory in enumerate(found):
            trajectory.branch = branch
    return found


def _chain(rows: list[Any], lines: dict[str, int], place: int, names: dict[int, str]) -> str:
    """Which conversation a line belongs to: empty for the main one, else the agent's id, or its first line's."""
    line = rows[place]
    if not _aside(line):
        return ""
    agent = scalar_text(line.get("agentId")) or scalar_text(line.get("parent_tool_use_id"))
    if agent:
        return agent
    parent = lines.get(scalar_text(line.get("parentUuid")) or "")
    above = "" if parent is None else names.get(parent, "")
    return above or scalar_text(line.get("uuid")) or f"line {place}"


def _aside(line: dict[str, Any]) -> bool:
    """Whether a line is an agent's that the session started; the SDK's stream names the call that started it."""
    return bool(line.get("isSidechain")) or scalar_text(line.get("parent_tool_use_id")) is not None


def _paths(rows: list[Any], lines: dict[str, int], places: list[int], branches: str) -> list[list[int]]:
    """The branches of a conversation, the last one first kept: what was taken back is left out, unless all are asked for.

    A person who takes messages back goes on from an earlier one: then a line that is no result hangs on a place that others hang on
    too. Results and the parts of one answer hang side by side as well; they are no branches.
    """
    inside = set(places)
    parents: dict[int, int | None] = {}
    for place in places:
        line = rows[place]
        above = line.get("parentUuid") or line.get("logicalParentUuid")
        parent = lines.get(scalar_text(above) or "")
        parents[place] = parent if parent in inside and parent is not None and parent < place else None
    turns = [place for place in places if _opens_turn(rows[place])]
    rivals: dict[int | None, list[int]] = {}
    for place in turns:
        if parents[place] is not None:
            rivals.setdefault(parents[place], []).append(place)
    lost = {place for group in rivals.values() for place in group[:-1]}
    if not lost:
        return [places]
    under: dict[int, int | None] = {}  # place -> the nearest lost turn above it, itself included
    for place in places:
        parent = parents[place]
        under[place] = place if place in lost else under.get(parent) if parent is not None else None
    paths = [[place for place in places if under[place] is None]]
    if branches != "all":
        return paths
    if len(lost) > MAX_BRANCHES:
        raise RecordError(f"a session of more than {MAX_BRANCHES} branches")
    for turn in sorted(lost):
        seen_from: set[int | None] = {None, turn}  # the lost turns on the way to this one
        parent = parents[turn]
        while parent is not None and (nearest := under[parent]) is not None:
            seen_from.add(nearest)
            parent = parents[nearest]
        paths.append([p for p in places if (under[p] in seen_from if p < turn else under[p] == turn)])
    return paths


def _opens_turn(line: dict[str, Any]) -> bool:
    """Whether a line is what a person said, which may replace what was said before: no result, no note of the program's."""
    if line["type"] != "user" or line.get("isMeta") or "toolUseResult" in line:
        return False
    message = line.get("message")
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, list):
        return not any(isinstance(block, dict) and block.get("type") == "tool_result" for block in content)
    return True


def _told(group: Group, places: list[int]) -> Trajectory | None:
    """The trajectory of some lines; lines of one answer (equal ``message.id``) are one message."""
    messages: list[Message] = []
    answer, answer_id = None, None
    spoken = []
    for place in places:
        line = group.rows[place]
        if line["type"] not in _SPOKEN:
            continue
        try:
            raw, extra = _message(line)
            identity = scalar_text(line["message"].get("id")) if line["type"] == "assistant" else None
            made = read_message(raw, f"the message of line {scalar_text(line.get('uuid')) or place}")
        except RecordError as error:
            group.rejected[place] = error.message
            continue
        spoken.append(line)
        for message in made:
            message.trainable = not _aside(line)
        if made and extra:
            made[0].extra = {**(made[0].extra or {}), **extra}
        if (
            identity is not None
            and identity == answer_id
            and answer is not None
            and made
            and made[0].role == answer.role
        ):
            _join(answer, made[0])
            continue
        messages += made
        answer, answer_id = (made[0] if identity is not None and made else None), identity
    if not messages:
        return None
    first, last = spoken[0], spoken[-1]
    metadata = {key: first[key] for key in _OF_SESSION if key in first}
    return Trajectory(
        messages,
        source_id=scalar_text(last.get("sessionId", last.get("session_id"))),
        created_at=scalar_text(first.get("timestamp")),
        model=next((text for line in spoken if (text := scalar_text(line["message"].get("model")))), None),
        agent_version=scalar_text(last.get("version")),
        metadata=metadata,
    )


def _message(line: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The message of a line in Anthropic's form, and what else the line and its message tell."""
    given = line["message"]
    raw = {"role": given.get("role", line["type"]), "content": given.get("content")}
    rest = {key: value for key, value in given.items() if key not in ("role", "content", "type")}
    rest |= {key: value for key, value in line.items() if key not in _LINKS and key not in _OF_SESSION}
    rest |= {key: line[key] for key in ("uuid", "isSidechain") if line.get(key)}
    return raw, {key: value for key, value in rest.items() if value is not None}


def _join(message: Message, part: Message) -> None:
    """Put a further line of an answer onto the message."""
    message.content = "\n".join(filter(None, [message.content, part.content])) or None
    message.reasoning = "\n".join(filter(None, [message.reasoning, part.reasoning])) or None
    message.calls += part.calls
    if part.extra:
        more = message.extra = message.extra or {}
        more.setdefault("lines", []).append(part.extra)


def score(record: Any) -> float:
    """1 for a line with a message and the links of the tree, 0.9 for a line of another type of such a file."""
    if isinstance(record, list):
        return max((score(line) for line in record[:50] if isinstance(line, dict)), default=0.0)
    if not isinstance(record, dict) or not isinstance(record.get("type"), str):
        return 0.0
    linked = "parentUuid" in record or ("uuid" in record and ("sessionId" in record or "isSidechain" in record))
    if record["type"] in _SPOKEN and isinstance(record.get("message"), dict):
        return 1.0 if linked else 0.8 if "sessionId" in record or "session_id" in record else 0.0
    if linked and ("sessionId" in record or "isSidechain" in record):
        return 0.9
    if record["type"] == "summary" and "leafUuid" in record:
        return 0.9
    if record["type"] == "file-history-snapshot" and "snapshot" in record:
        return 0.9
    return 0.7 if ("sessionId" in record or "session_id" in record) and "message" not in record else 0.0


rows = each_row(row)
FORMAT = Format(
    name="claude-code",
    title="Claude Code sessions",
    score=score,
    read=read_groups(rows, assemble),
    rows=rows,
    assemble=assemble,
    example=(
        '[{"type": "summary", "summary": "Weather", "leafUuid": "u4"}, {"type": "user", "uuid": "u1", "parentUuid": null, "sessionId": "s1", '
        '"isSidechain": false, "version": "2.0.1", "cwd": "/w", "timestamp": "2025-01-01T00:00:00Z", "message": {"role": "user", "content": '
        '"Rome?"}}, {"type": "assistant", "uuid": "u2", "parentUuid": "u1", "sessionId": "s1", "isSidechain": false, "message": {"id": "m1", '
        '"role": "assistant", "model": "m", "content": [{"type": "text", "text": "I look."}]}}, {"type": "assistant", "uuid": "u3", '
        '"parentUuid": "u2", "sessionId": "s1", "isSidechain": false, "message": {"id": "m1", "role": "assistant", "model": "m", "content": '
        '[{"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Rome"}}]}}, {"type": "user", "uuid": "u4", "parentUuid": '
        '"u3", "sessionId": "s1", "isSidechain": false, "message": {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", '
        '"is_error": true, "content": "<tool_use_error>No such tool available: weather</tool_use_error>"}]}, "toolUseResult": "Error"}]'
    ),
    notes=(
        "The lines of a session (`sessionId`) make one trajectory; lines of one answer (`message.id`) one message. Tools are not stored (give "
        "them with `--tools`). `is_error` of a result is the error flag. Sidechains, the agents that a session starts, are trajectories of "
        "their own whose messages are not trainable. Of a conversation that was taken back and gone on from an earlier message the last "
        "branch counts, all with `--branches all`; lines that were taken back and lines of other types are skipped and counted by type."
    ),
)
