"""Formats and scorers of other projects, outside the core: not needed to judge a model."""
