"""Find what looks like a secret or personal data in a text, and mask it, in time linear in the text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import re2

# Names of fields whose value is a secret, and of fields that hold personal data whatever the value looks like.
PASSES = 8  # over a text in which one secret stands right behind the other

_SECRET_NAMES = (
    "pass(?:word|wd|phrase|code)|pwd|secret|(?:client|shared)[ _-]?secret|secret[ _-]?key|api[ _-]?(?:key|token|secret)"
    "|(?:access|account|subscription|signing|encryption)[ _-]?key|access[ _-]?token|auth[ _-]?token|refresh[ _-]?token|session[ _-]?token|id[ _-]?token|bot[ _-]?token|private[ _-]?key"
    "|authorization|set-cookie|cookie|credentials?|token|otp|pin[ _-]?code|cvv|cvc"
)
_PERSONAL_NAMES = (
    "(?:first|last|full|given|family|middle|maiden|sur|passenger|cardholder|recipient)[_-]?name|user[_-]?name|street(?:[_-]?address)?"
    "|(?:home|billing|shipping|postal|mailing)[_-]?address|address(?:[_-]?line)?[_-]?[12]?|post(?:al)?[_-]?code|zip(?:[_-]?code)?"
    "|(?:e-?mail|phone|mobile|telephone|cell)(?:[_-]?(?:number|address))?|dob|date[_-]?of[_-]?birth|birth[_-]?(?:date|day)"
    "|ssn|social[_-]?security(?:[_-]?number)?|passport(?:[_-]?(?:number|no))?|national[_-]?id|tax[_-]?id|driver'?s?[_-]?licen[cs]e"
    "|(?:credit[_-]?)?card[_-]?number|iban|account[_-]?number|ip[_-]?address"
)
_PHONE_NAMES = (
    "(?:phone|mobile|telephone|cell(?:phone)?|fax|whatsapp|contact|msisdn)(?:[_-]?(?:no|num|number))?|tel|msisdn"
)
_FIELD = r"(?i:(?:^|[^a-z0-9])(?:{names}))"
# The same in the middle of camelCase, where a capital letter begins the word.
_CAMEL = "[a-z0-9](?:Pass(?:word|wd|phrase)|Secret(?:Key)?|(?:Api|Access|Account|Private|Subscription)Key|(?:Access|Auth|Refresh|Session|Bot|Api|Id)?Token)"
# Words that stand where a value would: types, and what descriptions of fields begin with.
_PLACEHOLDERS = frozenset(
    ("string", "integer", "number", "boolean", "null", "none", "true", "false", "required", "optional")
)
_ANYONE = frozenset(
    ("user", "username", "root", "ubuntu", "runner", "shared", "public")
)  # home folders that name nobody
# What a value of a field stands in: JSON or Python quotes, JSON inside a JSON string, or nothing.
_QUOTED = (
    r"""["']?\s*[:=]\s*"((?:[^"\\]|\\.)+)""",
    r"""["']?\s*[:=]\s*'((?:[^'\\]|\\.)+)""",
    r"""\\+["']\s*:\s*\\+["']([^"'\\]+)""",
)
_BARE = r"""["']?\s*[:=]\s*([^\s"'\\,;&<>(){}\[\]]{4,})"""
_NUMBER = r"""["']\s*:\s*(\d{3,})"""
_PREFIXED_KEYS = "|".join(
    (
        r"[srp]k-[A-Za-z0-9_-]{16,}",
        r"[rsp]k_(?:live|test)_[A-Za-z0-9]{10,}",
        r"gh[opsur]_[A-Za-z0-9]{20,}",
        r"github_pat_[A-Za-z0-9_]{20,}",
        r"glpat-[A-Za-z0-9_-]{16,}",
        r"xox[abeoprs]-[A-Za-z0-9-]{10,}",
        r"xapp-[A-Za-z0-9-]{10,}",
        r"A[KS]IA[0-9A-Z]{16}",
        r"AIza[A-Za-z0-9_-]{30,}",
        r"ya29\.[A-Za-z0-9_-]{20,}",
        r"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}",
        r"(?:hf|npm|gsk|shpat|r8|lin_api|dop_v1)_[A-Za-z0-9]{20,}",
        r"(?:pypi|xai|tvly|pplx)-[A-Za-z0-9_-]{20,}",
        r"PMAK-[A-Za-z0-9-]{24,}",
        r"GOCSPX-[A-Za-z0-9_-]{20,}",
        r"sq0[a-z]{3}-[A-Za-z0-9_-]{20,}",
        r"dapi[0-9a-f]{32}",
        r"whsec_[A-Za-z0-9+/=]{20,}",
        r"\d{8,10}:AA[A-Za-z0-9_-]{33}",
    )
)


class Span(NamedTuple):
    """A secret's kind and its place in the text: characters ``start`` to ``end``, end exclusive."""

    kind: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Pattern:
    """An RE2 pattern whose group 1, or whole match, is the secret, unless ``check`` says no of (text, start, end)."""

    kind: str
    pattern: str
    check: Callable[[str, int, int], bool] | None = None
    by_context: bool = False  # what stands before the value says what it is; its own form does not


def _is_somebody(text: str, start: int, end: int) -> bool:
    return text[start:end].lower() not in _ANYONE and _is_value(text, start, end)


def _has_digit(text: str, start: int, end: int) -> bool:
    return any(character.isdigit() for character in text[start:end])


def _is_value(text: str, start: int, end: int) -> bool:
    """Not what stands where a value would: our own mask, stars, a word that names a type or nothing."""
    value = text[start:end].strip().lower()
    if not value.strip("*x.•- ") or (value[0] + value[-1] in ("[]", "<>", "{}")):
        return False
    return value.split()[0].strip(".,:;") not in _PLACEHOLDERS


def _is_bare_value(text: str, start: int, end: int) -> bool:
    """A word of prose after "password:" is no password; what holds a digit or a sign, or follows "=", may be."""
    follows = text[max(0, start - 3) : start].rstrip()[-1:] == "="
    return _is_value(text, start, end) and (follows or not text[start:end].rstrip(".,!?").isalpha())


def _is_mixed(text: str, start: int, end: int) -> bool:
    """Letters and digits: what follows "the password is" and is no word."""
    return _has_digit(text, start, end) and any(character.isalpha() for character in text[start:end])


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Not part of a longer number, version, identifier or date."""
    before, after = text[max(0, start - 2) : start], text[end : end + 2]
    glued = before[-1:].isalnum() or after[:1].isalnum() or (before[-1:] in "_#/" and before != "")
    joined = (before[-1:] in tuple(".-") and before[:1].isdigit()) or (after[:1] in tuple(".-") and after[1:].isdigit())
    return not glued and not joined


def _is_card(text: str, start: int, end: int) -> bool:
    """A card's first digit, and the checksum of Luhn (ISO/IEC 7812).

    >>> _is_card("4111 1111 1111 1111", 0, 19), _is_card("4111 1111 1111 1112", 0, 19)
    (True, False)
    """
    digits = [int(character) for character in text[start:end] if character.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return (
        digits[0] in (2, 3, 4, 5, 6)
        and (sum(digits[::-2]) + sum(doubled)) % 10 == 0
        and _stands_alone(text, start, end)
    )


def _is_iban(text: str, start: int, end: int) -> bool:
    """The checksum of ISO 13616: letters as 10 to 35, country and check digits last, 1 modulo 97.

    >>> _is_iban("GB82 WEST 1234 5698 7654 32", 0, 27)
    True
    """
    packed = text[start:end].replace(" ", "")
    return int("".join(str(int(character, 36)) for character in packed[4:] + packed[:4])) % 97 == 1


def _is_phone_number(text: str, start: int, end: int) -> bool:
    """What stands in a field for phone numbers: 7 to 15 digits and what groups them."""
    value = text[start:end]
    digits = sum(character.isdigit() for character in value)
    return 7 <= digits <= 15 and all(character.isdigit() or character in "+ ().-/" for character in value)


def _is_public_address(text: str, start: int, end: int) -> bool:
    parts = [int(part) for part in text[start:end].split(".")]
    private = (
        parts[0] in (0, 10, 127)
        or parts[0] >= 224
        or parts[:2] in ([192, 168], [169, 254])
        or (parts[0] == 172 and 16 <= parts[1] < 32)
    )
    return all(part < 256 for part in parts) and not private and _stands_alone(text, start, end)


def _is_email(text: str, start: int, end: int) -> bool:
    """Not the password and host of a URL, which ``password`` finds."""
    return not (text[start - 1 : start] == ":" and "://" in text[max(0, start - 200) : start])


def _fields(kind: str, names: str) -> tuple[Pattern, ...]:
    named = _FIELD.format(names=names)
    if names is _SECRET_NAMES:
        named = f"(?:{named}|{_CAMEL})"
    return tuple(Pattern(kind, named + tail, _is_value, by_context=True) for tail in _QUOTED)


# In the order in which they name what several of them find.
PATTERNS: tuple[Pattern, ...] = (
    Pattern(
        "private_key",
        r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----(?:[A-Za-z0-9+/=\s\\:,.]|-[A-Za-z0-9])*(?:-----END [A-Z ]{0,40}PRIVATE KEY-----)?",
    ),
    Pattern("token", r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?"),
    Pattern("key", rf"\b(?:{_PREFIXED_KEYS})", _has_digit),
    Pattern("token", r"(?i)\b(?:bearer|basic)\s+([A-Za-z0-9._~+/=-]{12,})", _has_digit, by_context=True),
    Pattern("key", r"hooks\.slack\.com/services/([A-Za-z0-9]+/[A-Za-z0-9]+/[A-Za-z0-9]{16,})"),
    Pattern("password", r"""://[^\s/@:"'<>]*:([^\s/@"'<>]+)@""", _is_value, by_context=True),
    Pattern("email", r"[\p{L}\p{N}._%+-]+@[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)*\.\p{L}{2,24}", _is_email),
    Pattern("iban", r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b", _is_iban),
    Pattern("card", r"\b\d(?:[ -]?\d){12,18}\b", _is_card),
    Pattern("ssn", r"\b\d{3}-\d{2}-\d{4}\b", _stands_alone),
    Pattern("phone", r"\+\d{1,3}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d(?:[ .-]?\d){6,12}\b", _stands_alone),
    Pattern("phone", r"(?:\(\d{3}\) ?|\b\d{3}[ .-])\d{3}[ .-]\d{4}\b", _stands_alone),
    Pattern(
        "phone",
        r"""(?i)\b(?:phone|telephone|tel|mobile|cell|call|fax|whatsapp|sms|text)(?:[ _](?:me|us|him|her|at|on|back|number|no\.?|num|is|to)){0,3}["']?[ :.=]{1,3}["']?"""
        r"""(\+?(?:\d|\(\d)[\d ().-]{5,17}\d)""",
        _is_phone_number,
        by_context=True,
    ),
    Pattern("ip", r"\b\d{1,3}(?:\.\d{1,3}){3}\b", _is_public_address),
    Pattern(
        "user", r"""(?:(?:^|[^A-Za-z0-9_.-])/(?:home|Users)/|[A-Za-z]:\\+Users\\+)([^/\\\s"':<>|]+)""", _is_somebody
    ),
    *_fields("secret", _SECRET_NAMES),
    Pattern("secret", _FIELD.format(names=_SECRET_NAMES) + _BARE, _is_bare_value, by_context=True),
    Pattern(
        "secret",
        r"""(?i)\b(?:pass(?:word|phrase|code)|pin|otp|secret|token|(?:api|access|secret) ?key)(?: (?:is|was|to)[ :]{1,2}["'`]?)([^\s"'`,;<>]{5,}[^\s"'`,;<>.!?])""",
        _is_mixed,
        by_context=True,
    ),
    Pattern(
        "secret",
        r"""(?i)[?&](?:sig|signature|x-amz-signature|x-amz-security-token|x-amz-credential|key|auth|sid|sessionid)=([^&#\s"'\\<>]{16,})""",
        _has_digit,
        by_context=True,
    ),
    *(
        Pattern("phone", _FIELD.format(names=_PHONE_NAMES) + tail, _is_phone_number, by_context=True)
        for tail in (*_QUOTED, _NUMBER)
    ),
    *_fields("personal", _PERSONAL_NAMES),
    Pattern("personal", _FIELD.format(names=_PERSONAL_NAMES) + _NUMBER, by_context=True),
)


@cache
def _compiled() -> tuple[Any, tuple[tuple[Pattern, Any], ...]]:
    """Everything in one, to pass over a clean text once; and the patterns one by one."""
    options = re2.Options()
    options.max_mem = 64 << 20
    each = tuple((pattern, re2.compile(pattern.pattern, options)) for pattern in PATTERNS)
    return re2.compile("|".join(f"(?:{pattern.pattern})" for pattern in PATTERNS), options), each


def find_secrets(text: str) -> list[Span]:
    """Find what looks like a secret or personal data.

    Keys and tokens by their form, passwords and personal data by the name of their field, e-mail addresses, phone, card and account
    numbers by form and checksum. What has no form (a person's name in a sentence) is not found.

    Args:
        text: any text, JSON or not.

    Returns:
        Spans in order, apart from each other. Kinds: private_key, token, key, password, email, card, iban, ssn, phone, ip
        (public ones), user (in a home folder's path), secret, personal.

    >>> find_secrets("write to ann@example.org")
    [Span(kind='email', start=9, end=24)]
    """
    return _apart([(span.start, -span.end, rank, span.kind) for rank, span in ranked_spans(text)])


def ranked_spans(text: str) -> list[tuple[int, Span]]:
    """Everything that any pattern finds, also where several find the same, each with the pattern's place in ``PATTERNS``."""
    clean = text.encode(
        "utf-8", "replace"
    ).decode()  # lone surrogates, which RE2 cannot read, become as many question marks
    anything, each = _compiled()
    if anything.search(clean) is None:
        return []
    found: list[tuple[int, Span]] = []
    for rank, (pattern, compiled) in enumerate(each):
        for match in compiled.finditer(clean):
            start, end = match.span(compiled.groups)
            if pattern.check is None or pattern.check(clean, start, end):
                found.append((rank, Span(pattern.kind, start, end)))
    return found


def _apart(found: list[tuple[int, int, int, str]]) -> list[Span]:
    """Spans that overlap become one, named by the pattern that stands first in ``PATTERNS``."""
    spans: list[Span] = []
    best = 0
    for start, negative_end, rank, kind in sorted(found):
        end = -negative_end
        if not spans or start >= spans[-1].end:
            spans.append(Span(kind, start, end))
            best = rank
            continue
        last = spans[-1]
        spans[-1] = Span(kind if rank < best else last.kind, last.start, max(end, last.end))
        best = min(best, rank)
    return spans


def mask(text: str) -> str:
    """The text with every secret replaced by its kind in brackets; masking again changes nothing.

    A number that is the value of a JSON field becomes 0, so that JSON stays JSON.

    >>> mask('{"password": "hunter2", "mail": "ann@example.org", "zip": 19122}')
    '{"password": "[secret]", "mail": "[email]", "zip": 0}'
    """
    for _ in range(PASSES):  # what stood glued to a secret can be one, too, once that is gone
        masked = _masked(text)
        if masked == text:
            break
        text = masked
    return text


def _masked(text: str) -> str:
    parts, place = [], 0
    for kind, start, end in find_secrets(text):
        bare = text[start:end].isdigit() and text[max(0, start - 16) : start].rstrip().endswith(('":', "':"))
        parts += [text[place:start], "0" if bare else f"[{kind}]"]
        place = end
    return "".join([*parts, text[place:]]) if parts else text
