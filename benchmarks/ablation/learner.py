"""The model and its training: a base model on transcripts, fine-tuning on a token set, reinforcement by PPO or GRPO."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.ablation import copying
from benchmarks.ablation.design import Recipe, Size
from benchmarks.learning import PARSED_AS


def make_model(tokenizer: Any, size: Size, seed: int) -> Any:
    """A small Llama with random weights, but for what copying needs, where the size has it."""
    import torch
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    pad, end = tokenizer.pad_token_id, tokenizer.eos_token_id
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=size.hidden,
        intermediate_size=8 * size.hidden // 3,
        num_hidden_layers=size.layers,
        num_attention_heads=max(2, size.hidden // 32),
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        pad_token_id=pad,
        eos_token_id=end,
        bos_token_id=None,
        **(copying.CONFIGURATION if size.copy_steps else {}),
    )
    torch.manual_seed(seed)
    model = LlamaForCausalLM(config)
    if size.copy_steps:
        copying.wire(model)
    model.generation_config = GenerationConfig(eos_token_id=end, pad_token_id=pad, do_sample=False)
    return model


def read(
    model: Any, tokenizer: Any, texts: Iterable[str], size: Size, seed: int, *, width: int = 256
) -> dict[str, float]:
    """Teach a model the language: first to repeat what it has seen, then running text, all tokens in the loss.

    Returns:
        mean losses of the last tenth of the steps: ``copy_loss`` of repeats, ``loss`` of text.
    """
    import torch

    ids = [i for text in texts for i in tokenizer(text, add_special_tokens=False)["input_ids"]]
    rows = torch.tensor(ids[: len(ids) // width * width]).view(-1, width)
    order, rng = list(range(len(rows))), Random(seed)
    left: list[int] = []

    def lines() -> Any:
        nonlocal left
        if len(left) < size.base_batch:
            left = rng.sample(order, len(order))
        batch = rows[[left.pop() for _ in range(min(size.base_batch, len(left)))]]
        return batch, batch

    losses = {}
    if size.copy_steps:
        rows_of = lambda: copying.repeats(2 * size.base_batch, len(tokenizer), rng)  # noqa: E731
        losses["copy_loss"] = _train(model, rows_of, size.copy_steps)
    return losses | {"loss": _train(model, lines, size.base_steps)}


def _train(model: Any, batches: Callable[[], tuple[Any, Any]], steps: int) -> float:
    """Steps of AdamW over batches of ids and labels, the rate falling linearly; returns the mean loss of the last tenth."""
    import torch

    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01, betas=(0.9, 0.95))
    warm = max(1, steps // 20)
    rate = lambda step: min((step + 1) / warm, 1.0) * max(0.05, 1 - step / steps)  # noqa: E731
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    losses: list[float] = []
    model.train()
    for _ in range(steps):
        ids, labels = batches()
        loss = model(input_ids=ids, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    last = losses[-max(1, len(losses) // 10) :]
    return sum(last) / len(last)


def token_set(dataset: Path, tokenizer: Path, recipe: Recipe, name: str) -> Path:
    """``tldata tokenize`` with the recipe's options; returns the token set's folder."""
    from tldata.tokenize import tokenize

    options = {"mask": recipe.mask, "pkt": recipe.pkt, "w_max": recipe.w_max, "layout": recipe.layout}
    tokenize(dataset, str(tokenizer), name=name, overwrite=True, **options)  # type: ignore[arg-type]
    return dataset / "tokens" / name


def fine_tune(
    model: Path, tokens: Path, output: Path, size: Size, seed: int, *, evaluate_on: Path | None = None
) -> dict[str, Any]:
    """``tltrain sft``; returns what it reports, the held-out loss included where there is a set for it."""
    from tltrain_plugin.sft import run_sft

    config = {
        "model": str(model),
        "tokens": str(tokens),
        "output_dir": str(output),
        "eval_tokens": None if evaluate_on is None else str(evaluate_on),
        "num_train_epochs": size.sft_epochs,
        "per_device_train_batch_size": size.sft_batch,
        "per_device_eval_batch_size": size.sft_batch,
        "learning_rate": 1.5e-3,
        "lr_scheduler_type": "cosine",
        "warmup_steps": 20,
        "weight_decay": 0.01,
        "adam_beta2": 0.95,
        "max_length": 1024,
        "seed": seed,
    }
    return run_sft(config | _quiet())


def reinforce(algorithm: str, model: Path, prompts: Path, output: Path, size: Size, seed: int) -> dict[str, Any]:
    """``tltrain ppo`` or ``tltrain grpo`` with the rule-based reward; both see each prompt ``rl_epochs`` times."""
    common = {
        "model": str(model),
        "prompts": str(prompts),
        "output_dir": str(output),
        "template": PARSED_AS,
        "lr_scheduler_type": "constant",
        "temperature": 1.0,
        "max_prompt_length": size.rl_context,
        "num_train_epochs": size.rl_epochs,
        "seed": seed,
    }
    if algorithm == "ppo":
        from tltrain_plugin.ppo import run_ppo

        own = {"per_device_train_batch_size": size.rl_batch, "response_length": 64, "kl_coef": 0.05}
        own |= {"actor_learning_rate": 1e-4, "critic_learning_rate": 1e-3, "num_ppo_epochs": size.ppo_epochs}
        return run_ppo(common | own | _quiet())
    from tltrain_plugin.grpo import run_grpo

    own = {"per_device_train_batch_size": size.rl_batch, "num_generations": 4, "max_completion_length": 64}
    return run_grpo(common | own | _quiet() | {"learning_rate": 1e-4, "beta": 0.05})


def prompts_of(dataset: Path, tokenizer: Any, folder: Path, size: Size, seed: int, output: Path) -> int:
    """Prompts of the training data that fit ``rl_context``, at most ``rl_prompts``; returns how many."""
    from benchmarks.ablation.material import hash_of
    from tldata.export import export

    everything = output.with_suffix(".all.jsonl")
    export(dataset, "rl", everything, prompts="message", tokenizer=str(folder), seed=seed)
    rows = [json.loads(line) for line in everything.read_text(encoding="utf-8").splitlines()]
    short = [
        row
        for row in rows
        if len(tokenizer(row["prompt_text"], add_special_tokens=False)["input_ids"]) <= size.rl_context
    ]
    chosen = sorted(short, key=lambda row: hash_of(f"{row['trajectory_id']} {row['turn']}"))[: size.rl_prompts]
    output.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in chosen), encoding="utf-8")
    return len(chosen)


def _quiet() -> dict[str, Any]:
    return {"save_strategy": "no", "report_to": "none", "logging_steps": 50, "disable_tqdm": True, "bf16": False}
