"""RoTBench's prompts in the eight chat formats: one single-turn and one three-turn example of each in full, and all real ones render."""

from pathlib import Path

import pytest

from reproduce.prompts import PAPER, TURNS, rendered
from tldata.templates import get_template

GOLDEN = (
    Path(__file__).parent / "golden"
)  # `python -m reproduce.prompts --dry-run --golden tests/reproduce/golden` rewrites them


def test_the_eight_chat_formats_are_those_of_tables_6_to_13():
    assert sorted(get_template(name).table for name in PAPER) == sorted(f"Table {n}" for n in range(6, 14))


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("name", PAPER)
def test_a_prompt_is_as_in_its_golden_file(name, turn, sample):
    first = rendered(name, sample / TURNS[turn])[0]
    assert first["prompt"] == (GOLDEN / f"{name}.{turn}.txt").read_bytes().decode()


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("name", PAPER)
def test_all_real_prompts_render_with_their_query_tools_and_feedback_in_them(name, turn, shared):
    found = rendered(name, shared / TURNS[turn])
    assert len(found) == {"single": 105, "three": 70}[turn]
    for row in found:
        text = row["prompt"]
        assert text is not None
        assert "real-time queries from users" not in text, "RoTBench's own system text stays out"
        query = row["messages"][0]["content"]
        assert row["messages"][0]["role"] == "user" and query.strip() in text and not query.endswith("Begin!\n")
        if name != "openai":  # its tools travel beside the prompt
            assert all(tool["function"]["name"] in text for tool in row["tools"])
        if name == "llama-3.1":
            continue  # feedback is a JSON string there
        assert all(m["content"] in text for m in row["messages"] if m["role"] == "tool")
