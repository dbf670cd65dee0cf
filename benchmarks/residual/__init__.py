"""Vectors read and written inside a model: ours against plain hooks and others'."""
