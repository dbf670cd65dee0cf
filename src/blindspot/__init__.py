"""Bias regression testing for language models, run by pytest."""

__version__ = "0.1.0"
