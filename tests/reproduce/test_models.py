"""models.toml and data.toml say what the issue of reproducing needs, and the commands that serve models follow from them."""

import gzip
import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from reproduce.data import Entry, fetch, load_entries, need, state
from reproduce.models import CHAT, COMPLETIONS, choose, decoding, load_models
from reproduce.serve import command
from tldata.errors import InputError, UsageError
from tldata.evaluate.paper import load, paper_table
from tldata.templates import NAMES

MODELS = load_models()


def test_every_row_of_the_papers_tables_is_a_model():
    for table in ("table3", "table4"):
        assert set(paper_table(table).values) == {name for name, model in MODELS.items() if table in model.tables}
    assert {row["name"] for row in load("table1")["row"]} == {m.name for m in choose(None, "table1")}


def test_the_prompts_that_a_chat_endpoint_would_wrap_again_go_to_completions():
    raw = {name for name, model in MODELS.items() if model.api == COMPLETIONS and "table3" in model.tables}
    assert raw == {"ToolLLaMA-2", "NexusRaven-2", "TL-CodeLLaMA-2"}


def test_each_model_has_what_is_needed_to_ask_it():
    for model in MODELS.values():
        assert model.template in NAMES or model.name == "CodeLLaMA-2"
        assert model.api in (CHAT, COMPLETIONS) and model.context >= 4096 and model.tables
        assert model.hub or model.closed or model.note, f"{model.name}: neither weights nor a word on them"
        assert not model.closed or model.shut_down
        if model.api == COMPLETIONS and model.template:
            assert model.stop, f"{model.name}: a raw prompt needs what ends an answer"
        if model.single_turn:
            assert "table4" not in model.tables


def test_only_nexusraven_takes_a_single_turn_and_only_llama_is_gated():
    assert [m.name for m in MODELS.values() if m.single_turn and m.template] == ["NexusRaven-2"]
    assert [m.name for m in MODELS.values() if m.gated] == ["LLaMA-3.1-Instruct"]


def test_a_pinned_revision_is_a_commit_and_reaches_the_command_that_serves_the_model(tmp_path):
    pinned = [model for model in MODELS.values() if model.revision]
    assert pinned
    for model in pinned:
        assert len(model.revision) == 40 and int(model.revision, 16)
        words = command(model, tmp_path)
        assert words[words.index("--revision") + 1] == model.revision
        assert "--revision" not in command(model, tmp_path, path="/weights")


def test_a_chat_model_is_served_with_the_chat_template_of_the_paper(tmp_path):
    words = command(MODELS["Qwen-2-Instruct"], tmp_path)
    template = words[words.index("--chat-template") + 1]
    assert "Answer the following questions as best you can" in Path(template).read_text(encoding="utf-8")
    assert "--chat-template" not in command(MODELS["ToolLLaMA-2"], tmp_path)


def test_every_model_has_a_port_of_its_own_and_is_asked_there(tmp_path):
    served = [model for model in MODELS.values() if model.hub]
    ports = [words[words.index("--port") + 1] for words in (command(model, tmp_path) for model in served)]
    assert len(set(ports)) == len(ports)
    assert [f"http://localhost:{port}/v1" for port in ports] == [model.url() for model in served]


def test_models_without_weights_are_refused_with_what_to_do(tmp_path):
    with pytest.raises(UsageError, match="closed"):
        command(MODELS["GPT-4o"], tmp_path)
    with pytest.raises(UsageError, match="no public weights") as error:
        command(MODELS["RoTLLaMA"], tmp_path)
    assert error.value.hint == "--path FOLDER"
    assert command(MODELS["RoTLLaMA"], tmp_path, path="/w")[2] == "/w"


def test_decoding_is_greedy_and_stop_strings_travel():
    assert decoding()["temperature"] == 0
    parameters = MODELS["NexusRaven-2"].parameters()
    assert parameters == {"temperature": 0, "max_tokens": 512, "stop": ["<bot_end>"]}


def test_an_unknown_model_is_an_error_that_lists_them():
    with pytest.raises(UsageError, match="no model 'GPT-9'") as error:
        choose("GPT-9", "table3")
    assert "TL-CodeLLaMA-2" in (error.value.hint or "")


def test_the_released_model_comes_first():
    assert next(iter(MODELS)) == "TL-CodeLLaMA-2" and MODELS["TL-CodeLLaMA-2"].hub == "Junjie-Ye/TL-CodeLLaMA-2"


def test_data_of_all_test_sets_has_a_source_and_a_digest():
    entries = load_entries()
    assert {entry.set for entry in entries} >= {"rotbench", "toolalpaca", "bfcl", "tooleyes", "training"}
    for entry in entries:
        assert len(entry.revision) == 40 and entry.repository.count("/") == 1 and entry.source
        assert len(entry.sha256) == 64 or entry.note, f"{entry.path}: neither a digest nor a word why not"


def test_the_digests_are_those_of_the_real_files(shared):
    # tl_training/raw_data.json there is another file, which data.toml says.
    assert {state(e, shared) for e in load_entries() if e.set in ("rotbench", "toolalpaca", "bfcl", "tooleyes")} == {
        "known"
    }


def test_a_file_is_fetched_once_and_only_when_its_digest_is_the_known_one(tmp_path):
    source = tmp_path / "there.json"
    source.write_text("[1]")
    right = hashlib.sha256(b"[1]").hexdigest()
    entry = Entry("s", "a/b.json", "o/r", "0" * 40, "x.json", sha256=right, url=source.as_uri())
    assert state(entry, tmp_path / "data") == "missing"
    assert fetch(entry, tmp_path / "data").read_text() == "[1]" and state(entry, tmp_path / "data") == "known"
    source.unlink()
    fetch(entry, tmp_path / "data")  # it is there: nothing is asked
    with pytest.raises(InputError, match="No such file") as error:
        fetch(entry, tmp_path / "other")
    assert "put the file there by hand" in (error.value.hint or "")
    source.write_text("[2]")
    with pytest.raises(InputError, match="not the known file"):
        fetch(entry, tmp_path / "other")
    assert not list((tmp_path / "other").rglob("*.json"))


def test_parts_of_a_repository_are_cloned_at_their_revision_and_joined(tmp_path):
    repository = tmp_path / "repository"
    for name in ("b", "a"):
        (repository / name).mkdir(parents=True)
        (repository / name / "x.jsonl").write_text(json.dumps(name) + "\n")

    def git(*words):
        identity = ["-c", "user.name=n", "-c", "user.email=e"]
        done = subprocess.run(
            ["git", "-C", str(repository), *identity, *words], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "m")
    revision = git("rev-parse", "HEAD")
    common = {"set": "s", "repository": "o/r", "revision": revision, "url": str(repository)}
    joined = fetch(Entry(path="j.jsonl.gz", source="*/x.jsonl", kind="join", **common), tmp_path / "data")
    assert gzip.decompress(joined.read_bytes()) == b'"a"\n"b"\n'
    cloned = fetch(Entry(path="lib", source="a", kind="clone", **common), tmp_path / "data")
    assert (cloned / "x.jsonl").is_file()


def test_missing_data_says_how_to_get_it(tmp_path):
    with pytest.raises(InputError) as error:
        need(tmp_path, ["rotbench/first_turn/clean.json"], offline=False)
    assert error.value.hint == "python -m reproduce.data fetch rotbench"
    with pytest.raises(InputError) as error:
        need(tmp_path, ["rotbench/first_turn/clean.json"], offline=True)
    assert "fetches nothing" in (error.value.hint or "")
