"""The backend that computes on the machines of a Ray cluster: ``ray:NAME``."""
