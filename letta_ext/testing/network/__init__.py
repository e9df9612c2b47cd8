"""Sockets, connections and fault injection."""
