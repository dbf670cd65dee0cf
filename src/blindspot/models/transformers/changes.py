"""What changes a model once its weights are loaded: an adapter, and vectors that steer it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blindspot import ranks
from blindspot.errors import ModelError
from blindspot.models.options import ModelOptions
from blindspot.models.transformers.adapters import Adapter, merge, open_adapter
from blindspot.models.transformers.digests import files_digest
from blindspot.models.transformers.directions import Directions, attach, open_directions


@dataclass(frozen=True, slots=True)
class Changes:
    """What changes a model once its weights are loaded."""

    adapter: Adapter | None = None
    directions: Directions | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """All files that are read."""
        vectors = () if self.directions is None else (self.directions.path,)
        return (*(() if self.adapter is None else self.adapter.files), *vectors)

    def notes(self, base: str) -> list[str]:
        """Notes for readers of the answers."""
        return [] if self.adapter is None else self.adapter.notes(base)

    def merged(self, model: Any) -> Any:
        """The model with the adapter in its weights.

        Raises:
            ModelError: the adapter does not fit the model, or changes nothing.
        """
        return model if self.adapter is None else merge(model, self.adapter)

    def attach(self, model: Any, name: str) -> None:
        """Add the vectors to the residual stream of the model, where it runs.

        Raises:
            ModelError: they do not fit the model, or change nothing.
        """
        if self.directions is not None:
            attach(model, self.directions, name)

    @property
    def digest(self) -> dict[str, Any]:
        """What identifies them."""
        found: dict[str, Any] = {}
        if (adapter := self.adapter) is not None:
            found["adapter"] = files_digest(adapter.files, root=adapter.directory)
            found["scale"] = adapter.scale
        if (directions := self.directions) is not None:
            # Not under its name, which says nothing of it.
            found["directions"] = files_digest([directions.path], root=directions.path)
            found["coefficient"] = directions.coefficient
        return found


def open_changes(options: ModelOptions) -> Changes:
    """What the options say changes the model, checked as far as the files tell, without torch.

    Raises:
        ModelError: a file cannot be used, or the model is divided among processes.
    """
    if options.adapter is None and options.steer is None:
        return Changes()
    if ranks.PLAN in options.model_args:
        flag = "--steer" if options.adapter is None else "--adapter"
        raise ModelError(f"{flag} with {ranks.PLAN}: only a whole model is changed; omit one")
    return Changes(
        None if options.adapter is None else open_adapter(options.adapter),
        None if options.steer is None else open_directions(options.steer),
    )
