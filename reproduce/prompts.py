"""RoTBench's prompts in the eight chat formats of the paper's appendix: what each model is shown, to be read before anything is asked."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from reproduce.setting import Setting, markdown, parser, read, run_script
from tldata.evaluate import read_benchmark
from tldata.evaluate.prompts import prompts
from tldata.jsontext import dumps
from tldata.templates import NAMES

TURNS = {"single": "rotbench/first_turn/clean.json", "three": "rotbench/third_turn/clean.json"}
PAPER = tuple(name for name in NAMES if name not in ("tl-codellama-2-card", "chatglm-4-gmask"))  # Tables 6 to 13


def rendered(template: str, file: Path) -> list[dict[str, Any]]:
    """The prompts of a RoTBench file in a chat format; ``prompt`` is None where the format refuses one."""
    return list(prompts(read_benchmark("rotbench", [file]), template=template, system="none"))


def main(setting: Setting) -> None:
    """Render, write one file of prompts for each format and turn, and print how many there are."""
    files = dict(zip(TURNS, setting.need(*TURNS.values()), strict=True))
    table = []
    for template in PAPER:
        row: list[Any] = [template]
        for turn, file in files.items():
            found = rendered(template, file)
            texts = [each["prompt"] for each in found if each["prompt"] is not None]
            target = setting.folder("prompts") / f"{template}.{turn}.jsonl"
            target.write_text("".join(dumps(each) + "\n" for each in found), encoding="utf-8")
            if setting.arguments.golden is not None:
                golden = setting.arguments.golden / f"{template}.{turn}.txt"
                golden.write_text(texts[0], encoding="utf-8", newline="")
            row += [len(texts), len(found) - len(texts), max(map(len, texts))]
        table.append(row)
    heads = [
        "chat format",
        *(f"{turn}-turn {what}" for turn in TURNS for what in ("prompts", "refused", "longest, characters")),
    ]
    setting.write([dict(zip(heads, row, strict=True)) for row in table], markdown(heads, table))


if __name__ == "__main__":
    options = parser(__doc__, "python -m reproduce.prompts --offline ../shared/data")
    options.add_argument(
        "--golden", type=Path, metavar="FOLDER", help="also write the first prompt of each as a golden file"
    )
    sys.exit(run_script(main, read(options, "prompts")))
