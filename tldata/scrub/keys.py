"""The key of the stand-ins: from a file, from the environment, or made for one run; never in the dataset."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from tldata.errors import InputError

KEY_VARIABLE = "TLDATA_SCRUB_KEY"
MIN_KEY = 16  # bytes


def load_key(file: str | Path | None = None, *, kept: Path | None = None) -> bytes:
    """The key by which values become stand-ins; whoever has it can find out whether a value was there, and nobody else.

    Args:
        file: holds the key, at least 16 bytes; first choice.
        kept: where a key made here is kept until the run is done, so that a run that goes on uses the same.

    Returns:
        the key, 16 bytes or more: of the file, else of the environment's ``TLDATA_SCRUB_KEY``, else a new one, 32 random bytes.

    Raises:
        InputError: the file cannot be read, or a key is too short to be one.
    """
    if file is not None:
        try:
            key = Path(file).read_bytes().strip()
        except OSError as error:
            raise InputError(f"{file}: {error.strerror}", hint="--key FILE with at least 16 bytes") from None
        return _long_enough(key, str(file))
    if KEY_VARIABLE in os.environ:
        return _long_enough(os.environ[KEY_VARIABLE].encode("utf-8", "surrogateescape"), f"${KEY_VARIABLE}")
    if kept is not None and kept.is_file() and len(found := kept.read_bytes()) == 32:
        return found
    key = secrets.token_bytes(32)
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        partial = kept.with_name(f"{kept.name}.tmp")
        partial.unlink(missing_ok=True)
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as out:
            out.write(key)
            out.flush()
            os.fsync(out.fileno())
        partial.replace(kept)
    return key


def _long_enough(key: bytes, where: str) -> bytes:
    if len(key) < MIN_KEY:
        raise InputError(
            f"{where}: a key of {len(key)} bytes can be guessed; {MIN_KEY} or more are needed",
            hint="head -c 32 /dev/urandom | base64 > scrub.key",
        )
    return key
