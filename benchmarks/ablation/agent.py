"""Let a small local model act: greedy answers to single prompts, and whole runs on the demo tools, many at a time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from benchmarks.ablation.material import Record, calls
from benchmarks.learning import PARSED_AS

MAX_TURNS = 9  # the paper's limit
BATCH = 60
NEW_TOKENS = 96


def answer(model: Any, tokenizer: Any, prompts: Sequence[str]) -> list[str]:
    """The greedy answer to each rendered prompt, as text with special tokens up to the end of the turn."""
    import torch

    from tltrain_plugin.adapters.trl import turn_text

    tokenizer.padding_side = "left"
    model.eval()
    found: dict[int, str] = {}
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))  # equal lengths together: little padding
    for start in range(0, len(order), BATCH):
        places = order[start : start + BATCH]
        texts = [prompts[i] for i in places]
        batch = tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False)
        with torch.no_grad():
            out = model.generate(
                input_ids=batch["input_ids"],
                attention_mask=batch["attention_mask"],
                max_new_tokens=NEW_TOKENS,
                do_sample=False,
            )
        width = batch["input_ids"].shape[1]
        for place, row in zip(places, out, strict=True):
            found[place] = turn_text(tokenizer, row[width:].tolist())
    return [found[i] for i in range(len(prompts))]


def act(model: Any, tokenizer: Any, requests: Sequence[Record], *, context: int = 1800) -> list[Record]:
    """Run a model on each request with its tools for up to nine turns.

    Args:
        requests: demo records; what the model gets of one is what stands before the first assistant message, and its tools.
        context: tokens beyond which a run is not continued (it then ends without an answer).

    Returns:
        OpenAI records, as ``tldata annotate`` reads them. Feedback is what the demo tools really say, worded as the record's harness does.
    """
    runs = []
    for request in requests:
        first = next(i for i, message in enumerate(request["messages"]) if message["role"] == "assistant")
        style = request["metadata"]["framework"]
        run = {"id": request["id"], "messages": list(request["messages"][:first]), "tools": request["tools"]}
        runs.append({**run, "metadata": {"framework": style}})
    open_runs = list(range(len(runs)))
    for turn in range(MAX_TURNS):
        texts = {i: _render(tokenizer, runs[i]) for i in open_runs}
        lengths = {i: len(tokenizer(text, add_special_tokens=False)["input_ids"]) for i, text in texts.items()}
        open_runs = [i for i in open_runs if lengths[i] <= context]
        answers = answer(model, tokenizer, [texts[i] for i in open_runs])
        pairs = zip(open_runs, answers, strict=True)
        open_runs = [i for i, text in pairs if _continue(runs[i], text, turn)]
    return runs


def solved(run: Record, request: Record) -> bool:
    """Whether a run made every call of the request's own (clean) trajectory, with equal arguments, and then answered.

    Stricter than VA, which takes any text without calls for an answer.
    """
    made = {_key(call) for call in calls(run)}
    last = run["messages"][-1]
    answered = last["role"] == "assistant" and not last.get("tool_calls") and bool(last.get("content"))
    return answered and all(_key(call) in made for call in calls(request))


def _key(call: dict[str, Any]) -> str:
    function = call["function"]
    try:
        arguments = json.loads(function["arguments"])
    except ValueError:
        arguments = function["arguments"]
    return json.dumps([function["name"], arguments], sort_keys=True)


def _continue(run: Record, text: str, turn: int) -> bool:
    """Add a model's turn and its feedback to a run; returns whether it goes on (it called tools)."""
    from tldata.demo import execute
    from tldata.evaluate.runner_collect import message_from_text, with_call_ids

    message = with_call_ids(message_from_text(text, PARSED_AS), turn)
    run["messages"].append({key: value for key, value in message.items() if key != "raw"})
    declared = [tool["function"]["name"] for tool in run["tools"]]
    for call in message.get("tool_calls") or []:
        function = call["function"]
        style = run["metadata"]["framework"]
        said = execute(function["name"], function["arguments"], style=style, declared=declared)
        run["messages"].append({"role": "tool", "tool_call_id": call["id"], "content": said})
    return bool(message.get("tool_calls"))


def _render(tokenizer: Any, run: Record) -> str:
    messages = [_readable(message) for message in run["messages"]]
    return str(tokenizer.apply_chat_template(messages, tools=run["tools"], tokenize=False, add_generation_prompt=True))


def _readable(message: dict[str, Any]) -> dict[str, Any]:
    """The message with arguments as objects where they are some; text that is no object stays text."""
    made = []
    for call in message.get("tool_calls") or []:
        try:
            arguments = json.loads(call["function"]["arguments"])
        except ValueError:
            arguments = call["function"]["arguments"]
        made.append({**call, "function": {**call["function"], "arguments": arguments}})
    return {**message, "tool_calls": made} if made else message
