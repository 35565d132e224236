"""What is varied and how large it is: the configurations of Table 5, the variants beyond it, and the sizes."""

from __future__ import annotations

from dataclasses import dataclass

LEVELS = ("slight", "medium", "heavy", "union")  # RoTBench's noise, beside clean


@dataclass(frozen=True)
class Size:
    """How large the experiment is.

    Args:
        seen: families of demo tools that base text, training and most tests are about; nothing before the test shows ``unseen``.
        trajectories: training trajectories, of which ``error_share`` are erroneous.
        context: tokens of the longest training trajectory.
        base_records: error-free demo records whose transcripts the base model reads, ``renamed`` of them with other values; ``base_steps`` batches of ``base_batch`` rows,
            after ``copy_steps`` batches of sequences that repeat themselves (0: a model without the circuit of ``copying``).
        hidden, layers, vocabulary: of the decoder.
        sft_epochs, sft_batch: passes over the training data, and rows a step.
        rl_prompts, rl_epochs: prompts of at most ``rl_context`` tokens, and passes over them; ``ppo_epochs`` passes over a batch of answers.
        test_calls: contexts for single-turn measurement (a fifth of them more with unseen tools).
        test_runs: requests for multi-turn measurement.
    """

    seen: tuple[str, ...] = ("calendar", "places", "units", "weather")
    unseen: tuple[str, ...] = ("numbers",)
    trajectories: int = 1217
    error_share: float = 0.17
    context: int = 448
    base_records: int = 8_000
    renamed: float = 0.75
    copy_steps: int = 150
    base_steps: int = 700
    base_batch: int = 16
    hidden: int = 128
    layers: int = 4
    vocabulary: int = 2048
    sft_epochs: int = 3
    sft_batch: int = 8
    rl_prompts: int = 300
    rl_context: int = 300
    rl_epochs: int = 1
    ppo_epochs: int = 4
    rl_batch: int = 20
    test_calls: int = 200
    test_runs: int = 80


FULL = Size()
QUICK = Size(
    seen=("places",),
    trajectories=400,
    context=320,
    base_records=600,
    base_steps=150,
    base_batch=8,
    hidden=64,
    layers=2,
    vocabulary=700,
    sft_epochs=3,
    rl_prompts=24,
    rl_batch=12,
    ppo_epochs=2,
    test_calls=20,
    test_runs=8,
)


@dataclass(frozen=True)
class Recipe:
    """How a token set is made and trained on: options of ``tldata tokenize`` and of the training data."""

    mask: str = "none"
    pkt: str = "off"
    w_max: float = 9.0
    layout: str = "segment"
    error_share: float | None = None  # None: the size's


@dataclass(frozen=True)
class Configuration:
    """A row of a table: how the model is fine-tuned, and by what reinforced (``ppo``, ``grpo`` or nothing)."""

    label: str
    recipe: Recipe
    reinforced: str | None = None

    @property
    def sft(self) -> str:
        """Name of the fine-tuning that it needs, shared by the configurations that need the same."""
        r = self.recipe
        share = "" if r.error_share is None else f"-errors{round(100 * r.error_share)}"
        turn = "" if r.layout == "segment" else f"-{r.layout}"
        pkt = r.pkt if r.w_max == 9.0 or r.pkt == "off" else f"on{r.w_max:g}"
        return f"sft-mask_{r.mask}-pkt_{pkt}{turn}{share}"


NONE, MAE = Recipe(), Recipe(mask="paper")
PKT, BOTH = Recipe(pkt="on"), Recipe(mask="paper", pkt="on")

# Names of rows are those of the paper's Table 5 (tldata/evaluate/paper/table5.toml).
TABLE_5 = {
    "none": Configuration("Standard SFT (w/ None)", NONE),
    "mae": Configuration("w/ MAE", MAE),
    "pkt": Configuration("w/ PKT", PKT),
    "irm": Configuration("w/ IRM", NONE, "ppo"),
    "mae-pkt": Configuration("w/ MAE & PKT", BOTH),
    "mae-irm": Configuration("w/ MAE & IRM", MAE, "ppo"),
    "pkt-irm": Configuration("w/ PKT & IRM", PKT, "ppo"),
    "all": Configuration("w/ All (TL-CodeLLaMA-2)", BOTH, "ppo"),
}
# Beyond the paper, each compared with "none" or "all" of the same seed.
MORE = {
    "irm-grpo": Configuration("w/ IRM by GRPO", NONE, "grpo"),
    "mae-irm-grpo": Configuration("w/ MAE & IRM by GRPO", MAE, "grpo"),
    "pkt-irm-grpo": Configuration("w/ PKT & IRM by GRPO", PKT, "grpo"),
    "all-grpo": Configuration("w/ All by GRPO", BOTH, "grpo"),
    "w-max-1": Configuration("w/ PKT, w_max 1", Recipe(pkt="on", w_max=1.0)),
    "w-max-3": Configuration("w/ PKT, w_max 3", Recipe(pkt="on", w_max=3.0)),
    "w-max-27": Configuration("w/ PKT, w_max 27", Recipe(pkt="on", w_max=27.0)),
    "none-errors5": Configuration("w/ None, 5% erroneous", Recipe(error_share=0.05)),
    "mae-errors5": Configuration("w/ MAE, 5% erroneous", Recipe(mask="paper", error_share=0.05)),
    "none-errors40": Configuration("w/ None, 40% erroneous", Recipe(error_share=0.40)),
    "mae-errors40": Configuration("w/ MAE, 40% erroneous", Recipe(mask="paper", error_share=0.40)),
    "mae-pkt-turn": Configuration("w/ MAE & PKT, layout turn", Recipe(mask="paper", pkt="on", layout="turn")),
}
NOISY = ("none", "all")  # the rows of Figure 4
