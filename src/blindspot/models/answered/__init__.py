"""Models that were asked elsewhere, and the files of prompts and answers."""
