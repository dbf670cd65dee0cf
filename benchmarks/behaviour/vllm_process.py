"""vLLM in a process and an environment of its own: one JSON line of work in, one of results out.

    python behaviour_vllm.py CHECKPOINT DTYPE < work > results

It stops at the end of a text and shares beginnings, as it is used. Its cache is emptied before
each piece of work: nothing is remembered from the last one.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")  # else its CPU seconds are not seen
os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")  # GiB
os.environ.update(HF_HUB_OFFLINE="1", VLLM_NO_USAGE_STATS="1", VLLM_HOST_IP="127.0.0.1")

#: With the default of 128 no prompt of ours fills a block, and nothing is shared.
_BLOCK = 32


def main() -> None:
    """Answer until there is no more work."""
    results = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what it prints by itself is not a result
    from vllm import LLM, SamplingParams  # noqa: PLC0415 (after the environment is set)

    model = LLM(
        model=sys.argv[1],
        dtype=sys.argv[2],
        skip_tokenizer_init=True,
        enforce_eager=True,
        enable_prefix_caching=True,
        block_size=_BLOCK,
        max_model_len=256,
        seed=0,
    )
    generating = SamplingParams(temperature=0, max_tokens=40, detokenize=False)
    generating.stop_token_ids = [2]
    scoring = SamplingParams(temperature=0, max_tokens=1, prompt_logprobs=0, detokenize=False)

    def run(kind: str, prompts: list[Any], starts: list[int]) -> tuple[list[Any], float, float]:
        model.reset_prefix_cache()
        asked = [{"prompt_token_ids": ids} for ids in prompts]
        wall, cpu = time.perf_counter(), time.process_time()
        params = generating if kind == "generation" else scoring
        done = model.generate(asked, params, use_tqdm=False)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        if kind == "generation":
            return [list(one.outputs[0].token_ids) for one in done], wall, cpu
        values = [
            [
                at[token].logprob
                for at, token in zip(one.prompt_logprobs[start:], ids[start:], strict=True)
            ]
            for one, ids, start in zip(done, prompts, starts, strict=True)
        ]
        return values, wall, cpu

    print(json.dumps({"ready": True}), file=results, flush=True)
    for line in sys.stdin:
        work = json.loads(line)
        found, wall, cpu = run(work["kind"], work["prompts"], work["starts"])
        print(json.dumps({"found": found, "wall": wall, "cpu": cpu}), file=results, flush=True)


if __name__ == "__main__":
    main()
