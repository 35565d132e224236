"""``tldata merge``, ``delete``, ``check``, ``diff`` and ``log``: datasets under control."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

JsonOption = Annotated[bool, typer.Option("--json", help="Print as JSON.")]


def register(app: typer.Typer) -> None:
    app.command()(merge)


def merge(
    datasets: Annotated[
        list[Path], typer.Argument(help="Dataset folders, two or more; their order is that of the rows.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the new dataset.")],
    relabel: Annotated[
        bool, typer.Option("--relabel", help="Where ids clash, put the folder's name before the later dataset's ids.")
    ] = False,
    mixed_rules: Annotated[
        bool, typer.Option("--mixed-rules", help="Take datasets together that different rules have judged.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a finished dataset.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make one dataset of several, as if their sources had been annotated together; shards of one run too.

    Example: tldata merge one.tldata two.tldata -o both.tldata
    """
    from tldata.jsontext import dumps
    from tldata.merge import merge as run

    done = run(datasets, output, relabel=relabel, mixed_rules=mixed_rules, overwrite=overwrite)
    if as_json:
        typer.echo(dumps(done.to_json()))
        return
    counts = done.counts
    typer.echo(
        f"{counts['n_trajectories']:,} trajectories, {counts['n_calls']:,} calls out of {len(datasets)} datasets; "
        f"{counts['n_rejects']:,} rejects"
    )
    if done.n_copies:
        typer.echo(f"  {done.n_copies:,} trajectories merged into longer ones of another dataset")
    for name in done.tokens:
        typer.echo(f"  token set {name} merged")
    for name, reason in done.tokens_left.items():
        typer.echo(f"  token set {name} left behind: {reason}")
    for note in done.notes:
        typer.echo(f"  {note}")
    typer.echo(f"dataset: {done.path}")
