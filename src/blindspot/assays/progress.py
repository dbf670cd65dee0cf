"""Progress of a unit, whose size is told before it is known how many layers a model has."""

from __future__ import annotations

from blindspot.models.base import Progress


def per_layer(progress: Progress | None, layers: int) -> Progress | None:
    """Progress in vectors and questions, from progress in vectors, questions and layers."""
    if progress is None:
        return None
    left = 0

    def some(count: int) -> None:
        nonlocal left
        whole, left = divmod(left + count, layers)
        progress(whole)

    return some
