"""Stand-ins: one value, one stand-in; JSON stays JSON; the key is nowhere; what is not asked for stays."""

from __future__ import annotations

import json

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import tldata
from tests.scrub.planted import FORMS, Rng, clean
from tldata.cli import app
from tldata.engine import annotate
from tldata.errors import DatasetError, InputError, UsageError
from tldata.scrub import Scrubber, Scrubbing, load_key, parse_kinds
from tldata.scrub.dataset import scrub_dataset
from tldata.scrub.escapes import levels, plain, unescape
from tldata.scrub.warn import look, warning

KEY = b"sixteen bytes or more"


def scrubber(*kinds: str) -> Scrubber:
    return Scrubber(Scrubbing(KEY, parse_kinds(kinds)))


def test_a_value_has_one_stand_in_however_it_is_written_and_however_deep_it_stands():
    record = {
        "a": "Ann@Example.org",
        "b": json.dumps({"x": "line\nann@example.org", "y": json.dumps({"z": "\tann@example.org"})}),
        "c": "https://x.org/?to=ann%40example.org&n=1",
        "d": '{"mail": "ann\\u0040example.org"}',
        "ann@example.org": 1,
    }
    done = scrubber().value(record)
    stand_in = scrubber().stand_in("email", "ann@example.org")
    assert done["a"] == stand_in and json.loads(done["b"])["x"] == f"line\n{stand_in}"
    assert json.loads(json.loads(done["b"])["y"])["z"] == f"\t{stand_in}"
    assert done["c"] == f"https://x.org/?to={stand_in}&n=1" and json.loads(done["d"])["mail"] == stand_in
    assert stand_in in done


def test_phone_numbers_are_the_same_however_they_are_grouped():
    done = scrubber().text("call (555) 201-4567, +1 555-201-4567 or 555 201 4567")
    assert len({part.strip(",") for part in done.split() if part.startswith("<")}) == 1


def test_a_password_known_by_its_field_goes_wherever_it_stands_in_the_record():
    record = {
        "arguments": json.dumps({"password": 'hun"ter2x'}),
        "feedback": 'Error: hun"ter2x is wrong',
        "other": "hunter2x",
    }
    done = scrubber().value(record)
    stand_in = json.loads(done["arguments"])["password"]
    assert (
        stand_in.startswith("<secret-")
        and done["feedback"] == f"Error: {stand_in} is wrong"
        and done["other"] == "hunter2x"
    )


def test_a_number_stays_a_number_and_is_not_taken_for_one_again():
    done = scrubber().value({"phone": 5552014567, "card": 4111111111111111, "n": 1234567890})
    assert isinstance(done["phone"], int) and done["phone"] != 5552014567 and str(done["phone"]).startswith("999")
    assert isinstance(done["card"], int) and done["n"] == 1234567890
    assert scrubber().value(done) == done
    assert scrubber().text("send(phone=5552014567, x=1)") == f"send(phone={done['phone']}, x=1)"


def test_different_keys_give_different_stand_ins_and_no_key_shows_in_a_representation():
    other = Scrubber(Scrubbing(b"another key of sixteen bytes"))
    assert other.text("ann@example.org") != scrubber().text("ann@example.org")
    assert "sixteen" not in repr(Scrubbing(KEY))


def test_only_the_kinds_asked_for_are_replaced():
    text = "ann@example.org 8.8.8.8 /home/ann/x"
    assert scrubber("ip").text(text).startswith("ann@example.org <ip-")
    assert "/home/<user-" in scrubber("all").text(text)
    assert scrubber("email").text(text).endswith("8.8.8.8 /home/ann/x")
    with pytest.raises(UsageError, match="no kind 'mail'"):
        parse_kinds(["mail"])


@pytest.mark.parametrize(
    "text",
    [
        '{"next_page_token": "abcDEF123456789012", "eos_token": "</s>", "token": "USDT"}',
        "prompt_token: 1234, total_token=99999",
        "result = login(password=password); token = get_token(user)",
        '{"id": 4111111111111111, "order_id": "4111 1111 1111 1111"}'.replace(" 1111 1111 1111", "111111111111"),
        "icon@2x.png and git@github.com:owner/repository",
        "lat +37.7749295, lon -122.4194155",
        "+000 000 000 000",
    ],
)
def test_what_only_resembles_a_secret_stays(text):
    assert scrubber().text(text) == text


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.integers(0, 3), st.booleans())
def test_json_at_any_depth_stays_json_of_the_same_shape(seed, depth, ascii_only):
    rng = Rng(seed)
    value: object = {f"x {kind}s": f'a "{make(rng)}"\n\\ {clean(rng)} é' for kind, make in FORMS.items()}
    for _ in range(depth):
        value = {"deeper": json.dumps(value, ensure_ascii=ascii_only), "beside": clean(rng)}
    done = json.loads(scrubber().text(json.dumps(value, ensure_ascii=ascii_only)))
    for _ in range(depth):
        assert done["beside"] == value["beside"]
        done, value = json.loads(done["deeper"]), json.loads(value["deeper"])
    assert done.keys() == value.keys() and all(f"<{kind}-" in done[f"x {kind}s"] for kind in FORMS)
    assert all(text.startswith('a "') and text.endswith(" é") for text in done.values())


@settings(deadline=None, max_examples=100)
@given(st.text(alphabet="ab@.\\\"u0%4n1 :{}[]'/+-_", max_size=60))
def test_any_text_is_scrubbed_without_a_crash_and_a_second_time_nothing_changes(text):
    once = scrubber().text(text)
    assert scrubber().text(once) == once
    level = unescape(text)
    if level is not None:
        for place in range(len(level.text)):
            start, end = level.place(place, place + 1)
            assert plain(text[start:end]) == plain(level.text[place]) and 0 <= start < end <= len(text)


def test_many_levels_of_escapes_end():
    assert len(levels("\\" * 100_000)) <= 8


def write(path, *records):
    path.write_bytes(b"\n".join(map(orjson.dumps, records)))
    return path


def record(n: int, mail: str = "ann@example.org") -> dict:
    return {"messages": [{"role": "user", "content": f"{n} {mail}"}, {"role": "assistant", "content": "ok"}]}


def test_a_run_that_goes_on_after_a_kill_uses_the_same_key_and_a_finished_one_keeps_none(tmp_path):
    kept = tmp_path / ".x.tl.scrub-key"
    first = load_key(kept=kept)
    assert load_key(kept=kept) == first and len(first) == 32 and kept.stat().st_mode & 0o077 == 0
    raw = write(tmp_path / "x.jsonl", record(1))
    annotate(raw, tmp_path / "x.tl", scrub=True)
    said = tldata.open(tmp_path / "x.tl").sql("SELECT query FROM trajectories").to_pylist()
    assert said == [{"query": f"1 {Scrubber(Scrubbing(first)).stand_in('email', 'ann@example.org')}"}]
    assert not kept.exists()


def test_the_key_comes_from_a_file_or_the_environment_and_a_short_one_is_refused(tmp_path, monkeypatch):
    (tmp_path / "key").write_text("short\n")
    with pytest.raises(InputError, match="5 bytes can be guessed"):
        load_key(tmp_path / "key")
    with pytest.raises(InputError, match="No such file"):
        load_key(tmp_path / "none")
    monkeypatch.setenv("TLDATA_SCRUB_KEY", "of the environment")
    assert load_key() == b"of the environment"
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_options_that_do_not_go_together_are_refused(tmp_path):
    raw = write(tmp_path / "x.jsonl", record(1))
    with pytest.raises(UsageError, match="without scrubbing"):
        annotate(raw, scrub_kinds=["email"])
    with pytest.raises(UsageError, match="different keys"):
        annotate(raw, scrub=True, shard="0/2")
    annotate(raw, tmp_path / "x.tl")
    with pytest.raises(DatasetError, match="itself"):
        scrub_dataset(tmp_path / "x.tl", tmp_path / "x.tl", kinds=parse_kinds(None))


def test_merged_records_and_names_of_files_are_scrubbed_too(tmp_path):
    long = record(1)
    long["messages"] += [{"role": "user", "content": "bob@example.org"}, {"role": "assistant", "content": "ok"}]
    write(tmp_path / "ann@example.org.jsonl", record(1), long)
    annotate(tmp_path / "ann@example.org.jsonl", tmp_path / "raw.tl")
    made = scrub_dataset(tmp_path / "raw.tl", tmp_path / "a.tl", kinds=parse_kinds(None), key=_key(tmp_path))
    annotate(tmp_path / "ann@example.org.jsonl", tmp_path / "b.tl", scrub=True, scrub_key=_key(tmp_path))
    one, two = (tldata.open(tmp_path / name) for name in ("a.tl", "b.tl"))
    rows = "SELECT source_line, trajectory_id, merged_into, hash FROM merged"
    assert one.sql(rows).to_pylist() == two.sql(rows).to_pylist() != []  # the hash of a part of what replaced it
    same = "SELECT trajectory_id, query, content_hash FROM trajectories"
    assert one.sql(same).to_pylist() == two.sql(same).to_pylist()
    assert made.kinds == {"email": 3} and "ann@" not in str(one.sql("FROM trajectories").to_pylist())


def _key(folder):
    (folder / "key").write_bytes(KEY)
    return folder / "key"


def test_the_command_tells_counts_and_no_values(tmp_path):
    annotate(write(tmp_path / "x.jsonl", record(1), record(2)), tmp_path / "x.tl")
    told = CliRunner().invoke(app, ["scrub", str(tmp_path / "x.tl"), "-o", str(tmp_path / "y.tl"), "--json"])
    found = json.loads(told.output)
    assert found["kinds"] == {"email": 4} and "ann" not in told.output
    assert {"table": "messages", "column": "content", "kind": "email", "n": 2} in found["columns"]
    shown = CliRunner().invoke(app, ["scrub", str(tmp_path / "x.tl"), "-o", str(tmp_path / "z.tl"), "--kinds", "phone"])
    assert shown.exit_code == 0 and "0 places replaced in 0 trajectories" in shown.output


def test_a_warning_tells_kinds_and_numbers_of_the_part_looked_at(tmp_path):
    annotate(write(tmp_path / "x.jsonl", *(record(n) for n in range(50))), tmp_path / "x.tl")
    found, whole = look(tmp_path / "x.tl")
    assert found == {"email": 50} and whole
    assert (
        warning(found, False, "x")
        == "secrets or contact data in the part looked at: email 50 (tldata scrub x -o DIR replaces them)"
    )
    assert warning({}, True, "x") is None


def test_a_secret_glued_to_another_one_is_replaced_too():
    once = scrubber().text("session su@a.orgy4111111111111111 of the day")
    assert "4111" not in once and "su@a" not in once
    assert scrubber().text(once) == once
