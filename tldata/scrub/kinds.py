"""What is replaced, by which key, and what makes two writings of a value the same value."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from tldata.errors import UsageError

# label -> what it is
KINDS = {
    "key": "keys and tokens of known services, by their form",
    "token": "JSON web tokens",
    "private_key": "private keys (PEM)",
    "secret": "passwords, tokens and cookies, by the name of their field; bearer tokens; passwords in URLs",
    "email": "e-mail addresses",
    "phone": "phone numbers",
    "card": "card numbers (issuer, length and checksum)",
    "iban": "account numbers (country, length and checksum)",
    "ssn": "US social security numbers",
    "personal": "names, addresses and birth dates, by the name of their field",
    "user": "user names in paths of home folders",
    "ip": "public IP addresses",
}
DEFAULT_KINDS = ("key", "token", "private_key", "secret", "email", "phone", "card", "iban", "ssn")
DIGITS = 12  # hexadecimal digits of a stand-in: among a million values the chance that two share one is 0.2 %


@dataclass(frozen=True, slots=True)
class Scrubbing:
    """What decides the stand-ins: the key and the kinds. Equal ones give equal stand-ins in every process."""

    key: bytes = field(repr=False)
    kinds: tuple[str, ...] = DEFAULT_KINDS

    @property
    def digest(self) -> str:
        """Tells two of them apart without telling the key."""
        return hashlib.blake2b("|".join(self.kinds).encode(), key=short_key(self.key), digest_size=16).hexdigest()


def parse_kinds(names: Iterable[str] | None) -> tuple[str, ...]:
    """Kinds by name; None: the default ones, ``all``: every one.

    >>> parse_kinds(["email,phone"])
    ('email', 'phone')
    """
    chosen = [part.strip() for name in names or () for part in name.split(",") if part.strip()]
    if not chosen:
        return DEFAULT_KINDS
    if chosen == ["all"]:
        return tuple(KINDS)
    unknown = [name for name in chosen if name not in KINDS]
    if unknown:
        raise UsageError(f"no kind {unknown[0]!r}", hint=f"all, or some of {','.join(KINDS)}")
    return tuple(name for name in KINDS if name in chosen)


def short_key(key: bytes) -> bytes:
    return key if len(key) <= 64 else hashlib.blake2b(key).digest()


def normal(label: str, value: str) -> str:
    """What two writings of one value have in common: an e-mail address in another case, a phone number grouped otherwise.

    >>> normal("phone", "+1 (555) 010-9999") == normal("phone", "555-010-9999")
    True
    """
    if label == "email":
        return value.casefold()
    if label in ("phone", "card", "ssn"):
        digits = re.sub(r"\D", "", value)
        if label == "phone":
            digits = digits.removeprefix("00")
            digits = digits[1:] if len(digits) == 11 and digits[0] == "1" else digits
        return digits
    if label == "iban":
        return value.replace(" ", "").upper()
    return value
