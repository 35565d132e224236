"""What every script shares: its options, where data and results lie, what stands in for models in a dry run, and how results are written."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tldata.errors import TldataError
from tldata.jsontext import dumps

HERE = Path(__file__).parent
DUMMY = "DUMMY"  # stands in title, table and plot of whatever no real model made


@dataclass(slots=True)
class Setting:
    """One run of a script.

    ``dry_run``: stand-ins for models, and, without ``offline``, small data of our own. ``offline``: the folder that holds the data,
    from which nothing is fetched. ``results``: where everything is written; a cell that is there is not made again.
    """

    name: str
    arguments: argparse.Namespace
    dry_run: bool
    offline: Path | None
    results: Path
    said: list[str] = field(default_factory=list)
    stack: ExitStack = field(default_factory=ExitStack)

    def say(self, line: str = "") -> None:
        """Print a line, and keep it for those who ask what was printed."""
        self.said.append(line)
        print(line, flush=True)

    def title(self, text: str) -> str:
        """A title, marked where the numbers are no measurement."""
        return f"{DUMMY} {text} (dry run: the numbers mean nothing)" if self.dry_run else text

    def data(self) -> Path:
        """The folder of the data, in the layout of data.toml."""
        from reproduce.data import DATA
        from reproduce.sample import write_sample

        if self.offline is not None:
            return self.offline
        if self.dry_run:
            return write_sample(self.results / "data")
        return DATA

    def need(self, *names: str) -> list[Path]:
        """Files of the data folder.

        Raises:
            InputError: one is missing; the hint says how to get it.
        """
        from reproduce.data import need

        return need(self.data(), names, offline=self.offline is not None)

    def folder(self, *parts: str) -> Path:
        """A folder under the results, made if need be."""
        path = self.results.joinpath(*parts)
        path.mkdir(parents=True, exist_ok=True)
        return path

    def run(self, *words: str | Path) -> None:
        """Say a command of tldata or tltrain, and run it in this process."""
        texts = [str(word) for word in words]
        self.say(f"$ {shlex.join(texts)}")
        if texts[0] == "tltrain":
            from tltrain_plugin.cli import app
        else:
            from tldata.cli import app
        app(args=texts[1:], prog_name=texts[0], standalone_mode=False)

    def write(self, found: Any, text: str, figure: Callable[[Path], None] | None = None) -> None:
        """Write and print a result: NAME.json, NAME.md and, with a figure, NAME.svg.

        Args:
            found: to be written as JSON, beside what kind of numbers these are.
            text: Markdown, without a title.
            figure: draws to the file it is given.
        """
        head = self.title(self.name)
        folder = self.folder()
        marked = {"script": self.name, "dummy": self.dry_run, "result": found}
        (folder / f"{self.name}.json").write_text(dumps(marked) + "\n", encoding="utf-8")
        (folder / f"{self.name}.md").write_text(f"# {head}\n\n{text}", encoding="utf-8")
        self.say(f"\n{head}\n\n{text}")
        if figure is not None:
            figure(folder / f"{self.name}.svg")
        self.say(f"written: {folder / self.name}.{{json,md{',svg' if figure else ''}}}")


def parser(document: str | None, example: str) -> argparse.ArgumentParser:
    """The options that every script has; ``document`` is its docstring, whose first line says what it does."""
    found = argparse.ArgumentParser(
        prog=example.partition(" --")[0],
        description=(document or "").partition("\n\n")[0].replace("\n", " "),
        epilog=f"Example: {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    found.add_argument(
        "--dry-run", action="store_true", help="stand-ins for models, small data; marked as dummy numbers"
    )
    found.add_argument("--offline", type=Path, metavar="FOLDER", help="folder that holds the data; nothing is fetched")
    found.add_argument("--results", type=Path, metavar="FOLDER", help="where to write [default: reproduce/results]")
    return found


def with_models(options: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add the options of scripts that ask models."""
    options.add_argument("--models", metavar="NAMES", help="models, with commas [default: all of the table]")
    options.add_argument(
        "--endpoint",
        action="append",
        default=[],
        metavar="[NAME=]URL",
        help="where a model is asked, or all of them [default: its port on this machine; models.toml]",
    )
    options.add_argument("--workers", type=int, default=16, help="requests under way at the same time [16]")
    return options


def read(options: argparse.ArgumentParser, name: str, words: Sequence[str] | None = None) -> Setting:
    """Read the command line into a setting."""
    arguments = options.parse_args(words)
    if arguments.dry_run:  # models are tiny: threads would only wait for each other
        os.environ.setdefault("OMP_NUM_THREADS", "1")
    results = arguments.results or HERE / "results"
    if arguments.dry_run and arguments.results is None:
        results = results / "dummy"
    if arguments.offline is not None and not arguments.offline.is_dir():
        options.error(f"--offline {arguments.offline}: no such folder")
    return Setting(name, arguments, arguments.dry_run, arguments.offline, results)


def run_script(main: Callable[[Setting], None], setting: Setting) -> int:
    """Run a script; errors of our own end it with their message and status."""
    try:
        with setting.stack:
            main(setting)
    except TldataError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print("interrupted; the same command goes on where it stood", file=sys.stderr)
        return 130
    return 0


@contextmanager
def drawing(setting: Setting, width: float = 7.2, height: float = 3.4) -> Iterator[Any]:
    """A figure to draw on, with the mark of a dry run across it; matplotlib is imported here only."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    yield figure
    if setting.dry_run:
        figure.text(0.5, 0.5, DUMMY, fontsize=60, color="#d55e00", alpha=0.25, ha="center", va="center", rotation=20)


def markdown(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table; numbers with two digits, None as a dash.

    >>> print(markdown(["", "n"], [["all", 3], ["share", 1.5]]), end="")
    | | n |
    |---|--:|
    | all | 3 |
    | share | 1.50 |
    """
    lines = [
        "| " + " | ".join(columns).strip() + " |" if columns[0] else "| | " + " | ".join(columns[1:]) + " |",
        "|---|" + "--:|" * (len(columns) - 1),
    ]
    return "\n".join([*lines, *("| " + " | ".join(map(cell, row)) + " |" for row in rows)]) + "\n"


def cell(value: Any) -> str:
    """One cell of a table as text."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
