"""The agent: its turns, the agent loop, and the runs."""
