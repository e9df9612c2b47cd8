"""What a server knows: records, identifiers and time."""
