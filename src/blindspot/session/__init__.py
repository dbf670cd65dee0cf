"""A pytest session of ours: its options and state, the run before the first gate, the judging."""
