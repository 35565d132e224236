"""``tldata scrub``: a dataset without its secrets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    app.command()(scrub)


def scrub(
    dataset: Annotated[Path, typer.Argument(help="Dataset folder, as annotate wrote it.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the scrubbed dataset.")],
    kinds: Annotated[
        list[str] | None,
        typer.Option(
            help="What to replace, with commas: key, token, private_key, secret, email, phone, card, iban, ssn; on demand "
            "personal, user, ip; or all."
        ),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(
            help="File with the key of the stand-ins [default: $TLDATA_SCRUB_KEY, else a new one, kept nowhere]."
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a finished dataset.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts as one JSON object.")] = False,
) -> None:
    """Replace keys, tokens, e-mail addresses, phone numbers and the like by stand-ins in every table of a new dataset.

    A value has the same stand-in everywhere, such as <email-3f9a1c04b7d2>; verdicts stay as they are; token sets are left behind.

    Example: tldata scrub demo.tldata -o clean.tldata
    """
    from tldata.console import console, result_table
    from tldata.jsontext import dumps
    from tldata.scrub import parse_kinds
    from tldata.scrub.dataset import scrub_dataset

    made = scrub_dataset(dataset, output, kinds=parse_kinds(kinds), key=key, overwrite=overwrite)
    if as_json:
        typer.echo(dumps(made.to_json()))
        return
    screen = console()
    rows = made.rows()
    if rows:
        screen.print(result_table(["table", "column", "kind", "places"], [tuple(row.values()) for row in rows]))
    total = sum(made.kinds.values())
    screen.print(f"{total:,} places replaced in {made.n_trajectories:,} trajectories; {made.seconds:.1f} s")
    screen.print(f"dataset: {made.path}", markup=False)
    if (dataset / "tokens").is_dir():
        screen.print("token sets hold the old text and were left behind", markup=False)
        screen.print(f"next: tldata tokenize {made.path} --tokenizer ID_OR_FOLDER", markup=False)
