"""Tries the wheel as somebody would who has nothing else: in an empty environment and directory."""
