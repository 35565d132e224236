"""What the layouts train on demo and real data, against calls and prefix samples counted the obvious way."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tokenize.conftest import CHATML, trl_templates
from tests.tokenize.helpers import read_rows
from tests.tokenize.test_tokenize import trained
from tldata.dataset import open_dataset
from tldata.demo import write_demo
from tldata.engine import annotate
from tldata.tokenize import tokenize
from tldata.tokenize.conversation import in_form
from tldata.tokenize.encode import load_tokenizer
from tldata.tokenize.load import Loader
from tldata.tokenize.pipeline import resolve_template
from tldata.tokenize.prepare import Preparer

TEMPLATES = ("chatml", "tl-codellama-2", "trl:qwen3")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Demo trajectories, half of them with a mistake, annotated."""
    folder = tmp_path_factory.mktemp("layouts")
    write_demo(folder / "demo.jsonl", 40, seed=5, error_rate=0.5)
    return annotate(folder / "demo.jsonl").path


@pytest.fixture(scope="module")
def tau(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> Path:
    """tau-bench, annotated."""
    return annotate(shared / "tau_bench" / "gpt-4o-airline.json", tmp_path_factory.mktemp("layouts") / "tau").path


def chosen(template: str, folder: Path) -> str | Path:
    if template == "chatml":
        (folder / "chatml.jinja").write_text(CHATML)
        return folder / "chatml.jinja"
    if template.startswith("trl:"):
        found = trl_templates().get(template.removeprefix("trl:"))
        return found or pytest.skip(f"the installed trl has no {template}")
    return template


def check(dataset: Path, tokenizer: Path, template: str | Path, every: int) -> None:
    """Both layouts train exactly the correct calls; the prefix samples of every so-manieth trajectory are the turn rows."""
    made = {name: tokenize(dataset, tokenizer, template=template, name=name, layout=name, mask_scope="call", overwrite=True)
            for name in ("segment", "turn")}  # fmt: skip
    right = open_dataset(dataset).sql(
        "SELECT trajectory_id, turn, call_index FROM calls JOIN messages USING (trajectory_id, turn) WHERE NOT is_error AND role = 'assistant'"
    )
    expected = {tuple(row.values()) for row in right.to_pylist()}
    rows = {name: read_rows(summary.path) for name, summary in made.items()}
    assert len(expected) > 40
    assert trained(rows["segment"]) == trained(rows["turn"]) == expected
    counts = made["segment"].counts
    assert (counts.segment_tokens, counts.segment_rows) == (counts.tokens, counts.rows)
    assert (counts.turn_tokens, counts.turn_rows) == (made["turn"].counts.tokens, made["turn"].counts.rows)

    encoder = load_tokenizer(tokenizer)
    chat = resolve_template(template, encoder)
    form = Preparer(chat).forms[0]
    own = {}
    for row in rows["turn"]:
        own.setdefault(row["trajectory_id"], []).append(row)
    for conversation in [c for batch in Loader(dataset, frozenset()).batches() for c in batch][::every]:
        messages = in_form(conversation, form)
        samples = []  # what training on one sample a turn would read: everything through that turn
        for turn in conversation.assistants:
            text = chat.render(messages[: turn + 1], conversation.tools)
            samples.append(encoder.tokenizer.encode(text, add_special_tokens=False).ids)
        found = [row["input_ids"] for row in own[conversation.trajectory_id]]
        assert len(found) == len(samples)
        for ids, sample in zip(found, samples, strict=True):
            assert (
                ids == sample[: len(ids)] and len(sample) - len(ids) <= 1
            )  # but for white space behind the end of turn


@pytest.mark.parametrize("template", TEMPLATES)
def test_on_demo_data_both_layouts_train_the_correct_calls_and_turn_rows_are_the_prefix_samples(demo, tiny, template, tmp_path):  # fmt: skip
    check(demo, tiny, chosen(template, tmp_path), every=5)


@pytest.mark.parametrize("template", ["chatml", *(pytest.param(t, marks=pytest.mark.slow) for t in TEMPLATES[1:])])
def test_on_tau_bench_both_layouts_train_the_correct_calls_and_turn_rows_are_the_prefix_samples(tau, shared, template, tmp_path):  # fmt: skip
    check(tau, shared / "tokenizers" / "qwen2.5", chosen(template, tmp_path), every=40)
