"""What holds spec/openapi.yaml to its rules: see spec/README.md."""
