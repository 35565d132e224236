"""Secrets of every kind planted in every place, and what only looks like one: made from a seed, with the values listed."""

from __future__ import annotations

import json
import random
import string
from collections.abc import Callable
from typing import Any

ALNUM = string.ascii_letters + string.digits
HEX = "0123456789abcdef"
Rng = random.Random


def some(rng: Rng, alphabet: str, n: int) -> str:
    """Characters with at least one digit and one letter among them, where the alphabet has both."""
    while True:
        text = "".join(rng.choices(alphabet, k=n))
        if any(c.isdigit() for c in text) and any(c.isalpha() for c in text):
            return text


def luhn(digits: str) -> str:
    """The digits with the check digit that makes them a card number."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * 2 if place % 2 == 0 else int(digit)
        total += doubled - 9 if doubled > 9 else doubled
    return digits + str(-total % 10)


def iban(country: str, account: str) -> str:
    """The account with the check digits of ISO 13616."""
    number = int("".join(str(int(c, 36)) for c in account + country + "00"))
    return f"{country}{98 - number % 97:02d}{account}"


def digits(rng: Rng, n: int, first: str = "123456789") -> str:
    return rng.choice(first) + "".join(rng.choices(string.digits, k=n - 1))


WORDS = ("harbour", "maple", "lantern", "copper", "meadow", "falcon", "velvet", "ember", "willow", "cobalt", "juniper")


def email(rng: Rng) -> str:
    local = rng.choice(
        (f"{rng.choice(WORDS)}.{rng.choice(WORDS)}{rng.randint(1, 9999)}", f"{rng.choice(WORDS)}+{some(rng, ALNUM, 5)}")
    )
    return f"{local}@{rng.choice(WORDS)}{rng.randint(1, 999)}.{rng.choice(('org', 'com', 'co.uk', 'de', 'io'))}"


def phone(rng: Rng) -> str:
    a, b, c = digits(rng, 3, "2345678"), digits(rng, 3, "23456789"), digits(rng, 4)
    return rng.choice(
        (f"+1 {a}-{b}-{c}", f"({a}) {b}-{c}", f"{a}-{b}-{c}", f"+44 20 {digits(rng, 4)} {digits(rng, 4)}", f"+49{digits(rng, 10)}", f"+33 6 12 {digits(rng, 2)} {digits(rng, 2)} {digits(rng, 2)}", f"+91-{digits(rng, 5)}-{digits(rng, 5)}")
    )  # fmt: skip


def key(rng: Rng) -> str:
    forms: tuple[Callable[[], str], ...] = (
        lambda: f"sk-proj-{some(rng, ALNUM, 40)}",
        lambda: f"sk-ant-api03-{some(rng, ALNUM, 48)}",
        lambda: f"AKIA{some(rng, string.ascii_uppercase + string.digits, 16)}",
        lambda: f"ghp_{some(rng, ALNUM, 36)}",
        lambda: f"github_pat_{some(rng, ALNUM, 40)}",
        lambda: f"glpat-{some(rng, ALNUM, 20)}",
        lambda: f"xoxb-{digits(rng, 11)}-{some(rng, ALNUM, 24)}",
        lambda: f"AIza{some(rng, ALNUM, 35)}",
        lambda: f"hf_{some(rng, ALNUM, 34)}",
        lambda: f"sk_live_{some(rng, ALNUM, 24)}",
        lambda: f"SG.{some(rng, ALNUM, 22)}.{some(rng, ALNUM, 43)}",
        lambda: f"npm_{some(rng, ALNUM, 36)}",
    )
    return rng.choice(forms)()


def jwt(rng: Rng) -> str:
    return f"eyJ{some(rng, ALNUM, 20)}.eyJ{some(rng, ALNUM, 40)}.{some(rng, ALNUM + '-_', 43)}"


def card(rng: Rng) -> str:
    number = luhn((rng.choice(("4", "51", "53", "2345", "6011")) + digits(rng, 14))[:15])
    grouped = " ".join(number[i : i + 4] for i in range(0, 16, 4))
    return rng.choice((grouped, grouped.replace(" ", "-"), number))


def account(rng: Rng) -> str:
    country, n = rng.choice((("DE", 18), ("ES", 20), ("AT", 16), ("BE", 12), ("PL", 24)))
    packed = iban(country, "".join(rng.choices(string.digits, k=n)))
    return rng.choice((packed, " ".join(packed[i : i + 4] for i in range(0, len(packed), 4))))


def ssn(rng: Rng) -> str:
    return f"{rng.randint(100, 665)}-{rng.randint(10, 99)}-{rng.randint(1000, 9999)}"


def private_key(rng: Rng) -> str:
    body = "\n".join(some(rng, ALNUM + "+/", 64) for _ in range(3))
    return f"-----BEGIN RSA PRIVATE KEY-----\n{body}\n-----END RSA PRIVATE KEY-----"


def password(rng: Rng) -> str:
    return some(rng, ALNUM, 10) + rng.choice("!#$*")


FORMS: dict[str, Callable[[Rng], str]] = {
    "email": email, "phone": phone, "key": key, "token": jwt, "card": card, "iban": account, "ssn": ssn, "private_key": private_key,
}  # fmt: skip
SENTENCES = (
    "please use {} for this",
    "{}",
    "I think it was {}, thanks",
    "reach me: {}\nbye",
    "result -> {} (ok)",
    'he said "{}"',
)
NAMED: tuple[Callable[[str], str], ...] = (  # where only the name says that it is a secret
    lambda v: f"password: {v}",
    lambda v: f"https://api.example.com/v1?api_key={v.rstrip('!#$*')}&q=1",
    lambda v: f"postgres://app:{v.rstrip('!#$*')}@db.internal:5432/x",
    lambda v: f"Authorization: Bearer {v.rstrip('!#$*')}{v.rstrip('!#$*')}",
    lambda v: f"export DB_PASSWORD={v}",
    lambda v: f"the password is {v}x",
)
SECRET_NAMES = (
    "password",
    "api_key",
    "apiKey",
    "access_token",
    "client_secret",
    "X-Api-Key",
    "dbPassword",
    "refreshToken",
    "passwd",
)


def clean(rng: Rng) -> str:
    """What looks like a secret and is none."""
    h = lambda n: some(rng, HEX, n)  # noqa: E731
    made = (
        f"{h(8)}-{h(4)}-4{h(3)}-a{h(3)}-{h(12)}",
        h(40), h(64), h(32), f"sha256:{h(64)}",
        f"order #W{digits(rng, 7)}", f"order id {digits(rng, 16)}", f"call_{some(rng, ALNUM, 24)}", f"toolu_{some(rng, ALNUM, 24)}",
        f"20{rng.randint(10, 26)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}T{rng.randint(0, 23):02d}:15:00+02:00",
        f"{rng.randint(1, 12):02d}/{rng.randint(1, 28):02d}/2024", f"{rng.randint(1, 223)}.{rng.randint(0, 255)}.{rng.randint(0, 255)}.{rng.randint(0, 255)}",
        f"v{rng.randint(0, 20)}.{rng.randint(0, 99)}.{rng.randint(0, 99)}", f"timestamp {rng.randint(1_600_000_000_000, 1_790_000_000_000)}",
        f"SKU-{digits(rng, 3)}-{digits(rng, 2)}-{digits(rng, 4)}", f"ISBN 978-3-16-{digits(rng, 6)}-{rng.randint(0, 9)}", f"part no. {digits(rng, 4)}-{digits(rng, 4)}",
        f"lat +{rng.randint(1, 89)}.{digits(rng, 7)}", f"total {digits(rng, 5)}.{digits(rng, 2)} EUR", f"next_page_token={some(rng, ALNUM, 24)}",
        f"max_tokens={rng.randint(16, 9999)}", "icon@2x.png", f"@types/node@18.{rng.randint(0, 20)}.1", f"git@github.com:{rng.choice(WORDS)}/repo.git",
        f"flight HAT{digits(rng, 3)} seat {rng.randint(1, 40)}A", f"reservation {some(rng, string.ascii_uppercase + string.digits, 6)}", f"tracking number {digits(rng, 12)}",
        f"token = tokenizer.decode(ids[{rng.randint(1, 99)}])", "the password must be at least eight characters long", f"task-{rng.choice(WORDS)}-{rng.choice(WORDS)}-{h(6)}",
        f"user_{digits(rng, 8)}", f"x = {digits(rng, 3)} + {digits(rng, 3)}", f"/files/{h(16)}/page/{rng.randint(1, 99)}", f"commit {h(7)}", f"{digits(rng, 3)} {digits(rng, 3)} units", f"mtime {digits(rng, 19, '1')}",
        f"GTIN {digits(rng, 13)}", f"DE{digits(rng, 9)}", f"batch {digits(rng, 4)}/{digits(rng, 4)}", f"ABC-{digits(rng, 4)}-{some(rng, string.ascii_uppercase + string.digits, 4)}",
    )  # fmt: skip
    return rng.choice(made)


def world(n: int, seed: int) -> tuple[list[dict[str, Any]], list[str], list[str]]:
    """Records with ``n`` secrets and as many lookalikes.

    Returns:
        records (OpenAI format), the secrets' values, the lookalikes.
    """
    rng = Rng(seed)
    secrets: list[str] = []
    alike: list[str] = []
    records: list[dict[str, Any]] = []

    def sentence() -> str:
        if rng.random() < 0.3:
            value = password(rng)
            text = rng.choice(NAMED)(value)
            secrets.append(value.rstrip("!#$*"))
            return text
        value = FORMS[rng.choice(list(FORMS))](rng)
        secrets.append(value)
        return rng.choice(SENTENCES).format(value)

    def harmless() -> str:
        value = clean(rng)
        alike.append(value)
        return rng.choice(SENTENCES[:2]).format(value)

    def named() -> dict[str, Any]:
        value = password(rng)
        secrets.append(value)
        return {rng.choice(SECRET_NAMES): value}

    while len(secrets) < n:
        arguments = {
            "to": sentence(),
            "note": harmless(),
            **named(),
            "deep": json.dumps({"body": sentence(), "x": harmless(), "more": json.dumps(named())}),
        }
        number = digits(rng, 10, "2345678")
        if rng.random() < 0.3:
            arguments["phone"] = int(number)
            secrets.append(number)
        feedbacks = (
            lambda: json.dumps({"data": sentence(), "id": harmless(), **named()}),
            lambda: f"Error: {sentence()} / {harmless()}",
            sentence,
        )
        feedback = rng.choice(feedbacks)()
        records.append(
            {
                "id": f"r{len(records)}",
                "tools": [{"type": "function", "function": {"name": "send", "description": f"Sends. e.g. {sentence()}, {harmless()}", "parameters": {"type": "object", "properties": {"to": {"type": "string", "description": harmless()}, "password": {"type": "string"}}}}}],
                "messages": [
                    {"role": "system", "content": harmless()},
                    {"role": "user", "content": f"{sentence()}\n{harmless()}"},
                    {"role": "assistant", "content": sentence(), "tool_calls": [{"id": f"call_{some(rng, ALNUM, 8)}", "type": "function", "function": {"name": "send", "arguments": json.dumps(arguments)}}]},
                    {"role": "tool", "tool_call_id": "", "content": feedback},
                    {"role": "assistant", "content": harmless(), "owner": sentence()},
                ],
                "meta": {"contact": sentence(), "ref": harmless(), "inner": [named(), {"list": [sentence()]}]},
            }
        )  # fmt: skip
        call = records[-1]["messages"][2]["tool_calls"][0]
        records[-1]["messages"][3]["tool_call_id"] = call["id"]
    return records, secrets, alike
