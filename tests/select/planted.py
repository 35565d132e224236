"""A planted set: demo trajectories with copies, near-copies, beginnings and evaluation questions put among them."""

from __future__ import annotations

import copy
import json
import random
from dataclasses import dataclass, field
from typing import Any

from tldata.demo import generate

# Questions of the test's own, on things that the demo's tools know nothing of.
SUBJECTS = ("a violin", "the old bridge", "my bicycle", "a honey badger", "the school choir", "an orchid")
QUESTIONS = (
    "Which workshop in the harbour district can restore {} before the end of the month, and what would it charge me?",
    "Explain to a ten year old child why {} keeps appearing in so many paintings of the nineteenth century.",
    "Could you draft a polite complaint to the city council concerning {} and the noise on Saturday nights?",
)
SHORT = ("Who painted {}?", "Describe {} briefly.")  # fewer words than a run


@dataclass
class Planted:
    """Records in order; ``expected`` maps the place of each planted one to the step that must drop it."""

    records: list[dict[str, Any]]
    questions: list[str]
    expected: dict[int, str] = field(default_factory=dict)


def evaluation_questions() -> list[str]:
    return [form.format(subject) for form in (*QUESTIONS, *SHORT) for subject in SUBJECTS]


def plant(n_clean: int, n_each: int, seed: int = 0) -> Planted:
    """``n_clean`` demo trajectories, and ``n_each`` exact copies, beginnings, near-copies and contaminated ones, shuffled."""
    chance = random.Random(seed)
    clean = [strip(record) for record in generate(n_clean, seed=seed)]
    clean = [record for record in clean if len(record["messages"]) >= 4]
    questions = evaluation_questions()
    planted: list[tuple[str, dict[str, Any]]] = [("", record) for record in clean]
    long = [record for record in clean if len(words_of(record)) >= 15]
    for _ in range(n_each):
        planted.append(("exact", new_call_ids(chance.choice(clean))))
        planted.append(("prefix", beginning(chance.choice(clean), chance)))
        planted.append(("near", changed(chance.choice(long), chance)))
        planted.append(("decontaminate", asking(chance.choice(clean), chance.choice(questions), chance)))
    chance.shuffle(planted)
    expected = {place: step for place, (step, _) in enumerate(planted) if step}
    return Planted([record for _, record in planted], questions, expected)


def strip(record: dict[str, Any]) -> dict[str, Any]:
    return {"messages": record["messages"], "tools": record["tools"]}


def words_of(record: dict[str, Any]) -> list[str]:
    return next(m["content"] for m in record["messages"] if m["role"] == "user").split()


def new_call_ids(record: dict[str, Any]) -> dict[str, Any]:
    """The same conversation with call ids of another run, which are no content."""
    text = json.dumps(record)
    for message in record["messages"]:
        for call in message.get("tool_calls") or ():
            text = text.replace(json.dumps(call["id"]), json.dumps("again-" + call["id"]))
    return json.loads(text)


def beginning(record: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """The record up to some message before its last, at least up to the first answer of the assistant."""
    messages = record["messages"]
    first = next(place for place, message in enumerate(messages) if message["role"] == "assistant") + 1
    return {**record, "messages": messages[: chance.randint(first, len(messages) - 1)]}


def changed(record: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """The record with a politeness added, case and punctuation changed, and another answer at the end."""
    record = copy.deepcopy(record)
    asked = next(m for m in record["messages"] if m["role"] == "user")
    edits = (
        lambda text: text + " Thanks!",
        lambda text: "Hi. " + text,
        lambda text: text.upper(),
        lambda text: text.replace(",", " ,").replace(".", " ...") + "\n",
        lambda text: text.replace(" ", "  ").rstrip(".?!") + "!?",
    )
    asked["content"] = chance.choice(edits)(asked["content"])
    record["messages"][-1] = {"role": "assistant", "content": f"Here you are, number {chance.random()}."}
    return record


def asking(record: dict[str, Any], question: str, chance: random.Random) -> dict[str, Any]:
    """The record with an evaluation question in its user's place, alone or among other words."""
    record = copy.deepcopy(record)
    asked = next(m for m in record["messages"] if m["role"] == "user")
    long = len(question.split()) > 5
    forms = (
        ("{}", "{}  ", "Hello there. {} Thank you so much.", "{} And then tell me the weather.") if long else ("{}",)
    )
    text = chance.choice(forms).format(question)
    asked["content"] = chance.choice((str, str.lower, str.upper, lambda t: t.replace(",", ";")))(text)
    return record
