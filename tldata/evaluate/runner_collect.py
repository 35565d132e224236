"""Let a model act in a world of tools, up to nine turns, and keep what happened as raw OpenAI trajectories."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tldata.errors import UsageError
from tldata.evaluate.answer import read_answer, text_of
from tldata.evaluate.client import COMPLETIONS, Client, Failed, Reply
from tldata.evaluate.runner import Summary, Watch, described, digest, perform
from tldata.evaluate.runner_journal import Journal, Progress
from tldata.evaluate.runner_requests import Request, tools_in_text
from tldata.evaluate.worlds import CONTROL, Session, World, read_arguments
from tldata.jsontext import dumps
from tldata.templates import get_template

MAX_TURNS = 9
ANSWERED, FINISHED, OUT_OF_TURNS, CUT = "answered", "finished", "out_of_turns", "cut"
FINISH, ASK = CONTROL
WIRE = ("role", "content", "tool_calls", "tool_call_id", "name")
NO_USER = "There is nobody to ask. Go on with what you know, as well as you can."
UNREADABLE = "Error: the call cannot be read. Write it in the format that was asked for."
REFUSED = frozenset({400, 422})
Ask = Callable[[Request, list[dict[str, Any]]], tuple[Reply, dict[str, Any]]]


def collect(
    requests: Sequence[Request],
    client: Client,
    world: World,
    output: Path,
    *,
    max_turns: int = MAX_TURNS,
    workers: int = 8,
    system: str | None = None,
    template: str | None = None,
    user_reply: str = NO_USER,
    metadata: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    watch: Watch | None = None,
) -> Summary:
    """Run a model on each request with the world's tools, and write one raw trajectory a line.

    A turn is an assistant message. A trajectory ends with an answer without calls (``answered``), a call of ``finish``
    (``finished``), after ``max_turns`` (``out_of_turns``), or where the server cut an answer short (``cut``). Feedback is kept
    verbatim (within the world's limit of characters). ``ask_to_user`` is answered with ``user_reply``, as a tool's message.

    Args:
        requests: with their own ``tools``, or None for those of their toolbox.
        system: a system message for requests that have none.
        template: chat format in which answers are read; completions render conversations with it. With chat it is for servers
            that leave calls in the text: an answer that has ``tool_calls`` is taken as it is.
        metadata: to go into that of every trajectory.
        output: OpenAI records {id, messages, tools, model, created_at, metadata: {ending, turns, ...}} in the requests' order;
            ``tldata annotate`` reads them. See ``run`` for the rest.

    Raises:
        UsageError: completions without a template, or as ``run``.
        InputError: a request names a toolbox that the world does not have.
    """
    if client.api == COMPLETIONS and template is None:
        raise UsageError("--api completions needs the chat format that renders conversations", hint="--template NAME")
    prepared = [_prepared(request, world, system) for request in requests]
    ask = _asker(client, template)

    def step(place: int, request: Request, journal: Journal) -> None:
        with world.session(request.toolbox) as session:
            end = _converse(place, request, journal, session, ask, max_turns, user_reply)
        journal.write(place, {"end": end, "facts": {"ended_at": datetime.now(UTC).isoformat(timespec="seconds")}})

    def line(request: Request, progress: Progress) -> dict[str, Any]:
        return _record(request, progress, client.model, metadata or {})

    header = {"kind": "collect", **described(client), "max_turns": max_turns, "template": template}
    header["requests"] = digest(prepared)
    return perform(prepared, step, line, output, header, client, workers=workers, overwrite=overwrite, watch=watch)


def _prepared(request: Request, world: World, system: str | None) -> Request:
    toolbox = world.toolbox(request.toolbox)
    messages = request.messages
    if system is not None and not any(message.get("role") == "system" for message in messages):
        messages = [{"role": "system", "content": system}, *messages]
    tools = toolbox.tools if request.tools is None else request.tools
    return Request(request.id, messages, tools, None, request.toolbox, {**request.metadata, "toolbox": toolbox.name})


def _converse(
    place: int, request: Request, journal: Journal, session: Session, ask: Ask, max_turns: int, user_reply: str
) -> str:
    """Go on with a conversation from where the journal has it; returns how it ends."""
    progress = journal.of(place)
    declared = [tool["function"]["name"] for tool in request.tools or ()]
    while True:
        turns = sum(message["role"] == "assistant" for message in progress.messages)
        for call in _open_calls(progress.messages):
            name, arguments = _name(call), _arguments(call)
            if name.lower() == FINISH:
                return FINISHED
            if name == ASK and ASK in declared:
                text = user_reply
            elif not name:
                text = UNREADABLE
            else:
                text = session.call(name, arguments, declared).text
            answer = {"role": "tool", "tool_call_id": call["id"], "name": name, "content": text}
            journal.write(place, {"message": answer})
        if turns and not progress.messages[-1].get("tool_call_id"):
            return CUT if (progress.facts[-1].get("finish_reason") == "length") else ANSWERED
        if turns >= max_turns:
            return OUT_OF_TURNS
        reply, message = ask(request, [*request.messages, *progress.messages])
        journal.write(place, {"message": with_call_ids(message, turns), "facts": reply.facts()})


def _open_calls(messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The calls of the last assistant message that have no feedback yet; after a kill that may be some of them."""
    last = next((i for i in reversed(range(len(messages))) if messages[i]["role"] == "assistant"), None)
    if last is None:
        return []
    calls: list[dict[str, Any]] = messages[last].get("tool_calls") or []
    return calls[len(messages) - 1 - last :]


def with_call_ids(message: dict[str, Any], turn: int) -> dict[str, Any]:
    """The message with an id for each call that has none or another's; a call that is no object gets no name."""
    calls = message.get("tool_calls")
    if not isinstance(calls, list):
        return {key: value for key, value in message.items() if key != "tool_calls"}
    seen: set[str] = set()
    made = []
    for index, call in enumerate(calls):
        if not isinstance(call, dict) or not isinstance(call.get("function"), dict):
            call = {"type": "function", "function": {"name": "", "arguments": dumps(call)}}
        identity = call.get("id")
        if not isinstance(identity, str) or not identity or identity in seen:
            identity = f"call_{turn}_{index}"
        seen.add(identity)
        made.append({**call, "id": identity})
    return {**message, "tool_calls": made}


def _name(call: dict[str, Any]) -> str:
    return str(call["function"].get("name") or "")


def _arguments(call: dict[str, Any]) -> Any:
    return call["function"].get("arguments")


def _asker(client: Client, template: str | None) -> Ask:
    """How to get the next assistant message of a conversation: by messages, or by text that is parsed."""
    name = None if template is None else get_template(template).name

    def by_messages(request: Request, messages: list[dict[str, Any]]) -> tuple[Reply, dict[str, Any]]:
        if tools_in_text(request.messages):
            reply = client.ask([_as_text(message) for message in messages])
            assert reply.message is not None
            said = reply.message
            return reply, said if said.get("tool_calls") else {**said, **message_from_text(text_of(said), None)}
        wire = [{key: message[key] for key in WIRE if key in message} for message in messages]
        try:
            reply = client.ask(wire, request.sent)
        except Failed as failure:
            # Servers that render arguments as objects refuse a conversation in which a model wrote them wrongly.
            readable = [_readable(message) for message in wire]
            if failure.status not in REFUSED or readable == wire:
                raise
            reply = client.ask(readable, request.sent)
        assert reply.message is not None
        said = reply.message
        return reply, said if name is None or said.get("tool_calls") else {
            **said,
            **message_from_text(text_of(said), name),
        }

    if client.api != COMPLETIONS:
        return by_messages

    from tldata.export.prompts import renderer

    render = renderer(None, template)
    assert render is not None

    def by_text(request: Request, messages: list[dict[str, Any]]) -> tuple[Reply, dict[str, Any]]:
        prompt = render(messages, request.sent)
        if prompt is None:
            raise Failed(f"the template {template} refuses the conversation", again=False)
        reply = client.ask(prompt)
        return reply, message_from_text(reply.text or "", name)

    return by_text


def message_from_text(text: str, template: str | None) -> dict[str, Any]:
    """A model's text as an assistant message.

    ``raw`` keeps what it wrote word for word where calls were read out of it. A call that begins but cannot be read is a call
    without a name, whose arguments are the text.
    """
    answer = read_answer(text, template)
    if not answer.calls and answer.error == "no call":
        return {"role": "assistant", "content": text}
    if not answer.calls:
        unreadable = {"type": "function", "function": {"name": "", "arguments": text}}
        return {"role": "assistant", "content": None, "tool_calls": [unreadable], "raw": text}
    first = min((call.start for call in answer.calls if call.end > call.start), default=0)
    calls = [
        {"type": "function", "function": {"name": call.name, "arguments": dumps(call.arguments)}}
        for call in answer.calls
    ]
    return {"role": "assistant", "content": text[:first].strip() or None, "tool_calls": calls, "raw": text}


def _as_text(message: dict[str, Any]) -> dict[str, Any]:
    """A message for a model that was told its tools in words: calls as it wrote them, feedback as the user's."""
    if message["role"] == "tool":
        return {"role": "user", "content": message["content"]}
    return {"role": message["role"], "content": message.get("raw") or message.get("content") or ""}


def _readable(message: dict[str, Any]) -> dict[str, Any]:
    calls = message.get("tool_calls")
    if not calls:
        return message
    plain = [
        {**call, "function": {**call["function"], "arguments": dumps(found if isinstance(found, dict) else {})}}
        for call in calls
        for found in [read_arguments(_arguments(call))]
        if isinstance(call, dict) and isinstance(call.get("function"), dict)
    ]
    changed = any(isinstance(read_arguments(_arguments(call)), str) for call in calls)
    return {**message, "tool_calls": plain} if changed else message


def _record(request: Request, progress: Progress, model: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
    asked = [facts for facts in progress.facts if "attempts" in facts]
    last = progress.facts[-1]
    return {
        "id": request.id,
        "messages": [*request.messages, *progress.messages],
        "tools": request.tools or [],
        "model": model,
        "created_at": last.get("ended_at"),
        "metadata": {
            **request.metadata,
            **metadata,
            "ending": progress.end,
            "turns": len(asked),
            "seconds": round(sum(facts["seconds"] for facts in asked), 3),
            "finish_reason": asked[-1]["finish_reason"] if asked else None,
        },
    }
