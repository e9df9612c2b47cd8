"""Streams of events: from bytes to events and whole messages, across cuts, until the stream ends or is left."""
