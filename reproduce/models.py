"""The models of the paper out of models.toml: how each is asked, in which chat format, and where it is served."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from tldata.errors import UsageError

HERE = Path(__file__).parent
CHAT, COMPLETIONS = "chat", "completions"


@dataclass(frozen=True, slots=True)
class Model:
    """One row of models.toml, which says what each field means. ``place`` is its place in the file, from 0."""

    name: str
    place: int
    template: str
    api: str
    context: int
    tables: tuple[str, ...]
    hub: str = ""
    revision: str = ""
    gated: bool = False
    single_turn: bool = False
    own_prompt: bool = False
    stop: tuple[str, ...] = ()
    serve: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    endpoint: str = ""
    key_env: str = "OPENAI_API_KEY"
    snapshots: tuple[str, ...] = ()
    shut_down: str = ""
    left: str = ""
    note: str = ""

    @property
    def closed(self) -> bool:
        """Whether it is asked at its maker's and cannot be served here."""
        return bool(self.snapshots)

    @property
    def slug(self) -> str:
        """The name as part of a file's name.

        >>> load_models()["Qwen-2.5-Instruct"].slug
        'qwen-2.5-instruct'
        """
        return self.name.lower().replace(" ", "-")

    def url(self) -> str:
        """Where the model is asked unless the command line says otherwise."""
        return self.endpoint or f"http://localhost:{decoding()['first_port'] + self.place}/v1"

    def asked(self) -> str:
        """The name under which a server knows it."""
        return self.left if self.closed else self.name

    def parameters(self) -> dict[str, Any]:
        """Keys of a request beside the prompt: greedy, so many new tokens, the model's stop strings and what else it needs."""
        kept = {key: decoding()[key] for key in ("temperature", "max_tokens")}
        return {**kept, **({"stop": list(self.stop)} if self.stop else {}), **self.extra}


def _read() -> dict[str, Any]:
    return tomllib.loads((HERE / "models.toml").read_text(encoding="utf-8"))


def decoding() -> dict[str, Any]:
    """The table ``decoding`` of models.toml."""
    return dict(_read()["decoding"])


def load_models() -> dict[str, Model]:
    """All models by name, in the file's order.

    >>> load_models()["NexusRaven-2"].single_turn
    True
    """
    known = {each.name for each in fields(Model)}
    found = {}
    for place, row in enumerate(_read()["model"]):
        unknown = sorted(set(row) - known)
        if unknown:
            raise UsageError(f"models.toml, {row.get('name', place)}: unknown keys {', '.join(unknown)}")
        values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
        found[row["name"]] = Model(place=place, **values)
    return found


def choose(names: str | None, table: str) -> list[Model]:
    """The models of a table, or those named with commas.

    Raises:
        UsageError: a name that is none.

    >>> [model.name for model in choose("GPT-4o,ToolLLaMA-2", "table3")]
    ['GPT-4o', 'ToolLLaMA-2']
    """
    models = load_models()
    if names is None:
        return [model for model in models.values() if table in model.tables]
    chosen = [name.strip() for name in names.split(",") if name.strip()]
    unknown = [name for name in chosen if name not in models]
    if unknown:
        raise UsageError(f"no model {unknown[0]!r}", hint=", ".join(models))
    return [models[name] for name in chosen]
