"""Whether what looks like a secret is one, strictly enough to change data for it: checksums, issuers, numbering plans, and what stands before it."""

from __future__ import annotations

import re

_BEFORE = 64  # characters before a value that say what it is
_NAME = re.compile(r"""([A-Za-z0-9_.-]+)(["'\\]*)(\s*)([:=]|%3D)(\s*)["'\\]*$""", re.I)
# Tokens that are places in a listing or words of a language model.
_NO_SECRET_TOKEN = re.compile(
    r"(?i)(?:page|next|prev(?:ious)?|continuation|continue|cursor|sync|resume|eos|bos|pad|unk|sep|cls|mask|stop|max|min|prompt"
    r"|completion|total|input|output|cached|special|num|start|end|first|last|delimiter|action|per|new|image|tool)_?-?(?:page_?-?)?tokens?$"
)
_IDENTIFIER = re.compile(
    r"""(?i)(?:^|[^a-z])(?:[a-z]+[_ -])*(?:ids?|order|ref(?:erence)?|tracking|sku|isbn|ean|upc|gtin|asin|serial|invoice|transaction|txn|ticket|case"""
    r"""|version|build|timestamp|time|date|ts|nonce|seed|hash|part|model|item|product|article|lot|batch|code|shipment|parcel|awb|patent"""
    r"""|reservation|booking|offset|size|bytes|count|duration|uid|pid|imei|barcode|doi)"""
    r"""(?:[_ -]?(?:ids?|no\.?|num(?:ber)?|code))?["'\\]*\s*(?:[:=#]|is)?\s*["'\\#]*[A-Z]{0,4}-?$"""
)
_ABOUT_CARDS = re.compile(r"(?i)card|visa|master|amex|payment|debit")
_FILES = frozenset(
    re.findall(
        r"\w+",
        "png jpg jpeg gif svg webp ico js ts css py md json html htm xml yaml yml txt pdf zip gz csv tgz whl local internal lan",
    )
)
_DUMMIES = frozenset(("git", "svn", "hg"))
IBAN_LENGTHS = {
    country: int(length)
    for length, countries in {
        15: "NO", 16: "BE", 18: "DK FI FO GL NL SD FK", 19: "MK SI", 20: "AT BA EE KZ LT LU MN XK",
        21: "CH HR LI LV", 22: "BG BH CR DE GB GE IE ME RS VA", 23: "AE GI IL IQ OM SO TL", 24: "AD CZ ES MD PK RO SA SE SK TN VG",
        25: "LY PT ST", 26: "IS TR", 27: "BI DJ FR GR IT MC MR SM", 28: "AL AZ BY CY DO GT HU LB NI PL SV", 29: "BR EG PS QA UA",
        30: "JO KW MU YE", 31: "MT SC", 32: "LC", 33: "RU",
    }.items()
    for country in countries.split()
}  # fmt: skip


def is_exact(label: str, by_context: bool, text: str, start: int, end: int, before: str = "") -> bool:
    """Whether characters ``start`` to ``end`` of a text are what ``label`` says.

    Args:
        label: kind of stand-in (``replace.KINDS``).
        by_context: the value was found by the name before it, not by its form.
        text: where it stands.
        before: what stands before the text, such as the name of its field.

    >>> is_exact("card", False, "order id: 4111111111111111", 10, 26), is_exact("card", False, "4111111111111111", 0, 16)
    (False, True)
    """
    lead = (before + text[max(0, start - _BEFORE) : start])[-_BEFORE:]
    value = text[start:end]
    if label == "email":
        return _is_email(value, text[end : end + 1])
    if label == "phone":
        return _is_phone(value, lead, by_context)
    if label == "card":
        digits = re.sub(r"\D", "", value)
        about = _ABOUT_CARDS.search(lead) is not None
        return _is_issued(digits) and (about or len(digits) < len(value) or not _IDENTIFIER.search(lead))
    if label == "iban":
        packed = value.replace(" ", "")
        return IBAN_LENGTHS.get(packed[:2]) == len(packed)
    if label == "ssn":
        area, group, serial = value[:3], value[4:6], value[7:]
        valid = area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"
        return valid and not _IDENTIFIER.search(lead)
    if label == "key":
        return _is_key(value)
    if label == "secret" and by_context:
        return _is_secret(value, lead, text[end : end + 1])
    return True


def _is_email(value: str, after: str) -> bool:
    """Not an image ``icon@2x.png``, not ``git@github.com:owner/repository``."""
    local, _, domain = value.rpartition("@")
    return domain.rpartition(".")[2].lower() not in _FILES and not (local.lower() in _DUMMIES and after in (":", "/"))


def _is_phone(value: str, lead: str, by_context: bool) -> bool:
    digits = re.sub(r"\D", "", value)
    if not 7 <= len(digits) <= 15 or digits.startswith("999") or len(set(digits)) == 1:
        return False
    if by_context:
        return re.fullmatch(r"\d{4}-\d{2}-\d{2}(?:[ T].*)?", value) is None
    if value.startswith("+"):
        return digits[0] != "0" and len(digits) >= 8 and re.fullmatch(r"\+\d+\.\d+", value) is None
    return value.lstrip("(")[:1] in tuple("23456789") and not _IDENTIFIER.search(lead)


def _is_issued(digits: str) -> bool:
    """A number that begins and is as long as the cards of an issuer (ISO/IEC 7812 ranges in use)."""
    two, three, four = int(digits[:2]), int(digits[:3]), int(digits[:4])
    lengths: tuple[int, ...] = ()
    if digits[0] == "4":
        lengths = (13, 16, 19)
    elif 51 <= two <= 55 or 2221 <= four <= 2720:
        lengths = (16,)
    elif two in (34, 37):
        lengths = (15,)
    elif two in (36, 38, 39) or 300 <= three <= 305:
        lengths = (14,)
    elif 3528 <= four <= 3589 or four == 6011 or 644 <= three <= 649 or two in (65, 62, 67):
        lengths = (16, 17, 18, 19)
    return len(digits) in lengths


def _is_key(value: str) -> bool:
    """Not words joined by dashes, not an id: somewhere twelve letters and digits in a row, both of them."""
    body = re.split(r"[-_.:/]", value)
    runs = [part for part in body if len(part) >= 12]
    mixed = any(any(c.isdigit() for c in part) and any(c.isalpha() for c in part) for part in runs)
    return mixed and re.search(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-", value) is None


def _is_secret(value: str, lead: str, after: str) -> bool:
    """Not a cursor, a token of a language model, a number of tokens, a name in program text, a sentence about passwords."""
    found = _NAME.search(lead)
    name = found[1] if found else ""
    if _NO_SECRET_TOKEN.search(name):
        return False
    words = value.split()
    if len(words) > 6 or (len(words) > 2 and value.rstrip()[-1:] in ".?!:"):
        return False
    is_plain_word = value.replace(" ", "").replace("_", "").replace(".", "").isalpha()
    generic = re.search(r"(?i)(?:^|[_-])(?:token|cookie|credentials?|otp)$", name) is not None
    if generic and (is_plain_word or (value.isdigit() and "otp" not in name.lower()) or len(value) < 8):
        return False
    quoted = bool(found) and lead[-1:] in ("'", '"')
    if not quoted and found is not None and is_plain_word:
        if after in ("(", "["):
            return False
        return (name.isupper() and not found[3] and not found[5]) or "?" in lead or "&" in lead
    return quoted or after != "("
