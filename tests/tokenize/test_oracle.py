"""Real data, three tokenizers, six templates: tokens, spans and key tokens against the slow, obvious way."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tokenize import oracle
from tests.tokenize.conftest import REAL, trl_templates
from tldata.tokenize.conversation import in_form
from tldata.tokenize.key_tokens import KeyTokenFinder
from tldata.tokenize.pipeline import resolve_template
from tldata.tokenize.prepare import Preparer, Rejected

TEMPLATES = ("tl-codellama-2", "toolllama-2", "trl:qwen2_5", "trl:qwen3", "trl:llama3_1", "trl:lfm2_v2", "trl:lfm2_2_5")
TOKENIZERS = ("llama2", "llama3", "qwen2.5")


@dataclass
class Own:
    """A text's ids and offsets, taken out of the tokenizer's own object once."""

    ids: list[int]
    offsets: list[tuple[int, int]]


def check(encoder, template_name, conversations, whole_texts):
    """Check conversations in full, every call against an oracle; returns how many, and how many calls.

    Every ``whole_texts``-th call is compared with the whole text tokenised again under each other name, the others with the
    name's lines tokenised again where that is the same (oracle.lines_are_apart); each whole comparison also checks that.
    """
    named = trl_templates().get(template_name.removeprefix("trl:"))
    if template_name.startswith("trl:") and named is None:
        pytest.skip(f"the installed trl has no {template_name}")
    template = resolve_template(named or template_name, encoder)
    preparer, finder = Preparer(template), KeyTokenFinder(encoder)
    by_lines = oracle.lines_are_apart(encoder.tokenizer)
    done = calls = 0
    for conversation in conversations:
        sections = preparer.prepare(conversation)
        assert not isinstance(sections, Rejected), sections
        messages = in_form(conversation, sections[0].form)
        texts = oracle.turn_texts(template, messages, conversation.tools)
        assert [[turn.turn.turn for turn in section.turns] for section in sections] == oracle.runs(texts)
        for section, encoded in zip(sections, encoder.encode([section.text for section in sections]), strict=True):
            whole = encoder.tokenizer.encode(section.text, add_special_tokens=False)
            own = Own(whole.ids, whole.offsets)
            assert encoded.ids.tolist() == own.ids
            assert list(zip(encoded.starts.tolist(), encoded.ends.tolist(), strict=True)) == own.offsets
            assert encoded.starts[0] == 0 and encoded.ends[-1] == len(section.text)
            assert (encoded.starts[1:] <= encoded.ends[:-1]).all()  # no gap
            for turn in section.turns:
                text = texts[turn.turn.turn]
                assert section.text[: turn.turn.end] == text.rstrip()
                start = oracle.start_of_turn(template, messages, conversation.tools, turn.turn.turn, text)
                assert start is None or start == turn.turn.start
                for place in turn.calls:
                    assert section.text[slice(*place.name)] == place.call.name
                    assert turn.turn.start <= place.start <= place.name[0] < place.name[1] <= place.end <= turn.turn.end
                    given = (place.name, place.call.name, conversation.names)
                    found = finder.find(section.text, encoded, *given, conversation.names_key)
                    if by_lines:
                        expected = oracle.key_tokens_by_lines(encoder.tokenizer, section.text, own, *given)
                        assert found == expected, (conversation.trajectory_id, place.call)
                    if not by_lines or calls % whole_texts == 0:
                        expected = oracle.key_tokens(encoder.tokenizer, section.text, *given)
                        assert found == expected, (conversation.trajectory_id, place.call)
                    calls += 1
        done += 1
    return done, calls


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_some_of_each_data_set_agrees_with_the_oracle(real, conversations, encoders, tokenizer, template):
    for name, every in {"rotbench-clean": 35, "rotbench-heavy": 70, "toolbench": 8, "tau-bench": 100}.items():
        done, _ = check(encoders[tokenizer], template, conversations(real(name, every)), whole_texts=20)
        assert done >= 2


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize(("tokenizer", "name"), list(itertools.product(TOKENIZERS, REAL)))
def test_all_of_each_data_set_agrees_with_the_oracle(real, conversations, encoders, tokenizer, name, template):
    done, calls = check(encoders[tokenizer], template, conversations(real(name)), whole_texts=50)
    assert done == {"tau-bench": 200, "toolbench": 15}.get(name, done) and calls > 50
    print(f"{tokenizer} {template} {name}: {done} trajectories, {calls} calls agree")


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_a_tokenizer_whose_lines_are_apart_tokenises_every_text_line_by_line(encoders, tokenizer):
    encode = encoders[tokenizer].tokenizer.encode
    assert oracle.lines_are_apart(encoders[tokenizer].tokenizer)
    lead = len(encode("\n", add_special_tokens=False).ids)
    alphabet = st.sampled_from(
        ["\n", " ", "\r", "\t", "a", "Ab", "9", "'s", "{", '"', "}", "\u00a0", "\u0301", "日", "<s>", "</s>"]
    )

    @settings(max_examples=300, deadline=None, derandomize=True)
    @given(st.lists(alphabet, max_size=12).map("".join), st.lists(alphabet, max_size=12).map("".join))
    def holds(before, behind):
        if behind and not behind[0].isspace():
            text = before + "\n" + behind
            apart = encode(before + "\n", add_special_tokens=False).ids
            apart += encode("\n" + behind, add_special_tokens=False).ids[lead:]
            assert encode(text, add_special_tokens=False).ids == apart

    holds()


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_names_that_share_beginnings_hold_other_names_or_are_written_in_other_scripts(encoders, tokenizer):
    names = (
        "a",
        "ab",
        "abc",
        "ab_c",
        "get",
        "get_",
        "getter",
        "get.user",
        "get user",
        "найти",
        "найти_город",
        "検索",
        "検索する",
        "x9",
        "x99",
        "GET",
    )
    encoder = encoders[tokenizer]
    for called, (before, behind) in itertools.product(
        names,
        [
            ('{"name": "', '", "arguments": {"q": 1}}'),
            ("Assistant: ", '(q="1")</s>'),
            ("Action: ", "\nAction Input: {}\n"),
            ("call:", "{}"),
            ("", ""),
        ],
    ):
        text = f"Some words before it.\n{before}{called}{behind} and some words behind, which go on."
        at = len("Some words before it.\n") + len(before)
        encoded = encoder.encode_whole([text])[0]
        found = KeyTokenFinder(encoder).find(text, encoded, (at, at + len(called)), called, names, "k")
        assert found == oracle.key_tokens(encoder.tokenizer, text, (at, at + len(called)), called, names), (
            called,
            before,
            behind,
        )


def test_the_cache_of_contexts_gives_what_a_fresh_finder_gives(encoders):
    encoder = encoders["qwen2.5"]
    names = ("search", "search_advice", "search_city", "find")
    shared = KeyTokenFinder(encoder)
    for called, query in itertools.product(names, ("x", "a longer query with words", "日本", "")):
        text = f'<|im_start|>assistant\n<tool_call>\n{{"name": "{called}", "arguments": {json.dumps({"q": query})}}}\n</tool_call><|im_end|>'
        at = text.index(called)
        encoded = encoder.encode([text])[0]
        arguments = (text, encoded, (at, at + len(called)), called, names, "k")
        assert shared.find(*arguments) == KeyTokenFinder(encoder).find(*arguments)
