"""A model is patched the fastest way that is exact, or refused by name."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from torch import Tensor, nn

from blindspot.errors import ModelError
from blindspot.models import ModelOptions, load
from blindspot.models.base import GenerationRequest, ScoreRequest
from blindspot.models.residual import HasResidualStream, ResidualStream, Source, Vectors
from blindspot.models.transformers.blocks import Blocks
from blindspot.models.transformers.deferred import DeferredModel
from blindspot.models.transformers.hook_points import Tier
from blindspot.models.transformers.positions import locate
from blindspot.models.transformers.streams import TransformersStream
from blindspot.models.transformers.targets import target_of
from blindspot.stimuli import Question
from tests.unit import tiny_models
from tests.unit.residual_models import (
    ALL,
    LAYERS,
    blocks_of,
    model,
    plain_patch,
    plain_vectors,
    prompts,
    stream,
)
from tests.unit.tiny_models import Checkpoints

pytest_plugins = ["tests.unit.tiny_models"]

TEXT = "Words: wallet, X, revolver. Give each of them one label, white or black:"
ASKED = Question(TEXT, (15, 16), ("white", "black"))
SOURCE = Source("Be quick: black or white?", ((10, 15), (19, 24)))


def other(name: str, **settings: Any) -> Any:
    """A small random model of an architecture that is not promised."""
    config = getattr(transformers, f"{name}Config")(
        **{
            "vocab_size": len(prompts().tokenizer),
            "hidden_size": 32,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": 4,
            "initializer_range": 0.25,
            "pad_token_id": 0,
            "bos_token_id": 1,
            "eos_token_id": 2,
            **settings,
        }
    )
    torch.manual_seed(5)
    return transformers.AutoModelForCausalLM.from_config(config).eval()


def patched(made: Any, blocks: Sequence[Any]) -> None:
    """Assert that what is read and patched is what plain hooks give."""
    ours = stream(made)
    vectors = ours.read([SOURCE])
    assert_vectors(made, blocks, vectors)
    readout = ours.patch(vectors, [ASKED])
    target = target_of(prompts(), ASKED)
    for layer in range(len(blocks)):
        written = plain_patch(
            made, target.tokens, target.place, layer, torch.tensor(vectors[0, layer]), blocks
        )
        np.testing.assert_allclose(
            readout.patched[0, 0, layer], written[list(target.candidates)], atol=1e-4, rtol=0
        )


def assert_vectors(made: Any, blocks: Sequence[Any], vectors: Vectors) -> None:
    tokens, places = locate(prompts(), SOURCE.text, SOURCE.spans)
    for vector, place in zip(vectors, places, strict=True):
        whole = plain_vectors(made, tokens, place, blocks).numpy()
        np.testing.assert_allclose(vector, whole, atol=1e-4 * np.abs(whole).max(), rtol=0)


@pytest.mark.parametrize("architecture", ALL)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def test_promised_architectures_are_patched_the_fastest_way(
    architecture: str, dtype: torch.dtype
) -> None:
    """None of them falls back."""
    assert stream(model(architecture, dtype)).tier is Tier.RESUMED


@pytest.mark.parametrize("architecture", ["llama", "gemma3", "qwen3_moe"])
def test_a_model_is_tried_in_a_moment(architecture: str) -> None:
    """28 short passes, together about as many tokens as five prompts of the suite."""
    made, passes = model(architecture), list[int]()
    hook = made.register_forward_pre_hook(
        lambda _m, _a, given: passes.append(given["input_ids"].numel()), with_kwargs=True
    )
    stream(made)
    hook.remove()
    assert len(passes) <= 28
    assert sum(passes) <= 300


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_single_block(architecture: str) -> None:
    """The first layer is the last one."""
    made = tiny_models.model(architecture, len(prompts().tokenizer), num_hidden_layers=1)
    assert stream(made).tier is Tier.RESUMED
    patched(made, blocks_of(made))


def test_blocks_that_return_tuples() -> None:
    """Some architectures' blocks still do."""
    made = other("Bloom", n_layer=LAYERS, n_head=4)
    blocks = list(made.transformer.h)
    outputs: list[Any] = []
    hook = blocks[0].register_forward_hook(lambda _m, _a, out: outputs.append(out))
    made(input_ids=torch.tensor([[1, 5, 7]]))
    hook.remove()
    assert isinstance(outputs[0], tuple)
    assert stream(made).tier is Tier.RESUMED
    patched(made, blocks)


def test_state_that_is_no_cache_of_keys_and_values() -> None:
    """Blocks are skipped, tokens are not."""
    made = other("Mamba")
    assert stream(made).tier is Tier.SKIPPING
    patched(made, list(made.backbone.layers))


def test_blocks_that_cannot_be_skipped() -> None:
    """Where blocks return more than a skipped one can, all are run, with a hook that writes."""
    made = other("Rwkv", attention_hidden_size=32, context_length=160)
    assert stream(made).tier is Tier.HOOKED
    patched(made, list(made.rwkv.blocks))


def test_layers_that_take_keys_and_values_of_others() -> None:
    """Late blocks without keys of their own need the ones before: nothing can be skipped."""
    made = other(
        "Gemma4Text",
        num_hidden_layers=6,
        num_kv_shared_layers=3,
        layer_types=["sliding_attention", "sliding_attention", "full_attention"] * 2,
        num_key_value_heads=2,
        intermediate_size=48,
        head_dim=8,
        global_head_dim=8,
        sliding_window=7,
        hidden_size_per_layer_input=8,
        vocab_size_per_layer_input=len(prompts().tokenizer),
    )
    assert stream(made).tier is Tier.HOOKED
    patched(made, list(made.model.layers))


def test_recurrent_states_beside_keys_and_values() -> None:
    """A cache of both is resumed from where the placeholder stands, not cut back to it."""
    made = other(
        "FalconH1",
        num_key_value_heads=2,
        intermediate_size=48,
        mamba_d_ssm=32,
        mamba_n_heads=4,
        mamba_d_head=8,
        mamba_d_state=8,
        mamba_chunk_size=8,
    )
    assert stream(made).tier is Tier.RESUMED
    patched(made, list(made.model.layers))


def test_cache_that_lies_is_not_used() -> None:
    """A model that forgets its cache is patched without one."""
    made = copy.deepcopy(model("llama"))
    own = made.model.forward

    def forgetful(*arguments: Any, past_key_values: Any = None, **settings: Any) -> Any:
        return own(*arguments, past_key_values=None, **settings)

    made.model.forward = forgetful
    assert stream(made).tier is Tier.SKIPPING
    patched(made, list(made.model.layers))


def test_model_that_padding_changes_is_not_padded() -> None:
    """Vectors are then read from prompts of equal length."""
    made = copy.deepcopy(model("llama"))
    own = made.model.forward

    def unmasked(*arguments: Any, attention_mask: Any = None, **settings: Any) -> Any:
        return own(*arguments, attention_mask=None, **settings)

    made.model.forward = unmasked
    ours = stream(made)
    assert not ours._engine.shares
    assert_vectors(made, list(made.model.layers), ours.read([SOURCE, Source("a", ()), SOURCE])[2:])


def refused(made: Any, why: str) -> None:
    """Assert that a model is refused with its architecture and one line of reason."""
    with pytest.raises(ModelError, match=why) as caught:
        TransformersStream(made, prompts(), "some/model", ends=frozenset())
    message = str(caught.value)
    assert message.startswith("some/model: the residual stream of ")
    assert type(made).__name__ in message
    assert "-m 'not mechanistic'" in message
    assert "\n" not in message


def test_writes_that_are_ignored_are_refused() -> None:
    """A model whose blocks are run for show only."""
    made = copy.deepcopy(model("llama"))
    real, show = copy.deepcopy(made.model), made.model.forward

    def forward(*arguments: Any, **settings: Any) -> Any:
        show(*arguments, **{**settings, "past_key_values": None})
        return real(*arguments, **settings)

    made.model.forward = forward
    refused(made, "written at layer 0 over token 8 of 9, changes nothing")


def test_gemma_3n_is_refused() -> None:
    """Four streams side by side have no one vector a token."""
    made = other(
        "Gemma3nText",
        num_hidden_layers=4,
        num_kv_shared_layers=0,
        layer_types=["sliding_attention", "full_attention"] * 2,
        num_key_value_heads=2,
        intermediate_size=48,
        head_dim=8,
        sliding_window=7,
        hidden_size_per_layer_input=8,
        vocab_size_per_layer_input=len(prompts().tokenizer),
        laurel_rank=4,
        activation_sparsity_pattern=[0.0] * 4,
    )
    refused(made, r"block 0 returns \(4, 1, 9, 32\) where one vector of 32 a token")


def test_residual_of_four_dimensions_is_refused() -> None:
    """The same of any model that stacks its streams."""
    made = copy.deepcopy(model("llama"))
    for block in made.model.layers:
        block.register_forward_pre_hook(
            lambda _m, given: (given[0][0] if given[0].dim() == 4 else given[0], *given[1:])
        )
        block.register_forward_hook(lambda _m, _a, out: torch.stack([out, out]))
    made.model.norm.register_forward_pre_hook(lambda _m, given: (given[0][0],))
    refused(made, r"block 0 returns \(2, 1, 9, 32\) where one vector of 32 a token")


def test_blocks_that_return_lists_are_refused() -> None:
    """As of the first GPT."""
    refused(other("OpenAIGPT", n_layer=LAYERS, n_head=4, n_embd=32), "do not return tensors")


def test_vectors_that_see_what_follows_are_refused() -> None:
    """A model that is not causal: cutting a prompt behind the word would change its vector."""
    made = copy.deepcopy(model("llama"))
    made.model.embed_tokens.register_forward_hook(
        lambda _m, _a, out: out + out.mean(1, keepdim=True)
    )
    refused(made, "the vector of a word changes with later words")


def test_last_layer_that_is_not_the_last_is_refused() -> None:
    """A model that adds something of its own behind its blocks."""
    made = copy.deepcopy(model("llama"))
    embedded: list[Tensor] = []
    made.model.embed_tokens.register_forward_hook(lambda _m, _a, out: embedded.append(out))
    made.model.norm.register_forward_pre_hook(lambda _m, given: (given[0] + 3 * embedded[-1],))
    refused(made, "another prompt's vector, written at layer 2 over token 9 of 9, does not give")


def test_blocks_that_are_not_found_are_refused() -> None:
    """A configuration that names another number of blocks than the model has."""
    made = copy.deepcopy(model("llama"))
    made.config.num_hidden_layers = 5
    refused(made, "no list of its 5 blocks was found")


def test_blocks_that_are_not_run_are_refused() -> None:
    """Or run twice: layers would be counted wrongly."""
    made = copy.deepcopy(model("llama"))
    own = made.model.layers[1].forward

    def twice(hidden: Tensor, *arguments: Any, **settings: Any) -> Any:
        return made.model.layers[2](own(hidden, *arguments, **settings), *arguments, **settings)

    made.model.layers[1].forward = twice
    refused(made, "its 3 blocks were run 4 times")


def test_damaged_weights_are_told() -> None:
    """They are not a matter of architecture."""
    made = copy.deepcopy(model("llama"))
    with torch.no_grad():
        made.model.norm.weight[0] = float("nan")
    with pytest.raises(ModelError, match="non-finite numbers"):
        stream(made)


def test_adapters_wrapper_is_looked_through() -> None:
    """A model inside a wrapper that answers for it, as adapters have."""

    class Wrapped(nn.Module):
        def __init__(self, inner: Any) -> None:
            super().__init__()
            self.inner = inner

        def __getattr__(self, name: str) -> Any:
            try:
                return super().__getattr__(name)
            except AttributeError:
                return getattr(super().__getattr__("inner"), name)

        def get_base_model(self) -> Any:
            return self.inner

        def forward(self, *arguments: Any, **settings: Any) -> Any:
            return self.inner(*arguments, **settings)

    made = model("llama")
    wrapped = Wrapped(made)
    assert stream(wrapped).tier is Tier.RESUMED
    assert "LlamaForCausalLM" in str(Blocks(wrapped, "some/model").refused("why"))
    patched(wrapped, list(made.model.layers))


def test_model_spread_by_accelerate(tmp_path: Path) -> None:
    """Blocks that bring their own forward, one of them with its weights on the disk."""
    from accelerate import dispatch_model

    made = copy.deepcopy(model("llama"))
    places: dict[str, Any] = {f"model.layers.{n}": "cpu" for n in range(LAYERS)}
    places |= {"model.embed_tokens": "cpu", "model.norm": "cpu", "model.rotary_emb": "cpu"}
    places |= {"lm_head": "cpu", "model.layers.1": "disk"}
    spread = dispatch_model(made, places, main_device="cpu", offload_dir=tmp_path)
    own = [block.forward for block in spread.model.layers]
    assert stream(spread).tier is Tier.RESUMED
    patched(spread, list(spread.model.layers))
    assert [block.forward for block in spread.model.layers] == own


def test_engine_and_residual_stream_share_a_model(
    checkpoints: Checkpoints, own_cache: None
) -> None:
    """Answers before and after patching are the same, and the stream is made once."""
    loaded = load(ModelOptions(str(checkpoints("gemma3"))))
    requests = [ScoreRequest("white or black:", ("white", "black"))]
    asked = [GenerationRequest("Be quick:", lambda _: False, 5)]
    before = loaded.score(requests), loaded.generate(asked)
    residual = loaded.residual
    assert isinstance(loaded, HasResidualStream)
    assert isinstance(residual, ResidualStream)
    assert loaded.residual is residual
    vectors = residual.read([SOURCE])
    readout = residual.patch(vectors, [ASKED])
    assert (loaded.score(requests), loaded.generate(asked)) == before
    # Candidates of one token: the other way to the same number.
    assert all(len(prompts().encode([f" {text}"])[0]) == 2 for text in ASKED.candidates)
    (score,) = loaded.score([ScoreRequest(TEXT, ASKED.candidates)])
    np.testing.assert_allclose(readout.unpatched[0, 0], score, atol=1e-4, rtol=0)


def test_deferred_model_has_the_residual_stream(checkpoints: Checkpoints, own_cache: None) -> None:
    """Asking for it loads the model."""
    deferred = DeferredModel(ModelOptions(str(checkpoints("llama"))))
    assert "_model" not in vars(deferred)
    assert deferred.residual.layers == 2
    assert deferred.residual.width == 32
    assert "_model" in vars(deferred)
