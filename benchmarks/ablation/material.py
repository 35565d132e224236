"""What is learned and tested: demo records by seed, disjoint between base text, training and test, and the tokenizer over them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.ablation.design import Size
from benchmarks.learning import CHAT, make_tokenizer

TRAIN_SEED, BASE_SEED, TEST_SEED, UNSEEN_SEED = 10_000, 20_000, 30_000, 40_000  # plus the seed of the experiment
Record = dict[str, Any]


def training_records(size: Size, seed: int, error_share: float, fits: Any) -> list[Record]:
    """Demo records of one user turn, of which exactly ``error_share`` are erroneous (rounded); ``fits`` says whether one is short enough.

    Erroneous and clean records are drawn from two runs of the generator, so that dropping long ones does not move their share.
    """
    erroneous = round(size.trajectories * error_share)
    found: list[Record] = []
    for count, rate, start in ((erroneous, 1.0, 0), (size.trajectories - erroneous, 0.0, 1_000_000)):
        found += islice((r for r in _records(TRAIN_SEED + seed, rate, "train", size.seen, start) if fits(r)), count)
    # In an order that mixes both and depends on the names alone.
    return sorted(found, key=lambda record: hash_of(record["id"]))


def test_records(size: Size, seed: int) -> dict[str, list[Record]]:
    """Clean records with values and phrasings that training has not; ``unseen``: about tools that nothing before has shown."""
    runs = max(size.test_runs, size.test_calls)
    return {
        "seen": list(islice(_records(TEST_SEED + seed, 0.0, "test", size.seen, 0), runs)),
        "unseen": list(islice(_records(UNSEEN_SEED + seed, 0.0, "test", size.unseen, 0), max(8, runs // 3))),
    }


def transcripts(size: Size, seed: int) -> Iterator[str]:
    """Base text, as a code model may have seen it: requests as comments, calls as Python, what was printed, and the answer.

    It teaches the language and that requests lead to calls, not the chat format, no tool of the unseen part, and no phrasing of the
    tests. In the share ``renamed`` of them the values of the request are others: names of the whole world, dates and numbers at random.
    A model of language knows the names, those in the tests too, and a call must be about the value asked for.
    """
    rng, names = Random(f"base text {seed}"), world(size)
    for record in islice(_records(BASE_SEED + seed, 0.0, "train", size.seen, 0), size.base_records):
        text = _transcript(record)
        yield _renamed(text, record, names, rng) if rng.random() < size.renamed else text


def world(size: Size) -> dict[str, list[str]]:
    """Names that each parameter is ever given, by parameter."""
    found: dict[str, set[str]] = {}
    for record in islice(_records(0, 0.0, None, size.seen, 0), 3000):
        for name, value in given(record):
            if value[:1].isupper():
                found.setdefault(name, set()).add(value)
    return {name: sorted(values) for name, values in found.items()}


def given(record: Record) -> Iterator[tuple[str, str]]:
    """Parameter and value, as text, of each argument of a record's calls; of lists, of each item."""
    for call in calls(record):
        for name, value in json.loads(call["function"]["arguments"]).items():
            for item in value if isinstance(value, list) else [value]:
                if not isinstance(item, bool | dict):
                    yield name, str(item)


def _transcript(record: Record) -> str:
    lines = []
    for message in record["messages"]:
        if message["role"] == "user":
            lines.append(f"# {message['content']}")
        for call in message.get("tool_calls") or []:
            function = call["function"]
            arguments = ", ".join(f"{k}={v!r}" for k, v in json.loads(function["arguments"]).items())
            lines.append(f"{function['name']}({arguments})")
        if message["role"] == "tool":
            lines.append(message["content"])
        if message["role"] == "assistant" and not message.get("tool_calls"):
            lines.append(f"# {message['content']}")
    return "\n".join(lines) + "\n\n"


def _renamed(text: str, record: Record, names: dict[str, list[str]], rng: Random) -> str:
    """The transcript with each value that stands in the request, word for word, as another one of its kind everywhere."""
    asked = " ".join(message["content"] for message in record["messages"] if message["role"] == "user")
    new: dict[str, str] = {}
    for name, value in sorted(set(given(record)), key=lambda pair: (-len(pair[1]), pair)):
        if value not in new and re.search(_whole(value), asked):
            new[value] = rng.choice(names[name]) if value in names.get(name, ()) else _other(value, rng)
    return re.sub("|".join(map(_whole, new)), lambda found: new[found[0]], text) if new else text


def _whole(value: str) -> str:
    return rf"(?<![\w.]){re.escape(value)}(?!\w)"


def _other(value: str, rng: Random) -> str:
    """Another date or number of the same form; words, such as units, stay."""
    if re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        return f"{rng.randint(1950, 2060)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"
    return re.sub(r"\d", lambda _: str(rng.randint(1, 9)), value)


def tokenizer_for(size: Size, seed: int, folder: Path) -> Any:
    """A small BPE tokenizer over base text and rendered training data, with a chat format in few tokens."""
    texts = list(islice(transcripts(size, seed), 1500))
    clean = islice(_records(TRAIN_SEED + seed, 0.0, "train", size.seen, 5_000_000), min(800, size.base_records))
    texts += [
        f"{call['function']['name']} {call['function']['arguments']}" for record in clean for call in calls(record)
    ]
    return make_tokenizer(texts, folder, vocabulary=size.vocabulary, chat=CHAT, same_values=True)


def calls(record: Record) -> Iterator[dict[str, Any]]:
    """All calls of a record, in order."""
    for message in record["messages"]:
        yield from message.get("tool_calls") or []


def length_limit(tokenizer: Any, limit: int) -> Any:
    """A test whether a record, rendered, has at most so many tokens."""

    def fits(record: Record) -> bool:
        messages = [_with_objects(message) for message in record["messages"]]
        text = tokenizer.apply_chat_template(messages, tools=record["tools"], tokenize=False)
        return len(tokenizer(text, add_special_tokens=False)["input_ids"]) <= limit

    return fits


def write_lines(path: Path, records: Iterable[Record]) -> Path:
    """JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as out:
        for record in records:
            out.write(json.dumps(record, ensure_ascii=False) + "\n")
    return path


def hash_of(text: str) -> int:
    """A number that a text has on every machine."""
    from hashlib import blake2b

    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


def _records(seed: int, rate: float, split: str | None, families: tuple[str, ...], start: int) -> Iterator[Record]:
    """Endless demo records of one user turn; ``unseen`` tools are neither called nor declared outside their own part."""
    from tldata.demo import FAMILIES, generate

    held = [name for name in FAMILIES if name not in families]
    endless = generate(10**9, seed=seed, error_rate=rate, start=start, split=split, families=families, hold_back=held)
    for record in endless:
        if sum(message["role"] == "user" for message in record["messages"]) == 1:
            yield record


def _with_objects(message: dict[str, Any]) -> dict[str, Any]:
    """The message with arguments as objects, as chat templates want them."""
    made = [
        {**call, "function": {**call["function"], "arguments": json.loads(call["function"]["arguments"])}}
        for call in message.get("tool_calls") or []
    ]
    return {**message, "tool_calls": made} if made else message
