"""What can go wrong in a call, as exceptions.

`ApiError` is an answer of the server that refuses; its subclasses tell the refusals apart that programs treat
differently. `ConnectionFailed` and `UnexpectedResponse` are calls without a usable answer.
"""

from __future__ import annotations

from typing import Any, Mapping


class HaldirError(Exception):
    """Any failure of this package."""


class ConnectionFailed(HaldirError):
    """No answer, after the last attempt. The call may or may not have been carried out."""


class UnexpectedResponse(HaldirError):
    """An answer that is not haldir's, or does not fit the interface that this version was generated from."""


class ApiError(HaldirError):
    """The server refused the call: `code` for programs, `message` for people, `field` if it is about one."""

    def __init__(self, status: int, body: Mapping[str, Any], request_id: str | None = None) -> None:
        self.status = status
        self.body = body
        self.code = str(body.get("code") or "")
        self.message = str(body.get("error") or f"the server answered with status {status}")
        field = body.get("field")
        self.field = field if isinstance(field, str) else None
        self.retryable = body.get("retryable") is True
        named = body.get("request_id")
        self.request_id = named if isinstance(named, str) else request_id
        super().__init__(f"{self.message} ({self.code or status})")


class InvalidRequest(ApiError):
    """An argument is wrong: correct it before the next call."""


class Unauthorized(ApiError):
    """The API key is missing, unknown or revoked."""


class SessionInvalid(ApiError):
    """The session does not exist, is expired, or is revoked."""


class PermissionDenied(ApiError):
    """The key or the session may not do this."""


class ScopeDenied(PermissionDenied):
    """The session does not hold the scope."""


class BudgetExceeded(PermissionDenied):
    """The amount is more than what is left of a budget."""


class PolicyDenied(PermissionDenied):
    """A policy refuses the call."""


class ApprovalRequired(PermissionDenied):
    """A person has to approve first: repeat the same call afterwards."""

    @property
    def approval_request_id(self) -> str | None:
        named = self.body.get("approval_request_id")
        return named if isinstance(named, str) else None


class NotFound(ApiError):
    """There is no such resource."""


class Conflict(ApiError):
    """The call does not fit the present state."""


class IdempotencyMismatch(ApiError):
    """The idempotency key came with another call before."""


class RateLimited(ApiError):
    """The hour's calls are used up; `retry_after` is the time to wait in seconds, if the server named it."""

    @property
    def retry_after(self) -> int | None:
        value = self.body.get("retry_after")
        return value if isinstance(value, int) else None

    @property
    def limit(self) -> int | None:
        value = self.body.get("limit")
        return value if isinstance(value, int) else None


class Unavailable(ApiError):
    """The server, or its store, cannot answer now."""


_BY_CODE: Mapping[str, type[ApiError]] = {
    "unauthorized": Unauthorized,
    "session_invalid": SessionInvalid,
    "scope_denied": ScopeDenied,
    "budget_exceeded": BudgetExceeded,
    "policy_denied": PolicyDenied,
    "approval_required": ApprovalRequired,
    "not_found": NotFound,
    "conflict": Conflict,
    "idempotency_mismatch": IdempotencyMismatch,
    "rate_limit_exceeded": RateLimited,
    "unavailable": Unavailable,
}
_BY_STATUS: Mapping[int, type[ApiError]] = {
    401: Unauthorized,
    403: PermissionDenied,
    404: NotFound,
    409: Conflict,
    429: RateLimited,
}


def api_error(status: int, body: Mapping[str, Any], request_id: str | None) -> ApiError:
    """The exception for a refusal: by its code, and for a code that this version does not know, by its status."""
    kind = _BY_CODE.get(str(body.get("code"))) or _BY_STATUS.get(status)
    if kind is None:
        kind = Unavailable if status >= 500 else InvalidRequest
    return kind(status, body, request_id)
