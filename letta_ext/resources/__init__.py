"""The resources of a client: which operation each method calls, and how it is typed."""
