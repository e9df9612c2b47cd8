"""HTTP requests, responses and connections, without I/O except for the socket modules."""
