"""The client classes."""

from ._async.client import AsyncLetta as AsyncLetta
from ._sync.client import Letta as Letta
