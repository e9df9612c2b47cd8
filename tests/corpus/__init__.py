"""The corpus run: public documents, generated, imported, type-checked, and compared with the stock generator."""
