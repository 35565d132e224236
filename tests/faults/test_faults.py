"""Full disks, denied permissions, damaged and changing files: a clear error without a traceback, nothing lost, nothing counted twice."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tldata
from tests.records import one_call, write_jsonl
from tests.tokenize.conftest import tiny as tiny
from tldata import cli, engine
from tldata.errors import DatasetError, InputError

RECORDS = [one_call("forecast", {"city": f"C{i}"}, f"{i} C", query=f"Q {i}") for i in range(300)]


def files(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in Path(folder).rglob("*.parquet")}


def command(*arguments, capsys, monkeypatch):
    """Run the command line; its exit status and what it said to stderr."""
    monkeypatch.setattr("sys.argv", ["tldata", *map(str, arguments)])
    status = 0
    try:
        cli.main()
    except SystemExit as ended:
        status = ended.code or 0
    return status, capsys.readouterr().err


def incompressible(n):
    return [
        one_call("forecast", {"city": os.urandom(900).hex()}, os.urandom(900).hex(), query=f"Q {i}") for i in range(n)
    ]


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of its own of 3 MB; needs the right to mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_disk_is_said_and_with_more_room_the_same_command_goes_on(small_disk, tmp_path, workers, monkeypatch):
    monkeypatch.setattr(engine, "SMALLEST_BLOCK", 1 << 20)
    raw = write_jsonl(tmp_path / "raw.jsonl", incompressible(3500))  # 13 MB
    target = small_disk / "out.tldata"
    tldata.annotate(write_jsonl(tmp_path / "few.jsonl", RECORDS[:3]), target)
    before = files(target)
    with pytest.raises(OSError, match="No space left on device"):
        tldata.annotate(raw, target, overwrite=True, workers=workers)
    assert files(target) == before
    done = len(list((small_disk / ".out.tldata.partial" / "blocks").glob("*.json")))
    assert done > 0
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    tldata.annotate(raw, target, overwrite=True, workers=workers)
    assert files(target) == files(tldata.annotate(raw, tmp_path / "whole.tldata").path)


def test_a_full_disk_ends_tokenize_without_a_traceback(small_disk, tmp_path, tiny, capsys, monkeypatch):
    data = tldata.annotate(write_jsonl(tmp_path / "raw.jsonl", incompressible(650)), tmp_path / "raw.tldata").path
    shutil.copytree(data, small_disk / "raw.tldata")
    arguments = ("tokenize", small_disk / "raw.tldata", "--tokenizer", tiny, "--name", "t")
    status, said = command(*arguments, capsys=capsys, monkeypatch=monkeypatch)
    assert status == 1 and "No space left" in said and "Traceback" not in said
    assert not (small_disk / "raw.tldata" / "tokens" / "t").exists()
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    assert command(*arguments, capsys=capsys, monkeypatch=monkeypatch)[0] == 0
    tldata.tokenize.tokenize(data, tiny, name="t")
    assert files(small_disk / "raw.tldata" / "tokens" / "t") == files(data / "tokens" / "t")


def test_a_disk_that_cannot_be_written_is_said(small_disk, tmp_path, capsys, monkeypatch):
    raw = write_jsonl(tmp_path / "raw.jsonl", RECORDS)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    status, said = command("annotate", raw, "-o", small_disk / "out.tldata", capsys=capsys, monkeypatch=monkeypatch)
    assert status == 1 and "Read-only file system" in said and "Traceback" not in said


def test_a_source_without_permission_is_said(tmp_path, capsys, monkeypatch):
    raw = write_jsonl(tmp_path / "raw.jsonl", RECORDS)
    real = Path.open

    def denied(self, *arguments, **options):
        if self == raw:
            raise PermissionError(13, "Permission denied", str(self))
        return real(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", denied)
    status, said = command("annotate", raw, capsys=capsys, monkeypatch=monkeypatch)
    assert status == 1 and "cannot be read: Permission denied" in said and "Traceback" not in said


@pytest.mark.parametrize("change", ["shorter", "longer", "replaced", "gone"])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_source_that_changes_while_it_is_read_leaves_the_old_dataset(tmp_path, monkeypatch, change, workers):
    monkeypatch.setattr(engine, "SMALLEST_BLOCK", 20_000)
    monkeypatch.setattr(engine, "SMALL", 0)
    raw = write_jsonl(tmp_path / "raw.jsonl", RECORDS)
    target = tldata.annotate(write_jsonl(tmp_path / "few.jsonl", RECORDS[:3]), tmp_path / "out.tldata").path
    before = files(target)
    real = engine.cut

    def changes(source, index, size):
        for block in real(source, index, size):
            if block.number == 1:
                data = raw.read_bytes()
                raw.unlink()
                if change != "gone":
                    raw.write_bytes({"shorter": data[:30_000], "longer": data * 2, "replaced": data[::-1]}[change])
            yield block

    monkeypatch.setattr(engine, "cut", changes)
    with pytest.raises((InputError, OSError), match=r"while it was read|No such file"):
        tldata.annotate(raw, target, overwrite=True, workers=workers)
    assert files(target) == before
    monkeypatch.undo()
    write_jsonl(raw, RECORDS[:100])
    summary = tldata.annotate(raw, target, overwrite=True)
    assert summary.counts["n_inputs"] == summary.counts["n_trajectories"] == 100  # nothing of the other content


def parquet_source(path):
    rows = [{key: json.dumps(value) for key, value in record.items()} for record in RECORDS]
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=100)
    return path.read_bytes()


def test_a_damaged_parquet_source_is_said_with_its_place(tmp_path):
    data = bytearray(parquet_source(tmp_path / "good.parquet"))
    (tmp_path / "cut.parquet").write_bytes(data[: len(data) // 2])
    data[len(data) // 2 : len(data) // 2 + 200] = bytes(200)
    (tmp_path / "bad.parquet").write_bytes(data)
    with pytest.raises(InputError, match=r"bad.parquet: the row group from row \d+ cannot be read"):
        tldata.annotate(tmp_path / "bad.parquet", tmp_path / "out.tldata")
    with pytest.raises(InputError, match=r"cut.parquet: no readable Parquet"):
        tldata.annotate(tmp_path / "cut.parquet", tmp_path / "out.tldata")
    assert tldata.annotate(tmp_path / "good.parquet", tmp_path / "out.tldata").counts["n_trajectories"] == 300


@pytest.mark.parametrize("damage", ["cut", "empty", "pages"])
@pytest.mark.parametrize("table", ["trajectories", "messages", "calls"])
def test_a_damaged_part_of_a_dataset_is_said(tmp_path, tiny, capsys, monkeypatch, table, damage):
    data = tldata.annotate(write_jsonl(tmp_path / "raw.jsonl", RECORDS)).path
    (part,) = (data / table).glob("*.parquet")
    content = bytearray(part.read_bytes())
    if damage == "pages":
        end = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
        content[4:end] = bytes(end - 4)
    part.write_bytes({"cut": content[: len(content) // 2], "empty": b"", "pages": content}[damage])
    for arguments in (
        ("sql", data, f"FROM {table}"),
        ("stats", data, "--by", "source"),
        ("tokenize", data, "--tokenizer", tiny),
        ("export", data, "--to", "openai", "-o", tmp_path / "again.jsonl"),
        ("show", data, "raw:1"),
    ):
        status, said = command(*arguments, capsys=capsys, monkeypatch=monkeypatch)
        assert "Traceback" not in said, arguments
        assert status == 0 or said.startswith("Error:"), arguments
        if arguments[0] in ("sql", "tokenize"):
            assert status == 1 and "damaged" in said, arguments
            assert damage == "pages" or part.name in said, arguments
    assert not (data / "tokens").exists() or not [*(data / "tokens").glob("[!.]*")]
    with pytest.raises(DatasetError, match="damaged"):
        tldata.open(data).sql(f"FROM {table}")


def test_a_part_that_did_not_reach_the_disk_is_made_again(tmp_path, monkeypatch):
    """As after a power cut: the marker of a block is there, but a part of it is empty or half."""
    monkeypatch.setattr(engine, "SMALLEST_BLOCK", 20_000)
    raw = write_jsonl(tmp_path / "raw.jsonl", RECORDS)
    whole = tldata.annotate(raw, tmp_path / "whole.tldata")

    def stops(*arguments, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(engine, "finish", stops)
        with pytest.raises(KeyboardInterrupt):
            tldata.annotate(raw, tmp_path / "out.tldata")
    staging = tmp_path / ".out.tldata.partial"
    parts = sorted((staging / "calls").glob("*.parquet"))
    parts[0].write_bytes(b"")
    parts[2].write_bytes(parts[2].read_bytes()[:1000])
    done = []
    real = engine.do_block
    monkeypatch.setattr(engine, "do_block", lambda block: done.append(block.number) or real(block))
    summary = tldata.annotate(raw, tmp_path / "out.tldata")
    assert done == [0, 2]
    assert summary.counts == whole.counts and files(summary.path) == files(whole.path)


def test_a_worker_that_is_killed_ends_the_run_and_the_next_one_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "SMALLEST_BLOCK", 20_000)
    raw = write_jsonl(tmp_path / "raw.jsonl", RECORDS)
    whole = tldata.annotate(raw, tmp_path / "whole.tldata")
    with monkeypatch.context() as patched:
        patched.setattr(engine, "SMALL", 0)
        patched.setattr(engine, "do_block", _die)
        with pytest.raises(DatasetError, match="a worker process was killed"):
            tldata.annotate(raw, tmp_path / "out.tldata", workers=2)
    assert not (tmp_path / "out.tldata").exists()
    summary = tldata.annotate(raw, tmp_path / "out.tldata")
    assert summary.counts == whole.counts and files(summary.path) == files(whole.path)


def _die(block):
    os.kill(os.getpid(), 9)


def test_damage_in_a_command_without_words_of_its_own_has_no_traceback(tmp_path, monkeypatch, capsys):
    data = tldata.annotate(write_jsonl(tmp_path / "raw.jsonl", RECORDS)).path
    code = f"import sys; sys.argv = ['tldata', 'report', {str(data)!r}, '-o', {str(tmp_path / 'r.html')!r}]; from tldata.cli import main; main()"
    next((data / "messages").glob("*.parquet")).write_bytes(b"PAR1")
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 1 and run.stderr.startswith("Error:") and "Traceback" not in run.stderr
