"""Values in text, read as JSON first and as Python literals after that, in linear time and without evaluating anything."""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable
from typing import Any

from tldata.errors import ParseError

MAX_DEPTH = 64  # brackets in one another; deeper text is an attack or a model that got stuck
MAX_JSON_FAILURES = 50  # of one reader: the json module counts the lines before each, which costs time
MAX_DIGITS = 4000  # below CPython's own limit of 4300 for int()

CONSTANTS: dict[str, Any] = {
    "true": True,
    "True": True,
    "false": False,
    "False": False,
    "null": None,
    "None": None,
    "NaN": float("nan"),
    "nan": float("nan"),
    "Infinity": float("inf"),
    "inf": float("inf"),
}

_SPACE = re.compile(r"\s*+")
_NAME = re.compile(r"[^\W\d]\w*+")
_NUMBER = re.compile(
    r"0[xX][0-9a-fA-F_]++|0[bB][01_]++|0[oO][0-7_]++|(?:\d[\d_]*+(?:\.[\d_]*+)?|\.\d[\d_]*+)(?:[eE][+-]?\d++)?"
)
_QUOTED = {
    "'": re.compile(r"'([^'\\]*+(?:\\.[^'\\]*+)*+)'", re.DOTALL),
    '"': re.compile(r'"([^"\\]*+(?:\\.[^"\\]*+)*+)"', re.DOTALL),
    "'''": re.compile(r"'''([^'\\]*+(?:(?:\\.|'(?!''))[^'\\]*+)*)'''", re.DOTALL),
    '"""': re.compile(r'"""([^"\\]*+(?:(?:\\.|"(?!""))[^"\\]*+)*)"""', re.DOTALL),
}
_ESCAPE = re.compile(
    r"\\(?:u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})"
    r"|x([0-9a-fA-F]{2})|([0-7]{1,3})|(.))",
    re.DOTALL,
)
_LETTERS = {
    "n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "a": "\a", "v": "\v",
    "\n": "", "\\": "\\", "'": "'", '"': '"', "/": "/",
}  # fmt: skip
_GOES_ON = re.compile(r"[\w.]|\s*+[+\-*/%\"']")  # 0x10, 1., 1/6, a string in two pieces: more than the JSON value
_JSON_BEGINS = frozenset('"{[-0123456789')
_JSON = json.JSONDecoder(strict=False)
_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
}
_OPERATORS = frozenset("+-*/%")
_CLOSING = {"[": "]", "(": ")", "{": "}"}


def lenient_json(text: str) -> Any:
    """Read one value: JSON, also with NaN and raw line breaks, else a Python literal.

    Args:
        text: the whole value; white space around it is allowed, anything else is not.

    Returns:
        None, bool, int, float, str, list or dict with text keys; Python's tuples and sets come as lists.

    Raises:
        ParseError: the text is none of these, or nests deeper than 64 brackets as a Python literal.

    >>> lenient_json("{'a': (1, True), 'b': null}")
    {'a': [1, True], 'b': None}
    """
    try:  # not orjson, which turns integers of more than 64 bits into floats
        return json.loads(text, strict=False)
    except (ValueError, RecursionError):
        pass
    reader = Reader(text)
    value = reader.value()
    reader.skip_space()
    if reader.pos != len(text):
        raise reader.error("text after the value")
    return value


def json_at(text: str, pos: int) -> tuple[Any, int]:
    """Read the JSON value, or else the Python literal, that begins at ``pos``; return it and the position after it.

    Raises:
        ParseError: no value begins there.

    >>> json_at('{"a": 1} and so on', 0)
    ({'a': 1}, 8)
    """
    reader = Reader(text, pos)
    value = reader.argument()
    end = reader.pos
    while text[end - 1].isspace():
        end -= 1
    return value, end


class Reader:
    """A cursor over ``text`` that reads literals from left to right.

    ``pos`` is always how far it looked, so that a caller who tries several beginnings can bound the work it spends.
    """

    __slots__ = ("json_failures", "pos", "text")

    def __init__(self, text: str, pos: int = 0) -> None:
        self.text = text
        self.pos = pos
        self.json_failures = 0

    def error(self, what: str) -> ParseError:
        near = self.text[self.pos : self.pos + 30]
        return ParseError(
            f"{what} at character {self.pos}" + (f", before {near!r}" if near else ", the end of the text")
        )

    def skip_space(self) -> None:
        self.peek()

    def peek(self) -> str:
        """The next character that is no white space, up to which the cursor moves; empty at the end."""
        char = self.text[self.pos : self.pos + 1]
        if char.isspace():
            match = _SPACE.match(self.text, self.pos)
            self.pos = match.end() if match else self.pos
            char = self.text[self.pos : self.pos + 1]
        return char

    def take(self, char: str) -> bool:
        """Step over ``char`` if it is what comes next."""
        if self.peek() != char:
            return False
        self.pos += 1
        return True

    def argument(self) -> Any:
        """One value, as JSON where it is JSON up to a delimiter (JSON and Python read ``"\\/"`` differently), else as Python."""
        if self.peek() not in _JSON_BEGINS or self.json_failures > MAX_JSON_FAILURES:
            return self.value()
        try:
            value, end = _JSON.raw_decode(self.text, self.pos)
        except (ValueError, RecursionError):
            self.json_failures += 1
            return self.value()
        if _GOES_ON.match(self.text, end):
            return self.value()
        self.pos = end
        return value

    def value(self, depth: int = 0) -> Any:
        """One Python literal with sums and products of numbers in it."""
        if depth > MAX_DEPTH:
            raise self.error(f"more than {MAX_DEPTH} brackets in one another")
        left = self._factor(depth)
        if self.peek() not in _OPERATORS:  # nearly always
            return left
        left = self._product(left, depth)
        while (sign := self.peek()) and sign in "+-":
            self.pos += 1
            left = self._combine(sign, left, self._product(self._factor(depth), depth))
        return left

    def _product(self, left: Any, depth: int) -> Any:
        while (sign := self.peek()) and sign in "*/%":
            self.pos += 1
            if sign == "/" and self.text[self.pos : self.pos + 1] == "/":
                self.pos += 1
                sign = "//"
            left = self._combine(sign, left, self._factor(depth))
        return left

    def _combine(self, sign: str, left: Any, right: Any) -> Any:
        for side in (left, right):
            if isinstance(side, bool) or not isinstance(side, (int, float)):
                raise self.error(f"{sign!r} between values that are no numbers")
            if isinstance(side, int) and side.bit_length() > 4096:
                raise self.error("number too large")
        try:
            return _BINARY[sign](left, right)
        except (ArithmeticError, ValueError) as error:
            raise self.error(f"arithmetic that fails ({error})") from None

    def _factor(self, depth: int) -> Any:
        if self.peek() not in ("+", "-"):
            return self._atom(depth)
        negative = False
        while (sign := self.peek()) and sign in "+-":
            self.pos += 1
            negative ^= sign == "-"
        value = self._atom(depth)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.error("a sign before a value that is no number")
        return -value if negative else value

    def _atom(self, depth: int) -> Any:
        char = self.peek()
        if char in ("'", '"'):
            return self._strings()
        if char in ("[", "("):
            return self._sequence(char, depth)
        if char == "{":
            return self._braces(depth)
        if char.isdecimal() or char == ".":
            return self._number()
        return self._word()

    def _number(self) -> Any:
        match = _NUMBER.match(self.text, self.pos)
        if match is None or len(match.group()) > MAX_DIGITS:
            raise self.error("no number that can be read")
        digits = match.group()
        try:
            value = int(digits, 0) if digits[:2].lower() in ("0x", "0b", "0o") else _decimal(digits)
        except ValueError:
            raise self.error("no number that can be read") from None
        self.pos = match.end()
        if self.text[self.pos : self.pos + 1].isalnum() or self.text[self.pos : self.pos + 1] == "_":
            raise self.error("a letter after a number")
        return value

    def _word(self) -> Any:
        match = _NAME.match(self.text, self.pos)
        if match is None:
            raise self.error("a value is missing")
        word, end = match.group(), match.end()
        if self.text[end : end + 1] in ("'", '"') and word.lower() in ("r", "u"):
            self.pos = end
            return self._strings(raw=word.lower() == "r")
        if word not in CONSTANTS:
            after = self.text[end : end + 1]
            raise self.error("a call within a call" if after == "(" else f"{word[:40]!r} is no value")
        self.pos = end
        return CONSTANTS[word]

    def _strings(self, *, raw: bool = False) -> str:
        """One string, or several beside one another, which Python joins."""
        pieces = [self._string(raw)]
        while self.peek() in ("'", '"'):
            pieces.append(self._string(False))
        return "".join(pieces)

    def _string(self, raw: bool) -> str:
        quote = self.text[self.pos : self.pos + 3]
        match = _QUOTED[quote if quote in _QUOTED else quote[0]].match(self.text, self.pos)
        if match is None:
            self.pos = len(self.text)
            raise self.error("a string that does not end")
        body = match.group(1)
        if "\\" in body and not raw:
            body = unescape(body)
        self.pos = match.end()
        return body

    def _sequence(self, opening: str, depth: int) -> Any:
        self.pos += 1
        closing, items = _CLOSING[opening], []
        comma = True
        while not self.take(closing):
            if not comma:
                raise self.error("a comma is missing")
            items.append(self.value(depth + 1))
            comma = self.take(",")
        if opening == "(" and len(items) == 1 and not comma:
            return items[0]  # brackets around one value are only brackets
        return items

    def _braces(self, depth: int) -> Any:
        """A dict, or a set, which comes as a list."""
        self.pos += 1
        mapping: dict[str, Any] = {}
        items: list[Any] = []
        comma = True
        while not self.take("}"):
            if not comma:
                raise self.error("a comma is missing")
            key = self.value(depth + 1)
            if not items and self.take(":"):
                mapping[key_text(key)] = self.value(depth + 1)
            elif mapping:
                raise self.error("a colon is missing")
            else:
                items.append(key)
            comma = self.take(",")
        return items or mapping


def key_text(key: Any) -> str:
    """A mapping's key as JSON has it: text."""
    if isinstance(key, str):
        return key
    if isinstance(key, (dict, list)):
        raise ParseError("a key of a mapping is a list or a mapping")
    return json.dumps(key)


def _decimal(digits: str) -> int | float:
    plain = digits.replace("_", "")
    return float(plain) if any(char in ".eE" for char in plain) else int(plain)


def unescape(body: str) -> str:
    """Replace the backslash escapes of JSON and of Python; an unknown one stays as it is, as in Python.

    >>> unescape(r"caf\\u00e9\\n")
    'café\\n'
    """
    return _ESCAPE.sub(_unescape_one, body)


def _unescape_one(match: re.Match[str]) -> str:
    high, low, four, eight, two, octal, other = match.groups()
    if high:
        return chr(0x10000 + ((int(high, 16) & 0x3FF) << 10) + (int(low, 16) & 0x3FF))
    code = four or eight or two
    if code:
        number = int(code, 16)
        return chr(number) if number < 0x110000 else match.group()
    if octal:
        return chr(int(octal, 8))
    return _LETTERS.get(other, match.group())
