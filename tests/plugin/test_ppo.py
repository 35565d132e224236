"""PPO: a half-right policy gets better, actor and critic learn at their own rates, and what would hang or mislead is refused."""

import json
import math
import sys

import pytest

pytest.importorskip("trl")
from rl_setup import half_right, learning, random_model, write_prompts

from tldata.errors import InputError, UsageError
from tltrain_plugin import ppo
from tltrain_plugin.prompts import PromptTable, load_prompts, prepare_tokenizer

try:
    ppo.ppo_of_trl()
    HAS_PPO = True
except UsageError:
    HAS_PPO = False
needs_ppo = pytest.mark.skipif(not HAS_PPO, reason="the installed trl has no PPO (1.12 was the last)")
# What TRL 1.12 says of itself under transformers 5.23.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*:FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture
def config(tmp_path):
    """Two updates of an untrained model on six prompts, three answers a batch."""
    return {
        "model": str(random_model(tmp_path / "model")),
        "prompts": str(write_prompts(tmp_path / "prompts.jsonl")),
        "output_dir": str(tmp_path / "out"),
        "per_device_train_batch_size": 3,
        "num_train_epochs": 1,
        "num_ppo_epochs": 2,
        "response_length": 6,
        "save_strategy": "no",
        "disable_tqdm": True,
    }


@needs_ppo
def test_a_half_right_policy_gains_half_a_point_on_demo_prompts(tmp_path):
    policy, prompts = half_right()
    before = learning().mean_reward(policy, prompts)
    ppo.run_ppo(learning().ppo_config(policy, prompts, tmp_path, learning().FAST))
    after = learning().mean_reward(tmp_path, prompts)
    assert before < 0
    assert after - before >= 0.5


@needs_ppo
def test_a_run_returns_a_mean_reward_for_each_update(config):
    done = ppo.run_ppo(config)
    assert done["n_prompts"] == 6 and done["dropped"] == {}
    assert done["scores"] == [-2, -2] and done["reward_last"] == -2  # an untrained model writes no call
    from transformers import AutoModelForCausalLM, AutoTokenizer

    AutoModelForCausalLM.from_pretrained(config["output_dir"])
    assert AutoTokenizer.from_pretrained(config["output_dir"]).chat_template


@needs_ppo
def test_actor_and_critic_learn_at_their_own_rates_and_the_critic_starts_from_the_sft_model(config, monkeypatch):
    import torch
    from transformers import AutoModelForCausalLM

    seen = {}

    def train(trainer):
        model = trainer.model
        rates = {id(p): group["lr"] for group in trainer.optimizer.param_groups for p in group["params"]}
        seen["actor"] = {rates.pop(id(p)) for p in model.policy.parameters()}
        seen["critic"] = {rates.pop(id(p)) for p in model.value_model.parameters()}
        seen["others"] = rates
        seen["decay"] = {group["weight_decay"] for group in trainer.optimizer.param_groups}
        start = AutoModelForCausalLM.from_pretrained(config["model"])
        seen["same"] = [
            torch.equal(start.model.state_dict()[name], tensor)
            for name, tensor in model.value_model.model.state_dict().items()
        ]

    monkeypatch.setattr("trl.experimental.ppo.PPOTrainer.train", train)
    ppo.run_ppo(config | {"actor_learning_rate": 2e-6, "critic_learning_rate": 1e-6, "weight_decay": 0.01})
    assert (seen["actor"], seen["critic"], seen["others"]) == ({2e-6}, {1e-6}, {})
    assert seen["decay"] == {0.01, 0.0}
    assert seen["same"] and all(seen["same"])


@needs_ppo
def test_the_rewards_that_trl_sums_are_the_score_and_the_kl(config, monkeypatch):
    """The answer is cut exactly at the prompt's end, wherever padding begins, and scored against its own prompt's gold."""
    from trl.experimental.ppo import ppo_trainer

    trainer_class = ppo.make_trainer_class()
    original = ppo_trainer.get_reward
    asked = []

    def score(self, query_responses, context_length):
        rows = query_responses.tolist()
        asked.extend((self.prompt_table.find(ids[:context_length]), len(ids) - context_length) for ids in rows)
        return query_responses.new_tensor([0.5] * len(query_responses), dtype=float)

    monkeypatch.setattr(trainer_class, "score", score)
    monkeypatch.setattr(ppo, "make_trainer_class", lambda: trainer_class)
    done = ppo.run_ppo(config)
    assert done["scores"] == [0.5, 0.5]
    assert len(asked) == 6 and {length for _, length in asked} == {6}
    assert sorted(reference.alternatives[0][0].name for reference, _ in asked) == ["f"] * 3 + ["g"] * 3
    assert ppo_trainer.get_reward is original


@needs_ppo
def test_get_reward_is_put_back_when_a_run_fails(config, monkeypatch):
    from trl.experimental.ppo import ppo_trainer

    original = ppo_trainer.get_reward
    monkeypatch.setattr(PromptTable, "find", lambda self, ids: (_ for _ in ()).throw(UsageError("no gold")))
    with pytest.raises(UsageError, match="no gold"):
        ppo.run_ppo(config)
    assert ppo_trainer.get_reward is original


@needs_ppo
@pytest.mark.parametrize("greedy", [False, True])
def test_greedy_rollouts_are_the_likeliest_tokens_of_the_policy(greedy, config, monkeypatch):
    import torch
    from trl.experimental.ppo import ppo_trainer

    seen = []
    original = ppo_trainer.batch_generation

    def watch(model, queries, *rest):
        responses, logits = original(model, queries, *rest)
        made = responses[:, queries.shape[1] :]
        seen.append(torch.equal(made, logits.argmax(-1)[:, : made.shape[1]]))
        return responses, logits

    monkeypatch.setattr(ppo_trainer, "batch_generation", watch)
    generation = ppo_trainer.GenerationConfig
    ppo.run_ppo({**config, "greedy": greedy})
    assert seen == [greedy, greedy]
    assert ppo_trainer.GenerationConfig is generation, "put back after the run"


@needs_ppo
def test_a_run_goes_on_from_its_checkpoint(config, tmp_path):
    saving = config | {"num_train_epochs": 2, "save_strategy": "steps", "save_steps": 1}  # four updates
    assert len(ppo.run_ppo(saving)["scores"]) == 4
    state = json.loads((tmp_path / "out" / "checkpoint-4" / "trainer_state.json").read_text())
    assert state["global_step"] == 4
    resumed = ppo.run_ppo(saving | {"resume": str(tmp_path / "out" / "checkpoint-1")})
    assert len(resumed["scores"]) == 3
    with pytest.raises(UsageError, match="finished"):
        ppo.run_ppo(saving | {"resume": "auto"})
    (tmp_path / "out" / "checkpoint-2" / "critic" / "config.json").unlink()
    (tmp_path / "out" / "checkpoint-2" / "critic" / "model.safetensors").unlink()
    (tmp_path / "out" / "checkpoint-2" / "critic").rmdir()
    with pytest.raises(UsageError, match="no critic"):
        ppo.run_ppo(saving | {"resume": str(tmp_path / "out" / "checkpoint-2")})


@needs_ppo
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"per_device_train_batch_size": 7}, "larger than the 6 prompts"),
        ({"per_device_train_batch_size": 1}, "at least 2 answers"),
        ({"kl_coeff": 0.1}, "unknown key 'kl_coeff'"),
        ({"prompts": None}, "lacks prompts"),
        ({"num_sample_generations": 5}, "num_sample_generations is 0 here"),
        ({"end_of_turn": "<|nowhere|>"}, "no token '<|nowhere|>'"),
        ({"pad_token": "<|user|>"}, "contains the padding token"),
        ({"resume": "nowhere"}, "nowhere"),
        ({"dtype": "int4"}, "unknown dtype 'int4'"),
    ],
)
def test_what_would_hang_or_mislead_is_refused(config, change, message):
    with pytest.raises(UsageError, match=message.replace("|", r"\|")):
        ppo.run_ppo(config | change)


def test_a_missing_model_or_file_is_an_input_error(config, tmp_path):
    run = ppo.run_ppo
    if not HAS_PPO:
        pytest.skip("the installed trl has no PPO")
    with pytest.raises(InputError):
        run(config | {"model": str(tmp_path / "nothing")})
    with pytest.raises(InputError, match="no such file"):
        run(config | {"prompts": str(tmp_path / "nothing.jsonl")})


def test_without_ppo_in_trl_the_ways_out_are_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "trl.experimental.ppo", None)
    monkeypatch.delattr("trl.experimental.ppo", raising=False)
    with pytest.raises(UsageError, match=r"trl [\d.a-z]+ has no PPOTrainer") as caught:
        ppo.run_ppo({})
    assert "tldata[ppo]" in caught.value.hint and "grpo" in caught.value.hint and "verl" in caught.value.hint


@needs_ppo
def test_a_dry_run_shows_prompts_and_trains_nothing(config, tmp_path, capsys):
    done = ppo.run_ppo(config | {"dry_run": True})
    assert done["n_prompts"] == 6
    assert "question 0" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


def test_prompts_that_are_equal_are_merged_and_long_ones_left_out(tmp_path):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(random_model(tmp_path / "model"))
    path = write_prompts(tmp_path / "p.jsonl", 4, prompt_text="<|user|>same<|end|><|assistant|>")
    long = write_prompts(tmp_path / "q.jsonl", 1, prompt_text="<|user|>" + "long " * 90)
    path.write_text(path.read_text() + long.read_text())
    prompts = load_prompts(path, tokenizer, max_length=40)
    assert len(prompts) == 1 and prompts.dropped == {"equal prompt": 3, "too long": 1}
    assert [gold[0]["name"] for gold in json.loads(prompts.golds[0])] == ["f", "g", "f", "g"]
    with pytest.raises(InputError, match="no prompt to train on"):
        load_prompts(long, tokenizer, max_length=40)


def test_messages_are_rendered_with_their_tools_where_no_text_is_given(tmp_path):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(random_model(tmp_path / "model"))
    messages = [{"role": "user", "content": "hello", "tool_calls": None}]
    path = write_prompts(tmp_path / "p.jsonl", 1, prompt_text=None, prompt=messages)
    text = load_prompts(path, tokenizer).texts[0]
    assert text == "<|tools|>f(a) g(b) <|end|><|user|>hello<|end|><|assistant|>"
    tokenizer.chat_template = None
    with pytest.raises(UsageError, match="no chat template"):
        load_prompts(path, tokenizer)


@pytest.mark.parametrize("change", [{"gold": "{"}, {"gold": None}, {"tools": "7"}, {"prompt_text": None}])
def test_a_row_that_cannot_be_used_is_named(tmp_path, change):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(random_model(tmp_path / "model"))
    with pytest.raises(UsageError, match=r"p\.jsonl row 1"):
        load_prompts(write_prompts(tmp_path / "p.jsonl", 1, **change), tokenizer)


def test_gold_is_found_under_left_padding_and_never_guessed():
    table = PromptTable(
        [[5, 6], [6]], ['[[{"name": "f", "arguments": {}}]]', '[[{"name": "g"}]]'], [None, None], pad_id=0
    )
    assert table.find([0, 0, 6]).alternatives[0][0].name == "g"
    with pytest.raises(UsageError, match="no gold for a prompt of 1 tokens"):
        table.find([0, 5])


def test_padding_is_never_the_end_of_the_turn(tmp_path):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(random_model(tmp_path / "model"))
    tokenizer.pad_token = tokenizer.eos_token
    prepare_tokenizer(tokenizer)
    assert tokenizer.pad_token == "<|pad|>" and tokenizer.padding_side == "left"
    prepare_tokenizer(tokenizer, end_of_turn="<|user|>")
    assert tokenizer.eos_token == "<|user|>"
    with pytest.raises(UsageError, match="must differ"):
        prepare_tokenizer(tokenizer, end_of_turn="<|pad|>", pad_token="<|pad|>")


@pytest.mark.parametrize("name", ["ppo", "ppo-cpu"])
@needs_ppo
def test_the_presets_have_known_keys_only(name):
    from trl.experimental.ppo import PPOConfig

    from tltrain_plugin.config import read_config
    from tltrain_plugin.rl_config import split_config

    config = read_config(name, ["model=m", "prompts=p", "output_dir=o"])
    mine, theirs = split_config(config, ppo.KEYS, PPOConfig)
    assert not set(theirs) & set(ppo.KEYS)
    if name == "ppo":  # method.md: the paper's numbers
        assert (mine["actor_learning_rate"], mine["critic_learning_rate"]) == (2e-6, 1e-6)
        assert theirs["per_device_train_batch_size"] == 8 and theirs["num_train_epochs"] == 3
        assert math.isclose(theirs["kl_coef"], 0.3) and theirs["response_length"] == 512
