"""Prompts put to a model: ours against the paper's way and others'."""
