"""Each step of a selection drops what it should, says why, and leaves the rest alone."""

import copy
import json
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xxhash import xxh3_64_intdigest

import tldata
from tests.records import annotated, answers, asks, call, one_call, user, write_jsonl
from tests.select.planted import plant
from tldata.errors import DatasetError, InputError, UsageError
from tldata.lineage import lineage
from tldata.select import select
from tldata.select.contamination import _Index
from tldata.select.evaluation import questions_of

LONG = (
    "Please tell me what the weather in {} will be like over the coming three days, because we want to go hiking there"
)


def forecast(city: str, days: int = 3, *, query: str = LONG, feedback: str = "21C") -> dict:
    return one_call("forecast", {"city": city, "days": days}, feedback, query=query.format(city))


def why(path) -> dict[str, tuple]:
    rows = tldata.open(path).sql("FROM dropped").to_pylist()
    return {row["trajectory_id"]: (row["step"], row["reason"], row["match"]) for row in rows}


def ids(path) -> list[str]:
    return tldata.open(path).sql("SELECT trajectory_id FROM trajectories ORDER BY 1")["trajectory_id"].to_pylist()


def test_all_that_was_planted_is_found_and_nothing_else(tmp_path):
    check_planted(tmp_path, plant(300, 25))


@pytest.mark.slow
def test_all_that_was_planted_among_five_thousand_is_found_and_nothing_else(tmp_path):
    check_planted(tmp_path, plant(4200, 250))


def check_planted(folder, planted) -> None:
    """Recall and precision are 1, as docs/curating.md says, and no family is on two sides of a split."""
    data = annotated(folder, planted.records, prefixes="keep")
    questions = folder / "questions.txt"
    questions.write_text("\n".join(planted.questions), encoding="utf-8")
    made = data.select(folder / "out", dedup="near", decontaminate=questions)
    found = why(made.path)
    dropped = [found.get(f"raw:{number}", (None,))[0] for number in range(1, len(planted.records) + 1)]
    contaminated = [kind == "decontaminate" for kind in planted.kinds]
    assert [step == "decontaminate" for step in dropped] == contaminated
    sizes = Counter(family for family, bad in zip(planted.families, contaminated, strict=True) if not bad)
    left = Counter(family for family, step in zip(planted.families, dropped, strict=True) if step is None)
    too_many = {family: left[family] for family in sizes if left[family] > 1}
    gone = [family for family in sizes if left[family] == 0]
    assert too_many == {}, "planted copies are still in"
    assert gone == [], "clean ones went"
    assert made.n_trajectories == sum(left.values())
    split = data.select(folder / "split", split="train=0.6,validation=0.2,test=0.2", split_by="query")
    rows = tldata.open(split.path).sql("SELECT trajectory_id, split FROM trajectories").to_pylist()
    sides: dict[int, set[str]] = {}
    for row in rows:
        sides.setdefault(planted.families[int(row["trajectory_id"].removeprefix("raw:")) - 1], set()).add(row["split"])
    assert {family: found for family, found in sides.items() if len(found) > 1} == {}
    assert len(rows) == len(planted.records) and set().union(*sides.values()) == {"train", "validation", "test"}


def test_exact_duplicates_and_beginnings_alone(tmp_path):
    planted = plant(200, 20, seed=1)
    data = annotated(tmp_path, planted.records, prefixes="keep")
    dropped = [step for step, _, _ in why(data.select(tmp_path / "out", dedup="exact").path).values()]
    wanted = len({json.dumps(without_ids(r)) for r in planted.records})
    assert dropped.count("exact") == len(planted.records) - wanted == 20
    assert dropped.count("prefix") == 20


def without_ids(record: dict) -> dict:
    """A record without call ids, which are no content."""
    if isinstance(record, dict):
        return {key: without_ids(value) for key, value in record.items() if key not in ("id", "tool_call_id")}
    return [without_ids(item) for item in record] if isinstance(record, list) else record


def test_a_condition_keeps_what_it_holds_for_and_null_is_not_enough(tmp_path):
    records = [forecast("Rome"), forecast("Oslo", feedback='{"error": "city not found"}'), forecast("Bern")]
    data = annotated(tmp_path, records)
    made = data.select(tmp_path / "out", where="n_errors = 0 AND trajectory_id <> 'raw:3'")
    assert ids(made.path) == ["raw:1"]
    assert why(made.path)["raw:2"] == ("where", "the condition does not hold", None)
    assert data.select(tmp_path / "none", where="reward > 0").n_trajectories == 0


def test_a_condition_may_ask_the_other_tables(tmp_path):
    data = annotated(tmp_path, [forecast("Rome"), one_call("timezone", {"city": "Rome"}, "CET")])
    condition = "trajectory_id IN (SELECT trajectory_id FROM calls WHERE tool_name = 'timezone')"
    assert ids(data.select(tmp_path / "out", where=condition).path) == ["raw:2"]


@pytest.mark.parametrize(
    ("condition", "says"),
    [
        ("n_eror = 0", "columns: trajectory_id, source"),
        ("tool_name = 'x'", "SELECT trajectory_id FROM calls WHERE tool_name"),
        ("true) GROUP BY (source", "one expression"),
        ("", "condition"),
        ("true; DROP TABLE x", "condition"),
        ("query IN (SELECT content FROM read_text('/etc/passwd'))", "does not run"),
    ],
)
def test_a_condition_that_cannot_be_is_a_usage_error_that_helps(tmp_path, condition, says):
    data = annotated(tmp_path, [forecast("Rome")])
    with pytest.raises(UsageError) as error:
        data.select(tmp_path / "out", where=condition)
    assert says in str(error.value)
    assert not (tmp_path / "out").exists() and not list(tmp_path.glob(".out*"))


def test_the_kept_one_of_near_duplicates_has_the_fewest_errors_then_the_most_messages_then_the_first_id(tmp_path):
    longer = forecast("Rome")
    longer["messages"] += [user("Thanks"), {"role": "assistant", "content": "Welcome."}]
    failed = forecast("Rome", feedback='{"error": "city not found"}')
    failed["messages"] += [user("Thanks"), {"role": "assistant", "content": "Welcome."}]
    plain, other = forecast("Rome"), forecast("Rome", query=LONG + ".")
    other["messages"][-1]["content"] = "It is done."
    data = annotated(tmp_path, [failed, other, plain, longer, forecast("Oslo")], prefixes="keep")
    made = data.select(tmp_path / "near", dedup="near", threshold=0.75)
    assert ids(made.path) == ["raw:4", "raw:5"]
    found = why(made.path)
    assert found["raw:3"][::2] == ("prefix", "raw:4")
    assert {found[i][::2] for i in ("raw:1", "raw:2")} == {("near", "raw:4")}


def test_no_calls_means_that_the_answers_are_compared(tmp_path):
    def chat(answer: str) -> dict:
        return {"messages": [user("Hello there, my friend"), {"role": "assistant", "content": answer}]}

    records = [chat("The moon is made of rock."), chat("I like trains a lot."), chat("The moon is made of rock!")]
    made = annotated(tmp_path, records).select(tmp_path / "out", dedup="near")
    assert ids(made.path) == ["raw:1", "raw:2"]


def test_every_near_duplicate_that_goes_is_alike_to_one_that_stays(tmp_path):
    """A chain in which each is like the next: the ends are not alike, so that two stay."""
    words = [f"word{i}" for i in range(40)]
    records = []
    for step in range(4):
        text = " ".join(words[2 * step : 2 * step + 30])
        records.append({"messages": [user(text), {"role": "assistant", "content": "Yes, of course."}]})
    made = annotated(tmp_path, records).select(tmp_path / "out", dedup="near", threshold=0.85)
    # 59 features each; neighbours share 28 words and 27 pairs: 55 of 63, 87%; next but one 51 of 67, 76%.
    assert ids(made.path) == ["raw:1", "raw:3"]
    assert {i: match for i, (_, _, match) in why(made.path).items()} == {"raw:2": "raw:1", "raw:4": "raw:3"}


def test_an_evaluation_question_is_found_in_any_user_message(tmp_path):
    records = [forecast("Rome"), forecast("Bern"), forecast("Oslo")]
    records[1]["messages"] += [user("By the way: who, in 1492, sailed across the ocean blue?!")]
    records[2]["messages"] += [user("Say hi\nBegin!\n")]  # as ToolBench and RoTBench end a question
    questions = write_jsonl(tmp_path / "eval.jsonl", [{"query": "Who in 1492 sailed across the ocean blue"}, "say HI."])
    made = annotated(tmp_path, records).select(tmp_path / "out", decontaminate=[questions])
    found = why(made.path)
    # 8 words give 4 runs of 5; "say hi" has fewer than 5 words: it is compared as a whole message.
    assert found["raw:2"] == ("decontaminate", "4 of 4 runs of 5 words of an evaluation question", "eval:1")
    assert found["raw:3"] == ("decontaminate", "an evaluation question", "eval:2")
    assert ids(made.path) == ["raw:1"]


def test_an_evaluation_set_without_questions_is_an_error(tmp_path):
    data = annotated(tmp_path, [forecast("Rome")])
    for content in ([{"scores": [1, 2]}], [{"function": [{"name": "query", "description": "question"}]}]):
        with pytest.raises(InputError, match="no questions"):
            data.select(tmp_path / "out", decontaminate=write_jsonl(tmp_path / "eval.jsonl", content))
    with pytest.raises(InputError, match="no such file"):
        data.select(tmp_path / "out", decontaminate=tmp_path / "missing.json")


def test_the_questions_of_the_benchmarks_are_read(tmp_path, shared):
    from tldata.select.evaluation import read_questions

    texts, places = read_questions([shared / "rotbench" / "first_turn" / "clean.json"])
    assert (
        len(texts) == 105 and texts[0] == "What is the translation of the English phrase 'See you later' in Japanese?"
    )
    texts, places = read_questions([shared / "bfcl" / "simple_python.jsonl"])
    assert texts[0].startswith("Find the area of a triangle") and len(texts) == len(set(places))
    texts, _ = read_questions([shared / "toolalpaca" / "eval_real.json"])
    assert "Can you check if today is a public holiday in China?" in texts
    texts, _ = read_questions([shared / "tooleyes" / "scenario_data_raw.json"])
    assert len(texts) == 382


def test_a_sample_is_decided_by_seed_and_ids_and_not_by_the_order_of_rows(tmp_path):
    records = [forecast(f"City{i}") for i in range(40)]
    data = annotated(tmp_path, records)
    one = ids(data.select(tmp_path / "one", sample=10).path)
    assert len(one) == 10 and ids(data.select(tmp_path / "two", sample=10).path) == one
    assert ids(data.select(tmp_path / "three", sample=10, seed=1).path) != one
    # The ten smallest XXH3 values of "0\0sample\0raw:<i>", on whatever machine.
    order = sorted(range(1, 41), key=lambda i: xxh3_64_intdigest(f"0\0sample\0raw:{i}".encode()))
    assert one == sorted(f"raw:{i}" for i in order[:10])
    made = data.select(tmp_path / "all", sample=100)
    assert made.n_trajectories == 40 and made.notes == ["40 trajectories are fewer than the 100 asked for"]


def test_balancing_takes_as_many_of_each_as_there_are(tmp_path):
    records = [forecast(f"City{i}") for i in range(9)] + [one_call("timezone", {"city": c}, "CET") for c in "ab"]
    data = annotated(tmp_path, records)

    def tools(**options) -> dict[str, int]:
        made = data.select(tmp_path / "out", balance="tool", overwrite=True, **options)
        return {row["tool_name"]: row["n"] for row in tldata.open(made.path).sql(
            "SELECT tool_name, count(*) AS n FROM calls GROUP BY 1").to_pylist()}  # fmt: skip

    assert tools() == {"forecast": 2, "timezone": 2}
    assert tools(sample=5) == {"forecast": 3, "timezone": 2}
    assert tools(at_most=1) == {"forecast": 1, "timezone": 1}
    made = data.select(tmp_path / "shares", stratify="tool", sample=6)
    # 9 of 11 and 2 of 11 of 6: 4.9 and 1.1
    assert made.steps[-1]["details"] == {"forecast": 5, "timezone": 1}


def test_a_trajectory_of_several_tools_counts_for_the_rarest(tmp_path):
    both = forecast("Rome")
    both["messages"][3:] = [asks(call("timezone", {"city": "Rome"}, "c2")), answers("CET", "c2")]
    data = annotated(tmp_path, [forecast("Bern"), forecast("Oslo"), both])
    made = data.select(tmp_path / "out", balance="tool")
    assert "raw:3" in ids(made.path) and made.steps[-1]["details"] == {"forecast": 1, "timezone": 1}
    with pytest.raises(UsageError, match="no column 'tol'"):
        data.select(tmp_path / "other", balance="tol")


def test_the_new_dataset_says_where_it_comes_from_and_what_went(tmp_path):
    data = annotated(tmp_path, [forecast(f"City{i}") for i in range(5)])
    made = data.select(tmp_path / "out", where="trajectory_id <> 'raw:2'", sample=3, dropped=tmp_path / "rest.jsonl")
    new = tldata.open(made.path)
    assert new.manifest["parents"] == [{"path": str(data.path), "digest": data.manifest["digest"]}]
    assert new.manifest["select"]["options"]["where"] == "trajectory_id <> 'raw:2'"
    steps = [(s["step"], s["before"], s["dropped"], s["left"]) for s in new.manifest["select"]["steps"]]
    assert steps == [("where", 5, 1, 4), ("sample", 4, 1, 3)]
    counts = new.manifest["counts"]
    assert counts["n_inputs"] == 5 == counts["n_sources"] + counts["n_skipped"] and counts["n_skipped"] == 2
    assert new.manifest["skipped"] == {"where": 1, "sample": 1} and new.manifest["history"][-1]["step"] == "select"
    assert lineage(new, verify=True).ok
    rest = [json.loads(line) for line in (tmp_path / "rest.jsonl").read_text().splitlines()]
    assert len(rest) == 2 and rest[0] == forecast("City1")
    again = data.select(tmp_path / "again", where="trajectory_id <> 'raw:2'", sample=3, dropped=tmp_path / "rest")
    assert tldata.open(again.path).manifest["digest"] == new.manifest["digest"]
    assert sorted(ids(tmp_path / "rest") + ids(tmp_path / "again")) == [f"raw:{i}" for i in range(1, 6)]


def test_a_dataset_that_is_in_the_way_is_refused(tmp_path):
    data = annotated(tmp_path, [forecast("Rome")])
    data.select(tmp_path / "out")
    with pytest.raises(DatasetError, match="finished"):
        data.select(tmp_path / "out")
    data.select(tmp_path / "out", overwrite=True)
    with pytest.raises(UsageError, match="beside the one that it reads"):
        data.select(data.path, overwrite=True)


@pytest.mark.parametrize(
    "options",
    [
        {"dedup": "fuzzy"},
        {"balance": "tool", "stratify": "tool", "sample": 3},
        {"stratify": "tool"},
        {"at_most": 3},
        {"sample": 0},
        {"threshold": 0},
        {"dropped": "rest.csv"},
        {"overlap": 1.5},
        {"split": "train=0.5,test=0.4"},
        {"split": "train"},
        {"split": "train=1/0"},
        {"split": "a/b=1"},
        {"split": "train=0.5,train=0.5"},
        {"split": "train=0.5,test=0.5", "split_by": "moon"},
    ],
)
def test_options_that_do_not_go_together_are_usage_errors(tmp_path, options):
    data = annotated(tmp_path, [forecast("Rome")])
    with pytest.raises(UsageError):
        select(data.path, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_tables_that_somebody_rewrote_are_selected_from_too(tmp_path):
    import pyarrow.parquet as pq

    data = annotated(tmp_path, [forecast(f"City{i}") for i in range(6)] + [forecast("City1")], prefixes="keep")
    for table in ("messages", "trajectories"):
        part = next((data.path / table).glob("*.parquet"))
        rows = pq.read_table(part)
        order = pa.array(range(rows.num_rows - 1, -1, -1)) if table == "messages" else pa.array([3, 4, 0, 6, 5, 2, 1])
        rows = rows.take(order)
        part.unlink()
        pq.write_table(rows.slice(0, 3), part.with_name("a.parquet"))
        pq.write_table(rows.slice(3), part.with_name("b.parquet"))
    made = data.select(tmp_path / "out", dedup="near", where="trajectory_id <> 'raw:1'")
    assert ids(made.path) == [f"raw:{i}" for i in range(2, 7)]
    assert why(made.path)["raw:7"][::2] == ("exact", "raw:2")


def test_a_copy_does_not_change_with_what_it_was_copied_from(tmp_path):
    records = [forecast("Rome"), forecast("Oslo")]
    data = annotated(tmp_path, copy.deepcopy(records))
    made = data.select(tmp_path / "out", dedup="exact")
    annotated(tmp_path, records[:1], overwrite=True)
    assert ids(made.path) == ["raw:1", "raw:2"]


def test_tables_written_with_other_string_types_and_without_hashes_are_read(tmp_path):
    import polars

    data = annotated(tmp_path, [forecast("Rome"), forecast("Oslo"), forecast("Rome")])
    for table in ("messages", "trajectories"):
        part = next((data.path / table).glob("*.parquet"))
        frame = polars.read_parquet(part)
        if table == "trajectories":
            frame = frame.with_columns(content_hash=polars.lit(None, polars.String))
        frame.write_parquet(part)
    made = data.select(tmp_path / "out", dedup="exact", split="a=0.5,b=0.5", split_by="trajectory")
    assert made.n_trajectories == 3  # no hash: nothing says that they are equal
    assert data.select(tmp_path / "near", dedup="near").n_trajectories == 2


@settings(max_examples=40)
@given(st.data())
def test_contamination_agrees_with_counting_runs_by_hand(data):
    words = st.lists(st.sampled_from(["a", "b", "c", "d", "e"]), max_size=14).map(" ".join)
    questions = data.draw(st.lists(words.filter(bool), min_size=1, max_size=8))
    texts = data.draw(st.lists(words, min_size=1, max_size=6))
    overlap = data.draw(st.sampled_from([0.1, 0.5, 0.7, 1.0]))
    owner = np.array(sorted(data.draw(st.lists(st.integers(0, 3), min_size=len(texts), max_size=len(texts)))), np.int64)

    def runs(text: str) -> set:
        found = text.split()
        return {tuple(found[i : i + 3]) for i in range(len(found) - 2)}

    wanted = {}
    for row in set(owner.tolist()):
        own = [text for text, of in zip(texts, owner.tolist(), strict=True) if of == row]
        held = set().union(*map(runs, own))
        scores = []
        for place, question in enumerate(questions):
            shared = len(runs(question) & held)
            if runs(question) and shared >= overlap * len(runs(question)) - 1e-9 and shared:
                scores.append((-shared, place))
            elif not runs(question) and question in own:
                scores.append((0, place))
        if scores:
            wanted[row] = min(scores)
    row, question, shared = _Index(questions, 3, overlap).find(pa.array(texts, pa.string()), owner)
    found = {r: (-s, q) for r, q, s in zip(row.tolist(), question.tolist(), shared.tolist(), strict=True)}
    assert found == wanted


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["query", "role", "content", "messages", "from", "value", "x"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@settings(max_examples=60)
@given(JSON)
def test_any_json_gives_texts_or_none_and_never_fails(record):
    assert all(isinstance(text, str) for text in questions_of(record))


def test_only_what_users_say_is_a_question():
    chat = [{"role": "system", "content": "s"}, {"role": "user", "content": [{"type": "text", "text": "u"}]}]
    assert list(questions_of({"messages": [*chat, {"role": "assistant", "content": "a"}]})) == ["u"]
    assert list(questions_of({"dialogue": [{"role": "User", "text": "u"}, {"role": "AI", "text": "a"}]})) == ["u"]
    assert list(questions_of({"Instructions": "['one', \"it's two\"]", "Golden_Answers": "['x']"})) == [
        "one",
        "it's two",
    ]
    assert list(questions_of({"query": "q", "tools": [{"query": "no"}], "answer": {"text": "no"}})) == ["q"]
    assert list(questions_of("plain")) == ["plain"]
