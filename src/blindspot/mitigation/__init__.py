"""Adapters and directions that make a model see the group: training text, training, cards."""
