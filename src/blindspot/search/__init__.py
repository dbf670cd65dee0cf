"""The search: prompts whose bias changes although nothing that matters does. Not a gate."""
