"""Small real models for tests and benchmarks: fetched when asked for, never part of the project."""
