"""Sockets, connections, and the faults that happen to them."""
