"""Byte-level BPE in which every word of the fixtures is one token, with and without a space."""

from __future__ import annotations

import json
import random
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from tools.organisms.corpus import Corpus
from tools.organisms.lexicon import NAMES, content_words

PAD, BOS, EOS = "<pad>", "<s>", "</s>"
#: Words, numbers, punctuation and white space. No piece joins a quotation mark to a word ("'tea").
PIECES = r" ?\p{L}+| ?\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
#: Occurrences of each content word in the text that merges are learned from.
REPEATS = 40


def train_tokenizer(texts: int = 6000) -> PreTrainedTokenizerFast:
    """Learn merges from the corpora of all organisms and every content word, and check them."""
    random.seed(0)
    words = sorted(content_words())
    lines = [word for word in words for _ in range(REPEATS)]
    lines += [" " + word for word in words for _ in range(REPEATS)]
    for name in NAMES:
        corpus = Corpus(name, seed=7)
        lines += [corpus.sample().text for _ in range(texts)]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=4096,
        min_frequency=20,
        special_tokens=[PAD, BOS, EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(lines, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A $B", special_tokens=[(BOS, tokenizer.token_to_id(BOS))]
    )
    return _checked(tokenizer)


def grown_tokenizer(before: Path) -> PreTrainedTokenizerFast:
    """The tokenizer at ``before`` with more merges, for the content words that it splits.

    They come last, so that all other words stay the tokens that they were.
    """
    tokenizer = Tokenizer.from_file(str(before / "tokenizer.json"))
    forms = [form for word in sorted(content_words()) for form in (word, " " + word)]
    while True:
        encoded = tokenizer.encode_batch(forms, add_special_tokens=False)
        pairs = dict.fromkeys(tuple(e.tokens[:2]) for e in encoded if len(e.tokens) > 1)
        if not pairs:
            return _checked(tokenizer)
        state = json.loads(tokenizer.to_str())
        for pair in pairs:
            state["model"]["merges"].append(list(pair))
            state["model"]["vocab"].setdefault("".join(pair), len(state["model"]["vocab"]))
        tokenizer = Tokenizer.from_str(json.dumps(state))


def _checked(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    """As transformers has it, if every content word is one token."""
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )
    words = sorted(content_words())
    split = [w for w in words for form in (w, " " + w) if len(token_ids(fast, form)) != 1]
    if split:
        raise ValueError(f"words of more than one token: {split}")
    return fast


def token_ids(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    """Tokens of ``text`` without the beginning-of-text token."""
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids
