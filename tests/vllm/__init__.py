"""Tests against vLLM's own server, `make test-vllm`; skipped without its environment."""
