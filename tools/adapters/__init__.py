"""Adapters of `organism:blind` of which it is known what the gate of a mitigation must say."""
