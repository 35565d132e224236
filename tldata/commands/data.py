"""``tldata demo``, ``annotate`` and ``formats``: raw records in, a dataset out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    app.command()(demo)
    app.command()(annotate)
    app.command()(formats)


def demo(
    output: Annotated[Path, typer.Option("-o", "--output", help="File to write (JSONL; .gz packs it).")],
    n: Annotated[int, typer.Option("-n", min=0, help="Number of trajectories.")] = 1000,
    seed: Annotated[int, typer.Option(help="Same seed, same bytes.")] = 0,
    error_rate: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of trajectories with an injected mistake.")
    ] = 0.17,
    start: Annotated[int, typer.Option(min=0, help="Number of the first trajectory.")] = 0,
    split: Annotated[str | None, typer.Option(help="train or test: disjoint values and phrasings.")] = None,
    families: Annotated[
        str | None, typer.Option(help="Families of tools to ask for and declare, with commas [default: all].")
    ] = None,
) -> None:
    """Make sample data: an agent that really runs offline tools, and makes realistic mistakes.

    Example: tldata demo -o demo.jsonl -n 1000
    """
    from tldata.demo import FAMILIES, write_demo

    chosen = None if families is None else [name.strip() for name in families.split(",")]
    held_back = [] if chosen is None else [name for name in FAMILIES if name not in chosen]
    written = write_demo(
        output, n=n, seed=seed, error_rate=error_rate, start=start, split=split, families=chosen, hold_back=held_back
    )
    typer.echo(f"{output}: {written:,} trajectories")
    typer.echo(f"next: tldata annotate {output}")


def annotate(
    context: typer.Context,
    raw: Annotated[list[str], typer.Argument(help="Files, folders, quoted glob patterns, URLs, or - for stdin.")],
    output: Annotated[
        str | None, typer.Option("-o", "--output", help="Dataset folder, or a URL [default: RAW.tldata].")
    ] = None,
    format: Annotated[str | None, typer.Option(help="Reader to use instead of finding it (tldata formats).")] = None,
    branches: Annotated[str, typer.Option(help="Of answer trees: the path to the answer, or all leaves.")] = "answer",
    prefixes: Annotated[
        str, typer.Option(help="Merge records that another one begins with (longest), or keep.")
    ] = "longest",
    tools: Annotated[Path | None, typer.Option(help="Tool declarations for data that has none.")] = None,
    rules: Annotated[
        list[str] | None, typer.Option(help="Rules file to add, or 'authors' for the authors' rule; repeatable.")
    ] = None,
    labels: Annotated[Path | None, typer.Option(help="Categories from outside, which outrank the verdict.")] = None,
    corrections: Annotated[
        Path | None, typer.Option(help="Verdicts corrected in tldata view, which outrank the labels too.")
    ] = None,
    max_bad: Annotated[float, typer.Option(help="Share of rejected records above which the exit status is 1.")] = 0.05,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a finished dataset.")] = False,
    update: Annotated[
        bool,
        typer.Option("--update", help="Read only sources that are new or changed since; other options as it was made."),
    ] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="With --update: take out the sources that are not named.")
    ] = False,
    engine: Annotated[str, typer.Option(help="local: the cores of this machine; ray: a Ray cluster's.")] = "local",
    ray_address: Annotated[
        str | None, typer.Option(help="Ray cluster [default: $RAY_ADDRESS, else one of this machine for this run].")
    ] = None,
    shard: Annotated[
        str | None, typer.Option(help="i/n, from 0/n: only every nth block of the input; tldata merge joins them.")
    ] = None,
    scrub: Annotated[
        bool, typer.Option("--scrub", help="Replace keys, tokens, e-mails, phone numbers before anything is written.")
    ] = False,
    scrub_kinds: Annotated[
        list[str] | None, typer.Option(help="With --scrub: what to replace, with commas (docs/privacy.md).")
    ] = None,
    scrub_key: Annotated[
        Path | None,
        typer.Option(help="With --scrub: key of the stand-ins [default: $TLDATA_SCRUB_KEY, else a new one]."),
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes [default: one a core].")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as one JSON object.")] = False,
) -> None:
    """Read raw logs in any known format, find out what every tool call came to, and write a dataset.

    Example: tldata annotate demo.jsonl
    """
    from tldata.commands.curate import update_dataset
    from tldata.console import annotate_progress, console, overview_table
    from tldata.engine import annotate as run
    from tldata.jsontext import dumps

    done = update_dataset(context, raw, output) if update or prune else None
    with annotate_progress(quiet=as_json) as progress:
        summary = done or run(
            raw,
            output,
            format=format,
            branches=branches,
            prefixes=prefixes,
            tools=tools,
            rules=rules or None,
            labels=labels,
            corrections=corrections,
            max_bad=max_bad,
            overwrite=overwrite,
            engine=engine,
            ray_address=ray_address,
            shard=shard,
            scrub=scrub,
            scrub_kinds=scrub_kinds or None,
            scrub_key=scrub_key,
            workers=workers,
            progress=progress,
        )
    if as_json:
        typer.echo(dumps(summary.to_json()))
    else:
        screen = console()
        counts = summary.counts
        screen.print(overview_table(summary.overview))
        parts = [f"{counts['n_inputs']:,} records = {counts['n_sources']:,} read"]
        parts += [
            f"{counts[key]:,} {word}" for key, word in (("n_merged", "merged"), ("n_skipped", "skipped")) if counts[key]
        ]
        parts.append(f"{counts['n_rejects']:,} rejected")
        found = ", ".join(f"{name} {n:,}" for name, n in summary.formats.items())
        screen.print(" + ".join(parts) + f"; formats: {found or 'none'}; {summary.seconds:.1f} s")
        for reason, n in list(summary.rejected.items())[:5]:
            screen.print(f"  rejected {n:,}: {reason}", markup=False)
        for kind, n in list(summary.skipped.items())[:5]:
            screen.print(f"  skipped {n:,}: {kind}", markup=False)
        for what, n in summary.repaired.items():
            screen.print(f"  repaired {n:,}: {what}", markup=False)
        if counts["n_orphan_feedbacks"]:
            screen.print(f"  {counts['n_orphan_feedbacks']:,} feedback messages answer no call")
        if summary.scrubbed:
            kinds = ", ".join(f"{kind} {n:,}" for kind, n in summary.scrubbed.items())
            screen.print(f"  replaced by stand-ins: {kinds}", markup=False)
        for note in summary.notes:
            screen.print(f"  {note}", markup=False)
        screen.print(f"dataset: {summary.path}", markup=False)
        screen.print(
            f'next: tldata sql {summary.path} "SELECT tool_name, category, feedback FROM calls WHERE is_error"',
            markup=False,
        )
    if not summary.ok:
        share = f"{100 * summary.bad_share:.1f}% of the records were rejected, more than --max-bad {max_bad:g}"
        typer.echo(
            f'Error: {share}\n  try: tldata sql {summary.path} "SELECT * FROM rejects"\n       tldata formats', err=True
        )
        raise typer.Exit(1)


def formats(
    name: Annotated[str | None, typer.Argument(help="Show one format's example and notes.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """List the raw formats that annotate reads, with an example of each.

    Example: tldata formats openai
    """
    from tldata.console import console
    from tldata.formats import FORMATS, get_format
    from tldata.jsontext import dumps

    chosen = FORMATS if name is None else (get_format(name),)
    if as_json:
        typer.echo(dumps([{"name": f.name, "title": f.title, "example": f.example, "notes": f.notes} for f in chosen]))
        return
    screen = console()
    for item in chosen:
        screen.print(f"[bold]{item.name}[/bold]  {item.title}")
        screen.print(f"  {item.notes}", markup=False)
        example = item.example if name is not None or len(item.example) <= 300 else item.example[:297] + "..."
        screen.print(f"  {example}", style="dim", markup=False)
