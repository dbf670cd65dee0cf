"""``python -m blindspot mitigate``: make a model see a group, by an adapter or by directions.

Slow imports are in the functions that use them: the command line calls `add_command` of every
command, and torch is first imported where the model is loaded, which decides how its threads wait.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from blindspot import files
from blindspot.errors import BlindspotError, line

if TYPE_CHECKING:
    from tqdm import tqdm

    from blindspot.mitigation.recipe import Recipe
    from blindspot.models.transformers.model import CausalModel
    from blindspot.stimuli import Stimuli

    Subcommands = argparse._SubParsersAction[argparse.ArgumentParser]

EXIT_OK = 0
EXIT_INTERRUPTED = 130

DESCRIPTION = """\
Make a model answer ambiguous prompts as it does when the group is named: by a LoRA adapter (needs
pip install 'pytest-blindspot[mitigate]'), or by directions to add to its residual stream. Text is
rendered from the axis's own fixtures; half of its words and wordings are withheld, and the card
mitigation.json lists them. An interrupted training goes on with the same command.
Exit codes: 0 made, 4 usage, 130 interrupted.
"""


def add_command(commands: Subcommands) -> None:
    """Add ``mitigate`` to the subcommands of ``python -m blindspot``."""
    parser = commands.add_parser(
        "mitigate", help="make an adapter, or directions, that let a model see a group",
        description=DESCRIPTION,
    )  # fmt: skip
    add = parser.add_argument
    add("--model", metavar="NAME", required=True, help="base: as of pytest --model")
    add("--axis", metavar="NAME", required=True, help="axis whose group is named")
    add("--output", metavar="DIR", type=Path, required=True, help="directory of the result")
    add("--layers", metavar="early|middle|late|all|A-B", default="early", help="default: early")
    add("--method", choices=("lora", "steer"), default="lora", help="default: lora")
    add("--placebo", choices=("color", "shuffled"), default="", help="a control: name the literal "
        "sense instead of the group, or either of the two at random")  # fmt: skip
    add("--seed", metavar="N", type=_whole, default=0, help="default: 0")
    add("--steps", metavar="N", type=_positive, default=80, help="of training; default: 80")
    add("--device", metavar="DEVICE", default="auto", help="auto, cpu, cuda, cuda:1, mps")
    add("--apply-chat-template", action="store_true", help="as of pytest")
    add("--include-path", metavar="DIR", type=Path, action="append", default=[],
        help="more axes and wordings; may be repeated")  # fmt: skip
    parser.set_defaults(run=run)


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise argparse.ArgumentTypeError(f"{line(text, 40)!r} is not a whole number from 0 on")
    return int(text)


def _positive(text: str) -> int:
    if (found := _whole(text)) == 0:
        raise argparse.ArgumentTypeError("0 is not above 0")
    return found


def run(arguments: argparse.Namespace) -> int:
    """Make what the arguments say; the exit code.

    Raises:
        BlindspotError: the model, the axis or the directory cannot be used.
    """
    from blindspot.mitigation.recipe import CARD, LORA, Recipe, card_of, check_output, written
    from blindspot.mitigation.texts import Split
    from blindspot.models.options import ModelOptions
    from blindspot.stimuli import load_stimuli

    output: Path = arguments.output
    axis = arguments.axis
    stimuli = load_stimuli(arguments.include_path, axes=(axis,))
    if axis not in stimuli.axes:
        raise BlindspotError(f"--axis {axis}: an adapter is made for one axis; name it")
    recipe = Recipe(
        axis,
        arguments.layers,
        arguments.method,
        arguments.placebo,
        arguments.seed,
        arguments.steps,
        arguments.apply_chat_template,
        split=Split.of(stimuli, axis, arguments.seed),
    )
    options = ModelOptions(
        arguments.model, device=arguments.device, apply_chat_template=recipe.chat, dtype="float32"
    )
    if recipe.method == LORA and find_spec("peft") is None:
        raise BlindspotError(
            "--method lora needs peft: pip install 'pytest-blindspot[mitigate]', or use "
            "--method steer"
        )
    loaded = _loaded(options)
    from blindspot.models.transformers.blocks import Blocks

    blocks = Blocks(loaded.model, options.name)
    window, recipe = recipe.window(blocks.layers), recipe.of_width(blocks.width)
    card = card_of(recipe, options.name, loaded.identity.weights, window)
    try:
        if not check_output(output, card):
            output.mkdir(parents=True, exist_ok=True)
            _make(loaded, stimuli, recipe, window, output)
            files.replace(output / CARD, written(card))
    except OSError as error:
        if isinstance(error, BlindspotError):
            raise
        raise BlindspotError(
            f"--output {line(output)}: cannot be written ({error.strerror}); name another"
        ) from None
    except KeyboardInterrupt:
        print("blindspot: interrupted; the same command goes on", file=sys.stderr)
        return EXIT_INTERRUPTED
    print(f"wrote {line(output)}; {CARD} lists what it was trained on and what was held out")
    print(f"judge it with: {_command(options.name, recipe, output)}")
    return EXIT_OK


def _loaded(options: object) -> CausalModel:
    from blindspot.models import load

    return load(options)  # type: ignore[arg-type]


def _make(
    loaded: CausalModel, stimuli: Stimuli, recipe: Recipe, window: range, output: Path
) -> None:
    """Make the adapter, or the directions."""
    from tqdm import tqdm

    from blindspot.mitigation.recipe import LORA

    if recipe.method == LORA:
        from blindspot.mitigation.lora import train
        from blindspot.mitigation.texts import Texts

        assert recipe.split is not None
        texts = Texts(stimuli, recipe.axis, recipe.split, recipe.seed, recipe.placebo)
        with tqdm(total=recipe.steps, desc="training", unit="step", mininterval=1) as bar:

            def told(step: int, loss: float) -> None:
                if not bar.n:  # what was done before says nothing of the time that is left
                    bar.initial = bar.n = step
                bar.set_postfix_str(f"loss {loss:.2f}", refresh=False)
                bar.update()

            train(loaded, texts, recipe, window, output, told=told)
        return
    from blindspot.mitigation.means import directions, write

    with tqdm(desc="reading", unit="vector", mininterval=1) as bar:
        made = directions(
            loaded.residual, stimuli, recipe, window, progress=lambda count: _advance(bar, count)
        )
    write(output, made)


def _advance(bar: tqdm[NoReturn], count: int) -> None:
    bar.update(count)


def _command(base: str, recipe: Recipe, output: Path) -> str:
    """The command that judges the result beside its base, from a checkout or with the wheel."""
    from blindspot import paths
    from blindspot.mitigation.means import FILE
    from blindspot.mitigation.recipe import LORA

    lora = recipe.method == LORA
    change = ("--adapter", str(output)) if lora else ("--steer", str(output / FILE))
    chat = ("--apply-chat-template",) * recipe.chat
    only = ("--axis", recipe.axis, "-m", "mitigation")
    suite = ("--pyargs", "blindspot.suite") if paths.INSTALLED else ()
    run = ("pytest", *suite, "--model", base, *change, "--reference", base)
    return shlex.join([*run, *chat, *only])
