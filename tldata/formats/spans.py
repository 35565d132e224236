"""One conversation out of the steps of a trace: what models were given and said, and what tools answered, in the order of their beginnings."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tldata.errors import RecordError
from tldata.formats.dialects import tool_name
from tldata.pairing import Pair, pair
from tldata.record import Call, Message, Trajectory


@dataclass(slots=True)
class Step:
    """One model's or tool's step of a trace.

    A model's has ``given``, ``said`` and the tools it was ``offered``. A tool's has a ``call`` (name None where it is not told) and its ``feedback``.
    """

    start: tuple[Any, ...]
    given: list[Message] = field(default_factory=list)
    said: list[Message] = field(default_factory=list)
    offered: list[Any] = field(default_factory=list)
    model: str | None = None
    call: Call | None = None
    feedback: Message | None = None


def tell(steps: Sequence[Step]) -> list[Trajectory]:
    """The conversations of a trace.

    Where models are given the turns before, each conversation's longest telling stands for it; conversations that begin with another
    user's message (an agent that calls another) are trajectories of their own. Else the steps are told one by one.

    Raises:
        RecordError: no step holds a message.
    """
    steps = sorted(steps, key=lambda step: step.start)
    models = [step for step in steps if step.call is None and (step.given or step.said)]
    tools = [step for step in steps if step.call is not None]
    if any(message.role in ("assistant", "tool") for step in models for message in step.given):
        threads = [_finished(thread, tools) for thread in _threads(models)]
    else:
        threads = [_in_order([step for step in steps if step.call is not None or step.given or step.said])]
    if not any(threads):
        raise RecordError("its steps hold no messages")
    declared: dict[str, Any] = {}
    for step in steps:
        for tool in step.offered:
            declared.setdefault(tool_name(tool), tool)
    model = next((step.model for step in steps if step.model), None)
    found = [Trajectory(messages, list(declared.values()) or None, model=model) for messages in threads if messages]
    if len(found) > 1:
        for place, trajectory in enumerate(found):
            trajectory.branch = place
    return found


def _threads(models: list[Step]) -> list[list[Message]]:
    """Conversations told apart by their first user's message, each as long as it was told; the later one of equals."""
    longest: dict[str | None, list[Message]] = {}
    for step in models:
        messages = [*step.given, *step.said]
        first = next((message.content for message in messages if message.role == "user"), None)
        if first not in longest or len(messages) >= len(longest[first]):
            longest[first] = messages
    return [list(messages) for messages in longest.values()]


def _finished(messages: list[Message], tools: list[Step]) -> list[Message]:
    """Put the tools' flags onto the feedback, and their feedback after a call that ends the telling."""
    pairs = pair(messages)
    by_id: dict[str | None, deque[Pair]] = {}
    by_name: dict[str | None, deque[Pair]] = {}
    for made in pairs:
        by_id.setdefault(made.call.call_id, deque()).append(made)
        by_name.setdefault(made.call.name, deque()).append(made)
    taken: set[int] = set()
    added: list[Message] = []
    last = max((made.turn for made in pairs), default=-1)
    for step in tools:
        assert step.call is not None and step.feedback is not None
        wanted = step.call.call_id
        queue = by_id.get(wanted, deque()) if wanted is not None else deque()
        queue = queue or by_name.get(step.call.name, deque())
        while queue and id(queue[0]) in taken:
            queue.popleft()
        if not queue or (wanted is not None and queue[0].call.call_id not in (None, wanted)):
            continue  # another conversation's, or one that no model asked for
        made = queue.popleft()
        taken.add(id(made))
        if made.feedback_turn is not None:
            _take_flag(messages[made.feedback_turn], step.feedback)
        elif made.turn == last:
            step.feedback.tool_call_id = made.call.call_id
            added.append(step.feedback)
    return [*messages, *added]


def _take_flag(message: Message, feedback: Message) -> None:
    if message.native_error is None and feedback.native_error_source is not None:
        message.native_error = feedback.native_error
        message.native_error_code = feedback.native_error_code
        message.native_error_source = feedback.native_error_source


def _in_order(steps: list[Step]) -> list[Message]:
    """The turns one by one. A tool's step that no call asked for tells its call too."""
    messages: list[Message] = []
    open_calls: list[Call] = []
    told: set[Any] = set()
    for step in steps:
        if step.call is None:
            for message in [*(m for m in step.given if _key(m) not in told), *step.said]:
                told.add(_key(message))
                messages.append(message)
            open_calls += [call for message in step.said for call in message.calls]
            continue
        assert step.feedback is not None
        asked = next(
            (call for call in open_calls if call.call_id is not None and call.call_id == step.call.call_id), None
        )
        if asked is None:
            asked = next((call for call in open_calls if call.name == step.call.name), None)
        if asked is None:
            messages.append(Message("assistant", calls=[step.call]))
            asked = step.call
        else:
            open_calls.remove(asked)
        step.feedback.tool_call_id = asked.call_id
        step.feedback.name = step.feedback.name or asked.name
        messages.append(step.feedback)
    return messages


def _key(message: Message) -> tuple[Any, ...]:
    """What makes two messages the same one told twice."""
    calls = tuple((call.name, call.arguments, call.call_id) for call in message.calls)
    return (message.role, message.content, message.reasoning, message.name, message.tool_call_id, calls)
