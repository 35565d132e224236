"""Raw records behind URLs: the same tables as from local files, retries where a store errs, clear errors where it cannot."""

import gzip
import http.server
import io
import json
import threading

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

import tldata
from tests.records import one_call, write_jsonl
from tldata import remote
from tldata.errors import InputError, UsageError
from tldata.sources import find_sources

fsspec = pytest.importorskip("fsspec")
RECORDS = [one_call("forecast", {"city": f"C{i}"}, f"{i} C", query=f"Q {i}") for i in range(300)]


@pytest.fixture
def no_waits(monkeypatch):
    monkeypatch.setattr(remote, "FIRST_WAIT", 0.0)


def tables(dataset):
    """Every row of every table, in order."""
    data = tldata.open(dataset)
    return {name: data.sql(f"FROM {name}").to_pylist() for name in ("trajectories", "messages", "calls", "toolsets")}


def without_sources(found):
    return {
        table: [{key: value for key, value in row.items() if key != "source"} for row in rows]
        for table, rows in found.items()
    }


@pytest.mark.parametrize(
    "name", ["raw.jsonl", "raw.json", "raw.jsonl.gz", "raw.jsonl.zst", "raw.parquet", "utf16.jsonl", "raw.json.gz"]
)
def test_a_url_gives_the_same_tables_as_the_file(tmp_path, name):
    text = "".join(json.dumps(record) + "\n" for record in RECORDS)
    if name.startswith("raw.json") and "jsonl" not in name:
        text = json.dumps(RECORDS)
    data = text.encode("utf-16" if name.startswith("utf16") else "utf-8")
    if name.endswith(".gz"):
        data = gzip.compress(data)
    elif name.endswith(".zst"):
        data = zstandard.compress(data)
    elif name.endswith(".parquet"):
        packed = io.BytesIO()
        rows = [{key: json.dumps(value) for key, value in record.items()} for record in RECORDS]
        pq.write_table(pa.Table.from_pylist(rows), packed, row_group_size=100)
        data = packed.getvalue()
    file = tmp_path / name
    file.write_bytes(data)
    there = tldata.annotate(f"file://{file}", tmp_path / "there.tldata")
    here = tldata.annotate(file, tmp_path / "here.tldata")
    assert there.counts == here.counts and here.counts["n_trajectories"] == 300
    assert without_sources(tables(there.path)) == without_sources(tables(here.path))
    assert tldata.open(there.path).sql("SELECT DISTINCT source FROM trajectories").to_pylist() == [
        {"source": f"file://{file}"}
    ]


def test_folders_and_patterns_behind_urls_name_the_same_files_as_paths(tmp_path):
    for place in ("a/log.jsonl", "b/log.jsonl", "b/.hidden.jsonl", "b/readme.txt"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        write_jsonl(tmp_path / place, RECORDS[:2])
    tldata.annotate(tmp_path / "a", tmp_path / "done.tldata")
    local = find_sources([tmp_path])
    folder = find_sources([f"file://{tmp_path}"])
    assert [(s.label, s.size, s.container) for s in folder] == [(s.label, s.size, s.container) for s in local]
    assert [s.label for s in find_sources([f"file://{tmp_path}/*/log.jsonl"])] == ["a/log", "b/log"]
    with pytest.raises(InputError, match="no such file"):
        find_sources([f"file://{tmp_path}/nothing.jsonl"])


def test_what_only_this_process_sees_is_read_in_this_process(tmp_path):
    many = [one_call("forecast", {"city": "Rome"}, "x" * 3000, query=f"Q {i}") for i in range(4000)]  # above SMALL
    with fsspec.open("memory://raws/raw.jsonl", "wb") as handle:
        handle.write(b"".join(json.dumps(record).encode() + b"\n" for record in many))
    try:
        summary = tldata.annotate("memory://raws/raw.jsonl", tmp_path / "out.tldata", workers=2)
        assert summary.counts["n_trajectories"] == 4000
    finally:
        fsspec.filesystem("memory").rm("/raws", recursive=True)


def test_secrets_in_urls_reach_no_table():
    assert remote.public_name("https://me:pw@host:80/a.jsonl?X-Amz-Signature=12#x") == "https://host:80/a.jsonl"


class Flaky(fsspec.filesystem("memory").__class__):
    """A store in memory of which every second request fails, and of which some are cut short."""

    protocol = "flaky"
    store, pseudo_dirs = {}, [""]
    requests = 0
    down = False

    @classmethod
    def _strip_protocol(cls, path):
        return "/" + path.removeprefix("flaky://").strip("/")

    def cat_file(self, path, start=None, end=None, **options):
        Flaky.requests += 1
        if Flaky.down or Flaky.requests % 3 == 1:
            raise ConnectionError("reset by peer")
        data = super().cat_file(path, start, end, **options)
        return data[:-1] if Flaky.requests % 3 == 2 else data


@pytest.fixture
def flaky(no_waits):
    fsspec.register_implementation("flaky", Flaky, clobber=True)
    Flaky.requests, Flaky.down = 0, False
    data = "".join(json.dumps(record) + "\n" for record in RECORDS).encode()
    Flaky().pipe_file("/raw.jsonl", data)
    yield "flaky://raw.jsonl"
    Flaky.store.clear()


def test_a_store_that_errs_now_and_then_is_asked_again(flaky, tmp_path, monkeypatch):
    monkeypatch.setattr(remote, "ONE_PROCESS", ("flaky",))
    summary = tldata.annotate(flaky, tmp_path / "out.tldata")
    local = tldata.annotate(write_jsonl(tmp_path / "raw.jsonl", RECORDS), tmp_path / "local.tldata")
    assert Flaky.requests >= 6
    assert without_sources(tables(summary.path)) == without_sources(tables(local.path))


def test_a_store_that_always_errs_ends_the_run_with_its_words(flaky, tmp_path):
    Flaky.down = True
    with pytest.raises(
        InputError, match=r"flaky:///raw.jsonl: cannot be read, tried 5 times: ConnectionError: reset by peer"
    ):
        tldata.annotate(flaky, tmp_path / "out.tldata")
    assert not (tmp_path / "out.tldata").exists()


def test_an_object_that_changes_while_it_is_read_is_an_error(tmp_path, monkeypatch):
    from tldata import engine

    with fsspec.open("memory://raw.jsonl", "wb") as handle:
        handle.write(b"".join(json.dumps(record).encode() + b"\n" for record in RECORDS))
    real = engine.do_block

    def grows(block):
        with fsspec.open("memory://raw.jsonl", "ab") as handle:
            handle.write(b"{}\n")
        return real(block)

    monkeypatch.setattr(engine, "do_block", grows)
    with pytest.raises(InputError, match="changed while it was read"):
        tldata.annotate("memory://raw.jsonl", tmp_path / "out.tldata")


def test_a_store_whose_package_is_missing_is_wrong_usage(monkeypatch):
    def missing(url):
        raise ImportError("Install gcsfs to access Google Storage")

    monkeypatch.setattr("fsspec.core.url_to_fs", missing)
    with pytest.raises(UsageError, match="gcsfs"):
        find_sources(["gs://bucket/raw.jsonl"])
    monkeypatch.undo()
    with pytest.raises(UsageError, match="nosuch"):
        find_sources(["nosuch://bucket/raw.jsonl"])


@pytest.fixture
def web(tmp_path):
    """A web server over a folder; Python's own gives no parts of files unless taught to."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        ranges = True

        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(tmp_path / "www"))

        def log_message(self, *arguments):
            pass

        def end_headers(self):
            if self.ranges:
                self.send_header("Accept-Ranges", "bytes")
            super().end_headers()

        def do_GET(self):
            wanted = self.headers.get("Range")
            if not (self.ranges and wanted):
                return super().do_GET()
            data = (tmp_path / "www" / self.path.lstrip("/").partition("?")[0]).read_bytes()
            first, last = wanted.removeprefix("bytes=").split("-")
            part = data[int(first) : int(last) + 1]
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{int(first) + len(part) - 1}/{len(data)}")
            self.send_header("Content-Length", str(len(part)))
            self.end_headers()
            self.wfile.write(part)
            return None

    (tmp_path / "www").mkdir()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", Handler
    server.shutdown()
    thread.join()
    server.server_close()


def test_files_of_a_web_server_are_read_by_ranges(web, tmp_path):
    pytest.importorskip("aiohttp")
    url, handler = web
    write_jsonl(tmp_path / "www" / "raw.jsonl", RECORDS)
    summary = tldata.annotate(f"{url}/raw.jsonl?token=secret", tmp_path / "out.tldata")
    assert summary.counts["n_trajectories"] == 300
    assert "secret" not in (tmp_path / "out.tldata" / "manifest.json").read_text()
    handler.ranges = False
    with pytest.raises(InputError, match="no parts of files") as error:
        tldata.annotate(f"{url}/raw.jsonl", tmp_path / "other.tldata")
    assert "curl" in error.value.hint
    with pytest.raises(InputError, match="no such file"):
        tldata.annotate(f"{url}/nothing.jsonl", tmp_path / "other.tldata")
