"""Asking models for real, against a local server: cells are resumed, prompts beyond the context are counted, refusals are told apart."""

import argparse
import json
from pathlib import Path

import pytest

from reproduce.ask import (
    ask_multi,
    ask_single,
    cell,
    endpoint_of,
    overlong,
    score_cell,
    score_first_calls,
    several_calls,
    tooleyes_requests,
)
from reproduce.models import load_models
from reproduce.setting import Setting
from reproduce.stand_in import last_text, says, serving
from tldata.errors import CheckError, UsageError
from tldata.evaluate.worlds import open_world

MODELS = load_models()
LLAMA, CODE, NEXUS = MODELS["LLaMA-3.1-Instruct"], MODELS["TL-CodeLLaMA-2"], MODELS["NexusRaven-2"]
TOO_LONG = {
    "status": 400,
    "says": "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens",
}


def setting(folder: Path, sample: Path, *endpoints: str) -> Setting:
    arguments = argparse.Namespace(endpoint=list(endpoints), workers=2, models=None)
    return Setting("test", arguments, False, sample, folder)


def test_a_completions_model_gets_the_rendered_prompt_and_its_stop_strings(sample, tmp_path):
    with serving(lambda body: says(' search_city(query="Rome")')) as server:
        here = setting(tmp_path, sample, server.url)
        scores = score_cell(here, CODE, "rotbench", here.need("rotbench/first_turn/clean.json"))
    body = server.log[0]
    assert body["prompt"].startswith("System: Function:\ndef search_city(") and body["prompt"].endswith("\nAssistant:")
    assert body["stop"] == ["\nOutput:", "\nUser:"] and body["temperature"] == 0 and body["max_tokens"] == 512
    assert body["model"] == "TL-CodeLLaMA-2"
    assert [row.right for row in scores.rows].count((True, True, True)) == 1, "only Rome's query asks for Rome"


def test_a_chat_model_gets_messages_and_tools_and_its_text_is_read_in_its_format(sample, tmp_path):
    with serving(lambda body: says('{"name": "search_city", "parameters": {"query": "Oslo"}}')) as server:
        here = setting(tmp_path, sample, server.url)
        scores = score_cell(here, LLAMA, "rotbench", here.need("rotbench/first_turn/clean.json"))
    body = server.log[0]
    assert [message["role"] for message in body["messages"]] == ["user"], "the benchmark's own system text stays out"
    assert len(body["tools"]) == 5 and body["tool_choice"] == "none"
    assert scores.summary()["right"] == {"TS": 12, "PI": 12, "CF": 1}


def test_prompts_beyond_the_context_are_counted_as_wrong_and_never_cut(sample, tmp_path):
    def answer(body):
        return TOO_LONG if "Rome" in last_text(body) else says(' search_city(query="Oslo")')

    with serving(answer) as server:
        here = setting(tmp_path, sample, server.url)
        scores = score_cell(here, CODE, "rotbench", here.need("rotbench/first_turn/clean.json"))
    assert scores.summary()["n"] == 12 and scores.summary()["right"]["TS"] == 11
    assert overlong(cell(here, CODE, "rotbench")) == 1


def test_by_the_first_call_a_gold_of_several_calls_can_be_met_by_one(sample, tmp_path):
    files = [sample / "bfcl/exec_parallel.jsonl"]
    assert several_calls("bfcl", files) == (12, 12) and several_calls("bfcl", [sample / "bfcl/exec_simple.jsonl"]) == (
        0,
        12,
    )
    with serving(
        lambda body: says(" current_weather(city_id=7)")
    ) as server:  # right for Rome alone, and only its first call
        here = setting(tmp_path, sample, server.url)
        assert score_cell(here, CODE, "bfcl", files).summary()["right"] == {"TS": 0, "PI": 0, "CF": 0}
        found = score_first_calls(CODE, "bfcl", files, cell(here, CODE, "bfcl"))
    assert found.summary()["right"] == {"TS": 12, "PI": 12, "CF": 1}


def test_by_the_first_call_an_answer_that_cannot_be_read_stays_wrong(sample, tmp_path):
    files = [sample / "bfcl/exec_simple.jsonl"]
    with serving(lambda body: says(" current_weather(city_id=")) as server:
        here = setting(tmp_path, sample, server.url)
        path = ask_single(here, CODE, "bfcl", files)
        assert score_first_calls(CODE, "bfcl", files, path).summary()["right"]["TS"] == 0


def test_another_refusal_leaves_the_cell_open_and_the_next_run_asks_only_what_is_missing(sample, tmp_path):
    refused = {"status": 400, "says": "no such parameter"}
    state = {"well": False}

    def answer(body):
        return refused if "Rome" in last_text(body) and not state["well"] else says(" finish(answer='x')")

    with serving(answer) as server:
        here = setting(tmp_path, sample, server.url)
        files = here.need("rotbench/first_turn/clean.json")
        with pytest.raises(CheckError, match="1 of 12 have no answer") as error:
            ask_single(here, CODE, "rotbench", files)
        assert "no such parameter" in error.value.message
        state["well"] = True
        server.log.clear()
        path = ask_single(here, CODE, "rotbench", files)
        assert len(server.log) == 1 and len(path.read_text().splitlines()) == 12
        ask_single(here, CODE, "rotbench", files)
        assert len(server.log) == 1, "a complete cell is not asked again"
    assert "there already" in here.said[-1]


def test_a_chat_model_that_calls_in_text_acts_in_the_world_of_tools(sample, tmp_path):
    def answer(body):
        if body["messages"][-1]["role"] == "user":
            return says('{"name": "search_city", "parameters": {"query": "Rome"}}')
        return says('{"name": "finish", "parameters": {"answer": "warm"}}')

    here_requests = tooleyes_requests(sample / "tooleyes/scenario_data_zero_processed.json")
    assert all(m["role"] != "system" for request in here_requests for m in request.messages)
    world = open_world(str(sample / "tooleyes/Tool_Library"))
    try:
        with serving(answer) as server:
            here = setting(tmp_path, sample, server.url)
            path = ask_multi(here, LLAMA, here_requests[:2], world, "tooleyes")
    finally:
        world.close()
    trajectory = json.loads(path.read_text().splitlines()[0])
    roles = [message["role"] for message in trajectory["messages"]]
    assert roles == ["user", "assistant", "tool", "assistant"]
    assert json.loads(trajectory["messages"][2]["content"]) == {"id": 7}
    assert trajectory["metadata"]["ending"] == "finished"
    sent = server.log[1]["messages"] if server.log[1]["messages"][-1]["role"] == "tool" else server.log[-1]["messages"]
    assert sent[1]["tool_calls"][0]["function"]["name"] == "search_city", "the server's template renders the call"


def test_a_conversation_that_grows_beyond_the_context_is_kept_and_no_valid_answer(sample, tmp_path):
    def answer(body):
        return TOO_LONG if "Output:" in body["prompt"] else says(' search_city(query="Rome")')

    world = open_world(str(sample / "tooleyes/Tool_Library"))
    try:
        with serving(answer) as server:
            here = setting(tmp_path, sample, server.url)
            requests = tooleyes_requests(sample / "tooleyes/scenario_data_zero_processed.json")[:3]
            path = ask_multi(here, CODE, requests, world, "tooleyes")
    finally:
        world.close()
    assert overlong(path) == 3
    last = [json.loads(line)["messages"][-1] for line in path.read_text().splitlines()]
    assert all(message["role"] == "assistant" and not message["content"] for message in last)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], "http://localhost:8002/v1"),
        (["http://a/v1"], "http://a/v1"),
        (["NexusRaven-2=http://b/v1", "http://a/v1"], "http://b/v1"),
        (["ToolLLaMA-2=http://b/v1"], "http://localhost:8002/v1"),
    ],
)
def test_an_endpoint_is_the_models_own_then_the_common_one_then_its_port(given, expected, sample, tmp_path):
    assert endpoint_of(setting(tmp_path, sample, *given), NEXUS) == expected


def test_an_endpoint_that_is_none_is_refused(sample, tmp_path):
    with pytest.raises(UsageError, match="neither a URL"):
        endpoint_of(setting(tmp_path, sample, "localhost"), NEXUS)


def test_closed_models_that_were_shut_down_are_not_asked(sample, tmp_path):
    here = setting(tmp_path, sample)
    with pytest.raises(UsageError, match="cannot be measured again"):
        ask_single(here, MODELS["GPT-4-turbo"], "rotbench", here.need("rotbench/first_turn/clean.json"))


def test_closed_models_need_a_key(sample, tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    here = setting(tmp_path, sample)
    with pytest.raises(UsageError, match="needs a key"):
        ask_single(here, MODELS["GPT-4o"], "rotbench", here.need("rotbench/first_turn/clean.json"))
