"""What answers in a dry run: right and wrong calls in a model's own chat format, chosen by the prompt alone, so that runs repeat."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from reproduce.models import Model
from reproduce.stand_in import says
from tldata.errors import TemplateError
from tldata.evaluate.runner_requests import Request
from tldata.templates import render

Call = tuple[str, dict[str, Any]]
# Servers leave out the tokens and stop strings that end an answer.
_END = re.compile(r"(?:\s*(?:</s>|<bot_end>|<\|(?:im_end|eot_id|observation|user|endoftext)\|>))+\s*\Z")
RIGHT = 6  # in ten answers


def dice(text: str, sides: int = 10) -> int:
    """A number from 0 that depends on a text only."""
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=4).digest()[0] % sides


def spoil(gold: Sequence[dict[str, Any]], tools: Sequence[dict[str, Any]], throw: int) -> list[Call] | None:
    """The gold's calls, or with a mistake by the throw: another tool, a parameter less, another value; None for no call."""
    calls = [(call["name"], dict(call["arguments"])) for call in gold]
    name, arguments = calls[0] if calls else ("none", {})
    if throw == RIGHT:
        names = [tool["function"]["name"] for tool in tools if tool["function"]["name"] != name]
        calls[:1] = [(names[0] if names else f"{name}_again", arguments)]
    elif throw == RIGHT + 1:
        calls[:1] = [(name, dict(list(arguments.items())[1:]))]
    elif throw == RIGHT + 2:
        calls[:1] = [(name, dict.fromkeys(arguments, "something else"))]
    elif throw > RIGHT + 2:
        return None
    return calls


def written(
    model: Model, messages: Sequence[dict[str, Any]], tools: Sequence[dict[str, Any]], calls: Sequence[Call]
) -> str:
    """Calls as the model would write them after these messages, in its chat format; of several the first where it takes one."""
    given = [{"type": "function", "function": {"name": n, "arguments": json.dumps(a)}} for n, a in calls]
    prompt = render(model.template, list(messages), list(tools), add_generation_prompt=True)
    for some in (given, given[:1]):
        message = {"role": "assistant", "content": "", "tool_calls": some}
        try:
            whole = render(model.template, [*messages, message], list(tools))
        except TemplateError:
            continue
        return _END.sub("", whole[len(prompt) :] if whole.startswith(prompt) else whole)
    return "I cannot write that."


def choice(
    model: Model, messages: Sequence[dict[str, Any]], tools: Sequence[dict[str, Any]], calls: Sequence[Call] | None
) -> dict[str, Any]:
    """A choice of the API: OpenAI's calls for a closed model, else text in the model's format."""
    if calls is None:
        return says("I cannot tell.")
    if model.template == "openai":
        return says(None, *calls)
    return says(written(model, messages, tools, calls))


class SingleTurn:
    """Answers the prompts of a benchmark: six in ten rightly."""

    def __init__(self, model: Model, rows: Iterable[dict[str, Any]], salt: str = "") -> None:
        self.model = model
        self.answers = {}
        for row in rows:
            key = self.key(row["prompt"], row["messages"])
            golds = row["gold"] or [[]]
            throw = dice(f"{model.name} {salt} {key}")
            calls = spoil(golds[0], row["tools"] or [], throw) if golds[0] else None
            self.answers[key] = choice(model, row["messages"], row["tools"] or [], calls)

    @staticmethod
    def key(prompt: str | None, messages: Sequence[dict[str, Any]]) -> str:
        return prompt if prompt is not None else json.dumps(messages, sort_keys=True)

    def __call__(self, body: dict[str, Any]) -> dict[str, Any]:
        return self.answers.get(self.key(body.get("prompt"), body.get("messages", [])), says("I was not told of this."))


class MultiTurn:
    """Acts on requests: a call of the first tool, for some requests one of a tool that is not declared, then the end."""

    def __init__(self, model: Model, requests: Iterable[Request], salt: str = "") -> None:
        self.model, self.salt = model, salt
        self.requests = {self.query(request.messages): request for request in requests}
        self.asked: Counter[str] = Counter()
        self.lock = threading.Lock()

    @staticmethod
    def query(messages: Sequence[dict[str, Any]]) -> str:
        return next((str(m["content"]) for m in messages if m["role"] == "user"), "")

    def __call__(self, body: dict[str, Any]) -> dict[str, Any]:
        if "prompt" in body:
            found = [query for query in self.requests if query in body["prompt"]]
            query = max(found, key=len, default="")
        else:
            query = self.query(body["messages"])
        request = self.requests.get(query)
        if request is None:
            return says("I was not told of this.")
        with self.lock:
            step = self.asked[query]
            self.asked[query] += 1
        return choice(self.model, request.messages, request.tools or [], self.step(query, request, step))

    def step(self, query: str, request: Request, step: int) -> list[Call] | None:
        """The calls of a step; text alone ends a conversation where no finish is declared."""
        tools = [tool["function"] for tool in request.tools or []]
        wrong = dice(f"{self.model.name} {self.salt} {query}") >= RIGHT
        if step == 0 and tools:
            schema = tools[0].get("parameters") or {}
            return [(tools[0]["name"], {key: _some(schema["properties"][key]) for key in schema.get("required") or []})]
        if step == 1 and wrong:
            return [("look_into_the_future", {"query": "x"})]
        if any(tool["name"] == "finish" for tool in tools):
            return [("finish", {"answer": "It is warm there."})]
        return None


def _some(schema: dict[str, Any]) -> Any:
    """A value of a schema's type."""
    kinds = {"integer": 7, "number": 7.0, "boolean": True, "array": [], "object": {}}
    return kinds.get(str(schema.get("type")), "Rome")
