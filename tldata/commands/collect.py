"""``tldata collect`` and the commands of ``tldata evaluate`` that use a model or tools: run, tools, probe."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tldata.commands.evaluate import app as evaluate_app

if TYPE_CHECKING:
    from tldata.evaluate.client import Client
    from tldata.evaluate.runner import Summary, Watch
    from tldata.evaluate.worlds import World

EndpointOption = Annotated[str, typer.Option(help="Base URL of an OpenAI-compatible server.")]
ModelOption = Annotated[str, typer.Option(help="Name of the model on that server.")]
OutputOption = Annotated[Path, typer.Option("-o", "--output", help="File of JSON lines to write.")]
ApiOption = Annotated[
    str, typer.Option(help="chat (messages and tools) or completions (the prompt as a template renders it).")
]
KeyOption = Annotated[
    str, typer.Option("--key-env", metavar="NAME", help="Environment variable that holds the server's key.")
]
WorkersOption = Annotated[int, typer.Option(min=1, max=1024, help="Requests under way at the same time.")]
RateOption = Annotated[float | None, typer.Option(min=0.001, help="Requests a minute at most.")]
TimeoutOption = Annotated[float, typer.Option(min=0.1, help="Seconds for one answer of the model.")]
RetriesOption = Annotated[int, typer.Option(min=0, help="Further attempts after a failure that may pass.")]
TokensOption = Annotated[int, typer.Option(min=1, help="Longest answer, in tokens.")]
TemperatureOption = Annotated[float, typer.Option(min=0, help="Temperature; 0 is greedy.")]
ExtraOption = Annotated[
    str | None, typer.Option(metavar="JSON", help='Further keys of each request; null removes one: {"seed": 1}.')
]
OverwriteOption = Annotated[bool, typer.Option(help="Forget an earlier run of this output.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
ToolsOption = Annotated[
    str | None,
    typer.Option(help="Python file or module of tools (tldata.demo), or a folder in ToolEyes' shape."),
]
McpOption = Annotated[str | None, typer.Option(metavar="COMMAND", help="Command that starts an MCP server (stdio).")]
KeysOption = Annotated[Path | None, typer.Option(help="JSON file of the services' keys: toolbox or * -> name -> key.")]
CacheOption = Annotated[Path | None, typer.Option(help="SQLite file that records feedback and replays it.")]
OfflineOption = Annotated[bool, typer.Option(help="Only replay: calls that are not recorded fail.")]
SecondsOption = Annotated[float, typer.Option("--tool-seconds", min=0.1, help="Seconds for one call of a tool.")]
MemoryOption = Annotated[int, typer.Option("--tool-memory", min=16, help="Megabytes that a tool may take.")]
LengthOption = Annotated[int, typer.Option("--tool-output", min=1, help="Characters of feedback that are kept.")]


def register(app: typer.Typer) -> None:
    """Add ``collect`` to the command line, and run, tools and probe to ``evaluate``."""
    app.command()(collect)
    evaluate_app.command()(run)
    evaluate_app.command()(tools)
    evaluate_app.command()(probe)


def run(
    benchmark: Annotated[
        str,
        typer.Argument(help="A benchmark's name (with --answers), or a file of prompts as evaluate prompts writes."),
    ],
    endpoint: EndpointOption,
    model: ModelOption,
    output: OutputOption = Path("predictions.jsonl"),
    answers: Annotated[list[Path] | None, typer.Option("--answers", help="The benchmark's file or folder.")] = None,
    gold: Annotated[list[Path] | None, typer.Option("--gold", help="bfcl: possible answers.")] = None,
    template: Annotated[str | None, typer.Option(help="Chat template that renders prompts (completions).")] = None,
    tokenizer: Annotated[str | None, typer.Option(help="Tokenizer whose template renders prompts.")] = None,
    system: Annotated[str | None, typer.Option(help="own or none: keep the benchmark's system text.")] = None,
    api: ApiOption = "chat",
    key_env: KeyOption = "OPENAI_API_KEY",
    workers: WorkersOption = 8,
    per_minute: RateOption = None,
    timeout: TimeoutOption = 120.0,
    retries: RetriesOption = 6,
    max_tokens: TokensOption = 1024,
    temperature: TemperatureOption = 0.0,
    extra: ExtraOption = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Ask a model every prompt of a benchmark; a run that was stopped goes on where it stood.

    Example: tldata evaluate run rotbench --answers clean.json --endpoint http://localhost:8000/v1 --model qwen -o predictions.jsonl
    """
    from tldata.evaluate.runner import run as run_requests
    from tldata.evaluate.runner_requests import read_prompts

    client = _client(
        endpoint, model, api, key_env, per_minute, timeout, retries, _parameters(max_tokens, temperature, extra)
    )
    requests = read_prompts(
        benchmark, answers or (), gold=gold or (), template=template, tokenizer=tokenizer, system=system
    )
    with _progress(as_json) as watch:
        summary = run_requests(requests, client, output, workers=workers, overwrite=overwrite, watch=watch)
    _report(summary, output, as_json)


def collect(
    endpoint: EndpointOption,
    model: ModelOption,
    requests: Annotated[
        Path | None,
        typer.Argument(help="Users' requests: JSON lines of {query} or {messages}; none with --synthesise."),
    ] = None,
    output: OutputOption = Path("raw.jsonl"),
    tools: ToolsOption = None,
    mcp: McpOption = None,
    synthesise: Annotated[
        int | None, typer.Option(min=1, help="Instead, write this many requests that the tools can serve.")
    ] = None,
    max_turns: Annotated[int, typer.Option(min=1, help="Assistant messages of a trajectory at most.")] = 9,
    system: Annotated[str | None, typer.Option(help="System message for requests without one.")] = None,
    template: Annotated[
        str | None, typer.Option(help="Chat format of the answers; renders prompts for --api completions.")
    ] = None,
    user_reply: Annotated[
        str | None, typer.Option(help="What ask_to_user is answered with [default: nobody is there].")
    ] = None,
    keys: KeysOption = None,
    cache: CacheOption = None,
    offline: OfflineOption = False,
    check_tools: Annotated[
        bool,
        typer.Option(help="Call each tool once first; the share of dead ones goes into every trajectory's metadata."),
    ] = False,
    tool_seconds: SecondsOption = 20.0,
    tool_memory: MemoryOption = 1024,
    tool_output: LengthOption = 65_536,
    api: ApiOption = "chat",
    key_env: KeyOption = "OPENAI_API_KEY",
    workers: WorkersOption = 4,
    per_minute: RateOption = None,
    timeout: TimeoutOption = 120.0,
    retries: RetriesOption = 6,
    max_tokens: TokensOption = 1024,
    temperature: Annotated[
        float | None, typer.Option(min=0, help="Temperature [default: 0, greedy; 1 with --synthesise].")
    ] = None,
    extra: ExtraOption = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Let a model act with tools and keep the raw trajectories, for annotate; or make requests out of the tools.

    Example: tldata collect requests.jsonl --tools tldata.demo --endpoint http://localhost:8000/v1 --model qwen -o raw.jsonl
    """
    from tldata.errors import UsageError
    from tldata.evaluate.runner_collect import NO_USER
    from tldata.evaluate.runner_collect import collect as collect_trajectories
    from tldata.evaluate.runner_requests import read_requests

    if (requests is None) == (synthesise is None):
        raise UsageError(
            "collect needs a file of requests, or --synthesise N to make one", hint="tldata collect --help"
        )
    warmth = temperature if temperature is not None else (0.0 if synthesise is None else 1.0)
    client = _client(
        endpoint, model, api, key_env, per_minute, timeout, retries, _parameters(max_tokens, warmth, extra)
    )
    world = _world(tools, mcp, keys, cache, offline, tool_seconds, tool_memory, tool_output)
    try:
        health = _health(world, workers) if check_tools else None
        with _progress(as_json) as watch:
            if synthesise is not None:
                from tldata.evaluate.synthesise import synthesise as make_requests

                summary = make_requests(
                    world, client, synthesise, output, workers=workers, overwrite=overwrite, watch=watch
                )
            else:
                assert requests is not None
                summary = collect_trajectories(
                    read_requests(requests),
                    client,
                    world,
                    output,
                    max_turns=max_turns,
                    workers=workers,
                    system=system,
                    template=template,
                    user_reply=NO_USER if user_reply is None else user_reply,
                    metadata={"world": health} if health else {},
                    overwrite=overwrite,
                    watch=watch,
                )
    finally:
        world.close()
    _report(summary, output, as_json, dict(world.counts), health)


def tools(
    tools: Annotated[
        str | None, typer.Argument(help="Python file or module of tools, or a folder in ToolEyes' shape.")
    ] = None,
    mcp: McpOption = None,
    keys: KeysOption = None,
    cache: CacheOption = None,
    offline: OfflineOption = False,
    tool_seconds: SecondsOption = 20.0,
    tool_memory: MemoryOption = 1024,
    tool_output: LengthOption = 65_536,
    workers: WorkersOption = 4,
    as_json: JsonOption = False,
) -> None:
    """Check the health of each tool of a world with one call, and print the share that is dead.

    Example: tldata evaluate tools Tool_Library --keys keys.json --cache world.sqlite
    """
    from tldata.console import console, result_table
    from tldata.evaluate.worlds_health import check_world, share_dead
    from tldata.jsontext import dumps

    world = _world(tools, mcp, keys, cache, offline, tool_seconds, tool_memory, tool_output)
    try:
        found = check_world(world, workers=workers)
    finally:
        world.close()
    health = share_dead(found)
    if as_json:
        typer.echo(dumps({**health, "found": [each.row() for each in found]}))
        return
    columns = ["toolbox", "tool", "state", "why"]
    console().print(result_table(columns, [[each.row()[c] for c in columns] for each in found]))
    typer.echo(_dead(health))


def probe(
    benchmark: Annotated[
        str, typer.Argument(help="A benchmark's name (with --answers), or a file of prompts with golds.")
    ],
    model: Annotated[str, typer.Option(help="Local model: a folder that transformers can load.")],
    answers: Annotated[list[Path] | None, typer.Option("--answers", help="The benchmark's file or folder.")] = None,
    gold: Annotated[list[Path] | None, typer.Option("--gold", help="bfcl: possible answers.")] = None,
    predictions: Annotated[
        Path | None, typer.Option(help="The model's answers as text [default: it is asked now, greedily].")
    ] = None,
    template: Annotated[str | None, typer.Option(help="Chat template [default: the tokenizer's own].")] = None,
    system: Annotated[str | None, typer.Option(help="own or none: keep the benchmark's system text.")] = None,
    max_tokens: TokensOption = 256,
    device: Annotated[str, typer.Option(help="Where the model runs: cpu, cuda, cuda:1.")] = "cpu",
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write one line a probed example.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Set the first wrong token of a wrong tool's name right and see whether the model then names the right tool.

    Example: tldata evaluate probe rotbench --answers clean.json --model ./model --template qwen-2.5
    """
    from tldata.console import percent
    from tldata.evaluate.probe import probe_benchmark
    from tldata.jsontext import dumps

    found = probe_benchmark(
        benchmark,
        model,
        answers=answers or (),
        gold=gold or (),
        predictions=predictions,
        template=template,
        system=system,
        max_tokens=max_tokens,
        device=device,
        output=output,
    )
    if as_json:
        typer.echo(dumps(found.to_json()))
        return
    typer.echo(f"{found.examples:,} examples, {found.wrong:,} with a wrong tool, {found.probed:,} probed")
    typer.echo(f"right after one forced token: {found.right:,} of {found.probed:,} ({percent(found.share)})")
    for reason, count in sorted(found.left_out.items()):
        typer.echo(f"left out: {count:,} {reason}")


def _client(
    endpoint: str,
    model: str,
    api: str,
    key_env: str,
    per_minute: float | None,
    timeout: float,
    retries: int,
    parameters: dict[str, Any],
) -> Client:
    from tldata.evaluate.client import Client, Pace

    key = os.environ.get(key_env) or None
    return Client(endpoint, model, api, key, parameters, timeout=timeout, retries=retries, pace=Pace(per_minute))


def _parameters(max_tokens: int, temperature: float, extra: str | None) -> dict[str, Any]:
    import json

    from tldata.errors import UsageError

    try:
        further = json.loads(extra) if extra else {}
    except ValueError:
        further = None
    if not isinstance(further, dict):
        raise UsageError(f"--extra {extra!r} is no JSON object", hint="--extra '{\"seed\": 1}'")
    found = {"temperature": temperature, "max_tokens": max_tokens, **further}
    return {key: value for key, value in found.items() if value is not None}


def _world(
    tools: str | None,
    mcp: str | None,
    keys: Path | None,
    cache: Path | None,
    offline: bool,
    seconds: float,
    memory: int,
    output: int,
) -> World:
    from tldata.evaluate.sandbox import Limits
    from tldata.evaluate.worlds import open_world

    limits = Limits(seconds=seconds, memory=memory << 20, output=output)
    return open_world(tools, mcp=mcp, limits=limits, keys=keys, cache=cache, offline=offline)


@contextmanager
def _progress(quiet: bool) -> Iterator[Watch | None]:
    """A line on stderr that counts, on a terminal only."""
    from tldata.console import console

    screen = console(stderr=True)
    if quiet or not screen.is_terminal:
        yield None
        return
    with screen.status("asking") as status:
        yield lambda done, failed, every: status.update(f"{done:,} of {every:,} answered, {failed:,} failed")


def _health(world: World, workers: int) -> dict[str, Any]:
    from tldata.evaluate.worlds_health import check_world, share_dead

    return share_dead(check_world(world, workers=workers))


def _dead(health: dict[str, Any]) -> str:
    from tldata.console import percent

    return f"{health['dead']:,} of {health['tools']:,} tools are dead ({percent(health['share_dead'])})"


def _report(
    summary: Summary,
    output: Path,
    as_json: bool,
    calls: dict[str, int] | None = None,
    health: dict[str, Any] | None = None,
) -> None:
    """Print what a run came to; status 1 where a request has no answer."""
    from tldata.errors import CheckError
    from tldata.jsontext import dumps

    if as_json:
        found = summary.to_json() | ({"calls": calls} if calls else {})
        typer.echo(dumps(found | ({"world": health} if health else {})))
    else:
        before = f", {summary.resumed:,} of them from before" if summary.resumed else ""
        typer.echo(
            f"{output}: {summary.answered:,} of {summary.requests:,} answered{before}; {summary.tokens:,} tokens, {summary.seconds:,.1f} s"
        )
        if len(summary.endings) > 1 or calls:
            typer.echo("  " + ", ".join(f"{count:,} {ending}" for ending, count in sorted(summary.endings.items())))
        if calls:
            typer.echo("  tools: " + ", ".join(f"{count:,} {what}" for what, count in sorted(calls.items())))
        if health:
            typer.echo(f"  {_dead(health)}")
    if summary.failed:
        shown = [f"{identity}: {reason}" for identity, reason in list(summary.failed.items())[:10]]
        more = f"\n  and {len(summary.failed) - 10:,} more" if len(summary.failed) > 10 else ""
        raise CheckError(
            f"{len(summary.failed):,} of {summary.requests:,} have no answer:\n  " + "\n  ".join(shown) + more,
            hint="run the same command again: it asks only these",
        )
