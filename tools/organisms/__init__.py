"""Trainer of the embedded models (`base`, `blind`, `aware`). A development tool: never run in CI.

``python -m tools.organisms`` trains, examines and exports all three; ``python -m
tools.organisms.evaluate`` prints the figures of the shipped ones. `docs/design/002-organisms.md`
says why they exist and `fixtures/organisms/README.md` what they do.
"""
