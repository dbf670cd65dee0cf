"""The suite on real models, `make test-real`; tests of a model that is not here are skipped."""
