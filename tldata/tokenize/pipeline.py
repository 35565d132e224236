"""``tokenize``: from an annotated dataset to a token set; plans the parts, has them done on all cores, swaps the set in."""

from __future__ import annotations

import hashlib
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tldata.dataset import read_manifest, reading
from tldata.errors import TemplateError, TldataError, UsageError
from tldata.finish import swap_in
from tldata.processes import ENGINES, parse_shard
from tldata.tokenize.conversation import openai_tools
from tldata.tokenize.cut import table_rows
from tldata.tokenize.encode import Encoder, load_tokenizer
from tldata.tokenize.load import excluded_categories
from tldata.tokenize.masks import Weighting
from tldata.tokenize.plan import begin, close, locked, remove
from tldata.tokenize.render import ChatTemplate
from tldata.tokenize.rows import LAYOUTS, TRUNCATIONS, RowOptions
from tldata.tokenize.run import Results, WorkerKilled, run_parts
from tldata.tokenize.summary import Counts, TokenSet, counts_json
from tldata.tokenize.write import DIGEST_BITS, finish_set

PRESETS: dict[str, dict[str, Any]] = {
    # The authors' training: one row a kept turn, every error masked, each row divided by its own weights.
    "paper": {"layout": "turn", "mask": "paper", "w_max": 9.0, "normalizer": "sample", "batch_size": 4},
}
DEFAULTS: dict[str, Any] = {"layout": "segment", "mask": "paper", "w_max": 9.0, "normalizer": "weights"}
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def tokenize(
    dataset: str | Path,
    tokenizer: Any,
    *,
    template: str | Path | None = None,
    name: str | None = None,
    layout: str | None = None,
    mask: str | Sequence[str] | None = None,
    mask_scope: str = "message",
    pkt: str = "on",
    w_max: float | None = None,
    max_length: int | None = None,
    truncation: str = "messages",
    preset: str | None = None,
    tools: str | Path | Sequence[Any] | None = None,
    overwrite: bool = False,
    workers: int | None = None,
    shard: str | None = None,
    engine: str = "local",
    ray_address: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> TokenSet:
    """Compute ``input_ids``, ``loss_mask``, ``key_mask``, ``loss_weights`` and ``spans`` for every trajectory of a dataset.

    Args:
        dataset: folder that ``annotate`` wrote.
        tokenizer: folder, hub id, or a loaded tokenizer.
        template: name of a template of the paper, or a Jinja file; default the tokenizer's own.
        name: of the token set, which becomes DATASET/tokens/NAME; default made of tokenizer and template.
        layout: ``segment`` (default): few rows a trajectory; ``turn``: one row a trained assistant message.
        mask: which erroneous calls are out of the loss: ``paper`` (default) all, ``model`` all but tool_instability,
            ``none``, or categories (a list, or text with commas).
        mask_scope: ``message``: with all of a message's calls erroneous the message is out; ``call``: never more than the calls.
        pkt: ``on``; ``off``: key tokens weigh 1; ``authors``: counted as in the authors' code.
        w_max: cap on a key token's weight, at least 1; default 9.
        max_length: longest row in tokens.
        truncation: what becomes of longer rows: ``messages`` keeps the longest beginning of whole messages, ``drop`` none of it,
            ``oldest`` renders it again without its oldest steps.
        preset: ``paper`` sets layout, mask and w_max as the authors trained, and notes their normaliser for the trainer.
        tools: declarations, or a file of them, for trajectories that declare none.
        overwrite: replace a token set of that name.
        workers: processes; default one a core. Data below some megabytes is done in this one, whose tokenizer uses all cores.
        shard: ``i/n``: do only part i, i + n, i + 2n ... (from 0), beside other machines that do theirs. The rows gather
            beside the token set; a last run without shards does what is left and finishes it.
        engine: ``local``: the cores of this machine; ``ray``: a Ray cluster's, to which each part's rows are sent.
        ray_address: the cluster; default the environment's RAY_ADDRESS, else one started on this machine for this run.
        progress: called with (trajectories done, trajectories in all).

    Raises:
        UsageError: an option that is none; a token set of that name.
        DatasetError: no dataset there, or a damaged one; another run writes the same token set.
        InputError: no such tokenizer.
        TemplateError: no such template, or one that takes no trajectory at all.

    Source: method.md; contracts.md, Tokens. Figure 2 of the paper: in ``Assistant: getPaperDetails(paperId =
    'ICLR2024TOOLLEARNING')`` with Llama-2's tokenizer, 2 of 20 tokens are key tokens and weigh 9.
    """
    begun = time.perf_counter()
    options = _options(layout, mask, w_max, preset)
    weighting = _weighting(mask_scope, pkt, options["w_max"])
    if options["layout"] not in LAYOUTS:
        raise UsageError(f"no layout {options['layout']!r}", hint=", ".join(LAYOUTS))
    if truncation not in TRUNCATIONS:
        raise UsageError(f"no truncation {truncation!r}", hint=", ".join(TRUNCATIONS))
    if max_length is not None and max_length < 2:
        raise UsageError("max_length is at least 2")
    mine = None if shard is None else parse_shard(shard)
    if engine not in ENGINES:
        raise UsageError(f"no engine {engine!r}", hint=", ".join(ENGINES))
    excluded = excluded_categories(options["mask"])
    path = Path(dataset)
    parent = _read_manifest(path)
    encoder = load_tokenizer(tokenizer)
    given_tools = _given_tools(tools)
    chat = resolve_template(template, encoder)
    set_name = _name(name, encoder, template)
    target = path / "tokens" / set_name
    if target.exists() and not overwrite:
        raise UsageError(f"{target}: this token set exists", hint="--overwrite, or another --name")
    row_options = RowOptions(weighting, options["layout"], max_length, truncation)
    with locked(target, alone=mine is None), reading(path):
        total = table_rows(path, "trajectories")
        plan = begin(path, target, encoder, chat, row_options, excluded, given_tools, alone=mine is None)
        names = [part.name for part in plan.parts]
        wanted = names if mine is None else names[mine[0] :: mine[1]]
        try:
            run = partial(run_parts, template=chat) if engine == "local" else _on_ray(ray_address)
            done = run(plan, wanted, encoder, workers, lambda n: progress(n, total) if progress else None)
            results = [done[part] for part in wanted]
            counts, forms, digest = Counts(), Counter[str](), 0
            for result in results:
                counts.add(result["counts"])
                digest = (digest + int(result["digest"], 16)) % (1 << DIGEST_BITS)
                for arguments, content, number in result["forms"]:
                    forms[f"arguments as {arguments}, no content as {content}"] += number
            if total and mine is None and not counts.trajectories:
                reason, number = counts.rejected.most_common(1)[0]
                raise TemplateError(
                    f"no trajectory can be tokenised with {chat.name}: {reason} ({number:,} times)",
                    hint="another --template",
                )
        except WorkerKilled:
            raise
        except TldataError:  # the same again would fail the same way
            if mine is None:
                remove(plan)
            raise
        manifest = {
            "schema_version": 1,
            "kind": "tokens",
            "name": set_name,
            "tokenizer": {
                "name": encoder.name,
                "digest": encoder.digest,
                "vocab_size": encoder.vocabulary,
                "special_tokens": encoder.special,
            },
            "template": {
                "name": chat.name,
                "digest": hashlib.sha256(chat.source.encode()).hexdigest()[:16],
                "source": chat.source,
                "forms": dict(forms),
            },
            "options": {
                **options,
                "mask": options["mask"] if isinstance(options["mask"], str) else sorted(options["mask"]),
                "excluded": sorted(excluded),
                "mask_scope": mask_scope,
                "pkt": pkt,
                "max_length": max_length,
                "truncation": truncation,
                "preset": preset,
                "tools": "given" if given_tools is not None else None,
            },
            "parent": {"digest": parent.get("digest"), "path": path.name},
            "counts": counts_json(counts),
            "digest": f"{digest:032x}",
        }
        if mine is None:
            finish_set(plan.folder, results, manifest)
            close(plan)
            swap_in(plan.folder, target)
            remove(plan)
    left = 0 if mine is None else sum(plan.done(part) is None for part in names)
    place = target if mine is None else plan.staging
    return TokenSet(place, set_name, counts, manifest, time.perf_counter() - begun, shard=shard, parts_left=left)


def _on_ray(address: str | None) -> Callable[..., Results]:
    from tldata.tokenize.on_ray import run_parts_on_ray

    return partial(run_parts_on_ray, address=address)


def _options(layout: str | None, mask: Any, w_max: float | None, preset: str | None) -> dict[str, Any]:
    if preset is not None and preset not in PRESETS:
        raise UsageError(f"no preset {preset!r}", hint=", ".join(PRESETS))
    given = {"layout": layout, "mask": mask, "w_max": w_max}
    return {
        **DEFAULTS,
        **PRESETS.get(preset or "", {}),
        **{key: value for key, value in given.items() if value is not None},
    }


def _weighting(mask_scope: str, pkt: str, w_max: float) -> Weighting:
    if mask_scope not in ("message", "call"):
        raise UsageError(f"no mask scope {mask_scope!r}", hint="message, call")
    if pkt not in ("on", "off", "authors"):
        raise UsageError(f"no pkt {pkt!r}", hint="on, off, authors")
    if not w_max >= 1:
        raise UsageError(f"w_max is at least 1, not {w_max}")
    return Weighting(mask_scope, pkt, float(w_max))


def _read_manifest(path: Path) -> dict[str, Any]:
    return read_manifest(path)


def _given_tools(tools: str | Path | Sequence[Any] | None) -> list[dict[str, Any]] | None:
    if tools is None:
        return None
    from tldata.tools import load_tools, normalise_all, tool_rows

    declarations = load_tools(tools) if isinstance(tools, (str, Path)) else list(tools)
    return openai_tools(tool_rows("given", normalise_all(declarations)))


def resolve_template(template: str | Path | None, encoder: Encoder) -> ChatTemplate:
    """The chat template by name or file, else the tokenizer's own.

    Raises:
        TemplateError: there is none, or it is no template; the hint lists the names.
    """
    from tldata.templates import NAMES, get_template

    if template is not None:
        found = get_template(template)
        variables = {"eos_token": found.eos_token} if found.eos_token else {}
        return ChatTemplate(found.source, name=found.name, variables={**variables, **encoder.special})
    own = encoder.template
    if isinstance(own, dict):  # several by name: with tools the one for tools, as transformers chooses
        own = own.get("tool_use") or own.get("default") or next(iter(own.values()), None)
    if not own:
        hint = f"--template {', '.join(NAMES)}\n--template FILE.jinja"
        raise TemplateError(f"{encoder.name}: this tokenizer has no chat template", hint=hint)
    return ChatTemplate(own, name="the tokenizer's own", variables=encoder.special)


def _name(name: str | None, encoder: Encoder, template: str | Path | None) -> str:
    if name is None:
        parts = [
            Path(encoder.name).name,
            *([Path(template).name.removesuffix(".jinja")] if template is not None else []),
        ]
        name = re.sub(r"[^A-Za-z0-9_]+", "_", "_".join(parts)).strip("_") or "tokens"
    if not NAME.fullmatch(name):
        raise UsageError(f"{name!r} cannot be the name of a token set", hint="letters, digits, _ . -")
    return name
