"""A planted set: demo trajectories with copies, near-copies, beginnings and evaluation questions put among them."""

from __future__ import annotations

import copy
import json
import random
import re
from dataclasses import dataclass
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
    """Records in order, with the kind of each and the family it belongs to: one clean trajectory and what was made of it.

    Of a family one is to stay. ``decontaminate`` are families of their own, of which none is to stay.
    """

    records: list[dict[str, Any]]
    kinds: list[str]
    families: list[int]
    questions: list[str]


def evaluation_questions() -> list[str]:
    return [form.format(subject) for form in (*QUESTIONS, *SHORT) for subject in SUBJECTS]


def plant(n_clean: int, n_each: int, seed: int = 0) -> Planted:
    """``n_clean`` demo trajectories, and ``n_each`` exact copies, beginnings, near-copies and contaminated ones, shuffled."""
    chance = random.Random(seed)
    clean: dict[str, dict[str, Any]] = {}  # by query: the demo asks some questions twice
    for record in generate(2 * n_clean, seed=seed):
        if len(record["messages"]) >= 4 and len(clean) < n_clean:
            clean.setdefault(" ".join(words_of(record)), {"messages": record["messages"], "tools": record["tools"]})
    members = list(enumerate(clean.values()))
    long = [(family, record) for family, record in members if len(words_of(record)) >= 15]
    planted = [("clean", family, record) for family, record in members]
    questions = evaluation_questions()
    for number in range(n_each):
        for kind, make, among in (
            ("exact", new_call_ids, members),
            ("prefix", beginning, members),
            ("near", changed, long),
        ):
            family, record = chance.choice(among)
            planted.append((kind, family, make(record, chance)))
        record = asking(chance.choice(members)[1], chance.choice(questions), chance)
        planted.append(("decontaminate", n_clean + number, record))
    chance.shuffle(planted)
    kinds, families, records = zip(*planted, strict=True)
    return Planted(list(records), list(kinds), list(families), questions)


def words_of(record: dict[str, Any]) -> list[str]:
    return re.findall("[a-z0-9]+", next(m["content"] for m in record["messages"] if m["role"] == "user").lower())


def new_call_ids(record: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """The same conversation with call ids of another run, which are no content."""
    text = json.dumps(record)
    for message in record["messages"]:
        for call in message.get("tool_calls") or ():
            text = text.replace(json.dumps(call["id"]), json.dumps(f"{chance.random()}-" + call["id"]))
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
