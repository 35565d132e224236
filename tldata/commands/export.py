"""``tldata export``: a dataset in the format of another tool."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    app.command()(export)


def export(
    dataset: Annotated[Path, typer.Argument(help="Dataset folder, as annotate wrote it.")],
    to: Annotated[
        str,
        typer.Option(
            "--to",
            help="Target: openai, trl, trl-turns, trl-tokens, sharegpt, llama-factory-v1, ms-swift, axolotl, verl-sft, hermes, dpo, "
            "rl, verl-rl, hub.",
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="File to write; its suffix chooses the container.")],
    where: Annotated[str | None, typer.Option(help="SQL condition on trajectories, such as: n_errors = 0.")] = None,
    mask: Annotated[
        str | None,
        typer.Option(help="Calls not to train on: paper (all errors), model (but tool_instability), none, a list."),
    ] = None,
    rows: Annotated[
        str | None, typer.Option(help="sharegpt, hermes: a record per trajectory, or per turn to train on.")
    ] = None,
    call_weight: Annotated[
        float | None, typer.Option(help="ms-swift, llama-factory-v1: weight of messages with calls.", min=0.0)
    ] = None,
    tokens: Annotated[str | None, typer.Option(help="trl-tokens, verl-sft: the token set to write.")] = None,
    prompts: Annotated[
        str | None, typer.Option(help="rl: a prompt per message (default), per trajectory, or N of them.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="rl: seed of the sample [default: 0].")] = None,
    tokenizer: Annotated[str | None, typer.Option(help="rl: tokenizer whose template renders the prompts.")] = None,
    template: Annotated[str | None, typer.Option(help="rl: chat template that renders the prompts.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="hub: replace the folder.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts as one JSON object.")] = False,
) -> None:
    """Write a dataset in the format of another tool, and say what that format cannot hold.

    Example: tldata export demo.tldata --to openai -o demo-out.jsonl
    """
    from tldata.export import export as run
    from tldata.jsontext import dumps

    report = run(
        dataset,
        to,
        output,
        where=where,
        mask=mask,
        rows=rows,
        call_weight=call_weight,
        tokens=tokens,
        prompts=prompts,
        seed=seed,
        tokenizer=tokenizer,
        template=template,
        overwrite=overwrite or None,
    )
    if as_json:
        typer.echo(dumps(report.to_json()))
    else:
        typer.echo(report.text())
