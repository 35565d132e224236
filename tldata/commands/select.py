"""``tldata select``: choose trajectories and write them as a dataset of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    app.command()(select)


def select(
    dataset: Annotated[Path, typer.Argument(help="Dataset folder, as annotate wrote it.")],
    output: Annotated[
        str,
        typer.Option("-o", "--output", help="Folder of the new dataset; with {split} in its name one for each split."),
    ],
    where: Annotated[
        str | None, typer.Option(help="SQL condition on trajectories; subqueries may read calls and messages.")
    ] = None,
    decontaminate: Annotated[
        list[str] | None,
        typer.Option(
            help="Evaluation set whose questions to keep out: a benchmark's file, JSON, text, dataset; repeatable."
        ),
    ] = None,
    ngram: Annotated[int, typer.Option(min=1, help="Words of a run that a question is found by.")] = 5,
    overlap: Annotated[float, typer.Option(help="Share of a question's runs from which it counts as found.")] = 0.7,
    dedup: Annotated[
        str | None, typer.Option(help="exact: equal ones and beginnings of others; near: nearly equal ones too.")
    ] = None,
    threshold: Annotated[
        float, typer.Option(help="Jaccard similarity from which trajectories, or queries, are nearly equal.")
    ] = 0.8,
    balance: Annotated[
        str | None, typer.Option(help="Keep the same number of each: tool, category, source, or another column.")
    ] = None,
    at_most: Annotated[int | None, typer.Option(min=1, help="With --balance: so many of each at most.")] = None,
    sample: Annotated[int | None, typer.Option(min=1, help="Number of trajectories to keep.")] = None,
    stratify: Annotated[
        str | None,
        typer.Option(help="With --sample: keep the shares of each tool, category, source, or another column."),
    ] = None,
    split: Annotated[str | None, typer.Option(help="Shares, such as train=0.8,validation=0.1,test=0.1.")] = None,
    split_by: Annotated[
        str, typer.Option(help="What no split cuts: query, toolset, tool, source, trajectory; several with commas.")
    ] = "query",
    seed: Annotated[int, typer.Option(help="Same seed, same sample and splits.")] = 0,
    dropped: Annotated[
        Path | None,
        typer.Option(help="Write the trajectories dropped: .jsonl as OpenAI records, else a dataset folder."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a finished dataset.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as one JSON object.")] = False,
) -> None:
    """Choose trajectories and write them as a new dataset, which says in its table dropped what went and why.

    Steps run in this order: where, decontaminate, dedup, balance or sample, split.

    Example: tldata select demo.tldata -o good.tldata --where "n_errors = 0" --dedup near --sample 100
    """
    from tldata.console import console, printable, result_table
    from tldata.jsontext import dumps
    from tldata.select import select as run

    made = run(
        dataset,
        output,
        where=where,
        decontaminate=decontaminate,
        ngram=ngram,
        overlap=overlap,
        dedup=dedup,
        threshold=threshold,
        balance=balance,
        at_most=at_most,
        sample=sample,
        stratify=stratify,
        split=split,
        split_by=split_by,
        seed=seed,
        dropped=dropped,
        overwrite=overwrite,
    )
    if as_json:
        typer.echo(dumps(made.to_json()))
        return
    screen = console()
    steps = [(step["step"], step["before"], step["dropped"], step["left"], step["what"]) for step in made.steps]
    screen.print(result_table(["step", "before", "dropped", "left", "what"], steps))
    screen.print(f"{made.n_trajectories:,} of {made.n_before:,} trajectories kept; {made.seconds:.1f} s")
    for name, size in made.splits.items():
        share = 100 * size / made.n_trajectories if made.n_trajectories else 0
        screen.print(f"  {printable(name)}: {size:,} ({share:.1f}%)", markup=False)
    for note in made.notes:
        screen.print(f"  {note}", markup=False)
    for path in made.paths:
        screen.print(f"dataset: {path}", markup=False)
    screen.print(
        f'next: tldata sql {made.path} "SELECT step, reason, count(*) AS n FROM dropped GROUP BY ALL"', markup=False
    )
