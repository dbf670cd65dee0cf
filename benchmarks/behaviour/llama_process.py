"""llama.cpp's server in a process of its own: one JSON line of work in, one of results out.

    python llama_process.py MODEL.gguf THREADS < work > results

The environment needs `xllamacpp`, which is that server as a module. It listens on the loopback
address, computes several prompts at once and keeps beginnings, as it is used. It offers no
log-probability of a given text: a candidate is forced token by token, each in a request of its own.
"""

from __future__ import annotations

import http.client
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

#: Prompts at once, and room for each.
_SLOTS, _CONTEXT = 16, 320


def main() -> None:
    """Answer until there is no more work."""
    results = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what it prints by itself is not a result
    import xllamacpp  # noqa: PLC0415 (in this environment only)

    params = xllamacpp.CommonParams()
    params.model.path = sys.argv[1]
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = int(sys.argv[2])
    params.n_parallel, params.n_ctx = _SLOTS, _SLOTS * _CONTEXT
    params.hostnames, params.port = ["127.0.0.1"], 0
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    server = xllamacpp.Server(params)
    address = server.listening_address.removeprefix("http://")

    def asked(**request: Any) -> Any:
        connection = http.client.HTTPConnection(address)
        connection.request("POST", "/completion", json.dumps(request | {"temperature": 0}))
        answer = json.loads(connection.getresponse().read())
        connection.close()
        return answer

    def generated(prompt: list[int]) -> list[int]:
        found: list[int] = asked(prompt=prompt, n_predict=40, return_tokens=True)["tokens"]
        return found

    def scored(text: list[int], start: int) -> list[float]:
        values = []
        for place in range(start, len(text)):
            forced = asked(
                prompt=text[:place],
                n_predict=1,
                n_probs=1,
                logit_bias=[[text[place], 1000]],
                cache_prompt=True,
            )
            values.append(forced["completion_probabilities"][0]["logprob"])
        return values

    print(json.dumps({"ready": True}), file=results, flush=True)
    with ThreadPoolExecutor(_SLOTS) as pool:
        for line in sys.stdin:
            work = json.loads(line)
            wall, cpu = time.perf_counter(), time.process_time()
            if work["kind"] == "generation":
                found: list[Any] = list(pool.map(generated, work["prompts"]))
            else:
                found = list(pool.map(scored, work["prompts"], work["starts"]))
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            print(json.dumps({"found": found, "wall": wall, "cpu": cpu}), file=results, flush=True)


if __name__ == "__main__":
    main()
