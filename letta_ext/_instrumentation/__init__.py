"""Logging and tracing of calls, and the redaction of secrets."""
