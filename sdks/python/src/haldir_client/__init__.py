"""Client for haldir, the governance layer for AI agents.

`Haldir` and `AsyncHaldir` have a method for each operation of the server. `govern` and `govern_async` put an agent's run
into a session that ends with it. The modules `langchain`, `openai_agents`, `crewai`, `autogen` and `llama_index` connect
frameworks to such a run; each needs the extra of its name.
"""

from importlib.metadata import version

from ._wire import Money
from .client import AsyncHaldir, Haldir
from .errors import (
    ApiError,
    ApprovalRequired,
    BudgetExceeded,
    Conflict,
    ConnectionFailed,
    HaldirError,
    IdempotencyMismatch,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    PolicyDenied,
    RateLimited,
    ScopeDenied,
    SessionInvalid,
    Unauthorized,
    Unavailable,
    UnexpectedResponse,
)
from .governed import AsyncRun, Run, TokenPrice, ToolDenied, ToolRule, govern, govern_async
from .proofs import verify_inclusion

__version__ = version("haldir-client")

__all__ = [
    "ApiError",
    "ApprovalRequired",
    "AsyncHaldir",
    "AsyncRun",
    "BudgetExceeded",
    "Conflict",
    "ConnectionFailed",
    "Haldir",
    "HaldirError",
    "IdempotencyMismatch",
    "InvalidRequest",
    "Money",
    "NotFound",
    "PermissionDenied",
    "PolicyDenied",
    "RateLimited",
    "Run",
    "ScopeDenied",
    "SessionInvalid",
    "TokenPrice",
    "ToolDenied",
    "ToolRule",
    "Unauthorized",
    "Unavailable",
    "UnexpectedResponse",
    "govern",
    "govern_async",
    "verify_inclusion",
]
