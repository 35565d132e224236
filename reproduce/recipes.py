"""How each cell of Table 5 is trained: the commands, from the raw data to a folder of weights, for many GPUs, for one, and for a dry run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tldata.templates import get_template

# Estimates (reproduce/README.md says from what), not measurements: GPUs, and hours a cell and seed.
HARDWARE = {
    "sft": ("4 x 80 GB (accelerate, FSDP2)", 0.5),
    "verl": ("8 x 80 GB (verl, vLLM rollouts)", 3.0),
    "lora-sft": ("1 x 80 GB (LoRA)", 1.5),
    "lora-grpo": ("1 x 80 GB (LoRA, GRPO)", 8.0),
}
FORMAT = "tl-codellama-2"
LORA = ("lora.r=64", "lora.lora_alpha=128", "lora.target_modules=all-linear", "learning_rate=1e-4", "dtype=bfloat16")


def with_bos(folder: Path) -> Path:
    """TL-CodeLLaMA-2's chat format with the begin-of-sequence token before it, as a Jinja file of the same name.

    The released training tokenises with the tokenizer's own special tokens, and servers add that token to a prompt; ``tldata
    tokenize`` adds none that the template does not have.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{FORMAT}.jinja"
    path.write_text("{%- if bos_token %}{{- bos_token }}{%- endif %}" + get_template(FORMAT).source, encoding="utf-8")
    return path


@dataclass(frozen=True, slots=True)
class Config:
    """One row of Table 5: its name there, and which of the three components it has."""

    name: str
    mae: bool
    pkt: bool
    irm: bool

    @property
    def slug(self) -> str:
        """Part of file names: none, mae, pkt, irm, mae-pkt, ...

        >>> Config("w/ MAE & IRM", True, False, True).slug
        'mae-irm'
        """
        parts = [part for part, has in (("mae", self.mae), ("pkt", self.pkt), ("irm", self.irm)) if has]
        return "-".join(parts) or "none"

    @property
    def tokens(self) -> str:
        """Name of its token set."""
        return Config("", self.mae, self.pkt, False).slug


CONFIGS = (
    Config("Standard SFT (w/ None)", False, False, False),
    Config("w/ MAE", True, False, False),
    Config("w/ PKT", False, True, False),
    Config("w/ IRM", False, False, True),
    Config("w/ MAE & PKT", True, True, False),
    Config("w/ MAE & IRM", True, False, True),
    Config("w/ PKT & IRM", False, True, True),
    Config("w/ All (TL-CodeLLaMA-2)", True, True, True),
)


@dataclass(frozen=True, slots=True)
class Step:
    """One command, and the path that is there once it is done; steps of several cells may be the same."""

    words: tuple[str, ...]
    makes: Path

    @staticmethod
    def of(makes: Path, *words: str | Path) -> Step:
        """A step of words and paths."""
        return Step(tuple(str(word) for word in words), makes)

    @property
    def in_verl(self) -> bool:
        """Whether it runs in verl's environment, whose programs must then come first on the PATH."""
        return self.words[0] == "env" or "--verl" in self.words


@dataclass(frozen=True, slots=True)
class Recipe:
    """Where things lie and which way they are trained: ``full`` (the paper's), ``lora`` (one GPU) or ``dry`` (a tiny model)."""

    way: str
    raw: Path
    base: str
    folder: Path
    template: str = FORMAT  # or a file of it; see ``with_bos``

    @property
    def dataset(self) -> Path:
        return self.folder / "training.tldata"

    def sft_out(self, config: Config, seed: int) -> Path:
        return self.folder / f"sft-{config.tokens}.seed{seed}"

    def out(self, config: Config, seed: int) -> Path:
        """The folder of weights that a cell ends with."""
        if config.irm:
            return self.folder / f"irm-{config.tokens}.seed{seed}"
        return (
            self.sft_out(config, seed) if self.way != "lora" else self.folder / f"sft-{config.tokens}.seed{seed}.merged"
        )

    def steps(self, config: Config, seed: int) -> Iterator[Step]:
        """The commands of a cell in their order."""
        yield Step.of(self.dataset / "manifest.json", "tldata", "annotate", self.raw, "-o", self.dataset)
        tokens = self.dataset / "tokens" / config.tokens
        mask, pkt = ("paper" if config.mae else "none"), ("on" if config.pkt else "off")
        yield Step.of(
            tokens / "manifest.json",
            *("tldata", "tokenize", self.dataset, "--tokenizer", self.base, "--template", self.template),
            *("--preset", "paper", "--mask", mask, "--pkt", pkt, "--max-length", "8192", "--name", config.tokens),
        )
        out = self.sft_out(config, seed)
        common = (f"model={self.base}", f"tokens={tokens}", f"output_dir={out}", f"seed={seed}")
        if self.way == "full":
            launch = ("accelerate", "launch", "--config_file", "reproduce/fsdp2.yaml", "-m", "tltrain_plugin.cli")
            yield Step.of(out / "tltrain.json", *launch, "sft", "sft", *common, "gradient_accumulation_steps=1")
        elif self.way == "lora":
            yield Step.of(out / "tltrain.json", "tltrain", "sft", "sft", *common, *LORA)
            merged = self.folder / f"sft-{config.tokens}.seed{seed}.merged"
            yield Step.of(merged / "config.json", "python", "-m", "reproduce.merge", self.base, out, merged)
        else:
            yield Step.of(
                out / "tltrain.json",
                "tltrain",
                "sft",
                "sft-cpu",
                *common,
                "normaliser=sample",
                "max_steps=1",
                "disable_tqdm=true",
            )
        if config.irm:
            yield from self._irm(config, seed)

    def _irm(self, config: Config, seed: int) -> Iterator[Step]:
        """Reinforcement learning from the cell's SFT model: one prompt of each trajectory where all can be had, as the paper's 1,194 suggest."""
        start, out = self.sft_out(config, seed), self.out(config, seed)
        target = "verl-rl" if self.way == "full" else "rl"
        prompts = self.folder / f"{target}.parquet"
        yield Step.of(
            prompts,
            *("tldata", "export", self.dataset, "--to", target, "--tokenizer", self.base, "--template", self.template),
            *("--prompts", "trajectory", "-o", prompts),
        )
        if self.way == "full":
            shards = Path(f"{out}.shards")
            yield Step.of(
                shards / "latest_checkpointed_iteration.txt",
                *(
                    "env",
                    f"MODEL={start}",
                    f"DATA={prompts}",
                    "sh",
                    "tltrain_plugin/configs/verl/launch.sh",
                    "single_call",
                ),
                *(
                    "actor_rollout_ref.rollout.do_sample=false",
                    f"data.seed={seed}",
                    f"trainer.default_local_dir={shards}",
                ),
            )
            yield Step.of(out / "config.json", "python", "-m", "reproduce.merge", "--verl", shards, out)
        elif self.way == "lora":
            merged = self.folder / f"sft-{config.tokens}.seed{seed}.merged"
            adapter = Path(f"{out}.adapter")
            common = (
                f"model={merged}",
                f"prompts={prompts}",
                f"output_dir={adapter}",
                f"seed={seed}",
                f"template={FORMAT}",
            )
            yield Step.of(adapter / "adapter_config.json", "tltrain", "grpo", "grpo", *common, *LORA[:3], "beta=0.04")
            yield Step.of(out / "config.json", "python", "-m", "reproduce.merge", merged, adapter, out)
        else:
            common = (
                f"model={start}",
                f"prompts={prompts}",
                f"output_dir={out}",
                f"seed={seed}",
                f"template={FORMAT}",
            )
            small = (
                "greedy=true",
                "per_device_train_batch_size=4",
                "total_episodes=4",
                "num_ppo_epochs=1",
                "response_length=8",
            )
            yield Step.of(out / "config.json", "tltrain", "ppo", "ppo-cpu", *common, *small, "disable_tqdm=true")

    def hardware(self, config: Config) -> tuple[str, float]:
        """GPUs and estimated hours of a cell, its SFT included."""
        if self.way == "dry":
            return "CPU", 0.0
        sft = HARDWARE["sft" if self.way == "full" else "lora-sft"]
        if not config.irm:
            return sft
        irm = HARDWARE["verl" if self.way == "full" else "lora-grpo"]
        return f"{sft[0]}, then {irm[0]}", sft[1] + irm[1]
