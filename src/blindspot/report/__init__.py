"""Reports of a run: terminal, JSON and samples. They read records and measure nothing."""
