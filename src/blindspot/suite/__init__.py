"""In a wheel, the bias tests and their fixtures: ``pytest --pyargs blindspot.suite``."""
