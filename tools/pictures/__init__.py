"""Draws the pictures of the documentation from reports."""
