"""The table of ours beside the paper's: figures, stars, doubts and overlap, worked by hand."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reproduce.actor import RIGHT, spoil, written
from reproduce.beside import Figure, as_json, as_markdown, figure_of
from reproduce.models import load_models
from reproduce.overlap import overlap, similarity, words
from reproduce.setting import markdown
from tldata.evaluate.answer import read_answer
from tldata.evaluate.paper import paper_table

TABLE = paper_table("table3")
TS, CF = ("rotbench", "TS"), ("rotbench", "CF")
TOOLS = [
    {
        "type": "function",
        "function": {"name": name, "parameters": {"type": "object", "properties": {"q": {"type": "string"}}}},
    }
    for name in ("f", "g")
]


def line(text, name):
    return next(row for row in text.splitlines() if row.startswith(f"| {name} |"))


def test_the_papers_figure_stands_in_brackets_and_a_star_where_it_lies_outside_our_interval():
    # 84 of 105: 80.00, Wilson's interval 71.3 to 86.5; the paper has 83.81 and 42.86.
    row = {TS: figure_of(84, 105), CF: figure_of(84, 105)}
    text = as_markdown([TS, CF], {"TL-CodeLLaMA-2": row}, TABLE)
    assert line(text, "TL-CodeLLaMA-2") == "| TL-CodeLLaMA-2 | 80.00 (83.81) | 80.00 (42.86)* |"
    assert line(text, "GPT-4o") == "| GPT-4o | - (74.29) | - (50.48) |"
    assert "- RoTBench: 105" in text


def test_a_figure_that_no_count_gives_is_marked():
    text = as_markdown([("toolalpaca", "TS")], {}, TABLE)
    assert "(75.56?)" in line(text, "ToolLLaMA-2") and "- ToolAlpaca: not measured" in text


def test_a_model_that_the_paper_does_not_have_gets_a_line_of_its_own():
    text = as_markdown([TS], {"Ours": {TS: Figure(50.0, 4)}}, TABLE)
    assert line(text, "Ours") == "| Ours | 50.00 |"
    assert {
        "model": "Ours",
        "benchmark": "rotbench",
        "metric": "TS",
        "here": 50.0,
        "n": 4,
        "interval": None,
        "paper": None,
    } in as_json({"Ours": {TS: Figure(50.0, 4)}}, TABLE)


def test_markdown_shows_numbers_with_two_digits_and_none_as_a_dash():
    assert markdown(["", "a", "b"], [["x", 1234, None]]) == "| | a | b |\n|---|--:|--:|\n| x | 1,234 | - |\n"


def test_overlap_counts_queries_tools_and_tool_sets(tmp_path):
    def raw(query, *names):
        tools = [{"type": "function", "function": {"name": name}} for name in (*names, "finish")]
        return {
            "id": "1",
            "conversations": [{"role": "system", "content": json.dumps(tools)}, {"role": "user", "content": query}],
        }

    def test_query(query, *names):
        tools = [{"name": name, "parameters": {}} for name in (*names, "finish")]
        system = f"You have access of the following tools:\n{json.dumps(tools)}\n\nLet's Begin!"
        return {
            "id": query,
            "path": "x",
            "conversations": [{"from": "system", "value": system}, {"from": "user", "value": query}],
        }

    training = [raw("Is it warm in Rome?", "weather", "city"), raw("a b c d e", "book")]
    asked = [
        test_query("is it WARM, in rome", "weather", "city"),
        test_query("a b c d f", "book", "shop"),
        test_query("other", "weather"),
    ]
    for name, value in (("training", training), ("test", asked)):
        (tmp_path / f"{name}.json").write_text(json.dumps(value))
    found = overlap(tmp_path / "training.json", tmp_path / "test.json")
    # a b c d e and a b c d f share 4 of 6 words. Tools of the test: weather, city, book, shop.
    assert found == {
        "training": 2,
        "test": 3,
        "equal": 1,
        "alike": 1,
        "tools": 4,
        "tools_seen": 3,
        "toolsets": 3,
        "toolsets_seen": 1,
        "queries_seen_tools": 2,
    }


@given(st.text(), st.text())
def test_similarity_is_symmetric_and_1_for_the_same_words(a, b):
    x, y = words(a), words(b)
    assert similarity(x, y) == similarity(y, x) and similarity(x, x) == 1.0 and 0 <= similarity(x, y) <= 1


@pytest.mark.parametrize(
    "model", [m for m in load_models().values() if m.template not in ("", "openai")], ids=lambda m: m.name
)
def test_what_the_stand_in_writes_is_read_back_in_the_models_own_format(model):
    messages = [{"role": "user", "content": "Hello"}]
    text = written(model, messages, TOOLS, [("f", {"q": "a 'b' \"c\""})])
    answer = read_answer(text, model.template)
    assert [(call.name, call.arguments) for call in answer.calls] == [("f", {"q": "a 'b' \"c\""})]


def test_the_stand_ins_mistakes_are_another_tool_a_parameter_less_another_value_and_no_call():
    gold = [{"name": "f", "arguments": {"q": 1, "r": 2}}]
    assert spoil(gold, TOOLS, 0) == [("f", {"q": 1, "r": 2})]
    assert spoil(gold, TOOLS, RIGHT) == [("g", {"q": 1, "r": 2})]
    assert spoil(gold, TOOLS, RIGHT + 1) == [("f", {"r": 2})]
    assert spoil(gold, TOOLS, RIGHT + 2) == [("f", {"q": "something else", "r": "something else"})]
    assert spoil(gold, TOOLS, RIGHT + 3) is None
