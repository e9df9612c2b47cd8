"""HTTP requests, responses and connections."""
