"""Datasets on an S3-compatible store: read from it, written to it, its manifest last; what the store refuses ends in its own words."""

import json
import threading

import pytest

import tldata
from tests.faults.test_remote import RECORDS, tables, without_sources
from tests.records import one_call, write_jsonl
from tldata import remote
from tldata.cli import main
from tldata.errors import DatasetError, InputError, UsageError

pytest.importorskip("s3fs")
moto = pytest.importorskip("moto.server")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture(scope="module")
def server():
    running = moto.ThreadedMotoServer(port=0, verbose=False)
    running.start()
    yield "http://{}:{}".format(*running.get_host_and_port())
    running.stop()


@pytest.fixture
def s3(server, monkeypatch, tmp_path):
    """A file system over an empty bucket, reached by the usual environment variables."""
    import s3fs

    for name, value in (
        ("AWS_ENDPOINT_URL", server),
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("XDG_CACHE_HOME", str(tmp_path / "cache")),
    ):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(remote, "FIRST_WAIT", 0.0)
    s3fs.S3FileSystem.clear_instance_cache()
    fs = s3fs.S3FileSystem()
    fs.mkdir("bucket")
    yield fs
    fs.rm("bucket", recursive=True)
    s3fs.S3FileSystem.clear_instance_cache()


def put(fs, place, records):
    fs.pipe_file(place, b"".join(json.dumps(record).encode() + b"\n" for record in records))


def fetched(fs, place, folder):
    fs.invalidate_cache()
    fs.get(place, str(folder), recursive=True)
    return folder


def test_from_s3_to_s3_is_the_same_dataset_as_here(s3, tmp_path):
    put(s3, "bucket/raw/a.jsonl", RECORDS[:200])
    put(s3, "bucket/raw/deep/b.jsonl", RECORDS[200:])
    summary = tldata.annotate("s3://bucket/raw", "s3://bucket/sets/one.tldata")
    assert summary.path == "s3://bucket/sets/one.tldata" and summary.counts["n_trajectories"] == 300
    there = fetched(s3, "bucket/sets/one.tldata", tmp_path / "there.tldata")
    write_jsonl(tmp_path / "a.jsonl", RECORDS[:200])
    write_jsonl(tmp_path / "b.jsonl", RECORDS[200:])
    here = tldata.annotate([tmp_path / "a.jsonl", tmp_path / "b.jsonl"], tmp_path / "here.tldata")
    assert without_sources(tables(there)) == without_sources(tables(here.path))
    assert not [path for path in there.rglob("*") if path.name in ("plan.json", remote.UPLOADING, "blocks", "prefixes")]
    assert not any((tmp_path / "cache" / "tldata").iterdir())  # nothing is left on this machine


def test_worker_processes_read_s3_by_ranges(s3, tmp_path):
    many = [one_call("forecast", {"city": "Rome"}, "x" * 3000, query=f"Q {i}") for i in range(4000)]
    put(s3, "bucket/raw.jsonl", many)
    there = tldata.annotate("s3://bucket/raw.jsonl", tmp_path / "there.tldata", workers=2)
    here = tldata.annotate(write_jsonl(tmp_path / "raw.jsonl", many), tmp_path / "here.tldata", workers=2)
    assert len(list((tmp_path / "there.tldata" / "calls").iterdir())) > 3
    assert without_sources(tables(there.path)) == without_sources(tables(here.path))


def test_ray_reads_s3_and_the_dataset_goes_to_s3(s3, tmp_path):
    pytest.importorskip("ray")
    put(s3, "bucket/raw.jsonl", RECORDS)
    tldata.annotate("s3://bucket/raw.jsonl", "s3://bucket/ray.tldata", engine="ray", workers=1)
    tldata.annotate("s3://bucket/raw.jsonl", "s3://bucket/local.tldata")
    one = fetched(s3, "bucket/ray.tldata", tmp_path / "ray.tldata")
    other = fetched(s3, "bucket/local.tldata", tmp_path / "local.tldata")
    assert tables(one) == tables(other)


def test_a_finished_dataset_is_refused_then_replaced_and_nothing_of_it_stays(s3, tmp_path):
    put(s3, "bucket/raw.jsonl", RECORDS)
    put(s3, "bucket/few.jsonl", RECORDS[:3])
    tldata.annotate("s3://bucket/raw.jsonl", "s3://bucket/out.tldata")
    s3.pipe_file("bucket/out.tldata/tokens/t/part-00000.parquet", b"of the old one")
    with pytest.raises(DatasetError, match="finished dataset"):
        tldata.annotate("s3://bucket/few.jsonl", "s3://bucket/out.tldata")
    tldata.annotate("s3://bucket/few.jsonl", "s3://bucket/out.tldata", overwrite=True)
    assert not s3.exists("bucket/out.tldata/tokens")
    data = tldata.open(fetched(s3, "bucket/out.tldata", tmp_path / "got.tldata"))
    assert data.sql("SELECT count(*) AS n FROM trajectories").to_pylist() == [{"n": 3}]


def test_a_folder_that_is_no_dataset_is_never_written_to(s3):
    put(s3, "bucket/raw.jsonl", RECORDS[:3])
    put(s3, "bucket/mine/diary.jsonl", RECORDS[:3])
    with pytest.raises(DatasetError, match="no tldata dataset"):
        tldata.annotate("s3://bucket/raw.jsonl", "s3://bucket/mine", overwrite=True)
    with pytest.raises(UsageError, match="takes no files"):
        tldata.annotate("s3://bucket/raw.jsonl", "https://example.org/out.tldata")


def test_an_upload_that_breaks_off_leaves_no_manifest_and_the_next_run_completes_it(s3, tmp_path, monkeypatch):
    import s3fs

    from tldata import engine

    put(s3, "bucket/raw.jsonl", RECORDS)
    put(s3, "bucket/few.jsonl", RECORDS[:3])
    tldata.annotate("s3://bucket/few.jsonl", "s3://bucket/out.tldata")
    real, puts = s3fs.S3FileSystem._put_file, []

    async def fails(self, local, place, *rest, **options):
        puts.append(place)
        if len(puts) > 2:
            raise ConnectionError("reset by peer")
        return await real(self, local, place, *rest, **options)

    monkeypatch.setattr(s3fs.S3FileSystem, "_put_file", fails)
    s3fs.S3FileSystem.clear_instance_cache()  # instances bind their methods when they are made
    with pytest.raises(DatasetError, match="cannot be written, tried 5 times: ConnectionError: reset by peer"):
        tldata.annotate("s3://bucket/raw.jsonl", "s3://bucket/out.tldata", overwrite=True)
    s3.invalidate_cache()
    assert not s3.exists("bucket/out.tldata/manifest.json")  # neither the old one nor half of the new one
    monkeypatch.setattr(s3fs.S3FileSystem, "_put_file", real)
    s3fs.S3FileSystem.clear_instance_cache()
    monkeypatch.setattr(engine, "do_block", lambda block: pytest.fail("a finished block was done again"))
    tldata.annotate("s3://bucket/raw.jsonl", "s3://bucket/out.tldata")
    data = tldata.open(fetched(s3, "bucket/out.tldata", tmp_path / "got.tldata"))
    assert data.sql("SELECT count(*) AS n FROM trajectories").to_pylist() == [{"n": 300}]


def test_a_reader_who_asks_for_the_manifest_first_never_sees_half_of_a_dataset(s3, tmp_path, monkeypatch):
    """At each request of an overwriting upload: no manifest, or that of a dataset whose files are all there."""
    import s3fs

    put(s3, "bucket/raw.jsonl", RECORDS)
    put(s3, "bucket/few.jsonl", RECORDS[:3])
    tldata.annotate("s3://bucket/few.jsonl", "s3://bucket/out.tldata")
    reader = s3fs.S3FileSystem(skip_instance_cache=True)
    seen = []
    real = remote._attempt

    def look(name, action):
        answer = real(name, action)
        reader.invalidate_cache()
        files = {file.rpartition("out.tldata/")[2] for file in reader.find("bucket/out.tldata")}
        if "manifest.json" in files:
            counts = json.loads(reader.cat_file("bucket/out.tldata/manifest.json"))["counts"]
            seen.append(counts["n_trajectories"])
            assert {file.split("/")[0] for file in files} >= {
                "trajectories",
                "messages",
                "calls",
                "toolsets",
                "rejects",
            }
        else:
            seen.append(None)
        return answer

    monkeypatch.setattr(remote, "_attempt", look)
    tldata.annotate("s3://bucket/raw.jsonl", "s3://bucket/out.tldata", overwrite=True)
    assert [state for i, state in enumerate(seen) if i == 0 or state != seen[i - 1]] == [3, None, 300]


@pytest.mark.parametrize("raw", ["s3://bucket/nothing.jsonl", "s3://nobucket/raw.jsonl"])
def test_what_is_not_there_is_a_clear_error(s3, tmp_path, raw):
    with pytest.raises(InputError, match="no such file"):
        tldata.annotate(raw, tmp_path / "out.tldata")


def test_a_server_that_is_down_ends_the_command_without_a_traceback(s3, tmp_path, monkeypatch, capsys):
    import s3fs

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    s3fs.S3FileSystem.clear_instance_cache()
    monkeypatch.setattr("sys.argv", ["tldata", "annotate", "s3://bucket/raw.jsonl", "-o", str(tmp_path / "out.tldata")])
    with pytest.raises(SystemExit) as status:
        main()
    text = capsys.readouterr().err
    assert status.value.code == 1 and "s3://bucket/raw.jsonl: cannot be read" in text and "Traceback" not in text
    assert threading.active_count() < 50
