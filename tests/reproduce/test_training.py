"""Table 5's recipes are the paper's numbers from end to end; adapters and verl's checkpoints become plain weights; the harness is asked rightly."""

import json
from pathlib import Path

import pytest
import yaml

from reproduce.fig5 import LOCAL, TASKS, command, figures, local_command, results_in
from reproduce.merge import main as merge
from reproduce.merge import verl_command
from reproduce.models import load_models
from reproduce.recipes import CONFIGS, Recipe, with_bos
from tldata.errors import InputError
from tldata.evaluate.paper import paper_table

ROOT = Path(__file__).resolve().parents[2]
FULL = Recipe("full", Path("raw.json"), "base", Path("out"))
LORA = Recipe("lora", Path("raw.json"), "base", Path("out"))
ALL = CONFIGS[-1]


def words(recipe, config, program):
    return [step.words for step in recipe.steps(config, 3) if program in step.words]


def test_the_eight_configurations_are_those_of_table_5():
    assert [config.name for config in CONFIGS] == list(paper_table("table5").values)
    assert len({(config.mae, config.pkt, config.irm) for config in CONFIGS}) == 8
    for config in CONFIGS:
        assert config.mae == ("MAE" in config.name or "All" in config.name)
        assert config.pkt == ("PKT" in config.name or "All" in config.name)
        assert config.irm == ("IRM" in config.name or "All" in config.name)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.slug)
def test_mae_and_pkt_reach_the_tokens_and_irm_the_reinforcement(config):
    (tokenize,) = words(FULL, config, "tokenize")
    assert tokenize[tokenize.index("--mask") + 1] == ("paper" if config.mae else "none")
    assert tokenize[tokenize.index("--pkt") + 1] == ("on" if config.pkt else "off")
    assert tokenize[tokenize.index("--preset") + 1] == "paper"
    assert bool(words(FULL, config, "single_call")) == config.irm == bool(words(LORA, config, "grpo"))


def test_the_sft_preset_has_the_papers_numbers_and_four_processes_make_its_batch():
    from tltrain_plugin.config import read_config

    (sft,) = words(FULL, ALL, "sft")
    values = read_config("sft", [word for word in sft if "=" in word])
    expected = {"normaliser": "sample", "learning_rate": 1e-6, "lr_scheduler_type": "cosine", "warmup_steps": 0.01,
                "weight_decay": 0.01, "adam_beta2": 0.95, "num_train_epochs": 1, "max_length": 8192, "bf16": True, "seed": 3}  # fmt: skip
    assert {key: values[key] for key in expected} == expected
    config = yaml.safe_load((ROOT / "reproduce" / "fsdp2.yaml").read_text())
    rows = values["per_device_train_batch_size"] * values["gradient_accumulation_steps"] * config["num_processes"]
    assert rows == 4


def test_the_sharding_config_is_one_that_accelerate_reads():
    from accelerate.commands.config.config_args import load_config_from_file

    found = load_config_from_file(str(ROOT / "reproduce" / "fsdp2.yaml"))
    assert found.num_processes == 4 and found.fsdp_config["fsdp_version"] == 2


def test_reinforcement_starts_from_the_cells_own_sft_model_with_greedy_rollouts():
    (verl,) = words(FULL, ALL, "single_call")
    assert f"MODEL={FULL.sft_out(ALL, 3)}" in verl and "actor_rollout_ref.rollout.do_sample=false" in verl
    (merged,) = words(FULL, ALL, "--verl")
    assert merged[-1] == str(FULL.out(ALL, 3))
    (ppo,) = words(Recipe("dry", Path("r"), "b", Path("o")), ALL, "ppo")
    assert "greedy=true" in ppo


def test_cells_that_differ_in_reinforcement_only_share_their_sft():
    with_irm = set(FULL.steps(CONFIGS[3], 0))
    assert set(FULL.steps(CONFIGS[0], 0)) < with_irm


def test_training_begins_with_the_token_that_servers_put_before_a_prompt(tmp_path):
    from tldata.templates import get_template
    from tldata.templates.rendering import render_source

    path = with_bos(tmp_path)
    messages = [{"role": "user", "content": "Hello"}]
    plain = get_template("tl-codellama-2").render(messages)
    assert render_source(path.read_text(), messages, bos_token="<s>", eos_token="</s>") == f"<s>{plain}"
    assert render_source(path.read_text(), messages, bos_token=None, eos_token="</s>") == plain
    assert get_template(path).parse(' f(q="a")').calls[0].name == "f", "answers are still read in that format"


def test_seeds_have_folders_of_their_own():
    assert len({FULL.out(config, seed) for config in CONFIGS for seed in (0, 1, 2)}) == 24


def test_the_variant_for_one_gpu_says_that_it_departs(script, capsys):
    status, _ = script("table5", "--stage", "plan", "--lora", "--dry-run", "--configs", "mae-pkt-irm")
    out = capsys.readouterr().out
    assert status == 0 and "Departs from the paper: LoRA" in out and "1 x 80 GB" in out


@pytest.mark.parametrize("wrong", [("--configs", "mae,nothing"), ("--seeds", "a")])
def test_an_unknown_configuration_or_seed_is_refused(wrong, script, capsys):
    status, _ = script("table5", "--dry-run", "--stage", "plan", *wrong)
    assert status == 2 and "Error" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*:FutureWarning")  # peft under this transformers
def test_an_adapter_is_merged_into_plain_weights(tmp_path):
    torch = pytest.importorskip("torch")
    peft = pytest.importorskip("peft")
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from tltrain_plugin.tiny import init_tiny

    init_tiny(tmp_path / "base", vocab_size=400)
    base = AutoModelForCausalLM.from_pretrained(tmp_path / "base")
    model = peft.get_peft_model(
        base, peft.LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM", init_lora_weights=False)
    )
    ids = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        expected = model.eval()(ids).logits
    model.save_pretrained(tmp_path / "adapter")
    assert merge([str(tmp_path / "base"), str(tmp_path / "adapter"), str(tmp_path / "out")]) == 0
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype=torch.float32)
    with torch.no_grad():
        assert torch.allclose(merged.eval()(ids).logits, expected, atol=1e-4)
    assert AutoTokenizer.from_pretrained(tmp_path / "out").chat_template


def test_a_folder_without_an_adapter_or_a_checkpoint_is_refused(tmp_path, capsys):
    assert merge([str(tmp_path), str(tmp_path), str(tmp_path / "out")]) != 0
    assert "no LoRA adapter" in capsys.readouterr().err
    with pytest.raises(InputError, match="no checkpoint of verl"):
        verl_command(tmp_path, tmp_path / "out")


def test_verls_last_checkpoint_is_the_one_put_together(tmp_path):
    (tmp_path / "latest_checkpointed_iteration.txt").write_text("447\n")
    found = verl_command(tmp_path, tmp_path / "out")
    assert str(tmp_path / "global_step_447" / "actor") in found and found[1:3] == ["-m", "verl.model_merger"]


def test_the_harness_is_asked_with_its_defaults_on_a_pinned_model(tmp_path):
    base = load_models()["CodeLLaMA-2"]
    found = command("lm_eval", base, base.hub, tmp_path, "vllm")
    assert found[found.index("--tasks") + 1] == "mmlu,gsm8k,humaneval"
    assert not {"--num_fewshot", "--limit", "--gen_kwargs"} & set(found), "harness defaults"
    arguments = found[found.index("--model_args") + 1]
    assert f"pretrained={base.hub}" in arguments and f"revision={base.revision}" in arguments
    assert "revision" not in " ".join(command("lm_eval", base, "/weights", tmp_path, "hf"))


def test_the_local_tasks_are_whole(tmp_path):
    folder = Path(command_path := local_command("lm_eval", "tiny", tmp_path)[8])
    assert command_path.endswith("lm_eval_tasks")
    for name in LOCAL:
        task = yaml.safe_load((folder / f"{name}.yaml").read_text())
        rows = [
            json.loads(line) for line in (ROOT / task["dataset_kwargs"]["data_files"]["test"]).read_text().splitlines()
        ]
        assert task["task"] == name and rows
        assert all(str(row["answer"]) for row in rows)


def test_the_harness_results_are_read_with_their_errors(tmp_path):
    with pytest.raises(InputError, match="no results"):
        results_in(tmp_path)
    (tmp_path / "model").mkdir()
    results = {
        "mmlu": {"acc,none": 0.4, "acc_stderr,none": 0.01},
        "humaneval": {"pass@1,create_test": 0.3, "pass@1_stderr,create_test": "N/A"},
    }
    (tmp_path / "model" / "results_2026.json").write_text(json.dumps({"results": results}))
    assert figures(results_in(tmp_path)) == {"mmlu": (40.0, 1.0), "humaneval": (30.0, None)}
    assert set(TASKS) == {"mmlu", "gsm8k", "humaneval"}


def test_figure_5_is_drawn_and_marked_without_the_harness(script):
    status, folder = script("fig5", "--dry-run", "--lm-eval", "no-such-program")
    text = (folder / "fig5.md").read_text()
    assert status == 0 and text.startswith("# DUMMY") and "Tuned less base" in text
    assert "DUMMY" in (folder / "fig5.svg").read_text()
