"""How to serve a model with vLLM: prints the command, with the chat template of the paper's appendix written beside the results.

python -m reproduce.serve TL-CodeLLaMA-2
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from reproduce.models import CHAT, Model, choose, decoding, load_models
from reproduce.setting import Setting, parser, read, run_script
from tldata.errors import UsageError
from tldata.templates import get_template


def command(model: Model, folder: Path, path: str | None = None) -> list[str]:
    """The words of the command that serves a model at its port.

    Args:
        model: of models.toml.
        folder: where the chat template goes.
        path: weights to serve instead of the hub's.

    Raises:
        UsageError: a closed model, or one without public weights and no ``path``.
    """
    weights = path or model.hub
    if model.closed:
        raise UsageError(f"{model.name} is closed: it is asked at {model.endpoint} ({model.note})")
    if not weights:
        raise UsageError(f"{model.name}: no public weights are known ({model.note})", hint="--path FOLDER")
    words = ["vllm", "serve", weights, "--served-model-name", model.name]
    if model.revision and path is None:
        words += ["--revision", model.revision]
    words += ["--port", str(decoding()["first_port"] + model.place), "--max-model-len", str(model.context)]
    words += ["--dtype", "bfloat16", "--generation-config", "vllm", *model.serve]
    if model.api == CHAT:
        folder.mkdir(parents=True, exist_ok=True)
        template = folder / f"{model.template}.jinja"
        template.write_text(get_template(model.template).source, encoding="utf-8")
        words += ["--chat-template", str(template)]
    return words


def main(setting: Setting) -> None:
    """Print the commands of the models named, or of all that can be served."""
    named = setting.arguments.names
    models = choose(",".join(named), "") if named else [m for m in load_models().values() if m.hub]
    for place, model in enumerate(models):
        words = command(model, setting.results / "templates", setting.arguments.path)
        if model.revision == "" and setting.arguments.path is None:
            setting.say(f"# {model.name}: no revision is pinned; note the commit that you get")
        if model.gated:
            setting.say(f"# {model.name} is gated: accept its licence on the hub, then export HF_TOKEN=...")
        setting.say(f"CUDA_VISIBLE_DEVICES={place % 8} {shlex.join(words)}")


if __name__ == "__main__":
    options = parser(__doc__, "python -m reproduce.serve TL-CodeLLaMA-2 ToolLLaMA-2")
    options.add_argument("names", nargs="*", metavar="NAME", help="models of models.toml [default: all with weights]")
    options.add_argument("--path", help="weights to serve instead of the hub's")
    sys.exit(run_script(main, read(options, "serve")))
