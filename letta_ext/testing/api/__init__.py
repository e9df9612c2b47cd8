"""The HTTP API: what each path takes and answers."""
