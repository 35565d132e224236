"""The ablation's material, its figures and its cells: shares kept, parts disjoint, intervals that a slow oracle confirms, nothing done twice."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from random import Random

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("trl")

from benchmarks.ablation import agent, copying, learner, material, table  # noqa: E402
from benchmarks.ablation.cells import Experiment  # noqa: E402
from benchmarks.ablation.design import MORE, QUICK, TABLE_5  # noqa: E402
from tldata.evaluate.paper import paper_table  # noqa: E402


def test_the_training_data_holds_exactly_the_share_of_erroneous_trajectories():
    size = replace(QUICK, trajectories=100)
    records = material.training_records(size, 0, 0.17, lambda record: len(record["messages"]) < 9)
    assert len(records) == 100
    assert sum(bool(record["metadata"]["injected"]) for record in records) == 17
    assert all(len(record["messages"]) < 9 for record in records)
    assert records == material.training_records(size, 0, 0.17, lambda record: len(record["messages"]) < 9)
    assert records != material.training_records(size, 1, 0.17, lambda record: len(record["messages"]) < 9)


def test_no_request_of_the_tests_is_in_training_and_no_unseen_tool_in_anything_before():
    from tldata.demo import TOOLS

    size = replace(QUICK, trajectories=150, test_calls=60, base_records=200)
    tests = material.test_records(size, 0)
    train = material.training_records(size, 0, 0.17, lambda record: True)

    def requests(records):
        return {m["content"] for record in records for m in record["messages"] if m["role"] == "user"}

    assert not requests(train) & requests(tests["seen"])
    unseen = {name for name, tool in TOOLS.items() if tool.family in size.unseen}
    declared = {tool["function"]["name"] for record in train for tool in record["tools"]}
    assert unseen and not unseen & declared
    base = "".join(material.transcripts(size, 0))
    assert not any(f"{name}(" in base for name in unseen)
    assert all({c["function"]["name"] for c in material.calls(record)} <= unseen for record in tests["unseen"])


def test_base_text_names_the_world_and_asks_in_no_phrasing_of_the_tests():
    size = replace(QUICK, base_records=800, test_calls=60, trajectories=60)
    renamed, plain = ("".join(material.transcripts(replace(size, renamed=share), 0)) for share in (1.0, 0.0))
    tests = material.test_records(size, 0)["seen"]
    names = {value for record in tests for _, value in material.given(record) if value[:1].isupper()}
    assert len(names) > 20
    assert all(name in renamed for name in names) and not all(name in plain for name in names)
    # What the tests ask with, names and numbers left out, is not in base text; what training asks with is.
    train = material.training_records(size, 0, 0.0, lambda record: True)
    asked = shapes(plain)
    assert [shape for record in tests for shape in _sentences(record) if shape in asked] == []
    assert any(shape in asked for record in train for shape in _sentences(record))


def shapes(text: str) -> str:
    return re.sub(r"[A-Z][a-z]+( [A-Z][a-z]+)*|\d+", "X", text)


def _sentences(record: dict) -> list[str]:
    """Shapes of a request's sentences of some length: shorter ones are courtesies."""
    request = next(message["content"] for message in record["messages"] if message["role"] == "user")
    return [s for s in re.split(r"[.?!:\n] ?", shapes(request)) if "X" in s[1:] and len(s) > 20]


def test_a_renamed_transcript_calls_with_what_it_asks_for():
    size = replace(QUICK, base_records=100, renamed=1.0)
    for text, record in zip(
        material.transcripts(size, 0), material._records(20_000, 0.0, "train", size.seen, 0), strict=False
    ):
        request = next(message for message in record["messages"] if message["role"] == "user")
        for name, value in material.given(record):
            if not re.search(rf"(?<![\w.]){re.escape(value)}(?!\w)", request["content"]):
                continue
            given = re.findall(rf"{name}='?([^',)]+)'?[,)]", text)
            asked = re.split(r"^\w+\(", text, maxsplit=1, flags=re.MULTILINE)[0]
            assert any(item in asked for item in given), text


def test_repeats_foretell_what_their_labels_say():
    rows, labels = copying.repeats(20, 500, Random(1))
    for row, label in zip(rows.tolist(), labels.tolist(), strict=True):
        period = label.count(-100) - 1
        assert 8 <= period < 32
        assert label[period + 1 :] == row[period + 1 :] == row[1 : len(row) - period]


def test_the_wired_model_copies_before_it_has_learned_anything_and_names_have_one_spelling(tmp_path):
    tokenizer = material.tokenizer_for(replace(QUICK, base_records=200), 0, tmp_path)
    after_space, after_quote = tokenizer.tokenize("in Oslo"), tokenizer.tokenize("'Oslo")
    assert after_space[2:] == after_quote[1:] and "".join(after_quote[1:]) == "Oslo"
    model = learner.make_model(tokenizer, replace(QUICK, hidden=128), 0)
    rows, labels = copying.repeats(8, len(tokenizer), Random(0))
    known = labels[:, 1:] != -100

    def share() -> float:
        with torch.no_grad():
            guessed = model(input_ids=rows).logits[:, :-1].argmax(-1)
        return float((guessed == labels[:, 1:])[known].float().mean())

    assert share() > 0.2
    torch.nn.init.normal_(model.model.layers[1].self_attn.k_proj.weight, std=0.02)
    assert share() < 0.05  # without the second half of the circuit


def test_the_rows_are_those_of_the_papers_table():
    assert [configuration.label for configuration in TABLE_5.values()] == list(paper_table("table5").values)
    names = [configuration.sft for configuration in (TABLE_5 | MORE).values()]
    by_recipe = {configuration.sft: configuration.recipe for configuration in (TABLE_5 | MORE).values()}
    assert len(by_recipe) == 4 + 3 + 4 + 1  # Table 5; w_max; error shares; layout: shared where equal, and only there
    assert all(by_recipe[name] == c.recipe for name, c in zip(names, (TABLE_5 | MORE).values(), strict=True))


def _result(rng: Random, n: int, share: float) -> dict:
    right = [int(rng.random() < share) for _ in range(n)]
    answered = [rng.randrange(4) for _ in range(n)]
    wrong = [rng.randint(0, count) for count in answered]
    return {"single": {"seen": {"TS": right}}, "multi": {"seen": {"n_de": wrong, "n_answered": answered}}}


def test_figures_are_pooled_ratios_and_their_intervals_those_of_a_slow_bootstrap():
    rng = Random(3)
    results = {key: [_result(rng, 40, share) for _ in range(3)] for key, share in (("none", 0.4), ("all", 0.7))}
    found = table.summarise(results, metrics=("TS", "DE"))
    right = [sum(r["single"]["seen"]["TS"]) for r in results["all"]]
    assert found.figures["all"]["TS"].value == pytest.approx(100 * sum(right) / 120)
    assert found.figures["all"]["TS"].spread == pytest.approx(np.std([100 * k / 40 for k in right], ddof=1))
    wrong = sum(sum(r["multi"]["seen"]["n_de"]) for r in results["none"])
    answered = sum(sum(r["multi"]["seen"]["n_answered"]) for r in results["none"])
    assert found.figures["none"]["DE"].value == pytest.approx(100 * wrong / answered)
    assert found.figures["none"]["TS"].difference == 0 and not found.figures["none"]["TS"].beyond
    assert found.n == {"TS": 120, "DE": 120}

    slow = []  # draw seeds, then the examples of each drawn seed, one by one
    for _ in range(1500):
        differences, n = 0, 0
        for seed in rng.choices(range(3), k=3):
            for place in rng.choices(range(40), k=40):
                ours, other = (results[key][seed]["single"]["seen"]["TS"][place] for key in ("all", "none"))
                differences, n = differences + ours - other, n + 1
        slow.append(100 * differences / n)
    low, high = np.percentile(slow, [2.5, 97.5])
    assert found.figures["all"]["TS"].difference_low == pytest.approx(
        low, abs=2.0
    )  # points; the interval is some 25 wide
    assert found.figures["all"]["TS"].difference_high == pytest.approx(high, abs=2.0)


def test_the_table_marks_differences_beyond_chance_and_says_where_nothing_can_be_said():
    ones, zeros = {"TS": [1] * 50}, {"TS": [0] * 50}
    none = {"n_de": [0] * 50, "n_answered": [0] * 50}
    results = {
        "none": [{"single": {"seen": zeros}, "multi": {"seen": none}}],
        "all": [{"single": {"seen": ones}, "multi": {"seen": none}}],
    }
    labels = {"none": "nothing", "all": "everything"}
    lines = table.markdown(table.summarise(results, metrics=("TS", "DE")), labels).splitlines()
    assert lines[2] == "| nothing | 0.0 | – |"
    assert lines[3] == "| everything | 100.0<br>**+100.0 [+100.0, +100.0]** | – |"


def test_a_run_is_solved_when_it_made_the_calls_of_the_clean_one_and_answered():
    def message(*calls, content=None):
        made = [{"function": {"name": name, "arguments": arguments}} for name, arguments in calls]
        return {"role": "assistant", "content": content, **({"tool_calls": made} if made else {})}

    request = {"messages": [message(("f", '{"a": 1, "b": 2}')), message(content="done")]}
    assert agent.solved({"messages": [message(("f", '{"b":2,"a":1}')), message(content="yes")]}, request)
    assert agent.solved({"messages": [message(("g", "{}"), ("f", '{"a":1,"b":2}')), message(content="yes")]}, request)
    assert not agent.solved({"messages": [message(("f", '{"a":1,"b":3}')), message(content="yes")]}, request)
    assert not agent.solved({"messages": [message(("f", '{"a":1,"b":2}'))]}, request)
    assert not agent.solved({"messages": [message(("f", "{")), message(content="yes")]}, request)


def test_cells_are_not_done_twice_and_a_killed_one_is_begun_anew(tmp_path):
    experiment = Experiment(tmp_path, QUICK, 0, say=lambda text: None)
    made = []

    def make(folder):
        made.append(folder)
        (folder / "half").write_text("x")
        if len(made) == 1:
            raise KeyboardInterrupt
        return {"value": len(made)}

    with pytest.raises(KeyboardInterrupt):
        experiment.cell("one", make)
    assert not (tmp_path / "seed-0" / "one").exists()
    assert experiment.cell("one", make)["value"] == 2
    assert experiment.cell("one", make)["value"] == 2 and len(made) == 2
    other = Experiment(tmp_path, replace(QUICK, hidden=32), 0)
    with pytest.raises(SystemExit, match="other sizes"):
        other.cell("one", make)
    assert json.loads((tmp_path / "seed-0" / "one" / "result.json").read_text())["seed"] == 0
