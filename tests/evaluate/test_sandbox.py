"""Tools in a process apart: whatever a tool does, the call comes back in time and nothing is left of it."""

import os
import time
from pathlib import Path

import pytest

from tldata.errors import EndpointError
from tldata.evaluate.sandbox import MARK, Limits, Module, Sandbox

HOSTILE = '''
import os, sys, time, subprocess, signal, threading

counter = 0

def add(a: int, b: int = 1):
    """Add two numbers."""
    return a + b

def count():
    global counter
    counter += 1
    return counter

def forever():
    while True:
        pass

def sleeps():
    time.sleep(1000)

def allocates():
    blocks = []
    while True:
        blocks.append(bytearray(32 << 20))

def prints():
    while True:
        sys.stdout.write("garbage" * 1000)
        os.write(2, b"garbage" * 1000)

def says_a_lot():
    return "x" * 3_000_000

def half_a_character():
    return "caf\\udce9 \\u4f60"

def exits():
    sys.exit(3)

def exits_at_once():
    os._exit(7)

def kills_itself():
    os.kill(os.getpid(), signal.SIGKILL)

def kills_the_run():
    os.kill(os.getppid(), signal.SIGKILL)

def forks():
    os.fork()
    return "forked"

def forks_without_end():
    while True:
        os.fork()

def leaves_a_daemon():
    subprocess.Popen(["sleep", "1000"], start_new_session=True)
    return "left"

def swallows():
    while True:
        try:
            time.sleep(1000)
        except BaseException:
            pass

def reads_input():
    return sys.stdin.read() + "|"

def recurses():
    return recurses()

def odd():
    return {"when": object, "n": {1, 2}}

def raises():
    raise ValueError("no city called Atlantis")

def secret():
    return str(sorted(k for k in os.environ if "KEY" in k))

def writes():
    with open("big", "wb") as f:
        while True:
            f.write(bytes(1 << 20))

def _hidden():
    return 1
'''


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    path = tmp_path_factory.mktemp("tools") / "hostile.py"
    path.write_text(HOSTILE)
    return Module("hostile", path)


@pytest.fixture
def sandbox(hostile):
    with Sandbox(hostile, Limits(seconds=1.5, memory=256 << 20, output=1000)) as made:
        yield made


def marked(mark: str) -> list[str]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={mark}".encode() in (entry / "environ").read_bytes():
                found.append((entry / "cmdline").read_text())
        except OSError:
            continue
    return found


def test_functions_with_types_are_declared_and_hidden_ones_are_not(sandbox):
    tools = {tool["function"]["name"]: tool["function"] for tool in sandbox.declarations()}
    assert tools["add"] == {
        "name": "add",
        "description": "Add two numbers.",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
            "required": ["a"],
        },
    }
    assert "_hidden" not in tools and "Popen" not in tools


def test_hints_and_docstrings_become_schemas(tmp_path):
    (tmp_path / "typed.py").write_text(
        "from __future__ import annotations\nfrom typing import Annotated, Literal, Optional\n"
        "def f(a: list[int], b: Optional[str] = None, c: Literal['x', 'y'] = 'x', d: Annotated[float, 'Share.'] = 0.5,\n"
        "      e: dict[str, int] | None = None, g=1, *rest, **more):\n"
        '    """Do it.\\n\\n    More.\\n\\n    Args:\\n        a: Numbers.\\n        g (int): Which: this.\\n    """\n'
        "def broken_hint(a: NoSuchType): pass\n"
    )
    with Sandbox(Module("typed", tmp_path / "typed.py")) as sandbox:
        f, broken = (tool["function"] for tool in sandbox.declarations())
    assert f["description"] == "Do it.\n\nMore." and f["parameters"]["required"] == ["a"]
    assert f["parameters"]["properties"] == {
        "a": {"type": "array", "items": {"type": "integer"}, "description": "Numbers."},
        "b": {"type": "string"},
        "c": {"enum": ["x", "y"]},
        "d": {"type": "number", "description": "Share."},
        "e": {"type": "object"},
        "g": {"description": "Which: this."},
    }
    assert broken["parameters"]["properties"] == {"a": {}}


def test_a_result_is_text_or_json_and_state_stays_between_calls(sandbox):
    assert sandbox.call("add", {"a": 2}).text == "3"
    assert [sandbox.call("count", {}).text for _ in range(3)] == ["1", "2", "3"]
    assert sandbox.call("half_a_character", {}).text == "caf? 你"  # half a character is no text
    assert sandbox.call("odd", {}).text.startswith('{"when": "<class')
    assert sandbox.call("reads_input", {}).text == "|"


def test_what_a_tool_raises_is_told_with_its_type(sandbox):
    found = sandbox.call("raises", {})
    assert (found.text, found.failure) == ("Error: ValueError: no city called Atlantis", "exception")
    assert "missing 1 required positional argument: 'a'" in sandbox.call("add", {}).text
    assert "RecursionError" in sandbox.call("recurses", {}).text
    assert sandbox.call("exits", {}).text == "Error: SystemExit: 3"
    assert "OSError" in sandbox.call("writes", {}).text
    assert sandbox.call("add", {"a": 1}).text == "2"


@pytest.mark.parametrize("name", ["forever", "sleeps", "prints", "swallows"])
def test_a_tool_that_never_returns_is_ended_in_time(sandbox, name):
    sandbox.declarations()
    begun = time.monotonic()
    found = sandbox.call(name, {})
    assert found.failure in ("timeout", "ended") and time.monotonic() - begun < 4
    assert sandbox.call("add", {"a": 1}).text == "2"  # a fresh process


@pytest.mark.parametrize("name", ["allocates", "exits_at_once", "kills_itself", "kills_the_run", "forks_without_end"])
def test_a_tool_that_takes_or_ends_everything_ends_itself_alone(sandbox, name):
    found = sandbox.call(name, {})
    assert found.failure and found.text.startswith("Error: ")
    assert sandbox.call("add", {"a": 1}).text == "2"


def test_long_output_is_cut_and_says_so(sandbox):
    found = sandbox.call("says_a_lot", {})
    assert found.text == "x" * 1000 + "… [3,000,000 characters, cut here]"


def test_a_fork_answers_once_and_what_a_tool_leaves_running_is_ended(hostile):
    with Sandbox(hostile, Limits(seconds=3)) as sandbox:
        assert sandbox.call("forks", {}).text == "forked"
        assert sandbox.call("add", {"a": 4}).text == "5"
        assert sandbox.call("leaves_a_daemon", {}).text == "left"
        mark = sandbox._mark
        limit = time.monotonic() + 20
        while not any("sleep" in line for line in marked(mark)) and time.monotonic() < limit:
            time.sleep(0.05)  # between fork and exec it still has the name of its parent
        assert any("sleep" in line for line in marked(mark))
        home = sandbox._home
    assert marked(mark) == [] and not Path(home).exists()


def test_tools_do_not_see_the_keys_of_the_run(sandbox, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    assert sandbox.call("secret", {}).text == "[]"


@pytest.mark.parametrize(
    ("source", "says"),
    [("import no_such_thing", "no_such_thing"), ("x = (", "SyntaxError"), ("import os; os._exit(4)", "status 4")],
)
def test_a_module_that_cannot_be_loaded_is_an_error_that_says_why(tmp_path, source, says):
    (tmp_path / "broken.py").write_text(source)
    with Sandbox(Module("broken", tmp_path / "broken.py")) as sandbox:
        with pytest.raises(EndpointError, match=says):
            sandbox.declarations()
        assert sandbox.call("f", {}).failure == "ended"


def test_the_demo_tools_run_apart():
    with Sandbox(Module("tldata.demo")) as sandbox:
        assert len(sandbox.declarations()) > 20
        assert sandbox.call("get_country_capital", {"country": "Portugal"}).text == (
            '{"country": "Portugal", "capital": "Lisbon"}'
        )
    assert os.environ.get(MARK) is None
