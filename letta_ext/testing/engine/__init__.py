"""The agent: its turns, the loop around them, and the runs that they make."""
