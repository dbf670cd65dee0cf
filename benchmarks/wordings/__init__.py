"""How often a model answers each wording of a file, and whether order decides the answer."""
