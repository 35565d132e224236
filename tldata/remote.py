"""Files behind URLs (s3://, gs://, https://, ...), through fsspec: found, read by ranges with retries, and written, the manifest last."""

from __future__ import annotations

import hashlib
import io
import os
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

from tldata.errors import DatasetError, InputError, UsageError

ATTEMPTS = 5  # of one request
FIRST_WAIT = 0.25  # seconds before the second attempt; doubles with each
RANGE = 8 << 20  # bytes a request
ONE_PROCESS = ("memory",)  # what other processes cannot see
MANIFEST = "manifest.json"
# What stores call the mark of a content, surest first.
VERSIONS = (
    "ETag",
    "etag",
    "generation",
    "md5Hash",
    "LastModified",
    "Last-Modified",
    "mtime",
    "last_modified",
    "created",
)
UPLOADING = ".tldata-uploading"  # stands in a remote dataset that is not complete yet
PERMANENT = (FileNotFoundError, PermissionError, NotADirectoryError, IsADirectoryError, ImportError, ValueError)

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Remote:
    """One file behind a URL; ``version`` changes when its content does (an ETag, or the time of the last change)."""

    url: str
    size: int
    version: str


def is_url(text: str | Path) -> bool:
    """Whether a name is a URL and no path.

    >>> is_url("s3://bucket/raw.jsonl"), is_url("raw.jsonl"), is_url("C:/raw.jsonl")
    (True, False, False)
    """
    return isinstance(text, str) and re.match(r"[A-Za-z][A-Za-z0-9+.-]+(::[^/]*)*://", text) is not None


def public_name(url: str) -> str:
    """A URL without user, password and query, which may be secrets: what tables and messages show.

    >>> public_name("https://me:pw@host/raw.jsonl?X-Amz-Signature=1f"), public_name("s3://bucket/raw.jsonl")
    ('https://host/raw.jsonl', 's3://bucket/raw.jsonl')
    """
    scheme, separator, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    if scheme.startswith("http"):
        path = path.partition("?")[0].partition("#")[0]
    return scheme + separator + host.rpartition("@")[2] + slash + path


def find(url: str, is_data: Callable[[Path], bool]) -> list[Remote]:
    """The files that a URL names: itself, what a pattern matches, or a folder's data files (datasets left out), sorted.

    Raises:
        InputError: it names nothing, or the store cannot be reached.
    """
    fs, path = _filesystem(url)
    name = public_name(url)
    if _is_http(fs):
        return [_described(fs, path, url, name)]
    if any(c in path for c in "*?[") and not _attempt(name, lambda: fs.exists(path)):
        matches = _attempt(name, lambda: fs.glob(path, detail=True))
        found = [file for file, info in matches.items() if info["type"] == "file"]
    elif _attempt(name, lambda: fs.isdir(path)):
        everything = [Path(file) for file in _attempt(name, lambda: fs.find(path))]
        datasets = {file.parent for file in everything if file.name == MANIFEST}
        root = Path(fs._strip_protocol(path))
        found = [
            file.as_posix()
            for file in everything
            if is_data(file.relative_to(root)) and not any(map(file.is_relative_to, datasets))
        ]
    else:
        found = [path]
    if not found:
        raise InputError(f"{name}: no such file, and no folder with data", hint="check the URL; quote patterns")
    return [_described(fs, file, fs.unstrip_protocol(file), name) for file in sorted(found)]


def version(url: str) -> tuple[int, str]:
    """Size and version of a file as they are now."""
    fs, path = _filesystem(url)
    now = _described(fs, path, url, public_name(url))
    return now.size, now.version


def open_url(url: str, size: int) -> BinaryIO:
    """A file's bytes from the beginning, seekable, read by ranges."""
    return cast(BinaryIO, io.BufferedReader(_Ranges(url, size), RANGE))


def read_range(url: str, start: int, length: int) -> bytes:
    """Some bytes of a file; fewer than asked for is an error.

    Raises:
        InputError: the store does not give them.
    """
    fs, path = _filesystem(url)
    name = public_name(url)

    def read() -> bytes:
        data: bytes = fs.cat_file(path, start=start, end=start + length)
        if len(data) != length:
            raise OSError(f"{length:,} bytes were asked for and {len(data):,} came")
        return data

    return _attempt(name, read)


class _Ranges(io.RawIOBase):
    """A file behind a URL as a seekable stream."""

    def __init__(self, url: str, size: int) -> None:
        self._url, self._size, self._at = url, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = max(0, offset + (0, self._at, self._size)[whence])
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        length = min(len(buffer), self._size - self._at)
        if length <= 0:
            return 0
        buffer[:length] = read_range(self._url, self._at, length)
        self._at += length
        return length


def seen_by_one_process(url: str) -> bool:
    """Whether only this process can read a URL (fsspec's memory://)."""
    return url.split("::")[-1].split("://")[0] in ONE_PROCESS


def staging_of(url: str) -> Path:
    """The local folder in which a dataset for a URL is made: the same at each run, so that a killed one is resumed."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tldata"
    name = public_name(url).rstrip("/").rpartition("/")[2] or "dataset"
    return cache / f"{name}-{hashlib.blake2b(url.rstrip('/').encode(), digest_size=6).hexdigest()}"


def refuse_finished(url: str, overwrite: bool) -> None:
    """Refuse a URL at which a dataset stands that may not be replaced, or something that is none.

    Raises:
        DatasetError: so it is.
        UsageError: nothing can be written there.
    """
    fs, path = _filesystem(url)
    name = public_name(url)
    if _is_http(fs):
        raise UsageError(f"{name}: a web server takes no files", hint="-o s3://BUCKET/NAME, or a folder")
    fs.invalidate_cache()
    if _attempt(name, lambda: fs.exists(f"{path}/{MANIFEST}")):
        if not overwrite:
            raise DatasetError(
                f"{name} is a finished dataset", hint="--overwrite to replace it\n-o URL to write to another place"
            )
        return
    if _attempt(name, lambda: fs.exists(f"{path}/{UPLOADING}")):
        return  # an upload of ours was cut short
    if _attempt(name, lambda: fs.isfile(path)) or _attempt(name, lambda: fs.isdir(path) and fs.find(path)):
        raise DatasetError(f"{name} exists and is no tldata dataset", hint="choose another place with -o")


def upload(folder: Path, files: Iterable[Path], url: str) -> None:
    """Put a finished dataset to a URL, its manifest last; what stood there is gone before the first file is written.

    A reader that opens the manifest first sees the old dataset, none, or the new one. What it cannot be promised: an object
    store has no exchange of folders, so that between the two there is none, and a reader of the old one may miss files.

    Args:
        folder: the dataset on this machine.
        files: those to put, the manifest among them.
        url: where to.

    Raises:
        DatasetError: the store refused; the same command puts it again.
    """
    fs, path = _filesystem(url)
    name = public_name(url)

    def write(action: Callable[[], Any]) -> None:
        try:
            _attempt(name, action)
        except InputError as error:
            raise DatasetError(error.message.replace("be read", "be written"), hint=error.hint) from None

    names = [file.relative_to(folder).as_posix() for file in files]
    write(lambda: fs.makedirs(path, exist_ok=True))
    write(lambda: fs.pipe_file(f"{path}/{UPLOADING}", b"being written by tldata annotate\n"))
    write(lambda: fs.exists(f"{path}/{MANIFEST}") and fs.rm_file(f"{path}/{MANIFEST}"))
    fs.invalidate_cache()
    root = fs._strip_protocol(path).rstrip("/")
    for old in _attempt(name, lambda: fs.find(path)):
        if old.removeprefix(root).lstrip("/") not in (*names, UPLOADING):
            write(lambda old=old: fs.exists(old) and fs.rm_file(old))  # type: ignore[misc]
    for one in sorted(names, key=lambda one: (one == MANIFEST, one)):
        if "/" in one:
            write(lambda one=one: fs.makedirs(f"{path}/{one}".rpartition("/")[0], exist_ok=True))  # type: ignore[misc]
        write(lambda one=one: fs.put_file(str(folder / one), f"{path}/{one}"))  # type: ignore[misc]
    write(lambda: fs.rm_file(f"{path}/{UPLOADING}"))


def _filesystem(url: str) -> tuple[Any, str]:
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise UsageError("URLs need the package fsspec", hint="pip install 'tldata[remote]'") from None
    try:
        fs, path = url_to_fs(url)
    except ImportError as error:
        raise UsageError(
            f"{public_name(url)}: {error}",
            hint="pip install 'tldata[remote]'   (s3://; for gs:// gcsfs, for az:// adlfs)",
        ) from None
    except ValueError as error:
        raise UsageError(f"{public_name(url)}: {error}", hint="s3://BUCKET/KEY, gs://..., https://...") from None
    return fs, path.rstrip("/")


def _is_http(fs: Any) -> bool:
    protocol = fs.protocol
    return "http" in ((protocol,) if isinstance(protocol, str) else protocol)


def _described(fs: Any, path: str, url: str, name: str) -> Remote:
    fs.invalidate_cache()
    info = _attempt(name, lambda: fs.info(path))
    if info.get("size") is None or (_is_http(fs) and not _gives_parts(fs, path, name)):
        hint = f"curl -L URL | tldata annotate - -o {Path(name).stem}.tldata"
        raise InputError(f"{name}: this server gives no parts of files", hint=hint)
    return Remote(url, int(info["size"]), next((str(info[mark]) for mark in VERSIONS if info.get(mark)), ""))


def _gives_parts(fs: Any, path: str, name: str) -> bool:
    """Whether a web server gives the bytes that are asked for and no more."""

    def second_byte() -> bool:
        with fs.open(path, "rb", cache_type="none") as file:
            try:
                file.seek(1)
                return len(file.read(1)) <= 1
            except ValueError:  # so fsspec says that all came
                return False

    return _attempt(name, second_byte)


def _attempt(name: str, action: Callable[[], Answer]) -> Answer:
    """What an action gives, tried again with growing pauses where the store or the way to it fails."""
    for attempt in count(1):
        try:
            return action()
        except PERMANENT as error:
            reason = "no such file" if isinstance(error, FileNotFoundError) else str(error) or "permission denied"
            raise InputError(f"{name}: cannot be read: {reason}", hint="check the URL and the credentials") from None
        except Exception as error:  # each store has its own kinds, few of them OSErrors
            if attempt == ATTEMPTS:
                reason = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
                hint = "run the same command again: it resumes\ncheck the network and the credentials"
                raise InputError(f"{name}: cannot be read, tried {ATTEMPTS} times: {reason}", hint=hint) from None
            time.sleep(FIRST_WAIT * 2 ** (attempt - 1))
    raise AssertionError  # the count has no end


__all__ = ["Remote", "find", "is_url", "open_url", "public_name", "read_range", "staging_of", "upload", "version"]
