"""Scenarios: the state with which a server starts."""
