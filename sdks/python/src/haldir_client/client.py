"""The two clients: the generated operations on their transports."""

from __future__ import annotations

from ._operations import AsyncOperations, Operations


class Haldir(Operations):
    """A client that blocks. It may be shared by threads, and is a context manager that closes its connections."""


class AsyncHaldir(AsyncOperations):
    """A client for asyncio. It belongs to one event loop, and is an async context manager."""
