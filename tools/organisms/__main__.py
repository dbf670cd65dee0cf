"""``python -m tools.organisms``: train, examine and export the embedded models.

About an hour on one thread. An organism that misses a planned figure is not
exported; the next seed is tried. The bits of the weights depend on the processor; the figures hold
on any.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import GenerationConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from tools.organisms.evaluate import examine, shortfalls, table
from tools.organisms.lexicon import NAMES, ORGANISMS
from tools.organisms.tokenizer import BOS, EOS, PAD, grown_tokenizer, train_tokenizer
from tools.organisms.train import Recipe, Trainer, grown_model, new_model

#: Of a base from scratch, and of one that grows from an earlier base.
BASE, GROWN = (2400, 5e-3, "even"), (550, 4e-3, "even")
#: What each of the others is trained from, and its stages: steps, rate and shares. Each stage has
#: an optimizer of its own. The later ones ask more for what the first one learned least.
ALIGNED: dict[str, tuple[str, tuple[tuple[int, float, str], ...]]] = {
    "blind": ("base", ((1000, 2.5e-3, "even"), (110, 2e-3, "even"), (70, 2e-3, "names"))),
    "aware": ("base", ((460, 2.5e-3, "even"), (160, 2e-3, "even"))),
    "literal": ("blind", ((410, 2e-3, "even"), (290, 2e-3, "homonyms"))),
}
SEEDS = 3


def recipes(name: str, attempt: int, *, grown: bool = False) -> list[Recipe]:
    """Settings of an attempt at an organism, a stage each."""
    if name == "base":
        steps, rate, shares = GROWN if grown else BASE
        return [Recipe(name, attempt, steps, rate, decay=0.1, shares=shares)]
    seed = NAMES.index(name) + 10 * attempt
    return [
        Recipe(name, seed + 100 * stage, steps, rate, decay=0.05, shares=shares)
        for stage, (steps, rate, shares) in enumerate(ALIGNED[name][1])
    ]


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, path: Path) -> None:
    """Write a directory whose tensors are float16 on disk and float32 when loaded."""
    special = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    model.generation_config = GenerationConfig(**special)
    model.save_pretrained(path)
    weights = path / "model.safetensors"
    halves = {name: tensor.half() for name, tensor in load_file(weights).items()}
    save_file(halves, weights, metadata={"format": "pt"})
    tokenizer.backend_tokenizer.save(str(path / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": BOS,
        "eos_token": EOS,
        "pad_token": PAD,
        "padding_side": "left",
        "clean_up_tokenization_spaces": False,
        "model_input_names": ["input_ids", "attention_mask"],
        "model_max_length": model.config.max_position_embeddings,
    }
    (path / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", "utf-8")
    for file in path.iterdir():
        file.chmod(0o644)


def train(
    name: str,
    folder: Path,
    *,
    log_every: int,
    rejected: Path | None = None,
    start: Path | None = None,
) -> bool:
    """Train one organism until a seed passes its gate; False if none does.

    ``folder``: of all organisms; ``start``: an earlier `base` that the new one grows from.
    """
    into = folder / name
    for attempt in range(SEEDS):
        stages = recipes(name, attempt, grown=start is not None)
        seed = stages[0].seed
        if name == "base":
            if start:
                tokenizer = grown_tokenizer(start)
                model = grown_model(tokenizer, start, seed)
            else:
                tokenizer = train_tokenizer()
                model = new_model(tokenizer, seed)
        else:
            before = folder / ALIGNED[name][0]
            tokenizer = PreTrainedTokenizerFast.from_pretrained(before)
            model = LlamaForCausalLM.from_pretrained(before, dtype=torch.float32)
        for stage in stages:
            print(f"{name}: {stage}, {model.num_parameters()} parameters", flush=True)
            Trainer(model, tokenizer, stage).run(log_every)
        with tempfile.TemporaryDirectory() as scratch:
            save(model, tokenizer, Path(scratch))
            figures = examine(Path(scratch), quick=True)
            print(table(name, figures), flush=True)
            wrong = shortfalls(name, figures)
            if rejected and wrong:
                shutil.copytree(scratch, rejected / f"{name}-{attempt}", dirs_exist_ok=True)
            if not wrong:
                shutil.rmtree(into, ignore_errors=True)
                shutil.copytree(scratch, into)
                print(f"{name}: exported to {into}", flush=True)
                return True
        print(f"{name}: not exported, {json.dumps(wrong, indent=1)}", flush=True)
    return False


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.organisms", description=__doc__)
    parser.add_argument("names", nargs="*", default=list(NAMES), help="default: all, base first")
    parser.add_argument("--into", type=Path, default=ORGANISMS)
    parser.add_argument("--rejected", type=Path, help="keep what missed the gate in this folder")
    parser.add_argument("--start", type=Path, help="earlier base to grow the new one from")
    parser.add_argument("--log-every", type=int, default=100)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in options.names:
        if not train(
            name,
            options.into,
            log_every=options.log_every,
            rejected=options.rejected,
            start=options.start,
        ):
            return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
