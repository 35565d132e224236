"""mini-swe-agent's trajectories: a shell command in a fence of the assistant's text, its output as the user's next message."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from tldata.formats.base import Format, ReadOptions
from tldata.formats.openai_message import read_messages
from tldata.formats.shape import dump, need_object, scalar_text
from tldata.record import Call, Message, Trajectory

_FENCE = re.compile(r"```(?:bash|mswea_bash_command)[ \t]*\n((?:(?!```).)*)```", re.DOTALL)
_CODE = re.compile(r"\A\s*<returncode>(-?\d{1,9})</returncode>")


def read(record: Any, options: ReadOptions) -> Iterable[Trajectory]:
    """The one trajectory of a file. A text with one fence of bash is a call; with none or several the program asks again."""
    record = need_object(record, "the record")
    messages = read_messages(record.get("messages"), '"messages"')
    awaited = False
    for message in messages:
        if message.role == "assistant":
            if not message.calls:
                _take_command(message)
            awaited = bool(message.calls)
        elif message.role == "user":
            if awaited:
                message.role = "tool"
                message.extra = {**(message.extra or {}), "role": "user"}
            awaited = False
        if message.role == "tool":
            _take_code(message)
    info = record.get("info")
    info = info if isinstance(info, dict) else {}
    config = info.get("config")
    model = config.get("model") if isinstance(config, dict) else None
    return [
        Trajectory(
            messages,
            source_id=scalar_text(record.get("instance_id")),
            model=scalar_text(model.get("model_name")) if isinstance(model, dict) else None,
            agent_version=scalar_text(info.get("mini_version")),
            outcome=scalar_text(info.get("exit_status")),
            metadata={key: value for key, value in record.items() if key not in ("messages", "instance_id")},
        )
    ]


def _take_command(message: Message) -> None:
    text = message.content or ""
    fences = list(_FENCE.finditer(text))
    if len(fences) != 1:
        return
    (fence,) = fences
    message.calls = [Call("bash", dump({"command": fence[1].strip()}), raw=fence[0])]
    message.content = (text[: fence.start()] + text[fence.end() :]).strip() or None
    if (f"{message.content}\n" if message.content else "") + fence[0] != text:
        message.extra = {**(message.extra or {}), "content": text}


def _take_code(message: Message) -> None:
    """The code that a command ended with, other than 0, is the error flag."""
    match = _CODE.match(message.content or "")
    if match:
        message.native_error, message.native_error_code = int(match[1]) != 0, match[1]
        message.native_error_source = "returncode"


def score(record: Any) -> float:
    """1 for messages in a file that names its format, 0 for all others."""
    named = isinstance(record, dict) and str(record.get("trajectory_format"))[:40].startswith("mini-swe-agent")
    return 1.0 if named and isinstance(record.get("messages"), list) and record["messages"] else 0.0


FORMAT = Format(
    name="mini-swe-agent",
    title="mini-swe-agent trajectories",
    score=score,
    read=read,
    example=(
        '{"trajectory_format": "mini-swe-agent-1", "info": {"exit_status": "Submitted", "mini_version": "1.9.0", "config": {"model": '
        '{"model_name": "m"}}}, "messages": [{"role": "system", "content": "You are a programmer."}, {"role": "user", "content": "List."}, '
        '{"role": "assistant", "content": "I look.\\n```bash\\nls x\\n```"}, {"role": "user", "content": "<returncode>2</returncode>\\n<output>\\n'
        'ls: no such file\\n</output>"}]}'
    ),
    notes=(
        "Tools are not stored (give them with `--tools`): a fence of bash is a call of `bash` with the `command`. `returncode` in the message after it, "
        "other than 0, is the error flag. Later versions' tool calls are read as OpenAI's."
    ),
)
