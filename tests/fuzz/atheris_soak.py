"""Coverage-guided fuzzing where atheris is installed: ``python -m tests.fuzz.atheris_soak [FOLDER] [-runs=100000]``.

Atheris chooses the bytes; they are the text for the parsers, the envelope, the rules, the secrets and the reward, and the record for the readers.
"""

from __future__ import annotations

import sys
from contextlib import suppress

import atheris

with atheris.instrument_imports(include=["tldata", "tltrain_plugin"]):
    from tests.fuzz.targets import GOLD, OURS, TOOLS, _checker, _rules, _scrubber
    from tldata.blocks import parse
    from tldata.evidence.envelope import unwrap
    from tldata.formats import FORMATS, ReadOptions, Skip
    from tldata.secrets import mask
    from tldata.syntax import SYNTAXES, find_calls, lenient_json
    from tldata.templates.parsers import PARSERS, parse_turn
    from tltrain_plugin import score_call


def one(data: bytes) -> None:
    """Everything that takes a text, on one text."""
    text = data.decode("utf-8", "replace")
    for read in (*SYNTAXES.values(), find_calls, lenient_json):
        with suppress(*OURS):
            read(text)
    for name in (*PARSERS, None):
        parse_turn(name, text)
    unwrap(text)
    _rules().classify([text])
    _checker().check("f", text)
    _scrubber().text(mask(text))
    assert -2 <= score_call(text, GOLD, TOOLS).total <= 1
    with suppress(*OURS):
        record, _ = parse(data)
        _scrubber().value(record)
        for row in FORMATS:
            assert 0 <= row.score(record) <= 1
            with suppress(*OURS, Skip):
                list(row.read(record, ReadOptions()))


def main() -> None:
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
