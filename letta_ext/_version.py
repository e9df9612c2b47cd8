"""The version of the distribution, and that of the server."""

from typing import Final

__version__ = "0.1.0"

LETTA_VERSION: Final = "0.16.8"
"""The release of Letta that the client is tested with, and whose behavior the embedded server reproduces."""
