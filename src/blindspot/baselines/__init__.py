"""Accepted baselines of models: read, compared with, and replaced as a whole."""

from blindspot.baselines.file import Baseline, Entry, load_baseline, locate, slug

__all__ = ["Baseline", "Entry", "load_baseline", "locate", "slug"]
