"""Processes that work side by side, and signals that end them."""
