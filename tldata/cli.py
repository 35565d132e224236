"""The ``tldata`` command: one module a group of commands, errors shown without a traceback, exit status 0, 1 or 2."""

from __future__ import annotations

import os
import sys

import typer

from tldata import __version__
from tldata.commands import (
    collect,
    curate,
    data,
    evaluate,
    export,
    look,
    noise,
    report,
    rules,
    scrub,
    select,
    tokens,
    view,
)
from tldata.errors import TldataError

app = typer.Typer(
    name="tldata",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Turn raw logs of tool-using agents into annotated, queryable data and weighted training tokens.",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tldata {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    pass


data.register(app)
look.register(app)
report.register(app)
view.register(app)
app.add_typer(rules.app, name="rules")
tokens.register(app)
select.register(app)
curate.register(app)
scrub.register(app)
export.register(app)
collect.register(app)
noise.register(app)
app.add_typer(evaluate.app, name="evaluate")


def main() -> None:
    """Run the command line; errors of our own end it with their message and status."""
    try:
        app()
    except TldataError as error:
        sys.stderr.write(f"Error: {error}\n")
        sys.exit(error.exit_status)
    except BrokenPipeError:  # the reader of our output has gone (| head)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        sys.stderr.write(f"Error: {error.filename or ''}{': ' if error.filename else ''}{error.strerror or error}\n")
        if error.errno == 28:
            sys.stderr.write("  try: free some space, then run the same command again (annotate resumes)\n")
        sys.exit(1)
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in ("pyarrow", "duckdb", "_duckdb"):
            raise
        sys.stderr.write(f"Error: a file cannot be read or written: {error}\n")
        sys.stderr.write("  try: tldata sql DATASET 'FROM calls' names the file if the dataset is damaged\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
