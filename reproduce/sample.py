"""Small data of our own in the layout of the real data sets, so that every script runs where neither data nor network are."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

LEVELS: dict[str, Callable[[str], str]] = {
    "clean": str,
    "slight": lambda name: name.replace("_", "__", 1),
    "medium": lambda name: name[::-1],
    "heavy": lambda name: name[::-1].swapcase(),
    "union": lambda name: name.replace("_", "-"),
}
NAMES = ["Rome", "Oslo", "Lima", "Bern", "Graz", "Kyiv", "Lyon", "Nice", "Pisa", "Riga", "Ulm", "York"]
CITIES = {name: 7 + 5 * place for place, name in enumerate(NAMES)}
SYSTEM = (
    "Desired format:\nThought: <The thought>\nAction: <The tool you decide to use>\nAction Input: <The parameters for the tool>\n\n"
    "Specifically, you have access of the following tools:\n{tools}\n\nLet's Begin!"
)
CODE = '''"""Cities and their weather, without a network."""

CITIES = {cities}


def search_city(query, limit=3):
    if query not in CITIES:
        return {{"error": "no city named " + str(query)}}
    return {{"id": CITIES[query]}}


def search_city_by_id(city_id):
    return {{"name": {{number: name for name, number in CITIES.items()}}[city_id]}}


def current_weather(city_id, units="celsius"):
    return {{"temperature": float(city_id), "units": units}}
'''


def tool(name: str, description: str, required: int = 1, **parameters: tuple[str, str]) -> dict[str, Any]:
    """A declaration as RoTBench has it: type and description of each parameter, of which the first ``required`` are required."""
    properties = {key: {"type": kind, "description": text} for key, (kind, text) in parameters.items()}
    schema = {"type": "object", "properties": properties, "required": list(properties)[:required]}
    return {"name": name, "description": description, "parameters": schema}


TOOLS = [
    tool("search_city", "Finds a city.", query=("string", "What to look for."), limit=("integer", "How many at most.")),
    tool("search_city_by_id", "Tells a city by its id.", city_id=("integer", "Id of the city.")),
    tool(
        "current_weather",
        "Tells the weather of now.",
        city_id=("integer", "Id of the city."),
        units=("string", "celsius or kelvin."),
    ),
]
CONTROL = [
    tool("ask_to_user", "Asks the user.", question=("string", "The question.")),
    tool("finish", "Ends the task with an answer.", answer=("string", "The answer.")),
]


def action(name: str, arguments: dict[str, Any]) -> str:
    """A call in RoTBench's format."""
    return f"Thought:\nAction: {name}\nAction Input: {json.dumps(arguments)}"


def write_sample(folder: Path) -> Path:
    """Write the sample in the layout of data.toml; returns the folder."""
    files: dict[str, Any] = {}
    for level, rename in LEVELS.items():
        files[f"rotbench/first_turn/{level}.json"] = [_rotbench(city, 1, rename) for city in CITIES]
        files[f"rotbench/third_turn/{level}.json"] = [_rotbench(city, 3, rename) for city in CITIES]
    files["toolalpaca/eval_real.json"] = [_toolalpaca()]
    files["tooleyes/scenario_data_zero_processed.json"] = [_tooleyes(city, number) for city, number in CITIES.items()]
    files["tl_training/raw_data.json"] = [_training(city, number, number % 3) for city, number in CITIES.items()]
    files["tooleyes/Tool_Library/Travel/Cities/config.json"] = TOOLS
    for name, value in files.items():
        _put(folder / name, json.dumps(value, indent=1))
    _put(folder / "tooleyes/Tool_Library/Travel/Cities/tool.py", CODE.format(cities=CITIES))
    for kind in ("simple", "multiple", "parallel", "parallel_multiple"):
        questions, golds = zip(*(_bfcl(kind, place, city) for place, city in enumerate(CITIES)), strict=True)
        _put(folder / f"bfcl/exec_{kind}.jsonl", "".join(json.dumps(row) + "\n" for row in questions))
        _put(folder / f"bfcl/exec_{kind}_answers.jsonl", "".join(json.dumps(row) + "\n" for row in golds))
    lines = [json.dumps(line) for city, number in CITIES.items() for line in _gpt4(city, number)]
    target = folder / "rotbench/train_gpt4/train_gpt4.jsonl.gz"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(gzip.compress("".join(line + "\n" for line in lines).encode(), mtime=0))
    return folder


def _put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _turn(who: str, value: Any) -> dict[str, Any]:
    return {"from": who, "value": value}


def _rotbench(city: str, turn: int, rename: Callable[[str], str]) -> dict[str, Any]:
    tools = [{**each, "name": rename(each["name"])} for each in TOOLS] + CONTROL
    search, weather = rename("search_city"), rename("current_weather")
    turns = [
        _turn("system", SYSTEM.format(tools=json.dumps(tools))),
        _turn("user", f"How warm is it in {city}?\nBegin!\n"),
    ]
    if turn == 1:
        turns.append(_turn("assistant", [action(search, {"query": city})]))
    else:
        turns += [
            _turn("assistant", action(search, {"q": city})),
            _turn("function", f"{search}() got an unexpected keyword argument 'q'"),
            _turn("assistant", action(search, {"query": city})),
            _turn("function", json.dumps({"id": CITIES[city]})),
            _turn("assistant", [action(weather, {"city_id": CITIES[city]})]),
        ]
    return {"id": f"Turn {turn}: How warm is it in {city}?", "conversations": turns, "scenario": "TG"}


def _toolalpaca() -> dict[str, Any]:
    return {
        "Name": "Cities",
        "Function_Description": {
            "findCity": 'Finds a city.\nParameters: {"name": "Required. string. Name of the city."}\nOutput: its id.',
            "cityWeather": 'Weather.\nParameters: {"id": "Required. integer. Id of the city."}\nOutput: degrees.',
        },
        "Instructions": [f"Look up {city}." for city in CITIES],
        "Golden_Answers": [[{"Action": "findCity", "Action_Input": json.dumps({"name": city})}] for city in CITIES],
    }


def _bfcl(kind: str, place: int, city: str) -> tuple[dict[str, Any], dict[str, Any]]:
    functions = [{**each, "parameters": {**each["parameters"], "type": "dict"}} for each in TOOLS]
    question = {
        "id": f"exec_{kind}_{place}",
        "question": [[{"role": "user", "content": f"The weather in city {CITIES[city]}?"}]],
    }
    calls = [f"current_weather(city_id={CITIES[city]})"]
    if kind.startswith("parallel"):
        calls.append(f"search_city_by_id(city_id={CITIES[city]})")
    return {**question, "function": functions[2:] if kind == "simple" else functions}, {
        "id": question["id"],
        "ground_truth": calls,
    }


def _tooleyes(city: str, number: int) -> dict[str, Any]:
    system = SYSTEM.format(tools=json.dumps(TOOLS + CONTROL))
    query = f"How warm is it in {city}, the city with the id {number}?"
    return {"id": f"Turn 1: {query}", "conversations": [_turn("system", system), _turn("user", query)],
            "path": "ToolEyes/Tool_Library/Travel/Cities", "scenario": "TG"}  # fmt: skip


def _training(city: str, number: int, wrong: int) -> dict[str, Any]:
    """A trajectory in the authors' raw form; the first call is erroneous unless ``wrong`` is 0."""
    declared = json.dumps([{"type": "function", "function": each} for each in TOOLS + CONTROL])

    def says(name: str, arguments: dict[str, Any]) -> dict[str, str]:
        return {"role": "assistant", "content": f"{name}\n{json.dumps(arguments)}"}

    first = {"role": "function", "content": "search_city() got an unexpected keyword argument 'q'"}
    turns = [{"role": "system", "content": declared}, {"role": "user", "content": f"How warm is it in {city}?"}]
    turns += [says("search_city", {"q": city}), first] if wrong else []
    turns += [
        says("search_city", {"query": city}),
        {"role": "function", "content": json.dumps({"id": number})},
        says("current_weather", {"city_id": number}),
        {"role": "function", "content": json.dumps({"temperature": float(number), "units": "celsius"})},
        says("finish", {"answer": f"It is {number} degrees in {city}."}),
    ]
    return {"id": f"Turn 1: {city}", "conversations": turns}


def _gpt4(city: str, number: int) -> list[dict[str, Any]]:
    """A run as RoTBench's GPT-4 data has it: a line for each assistant turn, each the beginning of the next."""
    system = SYSTEM.format(tools=json.dumps(TOOLS + CONTROL))
    failed = number % 2
    turns = [_turn("system", system), _turn("user", f"How warm is it in {city}?")]
    turns += [_turn("assistant", action("search_city", {"q" if failed else "query": city}))]
    answer = "search_city() got an unexpected keyword argument 'q'" if failed else json.dumps({"id": number})
    end = [_turn("function", answer), _turn("assistant", action("finish", {"answer": "warm"}))]
    return [{"id": f"Turn 1: {city}", "conversations": turns}, {"id": f"Turn 2: {city}", "conversations": turns + end}]
