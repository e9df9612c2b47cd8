"""The library against a real Letta server: what only that can tell."""
