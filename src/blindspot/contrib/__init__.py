"""Formats and scorers of others, kept out of the core: nothing here is needed to judge a model."""
