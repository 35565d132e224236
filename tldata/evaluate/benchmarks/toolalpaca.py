"""ToolAlpaca's eval_real: instructions for real APIs with golden answers of one or several calls, some of them unusable."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tldata.errors import InputError
from tldata.evaluate.benchmarks.files import need, read_records
from tldata.evaluate.example import Example, GoldCall, openai_declarations

# "symbols": "symbols": ["EUR"]: a key written twice, as four of the 114 golds have it.
_KEY_TWICE = re.compile(r'("[^"\\]*+(?:\\.[^"\\]*+)*+"\s*+:)\s*+\1')
_PARAMETERS = re.compile(r"^Parameters: *(\{.*\})\s*$", re.MULTILINE)
_TYPES = ("string", "integer", "number", "boolean", "array", "object")
NOT_A_TOOL = "components"  # the description of output formats, which stands among the functions


def read(paths: Sequence[Path], gold: Sequence[Path]) -> list[Example]:
    """The examples of eval_real.json: one for each instruction, with the id ``<API>:<number from 0>``."""
    examples = []
    for path in paths:
        for place, record in read_records(path):
            where = f"{path} element {place}"
            need(record, where, "Instructions", "Golden_Answers", "Function_Description")
            examples.extend(_of_api(record, where, place))
    return examples


def _of_api(record: dict[str, Any], where: str, place: int) -> list[Example]:
    instructions, golds = record["Instructions"], record["Golden_Answers"]
    if not isinstance(instructions, list) or not isinstance(golds, list) or len(instructions) != len(golds):
        raise InputError(f"{where}: Instructions and Golden_Answers are no lists of the same length")
    api = str(record.get("Name") or f"api {place}")
    tools = openai_declarations(_declarations(record["Function_Description"], where))
    names = {tool["function"]["name"] for tool in tools}
    examples = []
    for number, (instruction, answer) in enumerate(zip(instructions, golds, strict=True)):
        calls, unreadable, repaired = _gold(answer, names)
        examples.append(
            Example(
                id=f"{api}:{number}",
                messages=[{"role": "user", "content": str(instruction)}],
                tools=tools,
                gold=(calls,),
                group=api,
                unreadable=unreadable,
                repaired=repaired,
                numbered=True,
            )
        )
    return examples


def _declarations(functions: Any, where: str) -> list[dict[str, Any]]:
    """Tools out of ``{name: "what it does\\nParameters: {name: "Required. type. text"}\\nOutput: ..."}``."""
    if not isinstance(functions, dict):
        raise InputError(f"{where}: Function_Description is no object")
    tools = []
    for name, text in functions.items():
        if name == NOT_A_TOOL or not isinstance(text, str):
            continue
        found = _PARAMETERS.search(text)
        try:
            parameters = json.loads(found[1]) if found else {}
        except ValueError:
            raise InputError(f"{where}: the parameters of {name} are no JSON") from None
        properties, required = {}, []
        for key, note in parameters.items():
            words = str(note)
            if words.startswith("Required."):
                required.append(key)
                words = words.removeprefix("Required.").lstrip()
            kind, _, rest = words.partition(".")
            known = kind.strip().lower() in _TYPES
            properties[key] = {"type": kind.strip().lower(), "description": rest.strip()} if known else {}
        schema = {"type": "object", "properties": properties, "required": required}
        description = text[: found.start()].strip() if found else text.strip()
        tools.append({"name": name, "description": description, "parameters": schema})
    return tools


def _gold(answer: Any, names: set[str]) -> tuple[tuple[GoldCall, ...], str, bool]:
    """The calls of a golden answer, why it cannot be used (empty where it can), and whether its JSON was repaired."""
    if not isinstance(answer, list) or not answer:
        return (), "the golden answer holds no call", False
    calls, repaired = [], False
    for item in answer:
        name, text = (item.get("Action"), item.get("Action_Input")) if isinstance(item, dict) else (None, None)
        if not isinstance(name, str) or not isinstance(text, str | dict):
            return (), "a call of the golden answer lacks Action or Action_Input", False
        if name not in names:
            return (), f"the golden answer calls {name}, which is not declared", False
        try:
            arguments, mended = (text, False) if isinstance(text, dict) else _arguments(text)
        except ValueError:
            return (), f"the arguments of {name} are no JSON object: {text[:80]}", False
        repaired |= mended
        calls.append(GoldCall(name, {key: [value] for key, value in arguments.items()}))
    return tuple(calls), "", repaired


def _arguments(text: str) -> tuple[dict[str, Any], bool]:
    repaired = False
    try:
        value = json.loads(text or "{}")
    except ValueError:
        value, repaired = json.loads(mend(text)), True
    if not isinstance(value, dict):
        raise ValueError("no object")
    return value, repaired


def mend(text: str) -> str:
    """Take out a key that stands twice before its value.

    >>> mend('{"symbols": "symbols": ["EUR"]}')
    '{"symbols": ["EUR"]}'
    """
    return _KEY_TWICE.sub(r"\1", text)
