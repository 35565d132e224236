"""How fast `tldata tokenize` is: beside the Rust tokenizer alone on the same texts, and beside transformers' own masks.

Run: python benchmarks/tokenize.py [--data ../shared/data] [--rounds 5]

Each round times, one after the other in one process: ``tokenizers.Tokenizer.encode_batch_fast`` over the rendered texts,
the whole of ``tokenize`` (read, render, locate, tokenise, mask, weigh, write), and, where the template has generation
markers, ``apply_chat_template(..., return_assistant_tokens_mask=True)``. Reported are the medians, and the median of the
rounds' ratios, which a busy machine disturbs less; beside it the ratio of the best rounds, which it disturbs least.
"""

from __future__ import annotations

import sys

if not __package__:  # run as a file: this folder holds a tokenize.py that is not the standard library's
    sys.path[0] = str(__import__("pathlib").Path(__file__).resolve().parents[1])

import argparse
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["TOKENIZERS_PARALLELISM"] = "true"
os.environ.setdefault("HF_HUB_OFFLINE", "1")
from tldata.tokenize import tokenize
from tldata.tokenize.conversation import in_form
from tldata.tokenize.encode import Encoder, load_tokenizer
from tldata.tokenize.load import Loader
from tldata.tokenize.pipeline import resolve_template
from tldata.tokenize.prepare import Preparer

SETS = {
    "tau-bench": ("tau_bench/gpt-4o-airline.json", 0.9),
    "RoTBench third_turn": ("rotbench/third_turn", 0.6),
}


def clock(work: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def rendered(dataset: Path, template: Any) -> list[tuple[list[dict[str, Any]], list[dict[str, Any]] | None, str]]:
    """Messages, tools and text of every trajectory."""
    preparer = Preparer(template)
    batches = Loader(dataset, frozenset()).batches()
    conversations = [(in_form(c, preparer.forms[0]), c.tools) for batch in batches for c in batch]
    return [(messages, tools, template.render(messages, tools)) for messages, tools in conversations]


def measure(
    dataset: Path, encoder: Encoder, template: str, rounds: int, marked: str | None, folder: Path
) -> dict[str, float]:
    """Medians of seconds and of ratios over the rounds."""
    chats = rendered(dataset, resolve_template(template, encoder))
    texts = [text for _, _, text in chats]
    alone, ours, ratios, theirs, gains = [], [], [], [], []
    hf = _transformers(folder, marked) if marked else None
    encoder.forget()
    tokenize(dataset, encoder, template=template, name="warm", overwrite=True)
    for _ in range(rounds):
        encoder.forget()  # what the last round left in the cache
        alone.append(clock(lambda: encoder.tokenizer.encode_batch_fast(texts, add_special_tokens=False)))
        ours.append(clock(lambda: tokenize(dataset, encoder, template=template, name="bench", overwrite=True)))
        ratios.append(alone[-1] / ours[-1])
        if hf is not None and marked is not None:
            encoder.forget()
            again = clock(lambda: tokenize(dataset, encoder, template=marked, name="bench", overwrite=True))
            theirs.append(clock(lambda: [_with_mask(hf, messages, tools) for messages, tools, _ in chats]))
            gains.append(theirs[-1] / again)
    out = {"alone": statistics.median(alone), "ours": statistics.median(ours), "ratio": statistics.median(ratios)}
    out |= {"alone_best": min(alone), "ours_best": min(ours), "ratio_best": min(alone) / min(ours)}
    if gains:
        out |= {"transformers": statistics.median(theirs), "gain": statistics.median(gains)}
    out["megabytes"] = sum(len(text.encode()) for text in texts) / 1e6
    return out


def _transformers(folder: Path, template: str) -> Any:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = Path(template).read_text(encoding="utf-8")
    return tokenizer


def _with_mask(tokenizer: Any, messages: list[dict[str, Any]], tools: Any) -> Any:
    return tokenizer.apply_chat_template(messages, tools=tools, return_assistant_tokens_mask=True, return_dict=True)


def dataset_of(source: Path, folder: Path) -> Path:
    """Annotate a source into a folder."""
    from tldata.engine import annotate

    target = folder / source.stem
    files = sorted(source.glob("*.json")) if source.is_dir() else [source]
    annotate(files, target, overwrite=True, max_bad=1.0)
    return target


def trl_template(name: str) -> str | None:
    """A chat template that ships with trl."""
    try:
        import importlib.util

        spec = importlib.util.find_spec("trl")
    except ImportError:
        spec = None
    file = Path(str(spec.origin)).parent / "chat_templates" / name if spec and spec.origin else None
    return str(file) if file and file.is_file() else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=root, help="folder with tau_bench, rotbench and tokenizers")
    parser.add_argument("--tokenizer", type=Path, help="default: DATA/tokenizers/qwen2.5")
    parser.add_argument("--template", default=trl_template("qwen2_5.jinja") or "qwen-2.5")
    parser.add_argument(
        "--marked", default=trl_template("qwen2_5_training.jinja"), help="a template with generation markers"
    )
    parser.add_argument("--datasets", nargs="*", type=Path, default=[], help="annotated datasets to take instead")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    folder = options.tokenizer or options.data / "tokenizers" / "qwen2.5"
    encoder = load_tokenizer(folder)
    results = {}
    with tempfile.TemporaryDirectory() as temporary:
        sets = {path.name: (path, 0.0) for path in options.datasets} or {
            name: (dataset_of(options.data / source, Path(temporary)), wanted)
            for name, (source, wanted) in SETS.items()
        }
        for name, (dataset, wanted) in sets.items():
            results[name] = {
                **measure(dataset, encoder, options.template, options.rounds, options.marked, folder),
                "wanted": wanted,
            }
            for made in ("warm", "bench"):
                shutil.rmtree(dataset / "tokens" / made, ignore_errors=True)
    if options.json:
        print(json.dumps(results, indent=2))
        return
    print(
        "| data | MB of text | encode_batch_fast alone, s | tldata tokenize, s | of its throughput | best rounds | wanted | transformers, s | times as fast |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for name, r in results.items():
        hf = f"{r['transformers']:.2f} | {r['gain']:.1f}" if "gain" in r else "- | -"
        print(
            f"| {name} | {r['megabytes']:.1f} | {r['alone']:.3f} | {r['ours']:.3f} | {r['ratio']:.2f} | {r['ratio_best']:.2f} ({r['alone_best']:.3f} s, {r['ours_best']:.3f} s) | {r['wanted']:g} | {hf} |"
        )


if __name__ == "__main__":
    main()
