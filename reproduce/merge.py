"""Make a plain folder of weights: a LoRA adapter merged into its base, or the last checkpoint of verl put together.

python -m reproduce.merge BASE ADAPTER OUT
python -m reproduce.merge --verl CHECKPOINTS OUT
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from tldata.errors import InputError, TldataError

LATEST = "latest_checkpointed_iteration.txt"


def merge_adapter(base: str, adapter: Path, out: Path) -> None:
    """Add an adapter to its base model and save the sum with the tokenizer.

    Raises:
        InputError: there is no adapter.
    """
    if not (adapter / "adapter_config.json").is_file():
        raise InputError(f"{adapter}: no LoRA adapter in it")
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(
        base, dtype=torch.bfloat16 if torch.cuda.is_available() else torch.float32
    )
    merged = PeftModel.from_pretrained(model, str(adapter)).merge_and_unload()
    merged.save_pretrained(out)
    AutoTokenizer.from_pretrained(base).save_pretrained(out)


def verl_command(checkpoints: Path, out: Path) -> list[str]:
    """The command that puts verl's last checkpoint together.

    Raises:
        InputError: there is no checkpoint.
    """
    latest = checkpoints / LATEST
    if not latest.is_file():
        raise InputError(f"{checkpoints}: no checkpoint of verl (no {LATEST})")
    actor = checkpoints / f"global_step_{latest.read_text(encoding='utf-8').strip()}" / "actor"
    words = [
        "-m",
        "verl.model_merger",
        "merge",
        "--backend",
        "fsdp",
        "--local_dir",
        str(actor),
        "--target_dir",
        str(out),
    ]
    return ["python", *words]


def main(words: list[str] | None = None) -> int:
    """Merge as the command line says."""
    options = argparse.ArgumentParser(
        prog="python -m reproduce.merge",
        description=(__doc__ or "").partition("\n\n")[0],
        epilog="Example: python -m reproduce.merge codellama/CodeLlama-7b-hf ADAPTER OUT",
    )
    options.add_argument("--verl", action="store_true", help="the source is verl's folder of checkpoints")
    options.add_argument("paths", nargs="+", metavar="PATH", help="BASE ADAPTER OUT, or with --verl CHECKPOINTS OUT")
    given = options.parse_args(words)
    if len(given.paths) != (2 if given.verl else 3):
        options.error("BASE ADAPTER OUT, or --verl CHECKPOINTS OUT")
    try:
        if given.verl:
            return subprocess.run(verl_command(*map(Path, given.paths)), check=False).returncode
        merge_adapter(given.paths[0], Path(given.paths[1]), Path(given.paths[2]))
    except TldataError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main())
