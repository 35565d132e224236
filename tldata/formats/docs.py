"""docs/formats.md, made from the registry so that it cannot differ from it: ``python -m tldata.formats.docs > docs/formats.md``."""

from __future__ import annotations

import json

from tldata.formats import FORMATS
from tldata.formats.openai_export import NOT_HELD

INTRODUCTION = """\
# Raw formats

Made from the registry by `python -m tldata.formats.docs`; `tldata formats` prints the same.

A file's format is found from its first records: every format gives each of them a score from 0 (not at all) to 1 (it can be
nothing else), and the highest mean wins. A tie is refused. `--format NAME` overrides.

What holds for all of them:

- A record that cannot be read is rejected with a reason that names the place: `message 3: role is missing; found content`.
  Messages are counted from 0, as in the column `turn`.
- Roles become `system`, `user`, `assistant` and `tool` (feedback); a role that is none of these stays as it is.
- `arguments` is JSON text. Text of the source stays as it stood, to the character, where it is a JSON object; where only a
  patient reader finds an object in it (Python's quotes, raw line breaks), it is written anew and `raw_call` has the original. Text
  that is no object stays as it is, and the call is a format error, as is a call without a name.
- `raw_call` is the call as the model wrote it, where the source has text.
- Keys that no column holds go to `metadata` (of the record) and to `extra` (of a message). Where a column does not give the
  original value back, `extra` has it under its own key.
- A message is not trainable when the source says so (`weight`, `loss`, `train`, `trainable`, `loss_weight` of 0 or false).
- Names that begin with `$` in `extra` and `metadata` are notes for the way back: `$absent` lists keys that the original lacks,
  `$tldata` how messages and tools stood in the record, `$message` a whole message whose keys look like ours.
"""

# Data and logs under the names that people know -> the reader.
KNOWN_AS: dict[str, str] = {
    "TRL, prime-rl, SkyRL, slime, LLaMA-Factory `openai`, ms-swift `messages`": "openai",
    "Toucan-1.5M, ToolMind, legacy `functions` and `function_call`": "openai",
    "OpenHands, native form (nebius SWE-rebench)": "openai",
    "OpenHands, text form": "openhands",
    "OpenHands, `trajectory.json`, `history` of evaluations, SDK events": "openhands-events",
    "LLaMA-Factory ShareGPT, APIGen-MT, Glaive in ShareGPT": "sharegpt",
    "LLaMA-Factory v1": "llama-factory",
    "ms-swift `query`/`response`/`history`, Alpaca": "query-response",
    "Hermes function calling, Qwen-template dumps, vLLM logs of text": "hermes",
    "Glaive v2": "glaive",
    "xLAM-60k, APIGen": "xlam",
    "Claude Code sessions, `stream-json` of its SDK": "claude-code",
    "Codex sessions": "codex",
    "SWE-agent": "swe-agent",
    "mini-swe-agent": "mini-swe-agent",
    "Harbor": "atif",
    "tau-bench": "tau-bench",
    "tau2, whole files and single simulations": "tau2",
    "Inspect `.eval` and `.json`": "inspect",
    "OpenTelemetry (OTLP JSON, console exporter, Jaeger), OpenLLMetry, Pydantic AI": "otel-genai",
    "Phoenix, OpenInference": "openinference",
    "Langfuse, one trace": "langfuse",
    "Langfuse, exported observations": "langfuse-rows",
    "LangSmith, exported or nested runs": "langsmith",
    "LangChain `dumps`, `messages_to_dict`, states of LangGraph": "langchain",
    "Logs of proxies and gateways, batch results, LiteLLM, Helicone": "exchange",
    "MCP, JSON-RPC of clients and servers": "mcp",
    "ToolBench trees": "toolbench",
    "ToolLLaMA training data": "toolllama",
    "RoTBench, ToolEyes": "rotbench",
    "API-Bank dialogues": "api-bank",
    "ActionStudio": "action-studio",
}

GROUPS = """\
## Rows that make a trajectory together

In {names} a trajectory is many rows: the spans of a trace, the lines of a session or of a file.

- Rows belong together by their trace's or session's id, wherever they stand: far apart in a file, and in all files of one run (rotated logs,
  parts of an export). Rows without an id belong to their file. A record may hold rows of several groups (OTLP's batches).
- A group stands where its first row stands (`source`, `source_line`); the others are merged into it and counted as `n_merged`, skipped by
  kind (a span told again by a later export, a line of another type), or rejected with a reason. Every record is counted once; of one whose rows
  fare differently, the first of source, merged, rejected, skipped holds. The table `merged` names the trajectory that a row went into.
- Rows are set aside on disk while the files are read, then assembled some 32 MB at a time, in all processes; a group of more than 256 MB is rejected.
  The temporary files stand in the folder beside the dataset and go when it is done. A run that was killed goes on where it was.
- Trajectories that one group gives beside its first (an agent's helpers, branches) have ids that end in their number.
- Rows of one group cannot be read by several runs, so `--shard` is refused for these formats.

"""

EXPORT = """\
## Back to OpenAI: `tldata export --to openai`

Trajectories that were read as `openai` come back as the records that they were: equal as JSON values, with unknown keys, absent
and null contents, content parts, arguments as objects, missing ids, tools and messages as JSON text. All others become
`{"messages", "tools", "id", "metadata", ...}`: calls without an id get `call_<turn>_<index>`, each feedback names its call,
messages that are not trainable get `"weight": 0`, and the source's other keys stand under `metadata`. What such a record cannot hold:

"""


def markdown() -> str:
    """The whole page.

    >>> markdown().splitlines()[0]
    '# Raw formats'
    """
    lines = [INTRODUCTION, "| name | format |", "|---|---|"]
    lines += [f"| [`{row.name}`](#{row.name}) | {row.title} |" for row in FORMATS]
    lines += ["", "| what you have | is read as |", "|---|---|"]
    lines += [f"| {what} | [`{name}`](#{name}) |" for what, name in KNOWN_AS.items()]
    for row in FORMATS:
        example = json.dumps(json.loads(row.example), ensure_ascii=False, indent=1)
        lines += ["", f"## {row.name}", "", f"{row.title}. {row.notes}", "", "```json", example, "```"]
    names = [f"`{row.name}`" for row in FORMATS if row.rows is not None]
    lines += ["", GROUPS.format(names=", ".join(names[:-1]) + " and " + names[-1]).rstrip("\n")]
    lines += ["", EXPORT + "| what | then |", "|---|---|"]
    lines += [f"| {what} | {then} |" for what, then in NOT_HELD.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(markdown(), end="")
