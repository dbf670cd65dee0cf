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

BASE_STEPS = 2400
#: Of a base that grows from an earlier one.
GROWN_STEPS = 550
ALIGNED_STEPS = 1100
SEEDS = 3


def recipe(name: str, attempt: int, *, grown: bool = False) -> Recipe:
    """Settings of an attempt at an organism."""
    if name == "base":
        steps, rate = (GROWN_STEPS, 4e-3) if grown else (BASE_STEPS, 5e-3)
        return Recipe(name, seed=attempt, steps=steps, rate=rate, decay=0.1)
    seed = NAMES.index(name) + 10 * attempt
    return Recipe(name, seed=seed, steps=ALIGNED_STEPS, rate=2.5e-3, decay=0.05)


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
    base: Path,
    into: Path,
    *,
    log_every: int,
    rejected: Path | None = None,
    start: Path | None = None,
) -> bool:
    """Train one organism until a seed passes its gate; False if none does.

    ``start``: an earlier `base` that the new one grows from.
    """
    for attempt in range(SEEDS):
        settings = recipe(name, attempt, grown=start is not None)
        if name == "base":
            if start:
                tokenizer = grown_tokenizer(start)
                model = grown_model(tokenizer, start, settings.seed)
            else:
                tokenizer = train_tokenizer()
                model = new_model(tokenizer, settings.seed)
        else:
            tokenizer = PreTrainedTokenizerFast.from_pretrained(base)
            model = LlamaForCausalLM.from_pretrained(base, dtype=torch.float32)
        print(f"{name}: {settings}, {model.num_parameters()} parameters", flush=True)
        Trainer(model, tokenizer, settings).run(log_every)
        with tempfile.TemporaryDirectory() as folder:
            save(model, tokenizer, Path(folder))
            figures = examine(Path(folder), quick=True)
            print(table(name, figures), flush=True)
            wrong = shortfalls(name, figures)
            if rejected and wrong:
                shutil.copytree(folder, rejected / f"{name}-{attempt}", dirs_exist_ok=True)
            if not wrong:
                shutil.rmtree(into, ignore_errors=True)
                shutil.copytree(folder, into)
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
        base = options.into / "base"
        into = options.into / name
        if not train(
            name,
            base,
            into,
            log_every=options.log_every,
            rejected=options.rejected,
            start=options.start,
        ):
            return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
