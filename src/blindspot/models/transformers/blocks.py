"""The blocks of a transformers model: where the residual stream is read and written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from blindspot.errors import ModelError


class Blocks:
    """A model's decoder blocks, in order, whatever the model calls them.

    ``modules[l]`` is block l; its output is the residual stream at layer l.
    """

    def __init__(self, model: Any, name: str) -> None:
        """Find the blocks.

        Raises:
            ModelError: the model has no list of as many blocks as its configuration says.
        """
        self.model, self.name = model, name
        config = model.config.get_text_config(decoder=True)
        # An adapter's wrapper answers for the model inside it, but has a class of its own.
        inner = model.get_base_model() if hasattr(model, "get_base_model") else model
        self.architecture = type(inner).__name__
        self.layers = int(config.num_hidden_layers)
        self.width = int(config.hidden_size)
        decoder = model.get_decoder() if hasattr(model, "get_decoder") else None
        found = [
            module
            for root in (decoder, model)  # some call their output layer decoder
            for module in (root.modules() if isinstance(root, nn.Module) else ())
            if isinstance(module, nn.ModuleList) and len(module) == self.layers
        ]
        if not found:
            raise self.refused(f"no list of its {self.layers} blocks was found")
        context = getattr(config, "max_position_embeddings", None)
        self.context: int | None = context if isinstance(context, int) and context > 0 else None
        self.modules: list[nn.Module] = list(found[0])
        embedding = model.get_input_embeddings().weight
        self.device: torch.device = model.device if embedding.is_meta else embedding.device
        head = model.get_output_embeddings()
        weights = [embedding, *([head.weight] if hasattr(head, "weight") else [])]
        self.vocabulary = min(int(weight.shape[0]) for weight in weights)
        self._head: nn.Module | None = head

    def refused(self, why: str) -> ModelError:
        """The error of a model whose residual stream cannot be read or written."""
        return ModelError(
            f"{self.name}: the residual stream of {self.architecture} cannot be patched: {why}; "
            "leave the mechanistic tests away with -m 'not mechanistic'"
        )

    @contextmanager
    def hooks(self, *handles: Any) -> Iterator[None]:
        """Remove hooks at the end, whatever happens."""
        with ExitStack() as stack:
            for handle in handles:
                stack.callback(handle.remove)
            yield

    @contextmanager
    def resumed(self, layer: int, hidden: Tensor, *, tuples: bool) -> Iterator[None]:
        """Compute nothing up to a layer: its block hands ``hidden`` out, those before it idle.

        Every block keeps its place in the model's own forward pass, which makes masks, positions
        and cache offsets as ever. (To call blocks ourselves we would have to know the signature of
        each architecture.)

        Args:
            layer: last block that is left out.
            hidden: (row, token, width), its output.
            tuples: whether the model's blocks return tuples.
        """

        def handed_on(hidden_states: Tensor, *_args: Any, **_settings: Any) -> Any:
            return (hidden_states,) if tuples else hidden_states

        def handed_out(*_args: Any, **_settings: Any) -> Any:
            return (hidden,) if tuples else hidden

        with ExitStack() as stack:
            for number, module in enumerate(self.modules[: layer + 1]):
                # accelerate keeps a forward of its own in the instance
                own = module.__dict__.get("forward")
                stack.callback(_restore, module, own)
                module.forward = handed_out if number == layer else handed_on
            yield

    def forward(self, tokens: Tensor, cache: Any = None) -> Tensor:
        """Run the model, whatever hooks there are; logits after the last token only.

        Args:
            tokens: (row, token) int64 on any device, not padded; with a cache those behind it.
            cache: keys and values of the tokens before, None for a pass that keeps nothing.

        Returns:
            (row, vocabulary), dtype of the model.
        """

        def last(_module: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...] | None:
            if not given or not isinstance(given[0], Tensor) or given[0].dim() != 3:
                return None
            # In one piece: a view with gaps is multiplied row by row, each time with the whole
            # layer. With 32,000 words that was half of a sweep's time.
            return (given[0][:, -1:].contiguous(), *given[1:])

        # All logits of a batch can be larger than the model; the number of those to keep, which
        # transformers takes, changes what late blocks of some architectures see (Gemma 4).
        hooks = [self._head.register_forward_pre_hook(last)] if self._head is not None else []
        past = {} if cache is None else {"past_key_values": cache}
        with self.hooks(*hooks):
            output = self.model(
                input_ids=tokens.to(self.device), use_cache=bool(past), return_dict=True, **past
            )
        logits: Tensor = output.logits[:, -1]
        return logits

    def admit(self, tokens: Sequence[int]) -> None:
        """Refuse a prompt that the model cannot take.

        Raises:
            ModelError: longer than its context, or a token that it does not know.
        """
        if self.context is not None and len(tokens) > self.context:
            raise ModelError(
                f"{self.name}: a prompt of {len(tokens)} tokens does not fit into its context of "
                f"{self.context}; leave long prompts away"
            )
        if max(tokens) >= self.vocabulary:
            raise ModelError(
                f"{self.name}: its tokenizer makes token {max(tokens)}, but the model knows "
                f"{self.vocabulary} tokens; use the tokenizer that it was trained with"
            )

    def not_finite(self) -> ModelError:
        """The error of a model whose numbers are broken."""
        return ModelError(
            f"{self.name} produces non-finite numbers: its weights are damaged, or --dtype "
            "overflows (try --dtype float32)"
        )


def hidden_of(output: Any) -> Tensor:
    """The residual stream in what a block returns: a tensor, or a tuple that begins with it."""
    hidden: Tensor = output[0] if isinstance(output, tuple) else output
    return hidden


def with_hidden(output: Any, hidden: Tensor) -> Any:
    """What a block returned, with another residual stream."""
    return (hidden, *output[1:]) if isinstance(output, tuple) else hidden


def _restore(module: nn.Module, forward: Any) -> None:
    if forward is None:
        del module.forward
    else:
        module.forward = forward
