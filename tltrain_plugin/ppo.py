"""PPO with the rule-based reward: TRL 1.12's PPOTrainer with the paper's two learning rates, and a critic from the SFT model."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tldata.errors import UsageError
from tltrain_plugin.adapters.trl import turn_text
from tltrain_plugin.prompts import Prompts, PromptTable, load_prompts, prepare_tokenizer
from tltrain_plugin.reward import OUTCOMES, score_call
from tltrain_plugin.rl_config import (
    ignore_renames,
    load_pretrained,
    show_prompts,
    split_config,
    summary,
    trainer_arguments,
)

os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")  # PPO lives in trl.experimental, which warns at import

# Our keys of a PPO config; all others are PPOConfig's. See configs/ppo.yaml for what each means.
KEYS: Mapping[str, Any] = {
    "model": ...,
    "prompts": ...,
    "output_dir": ...,
    "critic": None,
    "template": None,
    "end_of_turn": None,
    "pad_token": None,
    "dtype": "float32",
    "max_prompt_length": 8192,
    "actor_learning_rate": 2e-6,
    "critic_learning_rate": 1e-6,
    "greedy": False,
    "resume": None,
    "dry_run": False,
}
CRITIC_FOLDER = "critic"  # beside the policy in every checkpoint, so that a run can be resumed


def ppo_of_trl() -> Any:
    """TRL's PPO module.

    Raises:
        UsageError: the installed trl has none (it went with 1.13).
    """
    try:
        from trl.experimental import ppo
    except ImportError:
        import trl

        raise UsageError(
            f"trl {trl.__version__} has no PPOTrainer: 1.12 was the last with it",
            hint="pip install 'tldata[ppo]'          (trl 1.12, in an environment of its own)\n"
            "tltrain grpo CONFIG                 (GRPO or RLOO with the same reward, any trl)\n"
            "verl                                (PPO on many machines: docs/rewards.md)",
        ) from None
    return ppo


def make_trainer_class() -> type:
    """Build the PPOTrainer subclass; a function, so that importing this module needs no trl."""
    import torch
    from trl.experimental.ppo import ppo_trainer

    class RuleReward(torch.nn.Module):
        """Stands where TRL wants a reward model; the numbers come from ``CallPPOTrainer.score``."""

    class CallPPOTrainer(ppo_of_trl().PPOTrainer):  # type: ignore[misc]
        """PPOTrainer whose rewards are ``score_call``'s.

        Only token ids reach TRL's reward model, so gold is looked up by the prompt's ids, and TRL's ``get_reward`` is
        swapped while ``train`` runs: it is given ``context_length``, where the answer begins exactly. TRL adds the
        score one slot after the answer's last token (the paper: at the last token of the call) and -beta * KL at each
        token.
        """

        optimizer: Any

        def __init__(
            self,
            *args: Any,
            prompt_table: PromptTable,
            template: str | None = None,
            actor_learning_rate: float = 2e-6,
            critic_learning_rate: float = 1e-6,
            greedy: bool = False,
            updates_done: int = 0,
            **kwargs: Any,
        ) -> None:
            self.prompt_table = prompt_table
            self.template = template
            self.learning_rates = {"policy": actor_learning_rate, "value_model": critic_learning_rate}
            self.greedy = greedy
            self.updates_done = updates_done
            self.outcomes: Counter[str] = Counter()
            super().__init__(*args, reward_model=RuleReward(), **kwargs)

        def create_optimizer(self, model: Any = None) -> Any:
            """Actor and critic as groups of their own, each with its learning rate, with and without weight decay."""
            if self.optimizer is not None:
                return self.optimizer
            decays = set(self.get_decay_parameter_names(self.model))
            groups = []
            for part, rate in self.learning_rates.items():
                named = [
                    (n, p) for n, p in self.model.named_parameters() if p.requires_grad and n.startswith(part + ".")
                ]
                for decayed in (True, False):
                    parameters = [p for n, p in named if (n in decays) == decayed]
                    decay = self.args.weight_decay if decayed else 0.0
                    if parameters:
                        groups.append({"params": parameters, "lr": rate, "weight_decay": decay})
            optimizer_class, options = self.get_optimizer_cls_and_kwargs(self.args, self.model)
            options.pop("lr", None)
            self.optimizer = optimizer_class(groups, lr=self.args.learning_rate, **options)
            return self.optimizer

        def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
            """One schedule over the whole run, also when only the rest of it is left."""
            return super().create_scheduler(num_training_steps + self.updates_done, optimizer)

        def score(self, query_responses: torch.Tensor, context_length: int) -> torch.Tensor:
            """Rewards of a batch: ids, shape (B, T), of which the first ``context_length`` are the prompt; returns (B,)."""
            totals = []
            for ids in query_responses.tolist():
                reference = self.prompt_table.find(ids[:context_length])
                answer = turn_text(self.processing_class, ids[context_length:])
                score = score_call(answer, reference, template=self.template)
                self.outcomes[score.outcome] += 1
                totals.append(score.total)
            return torch.tensor(totals, dtype=torch.float32, device=query_responses.device)

        @contextmanager
        def _rule_as_reward(self) -> Iterator[None]:
            original = ppo_trainer.get_reward

            def get_reward(model: Any, query_responses: Any, pad_token_id: int, context_length: int) -> Any:
                if isinstance(self.accelerator.unwrap_model(model), RuleReward):
                    return None, self.score(query_responses, context_length), None
                return original(model, query_responses, pad_token_id, context_length)

            generation = ppo_trainer.GenerationConfig

            def generation_config(**options: Any) -> Any:
                """TRL always samples; the released script takes the likeliest token (``greedy``)."""
                if self.greedy:
                    options = {"max_new_tokens": options["max_new_tokens"], "do_sample": False}
                return generation(**options)

            ppo_trainer.get_reward = get_reward
            ppo_trainer.GenerationConfig = generation_config  # type: ignore[misc,assignment]
            try:
                yield
            finally:
                ppo_trainer.get_reward = original
                ppo_trainer.GenerationConfig = generation  # type: ignore[misc]

        def train(self) -> None:  # type: ignore[override]
            """Run PPO; every prompt's score comes from the rules."""
            with self._rule_as_reward():
                super().train()

        def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
            """TRL's metrics, and the share of each outcome since the last log."""
            count = sum(self.outcomes.values())
            if count:
                logs = {**logs, **{f"outcome/{name}": self.outcomes[name] / count for name in OUTCOMES}}
                self.outcomes.clear()
            super().log(logs, *args, **kwargs)

        def _save_checkpoint(self, model: Any, trial: Any) -> None:
            super()._save_checkpoint(model, trial)
            folder = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}" / CRITIC_FOLDER
            if self.args.should_save:
                self.accelerator.unwrap_model(self.model).value_model.save_pretrained(folder)

    return CallPPOTrainer


def run_ppo(config: Mapping[str, Any]) -> dict[str, Any]:
    """Train a policy by PPO on the prompts of ``tldata export --to rl``.

    Args:
        config: the keys of ``KEYS`` and of TRL's PPOConfig; ``configs/ppo.yaml`` documents them.

    Returns:
        output_dir, n_prompts, dropped (counts by reason), reward_first, reward_last, scores (mean of each update).

    Raises:
        UsageError: no PPO in the installed trl, an unknown key, a batch larger than the data, or prompts without gold.
    """
    ppo = ppo_of_trl()
    import torch
    import transformers
    from datasets import Dataset

    from tltrain_plugin.sft import find_checkpoint

    mine, theirs = split_config(config, KEYS, ppo.PPOConfig)
    tokenizer = load_pretrained(transformers.AutoTokenizer, mine["model"])
    prepare_tokenizer(tokenizer, end_of_turn=mine["end_of_turn"], pad_token=mine["pad_token"])
    prompts = load_prompts(mine["prompts"], tokenizer, max_length=mine["max_prompt_length"])
    if mine["dry_run"]:
        show_prompts(prompts, tokenizer)
        return summary("", prompts, [])

    fixed = {"num_sample_generations": 0, "output_dir": str(mine["output_dir"])}
    if theirs.get("stop_token_id") is None:
        fixed["stop_token"] = "eos"
    arguments = trainer_arguments(ppo.PPOConfig, {"learning_rate": mine["actor_learning_rate"], **theirs}, fixed)
    _check_batch(arguments, prompts)
    checkpoint = find_checkpoint(mine["resume"], Path(arguments.output_dir))
    done = _resume_point(checkpoint, arguments, len(prompts)) if checkpoint is not None else 0
    transformers.set_seed(arguments.seed + done)

    start = checkpoint or mine["model"]
    critic = checkpoint / CRITIC_FOLDER if checkpoint is not None else mine["critic"] or mine["model"]
    dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}.get(mine["dtype"])
    if dtype is None:
        raise UsageError(f"unknown dtype {mine['dtype']!r}", hint="float32 or bfloat16")
    policy = load_pretrained(transformers.AutoModelForCausalLM, start, dtype=dtype)
    reference = load_pretrained(transformers.AutoModelForCausalLM, mine["model"], dtype=dtype)
    value = load_pretrained(transformers.AutoModelForSequenceClassification, critic, dtype=dtype, num_labels=1)
    for model in (policy, reference, value):
        model.config.pad_token_id = tokenizer.pad_token_id
    ignore_renames()
    trainer = make_trainer_class()(
        args=arguments,
        processing_class=tokenizer,
        model=policy,
        ref_model=reference,
        value_model=value,
        train_dataset=Dataset.from_dict({"input_ids": prompts.input_ids}),
        prompt_table=PromptTable(prompts.input_ids, prompts.golds, prompts.tools, pad_id=tokenizer.pad_token_id),
        template=mine["template"],
        actor_learning_rate=mine["actor_learning_rate"],
        critic_learning_rate=mine["critic_learning_rate"],
        greedy=mine["greedy"],
        updates_done=done,
    )
    if checkpoint is not None:
        _restore(trainer, checkpoint, done, torch)
    trainer.train()
    trainer.save_model(arguments.output_dir)
    tokenizer.save_pretrained(arguments.output_dir)
    scores = [entry["objective/scores"] for entry in trainer.state.log_history if "objective/scores" in entry]
    return summary(arguments.output_dir, prompts, scores)


def _check_batch(arguments: Any, prompts: Prompts) -> None:
    """TRL drops the last short batch and would wait for ever for a full one."""
    size = arguments.per_device_train_batch_size * arguments.gradient_accumulation_steps
    size *= int(os.environ.get("WORLD_SIZE", "1"))
    if size > len(prompts):
        raise UsageError(
            f"a batch of {size} is larger than the {len(prompts)} prompts, and PPO would wait for ever for a full one",
            hint="lower per_device_train_batch_size or gradient_accumulation_steps",
        )
    if size < 2 * arguments.num_mini_batches:
        raise UsageError(f"PPO whitens advantages over a mini-batch and needs at least 2 answers in one, not {size}")


def _resume_point(folder: Path, arguments: Any, n_prompts: int) -> int:
    """How many updates a checkpoint has behind it; ``total_episodes`` is set to what is left of the run."""
    state = folder / "trainer_state.json"
    if not (folder / CRITIC_FOLDER).is_dir():
        raise UsageError(f"{folder}: no PPO checkpoint (it has no critic)", hint="resume: OUTPUT_DIR/checkpoint-N")
    done = int(json.loads(state.read_text(encoding="utf-8"))["global_step"])
    size = arguments.per_device_train_batch_size * arguments.gradient_accumulation_steps
    size *= int(os.environ.get("WORLD_SIZE", "1"))
    total = arguments.total_episodes or int(arguments.num_train_epochs * n_prompts)
    if done * size >= total:
        raise UsageError(f"{folder}: the run was finished ({done} updates)", hint="num_train_epochs: more")
    arguments.total_episodes = total - done * size
    return done


def _restore(trainer: Any, folder: Path, done: int, torch: Any) -> None:
    """Bring back optimizer, schedule and counters; TRL's loop counts from 0, so the counters are set as it starts."""
    import transformers

    trainer.optimizer.load_state_dict(torch.load(folder / "optimizer.pt", map_location="cpu", weights_only=True))
    trainer.lr_scheduler.load_state_dict(torch.load(folder / "scheduler.pt", weights_only=True))

    class Continue(transformers.TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            state.global_step, state.episode = done, done * args.batch_size
            state.max_steps += done

    trainer.add_callback(Continue())
