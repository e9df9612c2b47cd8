"""What is told of a call while it goes on: log lines and spans, and the secrets that are kept out of them."""
