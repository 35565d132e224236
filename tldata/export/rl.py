"""``export --to rl|verl-rl``: a prompt for each assistant message whose calls are all correct, with its calls as gold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

from tldata.dataset import Dataset
from tldata.errors import UsageError
from tldata.export.chosen import chosen as trajectories
from tldata.export.prompts import Renderer, call_of, plain_messages, renderer
from tldata.export.rows import write_rows
from tldata.jsontext import dumps
from tldata.stream import Row, Whole
from tldata.tokenize.conversation import openai_tools

MESSAGE, TRAJECTORY = "message", "trajectory"


@dataclass(slots=True)
class Prompt:
    """The context of one assistant message, and the calls that it made."""

    turn: int
    messages: list[Row]  # OpenAI messages before the turn
    gold: list[Row]  # the turn's calls: name, arguments as an object
    rest: list[Row]  # the correct calls from this turn to the end
    text: str | None = None  # rendered, with the tools

    def key(self, tools: str | None) -> bytes:
        """Equal for prompts that a model cannot tell apart: the text where it is rendered, else messages without ids."""
        seen = self.text if self.text is not None else dumps([tools, _without_ids(self.messages)])
        return blake2b(seen.encode("utf-8", "surrogatepass"), digest_size=16).digest()


@dataclass(slots=True)
class Golds:
    """What is known of one distinct prompt over the whole dataset."""

    first: tuple[str, int]  # trajectory_id and turn of its first occurrence
    golds: dict[str, None] = field(default_factory=dict)  # JSON of each distinct alternative, in order
    rests: dict[str, None] = field(default_factory=dict)


def export_rl(
    data: Dataset,
    output: Path,
    *,
    prompts: str | int = MESSAGE,
    seed: int = 0,
    tokenizer: str | None = None,
    template: str | None = None,
    where: str | None = None,
) -> dict[str, int]:
    """Write RL prompts for TRL, OpenRLHF and ms-swift.

    Args:
        data: an annotated dataset.
        output: Parquet, or JSON lines for every other extension.
        prompts: ``message``: every assistant message whose calls are all correct; ``trajectory``: one of each
            trajectory's, drawn by the seed; a number: so many of all, drawn by the seed.
        seed: of the draw; which prompts are drawn does not depend on the order of the data.
        tokenizer: folder or hub id whose chat template (and begin-of-text token) renders ``prompt_text``.
        template: name or Jinja file of the chat template, instead of the tokenizer's own.
        where: SQL condition on the trajectories that prompts are taken from.

    Returns:
        counts: ``prompts`` written, assistant messages with calls, and those that gave no prompt of their own by reason.

    Rows: ``prompt`` (messages), ``prompt_text`` (rendered with tools and generation prompt; null without tokenizer and
    template), ``gold`` (JSON text: alternatives, each a list of {name, arguments}), ``tools`` (JSON text or null),
    ``trajectory_id``, ``turn``, ``template``. Erroneous calls give no prompt; they stay in the contexts of later ones.
    """
    render = renderer(tokenizer, template)
    counts, chosen = _choose(data, render, prompts, seed, where)
    write_rows(output, _rl_rows(data, render, chosen, where), with_calls=True, kind="rl")
    return counts


def export_verl_rl(
    data: Dataset,
    output: Path,
    *,
    prompts: str | int = MESSAGE,
    seed: int = 0,
    tokenizer: str | None = None,
    template: str | None = None,
    where: str | None = None,
) -> dict[str, int]:
    """Write RL prompts for verl; the arguments are those of ``export_rl``.

    Rows: ``data_source``, ``prompt`` (messages), ``ability``, ``reward_model`` {style, ground_truth: JSON text of gold's
    alternatives}, ``extra_info`` {split, index, trajectory_id, turn, tools, rest, template}; rendered, also
    ``rendered_prompt``: one message that holds the text with the tools, for ``data.prompt_key`` with a chat template
    that passes it through (verl declares one list of tools for all rows; here each row has its own).
    ``rest`` is gold for a rollout over several turns: the trajectory's correct calls from this turn on.
    """
    render = renderer(tokenizer, template)
    counts, chosen = _choose(data, render, prompts, seed, where)
    write_rows(
        output, _verl_rows(data, render, chosen, where), with_calls=_any_calls(data, chosen, where), kind="verl-rl"
    )
    return counts


def _choose(
    data: Dataset, render: Renderer | None, prompts: str | int, seed: int, where: str | None
) -> tuple[dict[str, int], dict[bytes, Golds]]:
    """Read the dataset once, and keep of each prompt only its hash, its place and its golds."""
    wanted = _wanted(prompts)
    counts = {"prompts": 0, "trajectories": 0, "assistant messages with calls": 0}
    known: dict[bytes, Golds] = {}
    drawn: dict[bytes, None] = {}
    for whole in trajectories(data, where):
        counts["trajectories"] += 1
        own: dict[bytes, None] = {}
        for key, prompt in _prompts_of(whole, render, counts):
            place = (whole.trajectory["trajectory_id"], prompt.turn)
            entry = known.setdefault(key, Golds(place))
            entry.golds[dumps(prompt.gold)] = None
            entry.rests[dumps(prompt.rest)] = None
            own[key] = None
            if entry.first != place:
                _add(counts, "merged with an equal prompt")
        if wanted == TRAJECTORY and own:
            draw = _number(seed, whole.trajectory["trajectory_id"].encode())
            drawn[list(own)[draw % len(own)]] = None
    if wanted == MESSAGE:
        drawn = dict.fromkeys(known)
    elif isinstance(wanted, int):
        order = sorted(known, key=lambda key: _number(seed, key))
        drawn = dict.fromkeys(order[:wanted])
    if len(known) > len(drawn):
        counts["not drawn"] = len(known) - len(drawn)
    counts["prompts"] = len(drawn)
    return counts, {key: entry for key, entry in known.items() if key in drawn}


def _wanted(prompts: str | int) -> str | int:
    if prompts in (MESSAGE, TRAJECTORY):
        return prompts
    try:
        count = int(prompts)
    except ValueError:
        count = 0
    if count < 1:
        raise UsageError(
            f"--prompts {prompts}: neither a name nor a number of prompts", hint="message, trajectory, 1194"
        )
    return count


def _prompts_of(whole: Whole, render: Renderer | None, counts: dict[str, int]) -> Iterator[tuple[bytes, Prompt]]:
    """The prompts of one trajectory with their keys; what gives none is counted by its reason."""
    messages = plain_messages(whole.messages, whole.calls)
    declared = openai_tools(whole.tools) if whole.trajectory["toolset_id"] is not None else None
    tools = dumps(declared) if declared is not None else None
    by_turn: dict[int, list[Row]] = {}
    for call in whole.calls:
        by_turn.setdefault(call["turn"], []).append(call)
    trainable = {row["turn"]: row["trainable"] is not False for row in whole.messages}
    place = {row["turn"]: index for index, row in enumerate(whole.messages)}
    found: list[Prompt] = []
    for turn, calls in by_turn.items():
        counts["assistant messages with calls"] += 1
        gold = [call_of(call) for call in calls]
        reason = _refusal(calls, gold, trainable.get(turn, True))
        if reason:
            _add(counts, reason)
            continue
        found.append(Prompt(turn, messages[: place[turn]], [call for call in gold if call is not None], []))
    for index, prompt in enumerate(found):
        prompt.rest = [call for later in found[index:] for call in later.gold]
        if render is not None:
            prompt.text = render(prompt.messages, declared)
            if prompt.text is None:
                _add(counts, "refused by the chat template")
                continue
        yield prompt.key(tools), prompt


def _refusal(calls: list[Row], gold: list[Row | None], trainable: bool) -> str | None:
    """Why a message with calls gives no prompt; None when it gives one."""
    categories = {call["category"] for call in calls}
    if any(call["is_error"] for call in calls):
        return "with an erroneous call"
    if categories != {"all_right"}:
        return "with a call without feedback"
    if not trainable or not all(call["trainable"] is not False for call in calls):
        return "not to be trained on"
    return "with arguments that are no JSON object" if None in gold else None


def _selected(
    data: Dataset, render: Renderer | None, chosen: dict[bytes, Golds], where: str | None
) -> Iterator[tuple[Whole, str | None, Prompt, Golds]]:
    """Read the dataset again, and yield the chosen prompts at their first place."""
    wanted = {entry.first[0] for entry in chosen.values()}
    for whole in trajectories(data, where):
        if whole.trajectory["trajectory_id"] not in wanted:
            continue
        declared = openai_tools(whole.tools) if whole.trajectory["toolset_id"] is not None else None
        tools = dumps(declared) if declared is not None else None
        ignored = {"assistant messages with calls": 0}
        for key, prompt in _prompts_of(whole, render, ignored):
            entry = chosen.get(key)
            if entry is not None and entry.first == (whole.trajectory["trajectory_id"], prompt.turn):
                yield whole, tools, prompt, entry


def _rl_rows(data: Dataset, render: Renderer | None, chosen: dict[bytes, Golds], where: str | None) -> Iterator[Row]:
    for whole, tools, prompt, entry in _selected(data, render, chosen, where):
        yield {
            "prompt": prompt.messages,
            "prompt_text": prompt.text,
            "gold": _json_list(entry.golds),
            "tools": tools,
            "trajectory_id": whole.trajectory["trajectory_id"],
            "turn": prompt.turn,
            "template": render.name if render is not None else None,
        }


def _verl_rows(data: Dataset, render: Renderer | None, chosen: dict[bytes, Golds], where: str | None) -> Iterator[Row]:
    for index, (whole, tools, prompt, entry) in enumerate(_selected(data, render, chosen, where)):
        row = {
            "data_source": "tldata",
            "prompt": prompt.messages,
            "ability": "tool_call",
            "reward_model": {"style": "rule", "ground_truth": _json_list(entry.golds)},
            "extra_info": {
                "split": "train",
                "index": index,
                "trajectory_id": whole.trajectory["trajectory_id"],
                "turn": prompt.turn,
                "tools": tools,
                "rest": _json_list(entry.rests),
                "template": render.name if render is not None else None,
            },
        }
        if prompt.text is not None:
            row["rendered_prompt"] = [{"role": "user", "content": prompt.text}]
        yield row


def _any_calls(data: Dataset, chosen: dict[bytes, Golds], where: str | None) -> bool:
    """Whether a chosen prompt has calls or feedback in its context: without any, messages need no columns for them."""
    last: dict[str, int] = {}
    for identity, turn in (entry.first for entry in chosen.values()):
        last[identity] = max(turn, last.get(identity, 0))
    for whole in trajectories(data, where):
        turn = last.get(whole.trajectory["trajectory_id"], 0)
        if any(row["turn"] < turn and row["role"] == "tool" for row in whole.messages):
            return True
        if any(call["turn"] < turn for call in whole.calls):
            return True
    return False


def _json_list(items: dict[str, None]) -> str:
    return "[" + ",".join(items) + "]"


def _without_ids(messages: list[Row]) -> list[Row]:
    out = []
    for message in messages:
        message = {key: value for key, value in message.items() if key != "tool_call_id"}
        if "tool_calls" in message:
            message["tool_calls"] = [call["function"] for call in message["tool_calls"]]
        out.append(message)
    return out


def _number(seed: int, key: bytes) -> int:
    """A number that depends on the seed and the key alone."""
    return int.from_bytes(blake2b(str(seed).encode() + b":" + key, digest_size=8).digest())


def _add(counts: dict[str, int], what: str) -> None:
    counts[what] = counts.get(what, 0) + 1
