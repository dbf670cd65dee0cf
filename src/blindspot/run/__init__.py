"""The run: what the selected tests need, asked once and judged together."""
