"""Feedback for formats that pair it with calls by order alone: each run of feedback in the order of the calls before it."""

from __future__ import annotations

from collections.abc import Iterator

from tldata.export.chat import Chat, Out, Said


def in_order(chat: Chat) -> Iterator[Said]:
    """The messages, feedback sorted by its call within each run of it.

    Notes in ``chat.lost``: feedback out of order; a call without feedback before one that has some; feedback that
    answers none; ids, which such formats lack.
    """
    run: list[Said] = []
    group: list[Out] = []  # calls that the run can answer: of the assistant messages before it
    for said in chat.messages:
        if said.role == "tool":
            run.append(said)
            continue
        if run:
            yield from _sorted(chat, run, group)
            run, group = [], []
        if said.role == "user":
            group = []
        group += said.calls
        yield said
    yield from _sorted(chat, run, group)


def _sorted(chat: Chat, run: list[Said], group: list[Out]) -> list[Said]:
    if any(said.tool_call_id is not None for said in run):
        chat.lost.add("call ids")
    places = {call.place: place for place, call in enumerate(group)}
    answered = [places.get(said.answers.place, -1) if said.answers is not None else -1 for said in run]
    order = sorted(range(len(run)), key=lambda at: (answered[at] < 0, answered[at]))
    if order != list(range(len(run))):
        chat.lost.add("feedback out of order")
    if -1 in answered:
        chat.lost.add("feedback without a call")
    found = sorted(at for at in answered if at >= 0)
    if found != list(range(len(found))):
        chat.lost.add("call without feedback among others")
    return [run[at] for at in order]
