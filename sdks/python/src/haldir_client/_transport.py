"""Requests over HTTP: the key, time limits, retries, and errors as exceptions. What needs no I/O is shared by both clients."""

from __future__ import annotations

import asyncio
import os
import random
import time
import uuid
from types import TracebackType
from typing import Any, Mapping, TypeVar
from urllib.parse import quote, urlsplit

import httpx

from ._wire import decode, from_json, to_json
from .errors import ApiError, ConnectionFailed, UnexpectedResponse, api_error

CONNECT_SECONDS = 5.0
READ_SECONDS = 45.0  # longer than the 30 s that `get_approval` may wait for a decision
WRITE_SECONDS = 30.0
POOL_SECONDS = 10.0  # for a free connection
MAX_ATTEMPTS = 4
FIRST_WAIT_SECONDS = 0.25  # before the second attempt; doubles from there
MAX_WAIT_SECONDS = 30.0  # a longer Retry-After is an error at once, which names the time
MAX_RESPONSE_BYTES = 256 * 1024 * 1024  # exports included
MAX_SHOWN = 200  # characters of an answer that is not haldir's
RETRIED_STATUSES = frozenset({408, 429, 502, 503, 504})
SUPPORTED_SCHEMES = ("http", "https")

T = TypeVar("T")


def default_timeout() -> httpx.Timeout:
    return httpx.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS, write=WRITE_SECONDS, pool=POOL_SECONDS)


def segment(name: str, value: str | int, keep: str = "") -> str:
    """A path parameter, escaped. `..` would lead to another operation's path."""
    text = str(value)
    if not text or any(part in (".", "..") for part in text.split("/")):
        raise ValueError(f"{name}: {text!r} cannot stand in a path")
    return quote(text, safe=keep)


class Settings:
    """Where the server is, and the key; from HALDIR_BASE_URL and HALDIR_API_KEY where not given."""

    def __init__(self, base_url: str | None, api_key: str | None) -> None:
        base = base_url or os.environ.get("HALDIR_BASE_URL")
        if not base:
            raise ValueError("base_url: give the server's address, such as http://127.0.0.1:8000, or set HALDIR_BASE_URL")
        parts = urlsplit(base)
        if parts.scheme not in SUPPORTED_SCHEMES or not parts.hostname:
            raise ValueError("base_url: expected an http or https address, such as http://127.0.0.1:8000")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("base_url: expected no credentials, query or fragment; the key is api_key")
        self.base_url = base.rstrip("/")
        self.api_key = api_key or os.environ.get("HALDIR_API_KEY") or None
        # A line break in a header would add a header of someone else's.
        if self.api_key and not (self.api_key.isascii() and self.api_key.isprintable() and " " not in self.api_key):
            raise ValueError("api_key: expected printable ASCII without spaces, such as hld_…")

    def __repr__(self) -> str:
        return f"{self.base_url!r}"


class Call:
    """One call: its request, and after each attempt whether there is to be another."""

    def __init__(
        self,
        settings: Settings,
        method: str,
        path: str,
        query: Mapping[str, object] | None,
        headers: Mapping[str, str | None] | None,
        body: Mapping[str, object] | None,
        idempotency_key: str | None,
        takes_key: bool,
    ) -> None:
        self.method = method
        self.url = settings.base_url + path
        self.query = {name: _text(value) for name, value in (query or {}).items() if value is not None}
        self.headers = {"Accept": "application/json, */*;q=0.5"}
        self.headers |= {name: value for name, value in (headers or {}).items() if value is not None}
        if settings.api_key:
            self.headers["Authorization"] = f"Bearer {settings.api_key}"
        self.content: bytes | None = None
        if body is not None:
            self.headers["Content-Type"] = "application/json"
            self.content = to_json({name: value for name, value in body.items() if value is not None}).encode()
        if takes_key:
            # The same for every attempt, so that a call whose answer was lost is not carried out twice.
            self.headers["Idempotency-Key"] = idempotency_key or f"py-{uuid.uuid4()}"
        for name, value in self.headers.items():
            # A line break would add a header of the caller's making; httpx says of others only that they are illegal.
            if not value.isascii() or not value.isprintable():
                raise ValueError(f"{name}: expected printable ASCII")
        self.attempt = 0

    def wait_after(self, failure: ApiError | httpx.TransportError) -> float | None:
        """Seconds until the next attempt; None if this was the last."""
        self.attempt += 1
        # A LocalProtocolError is about the request itself, and UnsupportedProtocol about its address.
        hopeless = isinstance(failure, (httpx.LocalProtocolError, httpx.UnsupportedProtocol))
        if self.attempt >= MAX_ATTEMPTS or hopeless:
            return None
        backoff = FIRST_WAIT_SECONDS * 2.0 ** (self.attempt - 1) * random.uniform(0.5, 1.0)
        if not isinstance(failure, ApiError):
            return backoff
        if failure.status not in RETRIED_STATUSES:
            return None
        asked = failure.body.get("retry_after")
        wait = float(asked) if isinstance(asked, int) else backoff
        return wait if wait <= MAX_WAIT_SECONDS else None


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class Answer:
    """A response that was read whole, within MAX_RESPONSE_BYTES."""

    def __init__(self, response: httpx.Response) -> None:
        self.status = response.status_code
        self.headers = response.headers
        self.chunks: list[bytes] = []
        self.size = 0

    def add(self, chunk: bytes) -> None:
        self.size += len(chunk)
        if self.size > MAX_RESPONSE_BYTES:
            raise UnexpectedResponse(f"the answer has more than {MAX_RESPONSE_BYTES} bytes")
        self.chunks.append(chunk)

    @property
    def content(self) -> bytes:
        return b"".join(self.chunks)

    @property
    def is_json(self) -> bool:
        content_type: str = self.headers.get("content-type", "")
        return content_type.partition(";")[0].strip() == "application/json"

    def error(self) -> ApiError | None:
        """The refusal that this is; None for a success."""
        if 200 <= self.status < 300:
            return None
        body: Any = from_json(self.content) if self.is_json else None
        if not isinstance(body, dict):
            shown = self.content[:MAX_SHOWN].decode(errors="replace")
            body = {"error": f"status {self.status}, and no error of haldir's: {shown!r}"}
        after = self.headers.get("retry-after", "")
        if "retry_after" not in body and after.isascii() and after.isdigit():
            body["retry_after"] = int(after)
        return api_error(self.status, body, self.headers.get("x-request-id"))


class SyncTransport:
    """Sends calls for `Haldir`."""

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        timeout: httpx.Timeout | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._settings = Settings(base_url, api_key)
        self._http = httpx.Client(timeout=timeout or default_timeout(), transport=transport)

    def __enter__(self: T) -> T:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._settings!r})"  # without the key

    def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        headers: Mapping[str, str | None] | None = None,
        body: Mapping[str, object] | None = None,
        idempotency_key: str | None = None,
        takes_key: bool = False,
    ) -> Answer:
        call = Call(self._settings, method, path, query, headers, body, idempotency_key, takes_key)
        while True:
            failure: ApiError | httpx.TransportError
            try:
                with self._http.stream(
                    call.method, call.url, params=call.query, headers=call.headers, content=call.content
                ) as response:
                    answer = Answer(response)
                    for chunk in response.iter_bytes():
                        answer.add(chunk)
                refusal = answer.error()
                if refusal is None:
                    return answer
                failure = refusal
            except httpx.TransportError as error:
                failure = error
            wait = call.wait_after(failure)
            if wait is None:
                raise _final(call, failure)
            time.sleep(wait)

    def _json(self, model: type[T], method: str, path: str, **given: Any) -> T:
        return decode(model, from_json(self._send(method, path, **given).content))

    def _text(self, method: str, path: str, **given: Any) -> str:
        return self._send(method, path, **given).content.decode(errors="replace")

    def _json_or_text(self, model: type[T], method: str, path: str, **given: Any) -> T | str:
        answer = self._send(method, path, **given)
        return decode(model, from_json(answer.content)) if answer.is_json else answer.content.decode(errors="replace")

    def _bytes(self, method: str, path: str, **given: Any) -> bytes:
        return self._send(method, path, **given).content

    def _nothing(self, method: str, path: str, **given: Any) -> None:
        self._send(method, path, **given)


class AsyncTransport:
    """Sends calls for `AsyncHaldir`, on asyncio."""

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        timeout: httpx.Timeout | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._settings = Settings(base_url, api_key)
        self._http = httpx.AsyncClient(timeout=timeout or default_timeout(), transport=transport)

    async def __aenter__(self: T) -> T:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._settings!r})"

    async def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        headers: Mapping[str, str | None] | None = None,
        body: Mapping[str, object] | None = None,
        idempotency_key: str | None = None,
        takes_key: bool = False,
    ) -> Answer:
        call = Call(self._settings, method, path, query, headers, body, idempotency_key, takes_key)
        while True:
            failure: ApiError | httpx.TransportError
            try:
                async with self._http.stream(
                    call.method, call.url, params=call.query, headers=call.headers, content=call.content
                ) as response:
                    answer = Answer(response)
                    async for chunk in response.aiter_bytes():
                        answer.add(chunk)
                refusal = answer.error()
                if refusal is None:
                    return answer
                failure = refusal
            except httpx.TransportError as error:
                failure = error
            wait = call.wait_after(failure)
            if wait is None:
                raise _final(call, failure)
            await asyncio.sleep(wait)

    async def _json(self, model: type[T], method: str, path: str, **given: Any) -> T:
        return decode(model, from_json((await self._send(method, path, **given)).content))

    async def _text(self, method: str, path: str, **given: Any) -> str:
        return (await self._send(method, path, **given)).content.decode(errors="replace")

    async def _json_or_text(self, model: type[T], method: str, path: str, **given: Any) -> T | str:
        answer = await self._send(method, path, **given)
        return decode(model, from_json(answer.content)) if answer.is_json else answer.content.decode(errors="replace")

    async def _bytes(self, method: str, path: str, **given: Any) -> bytes:
        return (await self._send(method, path, **given)).content

    async def _nothing(self, method: str, path: str, **given: Any) -> None:
        await self._send(method, path, **given)


def _final(call: Call, failure: ApiError | httpx.TransportError) -> Exception:
    if isinstance(failure, ApiError):
        return failure
    text = str(failure) or type(failure).__name__
    error = ConnectionFailed(f"no answer to {call.method} {call.url} after {call.attempt} attempts: {text}")
    error.__cause__ = failure
    return error
