"""What the benchmarks share: rows by turns, the machine, models of any size."""
