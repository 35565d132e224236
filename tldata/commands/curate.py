"""``tldata merge``, ``delete``, ``check``, ``diff`` and ``log``: datasets under control."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tldata.commands import rules

if TYPE_CHECKING:
    from tldata.update import Update

DatasetArgument = Annotated[Path, typer.Argument(help="Dataset folder, as annotate wrote it.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print as JSON.")]


def register(app: typer.Typer) -> None:
    app.command()(merge)
    app.command()(delete)
    app.command()(check)
    app.command()(diff)
    app.command()(log)
    rules.app.command("apply")(apply_rules)


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


def delete(
    dataset: DatasetArgument,
    where: Annotated[
        str | None, typer.Option(help="SQL condition on the columns of trajectories; subqueries read the other tables.")
    ] = None,
    ids: Annotated[Path | None, typer.Option(help="File with one trajectory_id a line.")] = None,
    rejects: Annotated[
        str | None,
        typer.Option(help="SQL condition on source, source_line, reason and raw of records that were rejected."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count what would go, and write nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Take trajectories out of all tables, token sets, corrections and samples, in one step, and log it.

    Example: tldata delete demo.tldata --where "query LIKE '%parking%'" --dry-run
    """
    from tldata.delete import delete as run
    from tldata.jsontext import dumps

    found = run(dataset, where=where, ids=ids, rejects=rejects, dry_run=dry_run)
    if as_json:
        typer.echo(dumps(found.to_json()))
        return
    verb = "would go" if dry_run else "deleted"
    rows = ", ".join(f"{n:,} {name}" for name, n in found.rows.items() if n)
    typer.echo(
        f"{found.n_trajectories:,} trajectories of {found.n_records:,} records {verb}{': ' if rows else ''}{rows}"
    )
    for name, n in found.tokens.items():
        typer.echo(f"  token set {name}: {n:,} rows")
    if found.n_corrections:
        typer.echo(f"  {found.n_corrections:,} rows of corrections and samples beside the dataset")
    for note in found.notes:
        typer.echo(f"  {note}")
    if found.anything and not dry_run:
        typer.echo("  the raw sources still hold them: annotate would read them again")


def log(
    dataset: DatasetArgument,
    verify: Annotated[
        bool, typer.Option("--verify", help="Make the digests anew from the rows; 1 where they differ.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show where a dataset comes from: sources, parents, what was done to it since, and which token sets still fit.

    Example: tldata log demo.tldata --verify
    """
    from tldata.console import console
    from tldata.dataset import open_dataset
    from tldata.jsontext import dumps
    from tldata.lineage import lineage, render_lineage

    found = lineage(open_dataset(dataset), verify=verify)
    if as_json:
        typer.echo(dumps(found.to_json()))
    else:
        console().print(render_lineage(found))
    if not found.ok:
        raise typer.Exit(1)


def apply_rules(
    dataset: DatasetArgument,
    rules: rules.RulesOption = None,
    as_json: JsonOption = False,
) -> None:
    """Judge a dataset's calls anew by these rules, without reading the raw sources; labels stay.

    Example: tldata rules apply demo.tldata --rules mine.toml
    """
    from tldata.jsontext import dumps
    from tldata.rejudge import apply_rules as run

    done = run(dataset, rules)
    if as_json:
        typer.echo(dumps(done.to_json()))
        return
    typer.echo(f"{done.path}: {done.n_changed:,} of {done.n_calls:,} calls change their category")
    for name in done.stale:
        typer.echo(f"  token set {name} is stale now: tokenize again")


TO_UPDATE = (
    "format",
    "branches",
    "prefixes",
    "tools",
    "rules",
    "labels",
    "corrections",
    "scrub_key",
    "max_bad",
    "workers",
)


def update_dataset(context: typer.Context, raw: list[str], output: str | None) -> Update:
    """``annotate --update``: options that were not given are those of the dataset."""
    from tldata.console import annotate_progress
    from tldata.errors import UsageError
    from tldata.update import update

    given = {name for name in context.params if str(context.get_parameter_source(name)).endswith("COMMANDLINE")}
    if not context.params["update"]:
        raise UsageError("--prune goes with --update", hint="tldata annotate --update --prune RAW -o DATASET")
    if output is None:
        raise UsageError("--update needs the dataset", hint="tldata annotate --update RAW -o DATASET")
    odd = sorted(given - {*TO_UPDATE, "raw", "output", "update", "prune", "as_json"})
    if odd:
        raise UsageError(
            f"--{odd[0].replace('_', '-')} does not go with --update", hint="annotate --overwrite reads all"
        )
    options = {name: context.params[name] for name in TO_UPDATE if name in given}
    with annotate_progress(quiet=context.params["as_json"]) as progress:
        return update(raw, output, prune=context.params["prune"], progress=progress, **options)


def check(
    dataset: DatasetArgument,
    expect: Annotated[
        Path | None, typer.Option(help="What is expected, TOML or JSON (docs/data-under-control.md).")
    ] = None,
    reference: Annotated[Path | None, typer.Option(help="A dataset whose tools and schemas are expected.")] = None,
    write_expect: Annotated[
        Path | None, typer.Option(help="Freeze what the dataset is like into this file (TOML, or .json).")
    ] = None,
    junit: Annotated[Path | None, typer.Option(help="Write the results as JUnit XML, too.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Check that a dataset holds together and is what is expected of it; the exit status is 1 where it is not.

    Example: tldata check demo.tldata --write-expect expect.toml
    """
    from tldata import expect as expectations
    from tldata.console import console
    from tldata.dataset import open_dataset
    from tldata.jsontext import dumps

    data = open_dataset(dataset)
    wanted = None if expect is None else expectations.read_expectations(expect)
    found = expectations.check(data, wanted, reference=None if reference is None else open_dataset(reference))
    if write_expect is not None:
        expectations.write_expectations(expectations.freeze(data), write_expect)
    if junit is not None:
        junit.write_text(expectations.junit(found, str(dataset)), encoding="utf-8")
    if as_json:
        typer.echo(dumps(expectations.to_json(found, str(dataset))))
    else:
        console().print(expectations.render(found))
        if write_expect is not None:
            typer.echo(f"expectations: {write_expect}")
    if not all(one.ok for one in found):
        raise typer.Exit(1)


def diff(
    a: Annotated[Path, typer.Argument(help="The dataset to compare with.")],
    b: Annotated[Path, typer.Argument(help="The dataset that is compared.")],
    every: Annotated[
        bool, typer.Option("--all", help="Print every share, not only those that differ beyond chance.")
    ] = False,
    min_calls: Annotated[int, typer.Option(min=1, help="Leave out new wordings seen in fewer calls.")] = 2,
    limit: Annotated[int, typer.Option(min=1, help="Names and wordings to print.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """Compare two datasets: shares with intervals, new and vanished tools, changed schemas, new wordings of feedback.

    Example: tldata diff old.tldata new.tldata
    """
    from tldata import dataset_diff
    from tldata.console import console
    from tldata.dataset import open_dataset
    from tldata.jsontext import dumps

    found = dataset_diff.diff(open_dataset(a), open_dataset(b), min_calls=min_calls)
    if as_json:
        typer.echo(dumps(found.to_json()))
    else:
        console().print(dataset_diff.render(found, every=every, limit=limit))
