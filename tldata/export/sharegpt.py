"""``export --to sharegpt``: LLaMA-Factory's conversations, in which what is asked and what the model writes alternate strictly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from tldata.dataset import Dataset
from tldata.export import chat as chats
from tldata.export.answers import in_order
from tldata.export.chat import Chat, Out, Said
from tldata.export.trl import note_untrained
from tldata.export.write import NoRecord, write_chats
from tldata.formats.turns import Turn, feedback_messages
from tldata.jsontext import dumps

_TURN = pa.struct([("from", pa.string()), ("value", pa.string())])
SCHEMA = pa.schema(
    [("id", pa.string()), ("conversations", pa.list_(_TURN)), ("system", pa.string()), ("tools", pa.string())]
)
HUMAN, OBSERVATION, GPT, CALL = "human", "observation", "gpt", "function_call"
NO_ANSWER = "nothing that the model wrote"
REASONS = {
    **{key: text for key, text in chats.REASONS.items() if key != "calls of which some are erroneous"},
    "call ids": "calls and feedback go together by their order",
    "text beside a call": "stands before the call between <think> tags, the one place that LLaMA-Factory has for it",
    "reasoning": "stands in the text, between <think> tags",
    "feedback out of order": "is put in the order of the calls",
    "call without feedback among others": "an empty text stands in the list of results for it",
    "feedback that looks like an envelope": "is read as the name and content of a result, or as several results",
    "several messages in a row": "are joined, because turns alternate",
    "a call and then text": "an empty observation stands between them, because turns alternate",
    "the model speaks first": "an empty human turn stands before it",
    "ends without an answer": "the last turns, which nothing is trained on, are left out",
    "system message without text": "is left out",
    "system message within": "stands as what the human says",
}


def export_sharegpt(
    data: Dataset, output: Path, *, mask: str | None = None, where: str | None = None, rows: str | None = None
) -> dict[str, int]:
    """Write ``conversations``, ``system`` and ``tools`` (JSON text of function schemas).

    LLaMA-Factory drops a record whose turns do not alternate; here they do always. It has no mark for a turn that is not to be
    trained on: with ``rows="turn"`` every record ends with a turn to train on, and its option ``mask_history: true`` keeps the
    turns before out of the loss.
    """
    return write_chats(data, output, record, SCHEMA, target="sharegpt", mask=mask, where=where, rows=rows)


def record(chat: Chat) -> Iterator[dict[str, Any]]:
    """The one record of a conversation.

    Raises:
        NoRecord: the model says nothing in it.
    """
    note_untrained(chat)
    chat.lost.discard("calls of which some are erroneous")
    system, messages = _without_system(list(in_order(chat)))
    if system is None:
        system = ""
    elif not system:
        chat.lost.add("system message without text")
    turns = _Turns(chat)
    for said in messages:
        turns.add(said)
    yield {
        "id": chat.identity,
        "conversations": turns.finish(),
        "system": system,
        "tools": dumps([tool["function"] for tool in chat.tools]) if chat.tools else "",
    }


def _without_system(messages: list[Said]) -> tuple[str | None, list[Said]]:
    """The text of the first message if it is the system's, else None; and the messages without it."""
    if messages and messages[0].role == "system":
        return messages[0].content or "", messages[1:]
    return None, messages


def thought(text: str) -> str:
    """A text between <think> tags, as LLaMA-Factory looks for it before a call; one that is between them already stays."""
    stripped = text.strip()
    if stripped.startswith("<think>") and stripped.endswith("</think>"):
        return f"{stripped}\n\n"
    return f"<think>\n{text}\n</think>\n\n"


@dataclass(slots=True)
class _Open:
    """A turn that the next message may still be joined to."""

    speaker: str
    texts: list[str] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    calls: list[Out] = field(default_factory=list)
    results: list[tuple[Out | None, str]] = field(default_factory=list)


class _Turns:
    """Grows alternating turns from messages in order, and notes what had to be joined, put in or left out."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        self._turns: list[_Open] = []

    def add(self, said: Said) -> None:
        if said.role == "assistant":
            self._add_assistant(said)
        elif said.role == "tool":
            self._add_feedback(said)
        elif said.role in ("user", "system"):
            if said.role == "system":
                self._chat.lost.add("system message within")
            self._open(HUMAN).texts.append(said.content or "")
        else:
            self._chat.lost.add("role")

    def finish(self) -> list[dict[str, str]]:
        if self._turns and self._turns[-1].speaker in (HUMAN, OBSERVATION):
            self._chat.lost.add("ends without an answer")
            self._turns.pop()
        if not self._turns:
            raise NoRecord(NO_ANSWER)
        return [self._written(place, turn) for place, turn in enumerate(self._turns)]

    def _last(self) -> _Open | None:
        return self._turns[-1] if self._turns else None

    def _open(self, speaker: str) -> _Open:
        """The turn that takes the next message of a speaker: the last one where it is of the same side, else a new one."""
        asked = speaker in (HUMAN, OBSERVATION)
        last = self._last()
        if last is None and not asked:
            self._chat.lost.add("the model speaks first")
            self._turns.append(_Open(HUMAN))
        elif last is not None and asked == (last.speaker in (HUMAN, OBSERVATION)):
            if last.speaker != speaker or speaker == HUMAN:
                self._chat.lost.add("several messages in a row")
            return last
        self._turns.append(_Open(speaker))
        return self._turns[-1]

    def _add_assistant(self, said: Said) -> None:
        last = self._last()
        if last is not None and last.speaker in (GPT, CALL) and last is not self._turns[0]:
            self._chat.lost.add("several messages in a row")
        if said.reasoning is not None:
            self._chat.lost.add("reasoning")
        if said.calls:
            self._add_calls(said, last)
            return
        if last is not None and last.speaker == CALL:
            self._chat.lost.add("a call and then text")
            self._open(OBSERVATION).texts.append("")
        turn = self._open(GPT)
        if said.reasoning is not None:
            turn.thoughts.append(said.reasoning)
        turn.texts.append(said.content or "")

    def _add_calls(self, said: Said, last: _Open | None) -> None:
        turn = self._open(CALL)
        if turn.speaker == GPT:  # the text before becomes the thought of the call
            self._chat.lost.add("text beside a call")
            turn.speaker, turn.thoughts, turn.texts = CALL, turn.thoughts + turn.texts, []
        for text, reason in ((said.reasoning, "reasoning"), (said.content, "text beside a call")):
            if text:
                self._chat.lost.add(reason)
                turn.thoughts.append(text)
        turn.calls += said.calls

    def _add_feedback(self, said: Said) -> None:
        last = self._last()
        if last is not None and last.speaker == HUMAN:
            self._open(OBSERVATION).texts.append(said.content or "")
        else:
            self._open(OBSERVATION).results.append((said.answers, said.content or ""))

    def _written(self, place: int, turn: _Open) -> dict[str, str]:
        if turn.speaker == CALL:
            calls = [call.text() for call in turn.calls]
            text = calls[0] if len(calls) == 1 else f"[{','.join(calls)}]"
            thoughts = [text for text in turn.thoughts if text]
            value = (thought("\n\n".join(thoughts)) if thoughts else "") + text
        elif turn.speaker == OBSERVATION:
            calls_before = self._turns[place - 1].calls if place else []
            value = self._results(turn, calls_before)
        else:
            thoughts = [text for text in turn.thoughts if text]
            value = (thought("\n\n".join(thoughts)) if thoughts else "") + "\n\n".join(
                text for text in turn.texts if text
            )
        return {"from": turn.speaker, "value": value}

    def _results(self, turn: _Open, calls: list[Out]) -> str:
        """The results of the calls before, one text as it is, several as a JSON list of texts; what was joined to them ends the last."""
        results = [text for _, text in turn.results]
        joined = [text for text in turn.texts if text]
        if len(calls) > 1 and results:
            by_place = {out.place: text for out, text in turn.results if out is not None}
            own = {call.place for call in calls}
            if len(by_place.keys() & own) < len(calls):
                self._chat.lost.add("call without feedback among others")
            strays = [text for out, text in turn.results if out is None or out.place not in own]
            results = [by_place.get(call.place, "") for call in calls]
            results[-1] = "\n\n".join([results[-1], *strays, *joined])
            value = dumps(results)
        else:
            if len(results) > 1:
                self._chat.lost.add("several messages in a row")
            value = "\n\n".join([*results, *joined])
            results = [value]
        read = feedback_messages(Turn(0, "tool", value, {}), [value], len(calls))
        if [(one.content, one.name, one.tool_call_id) for one in read] != [(text, None, None) for text in results]:
            self._chat.lost.add("feedback that looks like an envelope")
        return value
