"""The search: prompts whose bias changes when nothing changes that should matter. Not a gate."""
