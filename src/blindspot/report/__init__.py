"""Reports of a run: terminal, page, GitHub, model card, JSON, samples. They measure nothing."""
