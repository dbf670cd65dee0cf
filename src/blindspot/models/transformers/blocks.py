"""The blocks of a transformers model: where the residual stream is read and written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn

from blindspot.errors import ModelError
from blindspot.models.pulse import beat
from blindspot.models.transformers.engine import LoadedModel


class Blocks(LoadedModel):
    """A model's decoder blocks, in order, under any name.

    ``modules[l]`` is block l; its output is the residual stream at layer l.
    """

    def __init__(self, model: Any, name: str) -> None:
        """Find the blocks.

        Raises:
            ModelError: the model has no list of as many blocks as its configuration says.
        """
        super().__init__(model, name)
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
        self.modules: list[nn.Module] = list(found[0])
        #: What `selfcheck.check` found of an engine that writes: bytes, ``shares``, ``unshared``.
        self.checked: tuple[int, bool, str] | None = None

    def refused(self, why: str) -> ModelError:
        """The error of a model whose residual stream cannot be read or written."""
        return ModelError(
            f"{self.name}: the residual stream of {self.architecture} cannot be patched: {why}; "
            "skip the mechanistic tests with -m 'not mechanistic'"
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
        """Skip the blocks up to a layer: its block returns ``hidden``, those before it do nothing.

        Every block keeps its place in the model's own forward pass, which makes masks, positions
        and cache offsets as usual. (Calling blocks directly would require knowing the signature of
        each architecture.)

        Args:
            layer: last block that is skipped.
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
        """Run the model with its hooks; logits after the last token only.

        Args:
            tokens: (row, token) int64 on any device, not padded; with a cache those behind it.
            cache: keys and values of the tokens before, None for a pass that keeps nothing.

        Returns:
            (row, vocabulary), dtype of the model.
        """

        def last(_module: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...] | None:
            if not given or not isinstance(given[0], Tensor) or given[0].dim() != 3:
                return None
            # Contiguous: a view with gaps is multiplied row by row, each time with the whole layer.
            # With 32,000 words that took half of a sweep's time.
            return (given[0][:, -1:].contiguous(), *given[1:])

        # All logits of a batch can be larger than the model; the number of those to keep, which
        # transformers takes, changes what late blocks of some architectures see (Gemma 4).
        hooks = [self.head.register_forward_pre_hook(last)] if self.head is not None else []
        past = {} if cache is None else {"past_key_values": cache}
        with self.hooks(*hooks):
            output = self.model(
                input_ids=tokens.to(self.device), use_cache=bool(past), return_dict=True, **past
            )
        beat(tokens.numel())
        logits: Tensor = output.logits[:, -1]
        return logits


def hidden_of(output: Any) -> Tensor:
    """The residual stream in what a block returns: a tensor, or a tuple that begins with it."""
    hidden = output[0] if isinstance(output, tuple) and output else output
    if not isinstance(hidden, Tensor):
        raise ValueError(f"a block returns {type(hidden).__name__}, not a tensor")
    return hidden


def with_hidden(output: Any, hidden: Tensor) -> Any:
    """The return value of a block, with another residual stream."""
    return (hidden, *output[1:]) if isinstance(output, tuple) else hidden


def _restore(module: nn.Module, forward: Any) -> None:
    if forward is None:
        del module.forward
    else:
        module.forward = forward
