"""Causal language models of transformers, run in this process. Importing this imports no torch."""
