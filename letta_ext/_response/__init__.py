"""HTTP responses beside their decoded values, and calls of paths without a method."""
