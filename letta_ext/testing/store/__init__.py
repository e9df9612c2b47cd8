"""The state of a server: records, ids and time."""
