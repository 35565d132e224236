"""Where a dataset comes from: one digest of what it is, the digests of its parents, and what was done to it since."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from typing import Any

import orjson

DIGESTED_OPTIONS = (
    "branches",
    "prefixes",
)  # what else decides the rows; files given (tools, labels) show in the content


def dataset_digest(content: str, rules: Mapping[str, Any] | None, options: Mapping[str, Any] | None) -> str:
    """The one digest of a dataset: over its content and verdicts, the rules, and the options; paths and times play no part.

    Args:
        content: what sql/annotate/digest gives, which is independent of the order of rows.
        rules: the manifest's ``rules``, of which the digest counts.
        options: the manifest's ``options``, of which ``DIGESTED_OPTIONS`` count.

    Returns:
        32 hexadecimal digits.
    """
    chosen = {name: (options or {}).get(name) for name in DIGESTED_OPTIONS}
    parts = [content, (rules or {}).get("digest"), sorted(chosen.items())]
    return hashlib.blake2b(orjson.dumps(parts), digest_size=16).hexdigest()


def now() -> str:
    """The time for manifests: UTC, ISO 8601, whole seconds."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
