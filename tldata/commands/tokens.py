"""``tldata tokenize``: per-token columns for training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    app.command()(tokenize)


def tokenize(
    dataset: Annotated[Path, typer.Argument(help="Dataset folder, as annotate wrote it.")],
    tokenizer: Annotated[str, typer.Option(help="Tokenizer: a folder or a hub id.")],
    template: Annotated[
        str | None, typer.Option(help="Chat template: a name or a Jinja file [default: the tokenizer's own].")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the token set.")] = None,
    layout: Annotated[
        str | None, typer.Option(help="segment: few rows a trajectory; turn: one row a turn [default: segment].")
    ] = None,
    mask: Annotated[
        str | None, typer.Option(help="paper, model, none, or categories with commas [default: paper].")
    ] = None,
    mask_scope: Annotated[str, typer.Option(help="message, or call: only the erroneous calls' tokens.")] = "message",
    pkt: Annotated[str, typer.Option(help="on, off, or authors: weights of key tokens.")] = "on",
    w_max: Annotated[float | None, typer.Option(min=1.0, help="Cap on a token's weight [default: 9].")] = None,
    max_length: Annotated[int | None, typer.Option(min=1, help="Longest row, in tokens.")] = None,
    truncation: Annotated[str, typer.Option(help="messages: keep whole messages; drop; oldest.")] = "messages",
    preset: Annotated[str | None, typer.Option(help="paper: layout turn, all error categories, w_max 9.")] = None,
    tools: Annotated[Path | None, typer.Option(help="Tool declarations for data that has none.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a token set of that name.")] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes [default: one a core].")] = None,
    shard: Annotated[
        str | None, typer.Option(help="i/n: only shard i (from 0) of n; a run without it finishes.")
    ] = None,
    engine: Annotated[str, typer.Option(help="local: the cores of this machine; ray: a Ray cluster's.")] = "local",
    ray_address: Annotated[
        str | None, typer.Option(help="Ray cluster [default: $RAY_ADDRESS, else one of this machine for this run].")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as one JSON object.")] = False,
) -> None:
    """Render, tokenise, mask erroneous calls and weigh key tokens; writes DATASET/tokens/NAME.

    Example: tldata tokenize demo.tldata --tokenizer ./tiny
    """
    from tldata.console import console
    from tldata.jsontext import dumps
    from tldata.tokenize import render_summary
    from tldata.tokenize import tokenize as run

    summary = run(
        dataset,
        tokenizer,
        template=template,
        name=name,
        layout=layout,
        mask=mask,
        mask_scope=mask_scope,
        pkt=pkt,
        w_max=w_max,
        max_length=max_length,
        truncation=truncation,
        preset=preset,
        tools=tools,
        overwrite=overwrite,
        workers=workers,
        shard=shard,
        engine=engine,
        ray_address=ray_address,
    )
    if as_json:
        typer.echo(dumps(summary.to_json()))
    else:
        console().print(render_summary(summary))
