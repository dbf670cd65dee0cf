"""Whether the gates hold the error rates that they promise."""
