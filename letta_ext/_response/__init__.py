"""Raw HTTP responses, and untyped calls of endpoints without a method."""
