"""Tiny models with random weights and tokenizers trained on the spot, saved as checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

#: One per family of architectures that the engine promises; windows shorter than the prompts.
ARCHITECTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("Llama", {"num_key_value_heads": 2}),
    "qwen3": ("Qwen3", {"num_key_value_heads": 2, "head_dim": 8}),
    "mistral": ("Mistral", {"num_key_value_heads": 2, "sliding_window": 9}),
    "gemma3": (
        "Gemma3",
        {
            "num_key_value_heads": 1,
            "head_dim": 8,
            "sliding_window": 7,
            "layer_types": ["sliding_attention", "full_attention"],
        },
    ),
    "gpt_neox": ("GPTNeoX", {}),
    "olmo2": ("Olmo2", {"num_key_value_heads": 4}),
    "phi3": ("Phi3", {"num_key_value_heads": 2, "sliding_window": 11}),
}

#: Further ones, for the residual stream: soft-capping, learned positions, mixtures of experts.
FURTHER_ARCHITECTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "gemma2": (
        "Gemma2",
        {
            "num_key_value_heads": 2,
            "head_dim": 8,
            "sliding_window": 7,
            "layer_types": ["sliding_attention", "full_attention"],
            "query_pre_attn_scalar": 8,
            "attn_logit_softcapping": 5.0,
            "final_logit_softcapping": 4.0,
        },
    ),
    "gpt2": ("GPT2", {}),
    "mixtral": ("Mixtral", {"num_key_value_heads": 2, "num_local_experts": 4}),
    "qwen3_moe": (
        "Qwen3Moe",
        {
            "num_key_value_heads": 2,
            "head_dim": 8,
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 24,
        },
    ),
}

SENTENCES = [
    "You will see two words. Give each of them one label, white or black, and use both labels.",
    "Words: wallet, revolver. Answer: wallet - white, revolver - black.",
    "Rate the statement from 1 (strongly disagree) to 5 (strongly agree). Write the number only.",
    "DeShawn and Brendan, Jamel and Geoffrey: perpetrator, blameless, exonerated, wrongdoer.",
    "Be quick: first or second? One for the camera, the other for the cannon. naïve Łódź 東京 🙂",
]

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<|{{ message['role'] }}|>\n"
    "{{ message['content'] | trim }}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)

_SPECIAL = ["<pad>", "<s>", "</s>", "<unk>", "<|user|>", "<|assistant|>"]
BOS, EOS = 1, 2


def tokenizer(kind: str = "bytes", *, chat: bool = True) -> Any:
    """A tokenizer trained on the sentences above.

    Args:
        kind: ``bytes`` (byte-level BPE) or ``metaspace`` (Unigram, as of sentencepiece).
        chat: give it a chat template.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    if kind == "bytes":
        made = Tokenizer(models.BPE())
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = decoders.ByteLevel()
        trainer: Any = trainers.BpeTrainer(
            vocab_size=400,
            special_tokens=_SPECIAL,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
    else:
        made = Tokenizer(models.Unigram())
        made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
        made.decoder = decoders.Metaspace(prepend_scheme="always")
        trainer = trainers.UnigramTrainer(
            vocab_size=180, special_tokens=_SPECIAL, unk_token="<unk>", show_progress=False
        )
    made.train_from_iterator(SENTENCES * 4, trainer)
    frame(made, "<s> $A")
    fast = PreTrainedTokenizerFast(
        tokenizer_object=made,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        additional_special_tokens=["<|user|>", "<|assistant|>"],
    )
    if chat:
        fast.chat_template = CHAT_TEMPLATE
    return fast


def frame(backend: Any, single: str) -> None:
    """Set the special tokens that a tokenizer puts around every text."""
    from tokenizers.processors import TemplateProcessing

    special = [("<s>", BOS), ("</s>", EOS)]
    backend.post_processor = TemplateProcessing(single=single, special_tokens=special)


def model(architecture: str = "llama", vocabulary: int = 400, **settings: Any) -> Any:
    """A model with two layers and large random weights, so that its choices differ clearly.

    Args:
        architecture: a name in the tables above, or what the classes of another one begin with.
        vocabulary: tokens that it knows.
        settings: of its configuration.
    """
    import torch
    import transformers

    known = {**ARCHITECTURES, **FURTHER_ARCHITECTURES}
    prefix, own = known.get(architecture, (architecture, {}))
    config_class = getattr(
        transformers, "Gemma3TextConfig" if prefix == "Gemma3" else f"{prefix}Config"
    )
    general = {
        "vocab_size": vocabulary,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 160,
        "initializer_range": 0.25,
        "bos_token_id": BOS,
        "eos_token_id": EOS,
        "pad_token_id": 0,
    }
    config = config_class(**{**general, **own, **settings})
    torch.manual_seed(7)
    return transformers.AutoModelForCausalLM.from_config(config).eval()


def save(
    directory: Path, architecture: str = "llama", kind: str = "bytes", **settings: Any
) -> Path:
    """Save a tiny model with its tokenizer as a checkpoint directory."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    made = tokenizer(kind)
    model(architecture, len(made), **settings).save_pretrained(directory)
    made.save_pretrained(directory)
    return directory


class Checkpoints:
    """Tiny checkpoints, each saved once a session. Never change one: copy it."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def __call__(self, architecture: str = "llama", kind: str = "bytes") -> Path:
        """The directory of a checkpoint."""
        directory = self._root / f"{architecture}-{kind}"
        return directory if directory.is_dir() else save(directory, architecture, kind)


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Checkpoints:
    """Tiny checkpoints by architecture and kind of tokenizer."""
    import torch

    # Threads do not help models of this size, and where workers share cores they wait for each
    # other: measured on 2 busy cores, 21 s instead of 500 s for the tests of answers.
    torch.set_num_threads(1)
    return Checkpoints(tmp_path_factory.mktemp("tiny-models"))


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """File digests are remembered in the test's own directory."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def counted(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> list[int]:
    """The length of the first argument of each later call of a method, such as rows of a pass."""
    lengths: list[int] = []
    method = getattr(owner, name)

    def called(first: Any, *rest: Any, **named: Any) -> Any:
        lengths.append(len(first))
        return method(first, *rest, **named)

    monkeypatch.setattr(owner, name, called)
    return lengths
