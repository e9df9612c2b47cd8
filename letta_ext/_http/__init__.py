"""One call: from arguments to a request, and from its answer to a value or an error. Nothing here does I/O."""
