"""Secrets: what is masked and what is left alone, on any text, in linear time."""

from __future__ import annotations

import itertools
import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tldata.secrets import find_secrets, mask

FAKE = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"  # of no service

MASKED = [
    (f"key sk-proj-{FAKE} used", "key [key] used"),
    ("AKIA" + "IOSFODNN7EXAMPLE.", "[key]."),
    (f"export GITHUB_TOKEN=ghp_{FAKE}", "export GITHUB_TOKEN=[key]"),
    (f"Authorization: Bearer {FAKE}", "Authorization: Bearer [token]"),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl ok", "[token] ok"),
    ("postgres://ann:s3cr3t@db.local/x", "postgres://ann:[password]@db.local/x"),
    ("https://x.org/?api_key=abcd1234&q=1", "https://x.org/?api_key=[secret]&q=1"),
    ('{"password": "correct horse", "n": 1}', '{"password": "[secret]", "n": 1}'),
    ('{"password": "a\\"b c", "n": 1}', '{"password": "[secret]", "n": 1}'),
    ("{'api_key': 'x y'}", "{'api_key': '[secret]'}"),
    ('"{\\"token\\": \\"abc def\\"}"', '"{\\"token\\": \\"[secret]\\"}"'),
    ("DB_PASSWORD=letmein", "DB_PASSWORD=[secret]"),
    ("my password: hunter2!", "my password: [secret]"),
    ("mail ann.o'b@x.example.org, bob@y.de", "mail ann.o'[email], [email]"),
    ("päivi@pöytä.fi", "[email]"),
    ("card 4111 1111 1111 1111.", "card [card]."),
    ("IBAN GB82 WEST 1234 5698 7654 32", "IBAN [iban]"),
    ("ssn 078-05-1120", "ssn [ssn]"),
    ("call +44 20 7946 0958 or (555) 123-4567 555-123-4567", "call [phone] or [phone] [phone]"),
    ("from 8.8.8.8 to 10.0.0.1", "from [ip] to 10.0.0.1"),
    ("/home/ann/logs/a.jsonl and C:\\Users\\Bob\\x", "/home/[user]/logs/a.jsonl and C:\\Users\\[user]\\x"),
    ('{"first_name": "Yusuf", "zip": 19122}', '{"first_name": "[personal]", "zip": 0}'),
    ('{"n": 4111111111111111}', '{"n": 0}'),
    ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc=\n-----END RSA PRIVATE KEY-----\nrest", "[private_key]\nrest"),
]
LEFT = [
    "the password must be at least eight characters long",
    "Password: must be long",
    '{"password": {"type": "string"}, "token": "string"}',
    '{"password": "********", "api_key": "<your key>"}',
    "order #W2378156 of 2024-05-15T15:00:00+02:00, id 1700000000000",
    "max_tokens=4096, temperature: 0.7, n_tokens: 12",
    "3f2504e0-4f89-11d3-9a0c-0305e82c3301 call_Ab12Cd34Ef56",
    "scikit sk-learn-contrib-packages, python 3.11.7, at 5 @ 3",
    "4111 1111 1111 1112 is no card; 555-1234; 10-20-3000",
    "v1.2.3.4.5 and 127.0.0.1, mask 255.255.255.0",
    "cd /home/user/data and data/home/x",
    '{"api_key": "Required. string. API key for the service"}',
    "",
]


@pytest.mark.parametrize(("text", "wanted"), MASKED)
def test_what_looks_like_a_secret_is_masked_and_nothing_around_it(text, wanted):
    assert mask(text) == wanted


@pytest.mark.parametrize("text", LEFT)
def test_what_only_resembles_a_secret_is_left_alone(text):
    assert mask(text) == text


@settings(deadline=None)
@given(
    st.lists(
        st.one_of(st.text(max_size=12), st.sampled_from([text for text, _ in MASKED]), st.sampled_from(LEFT)),
        max_size=6,
    ).map(" ".join)
)
def test_on_any_text_spans_lie_in_order_and_masking_again_changes_nothing(text):
    spans = find_secrets(text)
    assert all(0 <= span.start < span.end <= len(text) for span in spans)
    assert all(a.end <= b.start for a, b in itertools.pairwise(spans))
    once = mask(text)
    assert mask(once) == once


def test_json_stays_json_when_masked():
    record = {
        "password": 'q"uo\\te',
        "email": "a@b.org",
        "nested": json.dumps({"token": 'x"y', "phone": "+1 555 123 4567"}),
    }
    once = json.loads(mask(json.dumps(record)))
    assert once["password"] == "[secret]" and once["email"] == "[email]" and "+1 555" not in once["nested"]


def test_a_lone_surrogate_is_no_obstacle():
    assert mask("\ud800 ann@example.org") == "\ud800 [email]"


@pytest.mark.parametrize(
    "unit",
    [
        "password:",
        '{"a":',
        "a@",
        "1 ",
        "eyJ",
        "-----BEGIN PRIVATE KEY-----",
        "://a:b",
        "\\",
        "+1 2",
        "1.",
        "AB12 ",
        "'\"",
        "password='\\",
    ],
)
def test_time_grows_with_the_text_and_no_faster(unit):
    def seconds(n: int) -> float:
        text = unit * (n // len(unit))
        started = time.process_time()
        find_secrets(text)
        return time.process_time() - started

    seconds(1_000)
    small = min(seconds(50_000) for _ in range(3))
    assert min(seconds(400_000) for _ in range(2)) < 40 * small + 0.2  # 8 times the text; quadratic would be 64 times


def test_a_secret_glued_to_another_one_is_found_when_that_is_gone():
    assert mask("+1 555 201 4567+1 555 201 4567+1 555 201 456701 456701 4567") == mask(
        mask("+1 555 201 4567+1 555 201 4567+1 555 201 456701 456701 4567")
    )
