"""Models that keep a state, or choose among experts: a batch changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from blindspot.models import GenerationRequest, ModelOptions, ScoreRequest, load
from tests.unit import tiny_models

pytest_plugins = ["tests.unit.tiny_models"]
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("own_cache")]

_MAMBA = {"mamba_n_heads": 8, "mamba_d_head": 8, "mamba_d_state": 8, "mamba_chunk_size": 8}
HYBRIDS: dict[str, dict[str, Any]] = {
    "FalconH1": {**_MAMBA, "mamba_d_ssm": 64, "num_key_value_heads": 2},
    "GraniteMoeHybrid": {
        **_MAMBA,
        "mamba_n_groups": 1,
        "num_key_value_heads": 2,
        "layer_types": ["mamba", "attention"],
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
        "shared_intermediate_size": 24,
    },
    "Jamba": {
        "num_key_value_heads": 2,
        "attn_layer_period": 2,
        "attn_layer_offset": 1,
        "expert_layer_period": 2,
        "expert_layer_offset": 1,
        "num_experts": 4,
        "mamba_d_state": 8,
        "mamba_dt_rank": 4,
        "use_mamba_kernels": False,
    },
    "Qwen3Next": {
        "num_key_value_heads": 2,
        "head_dim": 8,
        "layer_types": ["linear_attention", "full_attention"],
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 4,
        "linear_key_head_dim": 8,
        "linear_value_head_dim": 8,
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 24,
        "shared_expert_intermediate_size": 24,
    },
}


@pytest.mark.parametrize("name", HYBRIDS)
def test_one_row_and_many_agree(name: str, tmp_path: Path) -> None:
    """Prompts of different lengths, asked one by one and together."""
    tiny_models.save(tmp_path, name, **HYBRIDS[name])
    alone, together = (load(ModelOptions(str(tmp_path), batch_size=rows)) for rows in ("1", "auto"))
    texts = [text[: 20 + 9 * n] for n, text in enumerate(tiny_models.SENTENCES)]
    asked = [GenerationRequest(text, lambda _: False, 6) for text in texts]
    assert [g.text for g in together.generate(asked)] == [g.text for g in alone.generate(asked)]
    scored = [ScoreRequest(text, ("white", "black, white")) for text in texts]
    for one, many in zip(alone.score(scored), together.score(scored), strict=True):
        assert many == pytest.approx(one, abs=1e-3)
