"""Tests of `spec/openapi.yaml` against the rules in `spec/README.md`."""
