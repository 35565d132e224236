"""Open a dataset folder: its tables as SQL views, as polars or pandas frames, and its manifest."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from tldata.errors import DatasetError, UsageError
from tldata.schema import SCHEMA_VERSION, TABLES
from tldata.sqlfiles import glob_of, read_sql

if TYPE_CHECKING:
    import pandas
    import polars

MANIFEST = "manifest.json"


def damaged(path: Path) -> Path | None:
    """The first Parquet file of a dataset that cannot even be opened, if there is one."""
    for file in sorted(path.rglob("*.parquet")):
        try:
            pq.read_metadata(file)
        except (pa.ArrowException, OSError):
            return file
    return None


def _damage(path: Path, error: Exception) -> DatasetError:
    reason = str(error).partition("\n")[0]
    return DatasetError(
        f"{damaged(path) or path}: damaged: {reason}", hint="take the file from a copy, or annotate the sources again"
    )


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Say which file of a dataset is damaged where reading it fails.

    Raises:
        DatasetError: instead of what Arrow and DuckDB raise over files that are none.
    """
    try:
        yield
    except (pa.ArrowException, duckdb.Error) as error:
        raise _damage(path, error) from None
    except OSError as error:
        if error.errno is not None or isinstance(error, TimeoutError | ConnectionError):
            raise
        raise _damage(path, error) from None  # Arrow's word for pages that do not unpack


class Dataset:
    """A finished dataset folder, opened for reading.

    >>> import tldata
    >>> data = tldata.open("raw.tldata")                                          # doctest: +SKIP
    >>> data.sql("SELECT category, count(*) AS n FROM calls GROUP BY category")   # doctest: +SKIP
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.manifest: dict[str, Any] = read_manifest(self.path)
        self._connection: duckdb.DuckDBPyConnection | None = None

    def __repr__(self) -> str:
        counts = self.manifest.get("counts", {})
        return f"<tldata.Dataset {self.path} trajectories={counts.get('n_trajectories')} calls={counts.get('n_calls')}>"

    @property
    def token_sets(self) -> list[str]:
        """Names of the token sets that stand beside the tables."""
        folder = self.path / "tokens"
        if not folder.is_dir():
            return []
        return sorted(p.name for p in folder.iterdir() if (p / MANIFEST).is_file())

    def connect(
        self, *, read_only: bool = False, settings: Mapping[str, str | int] | None = None
    ) -> duckdb.DuckDBPyConnection:
        """A new DuckDB connection with a view per table and per token set (``tokens_<name>``).

        Args:
            read_only: lock the connection down: it reads this folder only, sees no Python variable, and loads no extension.
            settings: DuckDB settings, such as ``memory_limit``, set before the lock.
        """
        connection = duckdb.connect(config={"autoinstall_known_extensions": False})
        connection.execute("SET VARIABLE dataset = ?", [glob_of(self.path)])
        with reading(self.path):
            connection.execute(read_sql("views"))
        if any((self.path / "dropped").glob("*.parquet")):  # what tldata select left out, and why
            files = f"{glob_of(self.path)}/dropped/*.parquet".replace("'", "''")
            connection.execute(f"CREATE VIEW dropped AS FROM read_parquet('{files}')")
        for name in reversed(self.token_sets):  # the first stays the default of the queries over one token set
            connection.execute("SET VARIABLE tokens = ?", [name])
            files = f"{glob_of(self.path)}/tokens/{name}/*.parquet".replace("'", "''")
            view = '"tokens_' + name.replace('"', '""') + '"'
            connection.execute(f"CREATE OR REPLACE VIEW {view} AS FROM read_parquet('{files}')")
        for name, value in (settings or {}).items():
            connection.execute(f"SET {name} = ?", [value])
        if read_only:
            self.lock(connection)
        return connection

    def lock(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Lock a connection down for good, as ``connect(read_only=True)`` does."""
        connection.execute("SET python_enable_replacements = false")
        folder = self.path.resolve()
        connection.execute("SET allowed_directories = [?, ?]", [str(folder), glob_of(folder)])
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")

    def sql(self, query: str, parameters: list[Any] | None = None) -> pa.Table:
        """Run a query over the views; the result is an Arrow table (``.to_pandas()``, ``polars.from_arrow``).

        Raises:
            UsageError: the query does not run; DuckDB's message says where.
        """
        if self._connection is None:
            self._connection = self.connect()
        try:
            return self._connection.sql(query, params=parameters).to_arrow_table()
        except duckdb.Error as error:
            unspecific = type(error) is duckdb.Error or "Failed to read file" in str(error)  # pages that do not unpack
            if unspecific or damaged(self.path) is not None:
                raise _damage(self.path, error) from None
            raise UsageError(f"the query does not run: {error}", hint=self._query_hint(str(error))) from None

    def _query_hint(self, message: str) -> str:
        names = [*TABLES, *(f"tokens_{name}" for name in self.token_sets)]
        if "does not exist" in message and "Table" in message:
            return f"tables: {', '.join(names)}"
        found = re.search(r'column "?(\w+)"? not found', message, re.IGNORECASE)
        return "DESCRIBE calls" if found else "check the query in a DuckDB shell"

    def polars(self, query: str = "trajectories") -> polars.DataFrame:
        """A table by its name, or a query's result, as a polars frame."""
        import polars

        frame = polars.from_arrow(self.sql(_as_query(query)))
        assert isinstance(frame, polars.DataFrame)
        return frame

    def pandas(self, query: str = "trajectories") -> pandas.DataFrame:
        """A table by its name, or a query's result, as a pandas frame."""
        return self.sql(_as_query(query)).to_pandas()

    def stats(self, name: str = "overview", **options: Any) -> pa.Table:
        """A named statistic (``tldata stats --list``) as an Arrow table."""
        from tldata.stats import run_stat

        return run_stat(self, name, **options)

    def tokenize(self, tokenizer: str | Path, **options: Any) -> Any:
        """Compute a token set (``tldata tokenize``); see ``tldata.tokenize.tokenize``."""
        from tldata.tokenize import tokenize

        return tokenize(self.path, tokenizer, **options)

    def select(self, out: str | Path, **options: Any) -> Any:
        """Write chosen trajectories as a dataset of their own (``tldata select``); see ``tldata.select.select``."""
        from tldata.select import select

        return select(self, out, **options)

    def export(self, target: str, output: str | Path, **options: Any) -> Any:
        """Write the dataset in another format (``tldata export``)."""
        from tldata.export import export

        return export(self.path, target, output, **options)


def open_dataset(path: str | Path) -> Dataset:
    """Open a dataset folder.

    Raises:
        DatasetError: the folder is missing, unfinished, damaged, or of a newer version.
    """
    return Dataset(path)


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of a finished dataset folder; DatasetError says what is wrong with any other."""
    file = path / MANIFEST
    if not file.is_file():
        if (path.parent / f".{path.name}.partial").is_dir():
            raise DatasetError(
                f"{path}: this dataset is unfinished", hint="run the same tldata annotate again: it resumes"
            )
        if path.is_file():
            raise DatasetError(f"{path} is a file, not a dataset folder", hint=f"tldata annotate {path}")
        raise DatasetError(f"{path}: no dataset here (no {MANIFEST})", hint="tldata annotate RAW.jsonl")
    try:
        manifest = orjson.loads(file.read_bytes())
    except (orjson.JSONDecodeError, OSError) as error:
        raise DatasetError(f"{file}: cannot be read: {error}", hint="annotate the sources again") from None
    version = manifest.get("schema_version")
    if not isinstance(version, int) or version > SCHEMA_VERSION:
        raise DatasetError(
            f"{path}: written with schema version {version}; this tldata reads up to {SCHEMA_VERSION}",
            hint="pip install --upgrade tldata",
        )
    missing = [table for table in TABLES if not any((path / table).glob("*.parquet"))]
    if missing:
        raise DatasetError(f"{path}: the tables {', '.join(missing)} are missing", hint="annotate the sources again")
    return manifest


def _as_query(text: str) -> str:
    return f'FROM "{text}"' if re.fullmatch(r"\w+", text) else text
