"""Learning, not only running: MAE lowers the error rate of what a tiny model calls, PPO and GRPO raise its mean reward.

    python -m benchmarks.learning [mae|ppo|grpo ...] [--fast]

Everything is made on the spot from ``tldata demo`` data and a model of a few hundred thousand parameters, on CPU, by
seed. Columns: ``without`` and ``with`` are shares of erroneous calls, ``before`` and ``after`` mean rewards. The tests run
the fast versions.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

# A chat format in few tokens: tools by name and parameters, calls as in Qwen-2.5, in whose format answers are parsed.
CHAT = """
{%- if tools %}<|tools|>{% for t in tools %}{{ t.function.name }}(
{%- for p in t.function.parameters.properties %}{{ p }}{% if not loop.last %},{% endif %}{% endfor %}) {% endfor %}<|end|>{% endif %}
{%- for m in messages if m.role != 'system' %}<|{{ m.role }}|>
{%- if m.tool_calls %}{% for c in m.tool_calls %}<tool_call>{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}</tool_call>{% endfor %}
{%- else %}{{ m.content }}{% endif %}<|end|>{% endfor %}
{%- if add_generation_prompt %}<|assistant|>{% endif %}"""
PARSED_AS = "qwen-2.5"
SPECIAL = ["<|pad|>", "<|end|>", "<|user|>", "<|assistant|>", "<|tool|>", "<|tools|>", "<tool_call>", "</tool_call>"]
FAMILIES = ("places", "weather")  # few values, so that a tiny model can learn them
# For MAE: the same without the tools, which are five and always the same ones there.
CHAT_SHORT = CHAT[CHAT.index("{%- for m in messages") :]


@dataclass(frozen=True)
class Size:
    """How large an experiment is."""

    records: int
    steps: int
    hidden: int
    test_prompts: int
    rl_prompts: int
    warm_up: int
    updates: int


FULL = Size(records=3000, steps=700, hidden=96, test_prompts=300, rl_prompts=48, warm_up=500, updates=60)
FAST = Size(records=1500, steps=220, hidden=64, test_prompts=150, rl_prompts=24, warm_up=300, updates=30)


def make_dataset(folder: Path, records: Iterable[dict[str, Any]], name: str) -> Path:
    """Annotate demo records; returns the dataset folder."""
    import tldata

    raw = folder / f"{name}.jsonl"
    raw.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")
    tldata.annotate(raw, folder / f"{name}.tldata", overwrite=True)
    return folder / f"{name}.tldata"


def short_records(count: int, *, error_rate: float, seed: int, start: int = 0) -> list[dict[str, Any]]:
    """Demo records about countries that need one call, without the final answer: what a tiny model learns in a minute.

    A record with a mistake has the erroneous calls, their real feedback, and then the right call.
    """
    from tldata.demo import generate

    found: list[dict[str, Any]] = []
    for record in generate(10 * count, seed=seed, error_rate=error_rate, families=("places",), start=start):
        wrong = {mistake["turn"] for mistake in record["metadata"]["injected"]}
        turns = [turn for turn, message in enumerate(record["messages"]) if message.get("tool_calls")]
        single = all(len(record["messages"][turn]["tool_calls"]) == 1 for turn in turns)
        short = sum(len(message["content"] or "") for message in record["messages"][:-1]) < 400  # characters
        if single and short and len(set(turns) - wrong) == 1:
            found.append({**record, "messages": record["messages"][:-1]})
        if len(found) == count:
            break
    return found


def export_prompts(dataset: Path, output: Path, prompts: str | int, template: Path) -> list[dict[str, Any]]:
    """RL prompts of a dataset, rendered with the compact chat format."""
    from tldata.export import export

    export(dataset, "rl", output, prompts=prompts, template=str(template))
    return [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]


def make_tokenizer(
    texts: Iterable[str], folder: Path, *, vocabulary: int = 1000, chat: str = CHAT, same_values: bool = False
) -> Any:
    """A byte-level BPE tokenizer trained on texts, with the compact chat format.

    Args:
        same_values: names and numbers have the same tokens after a space as after a quote.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bytewise = pre_tokenizers.ByteLevel(add_prefix_space=False)
    apart = pre_tokenizers.Split(Regex(r" (?=[A-Z0-9])"), "isolated")
    bpe.pre_tokenizer = pre_tokenizers.Sequence([apart, bytewise]) if same_values else bytewise
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    bpe.train_from_iterator(texts, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token="<|end|>", pad_token="<|pad|>")
    tokenizer.chat_template = chat
    tokenizer.save_pretrained(folder)
    return tokenizer


def make_model(tokenizer: Any, folder: Path, *, hidden: int, seed: int = 0) -> Any:
    """A tiny Llama with random weights."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
    )
    model = LlamaForCausalLM(config)
    model.save_pretrained(folder)
    return model


def sample(model: Any, tokenizer: Any, prompts: Sequence[str], *, max_new_tokens: int = 64, seed: int = 0) -> list[str]:
    """One sampled answer (temperature 1) to each rendered prompt, as text with special tokens up to the end of the turn."""
    import torch

    from tltrain_plugin.adapters.trl import turn_text

    tokenizer.padding_side = "left"
    torch.manual_seed(seed)
    model.eval()
    answers = []
    for start in range(0, len(prompts), 50):
        batch = tokenizer(
            list(prompts[start : start + 50]), return_tensors="pt", padding=True, add_special_tokens=False
        )
        with torch.no_grad():
            out = model.generate(
                input_ids=batch["input_ids"],
                attention_mask=batch["attention_mask"],
                max_new_tokens=max_new_tokens,
                do_sample=True,
                temperature=1.0,
                top_k=0,
            )
        width = batch["input_ids"].shape[1]
        answers += [turn_text(tokenizer, row[width:].tolist()) for row in out]
    return answers


def mae(size: Size, folder: Path, seed: int = 0) -> dict[str, float]:
    """Train on the same data with and without MAE, and count the erroneous calls of both on contexts of clean data.

    The contexts are other ones than in training, and three calls are sampled in each.

    Returns:
        error shares ``without`` and ``with``, and the number of calls of each.
    """
    from transformers import AutoModelForCausalLM

    from tldata.tokenize import tokenize
    from tltrain_plugin.executor import execute_answer, tally

    template = folder / "compact.jinja"
    template.write_text(CHAT_SHORT)
    dataset = make_dataset(folder, short_records(size.records, error_rate=0.3, seed=seed), "train")
    texts = [row["prompt_text"] + row["gold"] for row in export_prompts(dataset, folder / "all.jsonl", 1000, template)]
    tokenizer = make_tokenizer(texts, folder / "start", chat=CHAT_SHORT)
    clean = short_records(size.test_prompts, error_rate=0.0, seed=seed, start=1_000_000)
    tests = export_prompts(make_dataset(folder, clean, "test"), folder / "test.jsonl", "message", template) * 3
    shares: dict[str, float] = {}
    for name, mask in (("without", "none"), ("with", "paper")):
        tokenize(dataset, str(folder / "start"), name=name, mask=mask, pkt="off", overwrite=True)
        make_model(tokenizer, folder / "start", hidden=size.hidden, seed=seed)
        train_sft(folder / "start", dataset / "tokens" / name, folder / name, size.steps, seed)
        model = AutoModelForCausalLM.from_pretrained(folder / name)
        answers = sample(model, tokenizer, [row["prompt_text"] for row in tests])
        counts = tally(
            execute_answer(answer, _names(row["tools"]), template=PARSED_AS)
            for answer, row in zip(answers, tests, strict=True)
        )
        shares |= {name: counts.error_share, f"calls_{name}": counts.calls}
    return shares


def train_sft(model: Path, tokens: Path, output: Path, steps: int, seed: int) -> None:
    """Weighted SFT of a tiny model on a token set, saved with its tokenizer."""
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig

    from tltrain_plugin import WeightedSFTTrainer, load_tokens
    from tltrain_plugin.rl_config import ignore_renames

    ignore_renames()
    config = SFTConfig(
        output_dir=str(output),
        max_steps=steps,
        per_device_train_batch_size=32,
        learning_rate=4e-3,
        lr_scheduler_type="cosine",
        warmup_steps=steps // 20,
        seed=seed,
        bf16=False,
        max_length=None,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        logging_steps=max(1, steps // 4),
        dataloader_pin_memory=False,
    )
    tokenizer = AutoTokenizer.from_pretrained(model)
    policy = AutoModelForCausalLM.from_pretrained(model)
    trainer = WeightedSFTTrainer(
        model=policy, args=config, train_dataset=load_tokens(tokens), processing_class=tokenizer
    )
    trainer.train()
    trainer.save_model(str(output))
    tokenizer.save_pretrained(output)


def make_policy(folder: Path, size: Size, seed: int = 0) -> tuple[Path, Path]:
    """A policy that is right about half of the time, and its prompts: a tiny model that learned from half-wrong answers.

    Returns:
        the model's folder and the file of RL prompts.
    """
    from tldata.demo import generate

    template = folder / "compact.jinja"
    template.write_text(CHAT)
    records = generate(6 * size.rl_prompts, seed=seed, error_rate=0.0, families=FAMILIES)
    dataset = make_dataset(folder, records, "demo")
    rows = export_prompts(dataset, folder / "all.jsonl", "message", template)
    # The shortest contexts with one call: seconds a step instead of minutes.
    rows = sorted(
        (row for row in rows if len(json.loads(row["gold"])[0]) == 1), key=lambda row: len(row["prompt_text"])
    )
    rows = rows[: size.rl_prompts]
    prompts = folder / "prompts.jsonl"
    prompts.write_text("".join(json.dumps(row) + "\n" for row in rows))
    rng = random.Random(seed)
    pairs = [(row["prompt_text"], _answer(row, rng)) for _ in range(20) for row in rows]
    tokenizer = make_tokenizer([prompt + answer for prompt, answer in pairs], folder / "policy", vocabulary=800)
    model = make_model(tokenizer, folder / "policy", hidden=size.hidden, seed=seed)
    imitate(model, tokenizer, pairs, steps=size.warm_up, seed=seed)
    model.save_pretrained(folder / "policy")
    return folder / "policy", prompts


def imitate(model: Any, tokenizer: Any, pairs: Sequence[tuple[str, str]], *, steps: int, seed: int) -> None:
    """Plain SFT on (prompt, answer) pairs, the loss on the answer alone."""
    import torch

    rng = random.Random(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    model.train()
    for _ in range(steps):
        rows = []
        for prompt, answer in rng.sample(pairs, 24):
            given = tokenizer(prompt, add_special_tokens=False)["input_ids"]
            rows.append((given, tokenizer(answer + "<|end|>", add_special_tokens=False)["input_ids"]))
        width = max(len(given) + len(made) for given, made in rows)
        ids = torch.full((len(rows), width), tokenizer.pad_token_id)
        labels = torch.full((len(rows), width), -100)
        for i, (given, made) in enumerate(rows):
            ids[i, : len(given) + len(made)] = torch.tensor(given + made)
            labels[i, len(given) : len(given) + len(made)] = torch.tensor(made)
        loss = model(input_ids=ids, attention_mask=(ids != tokenizer.pad_token_id).long(), labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()


def mean_reward(model: Path, prompts: Path, seed: int = 1) -> float:
    """Mean reward of one sampled answer to each prompt, four times over."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from tltrain_plugin.reward import score_call

    rows = [json.loads(line) for line in prompts.read_text(encoding="utf-8").splitlines()] * 4
    loaded, tokenizer = AutoModelForCausalLM.from_pretrained(model), AutoTokenizer.from_pretrained(model)
    answers = sample(loaded, tokenizer, [row["prompt_text"] for row in rows], seed=seed)
    scores = [
        score_call(answer, row["gold"], row["tools"], template=PARSED_AS).total
        for answer, row in zip(answers, rows, strict=True)
    ]
    return sum(scores) / len(scores)


def reinforce(algorithm: str, size: Size, folder: Path, seed: int = 0) -> dict[str, float]:
    """Train a half-right policy by PPO or GRPO.

    Returns:
        the mean reward ``before`` and ``after``, of sampled answers.
    """
    policy, prompts = make_policy(folder, size, seed)
    before = mean_reward(policy, prompts)
    if algorithm == "ppo":
        from tltrain_plugin.ppo import run_ppo

        run_ppo(ppo_config(policy, prompts, folder / "trained", size, seed))
    else:
        from tltrain_plugin.grpo import run_grpo

        run_grpo(grpo_config(policy, prompts, folder / "trained", size, seed))
    return {"before": before, "after": mean_reward(folder / "trained", prompts)}


def ppo_config(policy: Path, prompts: Path, output: Path, size: Size, seed: int = 0) -> dict[str, Any]:
    """A PPO config for the tiny policy: batches of 24 answers."""
    return _config(policy, prompts, output, seed) | {
        "actor_learning_rate": 3e-4,
        "critic_learning_rate": 1e-3,
        "per_device_train_batch_size": 24,
        "total_episodes": 24 * size.updates,
        "response_length": 48,
        "kl_coef": 0.02,
    }


def grpo_config(policy: Path, prompts: Path, output: Path, size: Size, seed: int = 0) -> dict[str, Any]:
    """A GRPO config for the tiny policy: six prompts a step, eight answers each."""
    return _config(policy, prompts, output, seed) | {
        "learning_rate": 1e-3,
        "per_device_train_batch_size": 48,
        "num_generations": 8,
        "max_steps": size.updates,
        "max_completion_length": 48,
        "beta": 0.0,
    }


def _config(policy: Path, prompts: Path, output: Path, seed: int) -> dict[str, Any]:
    return {
        "model": str(policy),
        "prompts": str(prompts),
        "output_dir": str(output),
        "template": PARSED_AS,
        "lr_scheduler_type": "constant",
        "temperature": 1.0,
        "seed": seed,
        "save_strategy": "no",
        "disable_tqdm": True,
    }


def _answer(row: dict[str, Any], rng: random.Random) -> str:
    """Gold half of the time, else one of the reward's mistakes."""
    call = json.loads(row["gold"])[0][0]
    name, arguments = call["name"], dict(call["arguments"])
    if rng.random() < 0.5:
        kind = rng.randrange(4)
        if kind == 0:
            name = name + "_v2"
        elif kind == 1:
            name = rng.choice(_names(row["tools"]))
        elif kind == 2:
            arguments = {"input": next(iter(arguments.values()), "x")}
        else:
            arguments["language"] = "en"
    return f'<tool_call>{{"name": "{name}", "arguments": {json.dumps(arguments, ensure_ascii=False)}}}</tool_call>'


def _names(tools: str) -> list[str]:
    return [tool["function"]["name"] for tool in json.loads(tools)]


def main() -> None:
    """Run the experiments named, print a table and one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiments", nargs="*", default=["mae", "ppo", "grpo"], choices=["mae", "ppo", "grpo"])
    parser.add_argument("--fast", action="store_true", help="the size of the tests")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=0, help="torch threads; 0: torch's default")
    options = parser.parse_args()
    if options.threads:
        import torch

        torch.set_num_threads(options.threads)
    size = FAST if options.fast else FULL
    results = {}
    for name in options.experiments:
        start = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            found = (
                mae(size, Path(folder), options.seed)
                if name == "mae"
                else reinforce(name, size, Path(folder), options.seed)
            )
        results[name] = found | {"seconds": time.perf_counter() - start}
    from benchmarks.common import report

    rows: list[dict[str, object]] = [{"experiment": name, **found} for name, found in results.items()]
    report("learning", rows, size="fast" if options.fast else "full", seed=options.seed)


if __name__ == "__main__":
    main()
