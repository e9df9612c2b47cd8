"""The command line `letta-ext`. It requires the extra `cli`: `pip install 'letta-ext[cli]'`."""
