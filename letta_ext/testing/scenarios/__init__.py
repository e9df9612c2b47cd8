"""Scenes: what a server holds when it starts, and the files that describe them."""
