"""Expectations and comparisons: limits by hand, files that say nonsense, differences beyond chance and those within it."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tldata
from tests.records import FORECAST, annotated, one_call, write_jsonl
from tldata.dataset import Dataset
from tldata.dataset_diff import Share, diff, newcombe, shares
from tldata.errors import UsageError
from tldata.expect import check, freeze, junit, read_expectations, write_expectations


def made(folder, n, n_bad, *, tool="forecast", tools=None, error="city not found", name="raw"):
    """A dataset of n one-call trajectories, the first n_bad of which fail."""
    folder.mkdir(exist_ok=True)
    records = [
        one_call(
            tool, {"city": f"C{i}"}, json.dumps({"error": f"{error}: C{i}"}) if i < n_bad else "21C", query=f"Q{i}"
        )
        for i in range(n)
    ]
    for record in records:
        record["tools"] = tools or [FORECAST]
    return Dataset(tldata.annotate(write_jsonl(folder / f"{name}.jsonl", records)).path)


def failed(found):
    return {one.name: (one.found, one.expected) for one in found if not one.ok}


def test_limits_nulls_and_queries_are_met_or_named(tmp_path):
    data = made(tmp_path / "a", 10, 3)
    expected = {
        "limits": {"error_share": {"max": 0.3}, "n_trajectories": {"min": 11}, "reject_share": {"max": 0}},
        "categories": {"tool_hallucination": {"max": 0}, "all_right": {"min": 0.8}},
        "nulls": {"calls.feedback": {"max": 0}, "trajectories.model": {"max": 0.5}},
        "query": [{"name": "none is C9", "sql": "FROM calls WHERE arguments LIKE '%C9%'"}],
    }
    assert failed(check(data, expected)) == {
        "limits.n_trajectories": ("10", "at least 11"),
        "categories.all_right": ("0.7", "at least 0.8"),
        "nulls.trajectories.model": ("1", "at most 0.5"),
        "query.none is C9": ("1 rows", "no rows"),
    }
    assert [one.name for one in check(data)] == [f"checks.{name}" for name in data.manifest["checks"]]


def test_a_frozen_file_is_met_by_its_own_dataset_and_by_its_like_and_not_by_another(tmp_path):
    data = made(tmp_path / "a", 200, 40)
    for name in ("e.toml", "e.json"):
        write_expectations(freeze(data), tmp_path / name)
        expected = read_expectations(tmp_path / name)
        assert failed(check(data, expected)) == {}
        assert failed(check(made(tmp_path / f"b{name}", 200, 50), expected)) == {}
        assert set(failed(check(made(tmp_path / f"c{name}", 200, 110), expected))) >= {"limits.error_share"}
        other = {
            **FORECAST,
            "function": {
                **FORECAST["function"],
                "parameters": {"type": "object", "properties": {"city": {"type": "integer"}}},
            },
        }
        new = {"type": "function", "function": {"name": "zoo", "parameters": {"type": "object", "properties": {}}}}
        found = failed(check(made(tmp_path / f"d{name}", 200, 40, tools=[other, new]), expected))
        assert found["tools.new"][0] == "zoo" and found["tools.changed"][0] == "forecast"
    with pytest.raises(UsageError, match="exists"):
        write_expectations(freeze(data), tmp_path / "e.toml")
    assert "tools.new" in failed(check(made(tmp_path / "x", 5, 0, tools=[FORECAST, new]), reference=data))


@given(st.dictionaries(st.text(max_size=20), st.lists(st.text("abc0", max_size=5), max_size=2), max_size=4))
def test_names_of_tools_survive_the_file(tmp_path_factory, schemas):
    frozen = {"limits": {}, "categories": {}, "tools": {"new": False, "changed": False, "schemas": schemas}}
    folder = tmp_path_factory.mktemp("names")
    for name in ("e.toml", "e.json"):
        write_expectations(frozen, folder / name)
        assert read_expectations(folder / name)["tools"]["schemas"] == schemas


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("limits = 3", "limits is no table"),
        ("[limits]\nerrors = { max = 1 }", "unknown key limits.errors"),
        ("[limits]\nerror_share = 0.1", "a table of min, max or both"),
        ("[limits]\nerror_share = { max = 'x' }", "a table of min, max or both"),
        ("[limits]\nerror_share = { max = true }", "a table of min, max or both"),
        ("[nulls]\nfeedback = { max = 0 }", "a table and its column"),
        ("[tools]\nnew = 3", "true"),
        ("[tools.schemas]\nx = 3", "a list of digests"),
        ("[[query]]\nname = 'x'", "rows with name and sql"),
        ("surprise = 1", "unknown key surprise"),
        ("[limits", "cannot be read"),
    ],
)
def test_files_that_say_nonsense_are_refused_with_the_place(tmp_path, text, message):
    (tmp_path / "e.toml").write_text(text)
    with pytest.raises(UsageError, match=message):
        read_expectations(tmp_path / "e.toml")


def test_columns_and_queries_that_do_not_exist_are_named(tmp_path):
    data = made(tmp_path / "a", 2, 0)
    for expected in ({"nulls": {"calls.nope": {"max": 0}}}, {"query": [{"name": "x", "sql": "FROM nowhere"}]}):
        with pytest.raises(UsageError, match=r"nope|nowhere"):
            check(data, expected)


def test_junit_is_xml_whatever_stands_in_it(tmp_path):
    data = made(tmp_path / "a", 3, 3)
    found = check(data, {"query": [{"name": 'a "<&\x00 b', "sql": "FROM calls"}]})
    root = ET.fromstring(junit(found, "x\x1b<y>"))
    assert root.attrib["failures"] == "1" and root[-1][0].attrib["message"] == "found 3 rows, expected no rows"


def test_shares_and_their_effective_numbers_are_those_worked_by_hand(tmp_path):
    data = made(tmp_path / "a", 10, 4)
    found = shares(data)
    assert (found["error", "any error"].k, found["error", "any error"].n, found["error", "any error"].m) == (4, 10, 10)
    # one call a trajectory: variance 10/9 * 2.4/100 against 0.24/10, a design effect of 1.11
    assert found["error", "any error"].n_effective == pytest.approx(9.0)
    assert found["tool", "forecast"] == found["error", "any error"]
    assert found["use", "forecast"].share == 1.0
    assert newcombe(Share(), Share(k=1, n=2)) is None


def test_a_difference_beyond_chance_has_a_sign_and_one_within_has_none(tmp_path):
    a = made(tmp_path / "a", 100, 20)
    b = made(tmp_path / "b", 100, 24)
    c = made(tmp_path / "c", 100, 60, tool="forecast", error="the server is on fire", tools=[FORECAST, {"name": "zoo"}])
    within = {one.name: one.sign for one in diff(a, b).shares if one.kind == "error"}
    assert within == {"any error": ""}
    found = diff(a, c)
    assert {(one.kind, one.name): one.sign for one in found.shares}["error", "any error"] == "+"
    assert {(one.kind, one.name): one.sign for one in diff(c, a).shares}["error", "any error"] == "-"
    assert (found.new_tools, found.vanished_tools, found.changed_schemas) == (["zoo"], [], [])
    assert [one.template for one in found.new_templates if one.kind == "message"] == ["the server is on fire: <*>"]
    assert diff(a, a).same and not [one for one in diff(a, a).shares if one.sign]
    assert diff(a, a).new_templates == []


def test_calls_of_one_trajectory_do_not_pass_for_independent():
    # 10 trajectories of 10 calls; all calls of 5 fail: as good as 9 independent calls, not 100
    clustered = Share(k=50, n=100, kk=500, kn=500, nn=1000, m=10)
    assert clustered.n_effective == pytest.approx(9.0)
    plain = Share(k=50, n=100, kk=50, kn=50, nn=100, m=100)
    assert plain.n_effective == pytest.approx(99.0)


def test_the_commands_print_and_exit_as_promised(tmp_path):
    a, b = made(tmp_path / "a", 20, 2), made(tmp_path / "b", 20, 18)

    def run(*args):
        command = [sys.executable, "-m", "tldata.cli", *map(str, args)]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)

    assert run("check", a.path, "--write-expect", "e.toml").returncode == 0
    done = run("check", b.path, "--expect", "e.toml", "--junit", "j.xml", "--json")
    assert done.returncode == 1 and json.loads(done.stdout)["ok"] is False
    assert ET.parse(tmp_path / "j.xml").getroot().attrib["name"] == "tldata check"
    done = run("diff", a.path, b.path)
    assert done.returncode == 0 and "any error" in done.stdout and "+" in done.stdout
    assert json.loads(run("diff", a.path, b.path, "--json").stdout)["shares"][0]["a"]["k"] == 2
    done = run("log", a.path, "--verify", "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["ok"] is True
    annotated(tmp_path, [one_call("forecast", {"city": "Rome"}, "21C")])
    assert run("check", tmp_path / "raw.tldata", "--expect", "none.toml").returncode == 2
