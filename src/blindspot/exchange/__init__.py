"""Prompts that go elsewhere, and the answers that come back: batch APIs, clusters, harnesses."""
