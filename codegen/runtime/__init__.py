"""Support for generated packages: modules that do not vary with the document, and are copied into the output."""
