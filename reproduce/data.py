"""The data sets of the paper out of data.toml: where they lie, whether they are the known files, and how to fetch them when asked.

python -m reproduce.data check --offline ../shared/data
"""

from __future__ import annotations

import gzip
import hashlib
import shutil
import subprocess
import sys
import tomllib
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from reproduce.setting import HERE, Setting, markdown, parser, read, run_script
from tldata.errors import InputError, UsageError

DATA = HERE / "data"
RAW = "https://raw.githubusercontent.com"
GITHUB = "https://github.com"


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of data.toml, which says what each field means."""

    set: str
    path: str
    repository: str
    revision: str
    source: str
    sha256: str = ""
    kind: str = "file"
    url: str = ""
    note: str = ""

    def address(self) -> str:
        """Where it is fetched from.

        >>> Entry("s", "a.json", "o/r", "abc", "Data/a.json").address()
        'https://raw.githubusercontent.com/o/r/abc/Data/a.json'
        """
        if self.url:
            return self.url
        return (
            f"{RAW}/{self.repository}/{self.revision}/{self.source}"
            if self.kind == "file"
            else f"{GITHUB}/{self.repository}"
        )


def load_entries(file: Path = HERE / "data.toml") -> list[Entry]:
    """All rows of data.toml."""
    known = {each.name for each in fields(Entry)}
    rows = tomllib.loads(file.read_text(encoding="utf-8"))["file"]
    for row in rows:
        if set(row) - known:
            raise UsageError(f"{file}, {row.get('path')}: unknown keys {', '.join(sorted(set(row) - known))}")
    return [Entry(**row) for row in rows]


def need(folder: Path, names: Sequence[str], *, offline: bool) -> list[Path]:
    """Files of a data folder.

    Raises:
        InputError: one is missing.
    """
    paths = [folder / name for name in names]
    for path, name in zip(paths, names, strict=True):
        if not path.exists():
            sets = sorted(
                {e.set for e in load_entries() if e.path == name or e.path.startswith(name.rstrip("/") + "/")}
            )
            hint = f"it has to be there: --offline fetches nothing ({path})" if offline else ""
            raise InputError(f"{path}: no such data", hint=hint or f"python -m reproduce.data fetch {' '.join(sets)}")
    return paths


def state(entry: Entry, folder: Path) -> str:
    """missing, known (the digest of data.toml), other (another digest), or there (no digest to compare with)."""
    path = folder / entry.path
    if not path.exists():
        return "missing"
    if not entry.sha256 or path.is_dir():
        return "there"
    return "known" if digest(path) == entry.sha256 else "other"


def digest(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(entry: Entry, folder: Path) -> Path:
    """Fetch one entry into a data folder; what is there stays as it is.

    Raises:
        InputError: it cannot be had, or its digest is not the known one (then nothing is kept).
    """
    target = folder / entry.path
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.part")
    if entry.kind == "file":
        try:
            with urllib.request.urlopen(entry.address(), timeout=60) as answer, partial.open("wb") as file:
                shutil.copyfileobj(answer, file)
        except (urllib.error.URLError, OSError) as error:
            partial.unlink(missing_ok=True)
            raise InputError(f"{entry.address()}: {error}", hint=f"put the file there by hand: {target}") from None
    else:
        found = sorted(_clone(entry, folder).glob(entry.source))
        if not found:
            raise InputError(f"{entry.address()} at {entry.revision}: nothing there like {entry.source}")
        if entry.kind == "clone":
            shutil.copytree(found[0], partial)
        else:
            with gzip.open(partial, "wb") as packed:
                packed.writelines(part.read_bytes().rstrip(b"\n") + b"\n" for part in found)
    if entry.sha256 and digest(partial) != entry.sha256:
        got = digest(partial)
        partial.unlink()
        raise InputError(f"{entry.address()}: not the known file: its SHA-256 is {got}, not {entry.sha256}")
    return partial.rename(target)


def _clone(entry: Entry, folder: Path) -> Path:
    """A checkout of the entry's repository at its revision."""
    checkout = folder / ".clones" / f"{entry.repository.replace('/', '--')}-{entry.revision[:12]}"
    if checkout.exists():
        return checkout
    partial = checkout.with_name(f"{checkout.name}.part")
    shutil.rmtree(partial, ignore_errors=True)
    for words in (
        ["clone", "--quiet", entry.address(), str(partial)],
        ["-C", str(partial), "checkout", "--quiet", entry.revision],
    ):
        done = subprocess.run(["git", *words], capture_output=True, text=True, check=False)
        if done.returncode:
            raise InputError(f"git {' '.join(words)}: {done.stderr.strip().splitlines()[-1:]}")
    return partial.rename(checkout)


def main(setting: Setting) -> None:
    """List, check or fetch."""
    wanted, names = setting.arguments.action, setting.arguments.sets
    entries = load_entries()
    known = list(dict.fromkeys(entry.set for entry in entries))
    for name in names:
        if name not in known:
            raise UsageError(f"no data set {name!r}", hint=", ".join(known))
    chosen = [entry for entry in entries if not names or entry.set in names]
    folder = setting.data()
    if wanted == "fetch":
        if setting.offline is not None or setting.dry_run:
            raise UsageError("fetch is the one thing that --offline and --dry-run exclude")
        if not names:
            raise UsageError("fetch what?", hint=", ".join(known))
        for entry in chosen:
            path = fetch(entry, folder)
            setting.say(f"{path}" + (f"  sha256 {digest(path)}" if path.is_file() and not entry.sha256 else ""))
        return
    rows = [
        [entry.path, entry.set, state(entry, folder), entry.address(), entry.sha256[:12] or "unknown"]
        for entry in chosen
    ]
    setting.say(markdown(["file", "set", "state", "from", "sha256"], rows))
    others = [row[0] for row in rows if row[2] == "other"]
    if wanted == "check" and others:
        setting.say(f"not the known files: {', '.join(others)}")


if __name__ == "__main__":
    options = parser(__doc__, "python -m reproduce.data fetch rotbench toolalpaca bfcl tooleyes")
    options.add_argument(
        "action", choices=["list", "check", "fetch"], help="list, check the digests, or fetch what is named"
    )
    options.add_argument("sets", nargs="*", metavar="SET", help="data sets [default: all]")
    sys.exit(run_script(main, read(options, "data")))
