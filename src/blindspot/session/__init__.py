"""A pytest session that runs gates: options, state, the run before the first gate, and verdicts."""
