"""A session around an agent's run, and the decision about each of its tool calls. No framework is needed.

`govern` creates a session, and revokes it when the block ends, however it ends. Within it, `permit` decides about a tool
call before it is made: the session must hold the scope of the tool, and the call must be in the log. It fails closed: a
server that does not answer is a denial. `Run` blocks, `AsyncRun` is for asyncio; what they share is in `_Rules`.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import hashlib
import inspect
import re
import sys
import threading
import warnings
from decimal import Decimal
from types import TracebackType
from typing import Any, Awaitable, Callable, Mapping, Sequence, TypeVar, cast

from ._wire import Money, exact, to_json
from .client import AsyncHaldir, Haldir
from .errors import HaldirError, SessionInvalid
from .models import CreateSessionResponse, GetInclusionProofResponse

DEFAULT_TTL_SECONDS = 3600  # ends the session even if the process dies before it can revoke it
REVOKE_SECONDS = 30.0  # for the revocation of a run that was cancelled
MAX_DETAIL_BYTES = 16 * 1024  # of a call's arguments in the log; longer ones are logged as digest and length
MAX_ENTRIES = 10_000  # entries of a run that are remembered for proofs
MAX_NAME = 256  # characters of a tool's name in the log
TOKENS_PER_PRICE = 1_000_000

_SCOPE = re.compile(r"[A-Za-z0-9_./-]+(:[A-Za-z0-9_./-]+)*", re.ASCII)
F = TypeVar("F", bound=Callable[..., Any])


class ToolDenied(HaldirError):
    """A tool call that was not made. The message is written for the model."""

    def __init__(self, tool: str, reason: str) -> None:
        self.tool = tool
        self.reason = reason
        super().__init__(f"The call of {tool} was denied and not made: {reason}")


@dataclasses.dataclass(frozen=True)
class ToolRule:
    """What holds for one tool: the scope that it needs (`execute:NAME` without one), and what each call costs in USD.

    `details` makes what is logged of the arguments, for example without what is secret in them.
    """

    scope: str | None = None
    cost_usd: Money = 0
    details: Callable[[Any], object] | None = None

    def __post_init__(self) -> None:
        _not_negative("cost_usd", self.cost_usd)


@dataclasses.dataclass(frozen=True)
class TokenPrice:
    """What a model costs, in USD per million tokens."""

    input: Money
    output: Money

    def __post_init__(self) -> None:
        _not_negative("input", self.input)
        _not_negative("output", self.output)

    def cost(self, input_tokens: int, output_tokens: int) -> Decimal:
        """The exact cost. The server rounds it to a billionth of a dollar."""
        if input_tokens < 0 or output_tokens < 0:
            raise ValueError(f"expected numbers of tokens, not {input_tokens} and {output_tokens}")
        spent = _not_negative("input", self.input) * input_tokens + _not_negative("output", self.output) * output_tokens
        return spent / TOKENS_PER_PRICE


def _not_negative(field: str, value: Money) -> Decimal:
    number = exact(field, value)
    if number is None or number < 0:
        raise ValueError(f"{field}: expected an amount of 0 or more, not {value}")
    return number


class _Rules:
    """What both kinds of run decide without I/O, and what they remember."""

    def __init__(self, session: CreateSessionResponse, rules: Mapping[str, ToolRule], prices: Mapping[str, TokenPrice]):
        self.session = session
        self.rules = rules
        self.prices = prices
        self._entries: list[str] = []
        self._lock = threading.Lock()

    @property
    def session_id(self) -> str:
        return self.session.session_id

    @property
    def entry_ids(self) -> tuple[str, ...]:
        """The log entries of this run, oldest first; at most MAX_ENTRIES."""
        with self._lock:
            return tuple(self._entries)

    def scope_of(self, tool: str) -> str:
        rule = self.rules.get(tool)
        scope = rule.scope if rule and rule.scope else f"execute:{tool}"
        if not _SCOPE.fullmatch(scope):
            raise ToolDenied(tool, f"{scope!r} is no scope; give the tool one with ToolRule(scope=…)")
        return scope

    def _remember(self, entry_id: str) -> None:
        with self._lock:
            if len(self._entries) < MAX_ENTRIES:
                self._entries.append(entry_id)

    def _entry(self, tool: str, action: str, details: Mapping[str, object], cost: Money = 0) -> dict[str, Any]:
        return {
            "session_id": self.session_id,
            "tool": tool[:MAX_NAME],
            "action": action,
            "details": details,
            "cost_usd": exact("cost_usd", cost),
        }

    def _call_entry(self, tool: str, scope: str, arguments: object) -> dict[str, Any]:
        rule = self.rules.get(tool, ToolRule())
        shown = rule.details(arguments) if rule.details else arguments
        return self._entry(tool, "call", {"scope": scope, "arguments": loggable(shown)}, rule.cost_usd)

    def _failed_entry(self, tool: str, error: object) -> dict[str, Any]:
        return self._entry(tool, "failed", {"error": loggable(str(error))})

    def _denied_entry(self, tool: str, scope: str, reason: str) -> dict[str, Any]:
        return self._entry(tool, "denied", {"scope": scope, "reason": reason})

    def _token_entry(self, model: str, input_tokens: int | None, output_tokens: int | None) -> dict[str, Any]:
        price = self._price(model)
        priced = price is not None and input_tokens is not None and output_tokens is not None
        details = {"input_tokens": input_tokens, "output_tokens": output_tokens, "priced": priced}
        cost = price.cost(input_tokens or 0, output_tokens or 0) if price else Decimal(0)
        return self._entry(model, "model call", details, cost)

    def _price(self, model: str) -> TokenPrice | None:
        """By the model's name, or by the longest given name that its dated version begins with."""
        known = [name for name in self.prices if model == name or model.startswith(f"{name}-")]
        return self.prices[max(known, key=len)] if known else None

    def _lacks(self, scope: str) -> str:
        held = ", ".join(self.session.scopes) or "none"
        return f"this session does not hold the scope {scope}; it holds {held}. Repeating the call does not help."

    @staticmethod
    def _failed(error: HaldirError) -> str:
        if isinstance(error, SessionInvalid):
            return "this session has ended. No further tool can be called in it."
        return f"haldir could not decide about it: {error}"


class Run(_Rules):
    """A run in a session. Made by `govern`."""

    def __init__(self, client: Haldir, session: CreateSessionResponse, rules: Mapping[str, ToolRule], prices: Mapping[str, TokenPrice]):
        super().__init__(session, rules, prices)
        self._client = client

    def permit(self, tool: str, arguments: object = None) -> str:
        """Decide about a tool call that is to be made now, and log it. The id of its entry; `ToolDenied` if it may not be made."""
        scope = self.scope_of(tool)
        try:
            if self._client.check_permission(self.session_id, scope=scope).allowed:
                return self._log(self._call_entry(tool, scope, arguments))
            self._require_valid()
        except HaldirError as error:
            raise ToolDenied(tool, self._failed(error)) from error
        reason = self._lacks(scope)
        try:
            self._log(self._denied_entry(tool, scope, reason))
        except HaldirError:
            pass  # the call is denied in any case
        raise ToolDenied(tool, reason)

    def call(self, tool: str, function: Callable[..., Any], /, **arguments: Any) -> Any:
        """Call a function as that tool, if it is permitted."""
        self.permit(tool, arguments)
        try:
            return function(**arguments)
        except Exception as error:
            self.log_failure(tool, error)
            raise

    def tool(self, function: F) -> F:
        """A decorator: each call of the function passes `permit` first, under the function's name."""
        if inspect.iscoroutinefunction(function):
            raise TypeError(f"{function.__name__} is a coroutine function: use govern_async")
        signature = inspect.signature(function)

        @functools.wraps(function)
        def governed(*positional: Any, **named: Any) -> Any:
            self.permit(function.__name__, signature.bind(*positional, **named).arguments)
            try:
                return function(*positional, **named)
            except Exception as error:
                self.log_failure(function.__name__, error)
                raise

        return cast(F, governed)

    def log_failure(self, tool: str, error: object) -> None:
        """Log that a permitted call failed. The failure goes on to its caller, also where it cannot be logged."""
        try:
            self._log(self._failed_entry(tool, error))
        except HaldirError:
            pass

    def log_tokens(self, model: str, input_tokens: int | None, output_tokens: int | None) -> str:
        """Log what a model call cost, by the run's prices.

        A model without a price, and a call whose tokens are not known (None), are logged as not priced.
        """
        return self._log(self._token_entry(model, input_tokens, output_tokens))

    def log(self, action: str, *, tool: str = "", details: object = None, cost_usd: Money = 0) -> str:
        """Log anything else that was done."""
        return self._log(self._entry(tool, action, {"details": loggable(details)}, cost_usd))

    def proofs(self) -> list[GetInclusionProofResponse]:
        """The inclusion proof of each entry of this run; also after its end."""
        return [self._client.get_inclusion_proof(entry_id) for entry_id in self.entry_ids]

    def revoke(self) -> None:
        """End the session, and every session that was delegated from it."""
        self._client.revoke_session(self.session_id)

    def _log(self, entry: dict[str, Any]) -> str:
        entry_id = self._client.log_action(**entry).entry_id
        self._remember(entry_id)
        return entry_id

    def _require_valid(self) -> None:
        if not self._client.get_session(self.session_id).is_valid:
            raise SessionInvalid(401, {"error": "the session has ended", "code": "session_invalid"})


class AsyncRun(_Rules):
    """A run in a session, on asyncio. Made by `govern_async`."""

    def __init__(
        self, client: AsyncHaldir, session: CreateSessionResponse, rules: Mapping[str, ToolRule], prices: Mapping[str, TokenPrice]
    ):
        super().__init__(session, rules, prices)
        self._client = client

    async def permit(self, tool: str, arguments: object = None) -> str:
        """Decide about a tool call that is to be made now, and log it. The id of its entry; `ToolDenied` if it may not be made."""
        scope = self.scope_of(tool)
        try:
            if (await self._client.check_permission(self.session_id, scope=scope)).allowed:
                return await self._log(self._call_entry(tool, scope, arguments))
            await self._require_valid()
        except HaldirError as error:
            raise ToolDenied(tool, self._failed(error)) from error
        reason = self._lacks(scope)
        try:
            await self._log(self._denied_entry(tool, scope, reason))
        except HaldirError:
            pass
        raise ToolDenied(tool, reason)

    async def call(self, tool: str, function: Callable[..., Any], /, **arguments: Any) -> Any:
        """Call a function, or a coroutine function, as that tool, if it is permitted."""
        await self.permit(tool, arguments)
        try:
            result = function(**arguments)
            return await result if inspect.isawaitable(result) else result
        except Exception as error:
            await self.log_failure(tool, error)
            raise

    def tool(self, function: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
        """A decorator: each call of the function passes `permit` first, under the function's name."""
        signature = inspect.signature(function)

        @functools.wraps(function)
        async def governed(*positional: Any, **named: Any) -> Any:
            await self.permit(function.__name__, signature.bind(*positional, **named).arguments)
            try:
                result = function(*positional, **named)
                return await result if inspect.isawaitable(result) else result
            except Exception as error:
                await self.log_failure(function.__name__, error)
                raise

        return governed

    async def log_failure(self, tool: str, error: object) -> None:
        """Log that a permitted call failed. The failure goes on to its caller, also where it cannot be logged."""
        try:
            await self._log(self._failed_entry(tool, error))
        except HaldirError:
            pass

    async def log_tokens(self, model: str, input_tokens: int | None, output_tokens: int | None) -> str:
        """Log what a model call cost, by the run's prices.

        A model without a price, and a call whose tokens are not known (None), are logged as not priced.
        """
        return await self._log(self._token_entry(model, input_tokens, output_tokens))

    async def log(self, action: str, *, tool: str = "", details: object = None, cost_usd: Money = 0) -> str:
        """Log anything else that was done."""
        return await self._log(self._entry(tool, action, {"details": loggable(details)}, cost_usd))

    async def proofs(self) -> list[GetInclusionProofResponse]:
        """The inclusion proof of each entry of this run; also after its end."""
        return [await self._client.get_inclusion_proof(entry_id) for entry_id in self.entry_ids]

    async def revoke(self) -> None:
        """End the session, and every session that was delegated from it."""
        await self._client.revoke_session(self.session_id)

    async def _log(self, entry: dict[str, Any]) -> str:
        entry_id = (await self._client.log_action(**entry)).entry_id
        self._remember(entry_id)
        return entry_id

    async def _require_valid(self) -> None:
        if not (await self._client.get_session(self.session_id)).is_valid:
            raise SessionInvalid(401, {"error": "the session has ended", "code": "session_invalid"})


AnyRun = Run | AsyncRun


async def permit(run: AnyRun, tool: str, arguments: object) -> str:
    """`permit` of either kind of run, from asyncio; a run that blocks does so in a thread."""
    if isinstance(run, AsyncRun):
        return await run.permit(tool, arguments)
    return await asyncio.to_thread(run.permit, tool, arguments)


async def log_failure(run: AnyRun, tool: str, error: object) -> None:
    """`log_failure` of either kind of run, from asyncio."""
    if isinstance(run, AsyncRun):
        await run.log_failure(tool, error)
    else:
        await asyncio.to_thread(run.log_failure, tool, error)


async def log_tokens(run: AnyRun, model: str, input_tokens: int | None, output_tokens: int | None) -> str:
    """`log_tokens` of either kind of run, from asyncio."""
    if isinstance(run, AsyncRun):
        return await run.log_tokens(model, input_tokens, output_tokens)
    return await asyncio.to_thread(run.log_tokens, model, input_tokens, output_tokens)


def blocking(run: AnyRun) -> Run:
    """The run, for a framework that calls without an event loop."""
    if isinstance(run, AsyncRun):
        raise TypeError("the framework runs without asyncio here: use govern instead of govern_async")
    return run


def loggable(value: object) -> object:
    """A value as it stands in the log: itself if it is JSON and not too long, else its digest and length."""
    try:
        text = to_json(value)
    except (TypeError, ValueError):
        text = to_json(repr(value))
        value = repr(value)
    size = len(text.encode(errors="replace"))
    if size <= MAX_DETAIL_BYTES:
        return value
    return {"sha256": hashlib.sha256(text.encode(errors="replace")).hexdigest(), "bytes": size}


class govern:
    """A block of an agent's work in a session of its own, which ends with the block.

        with Haldir() as client, govern(client, agent_id="buyer", scopes=["execute:look_up"]) as run:
            run.call("look_up", look_up, title="Momo")

    `rules` are those of single tools, `prices` those of models for `log_tokens`.
    """

    def __init__(
        self,
        client: Haldir,
        *,
        agent_id: str,
        scopes: Sequence[str],
        spend_limit: Money | None = None,
        ttl: int = DEFAULT_TTL_SECONDS,
        parent_session_id: str | None = None,
        rules: Mapping[str, ToolRule] | None = None,
        prices: Mapping[str, TokenPrice] | None = None,
    ) -> None:
        self._client = client
        self._session = {
            "agent_id": agent_id, "scopes": list(scopes), "spend_limit": spend_limit, "ttl": ttl,
            "parent_session_id": parent_session_id,
        }
        self._rules, self._prices = dict(rules or {}), dict(prices or {})
        self._run: Run | None = None

    def __enter__(self) -> Run:
        session = self._client.create_session(**cast("dict[str, Any]", self._session))
        self._run = Run(self._client, session, self._rules, self._prices)
        return self._run

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._run is None:
            return
        try:
            self._run.revoke()
        except HaldirError as failure:
            _not_revoked(self._run, failure, error)


class govern_async:
    """`govern` for asyncio. A block that is cancelled revokes its session too, before the cancellation goes on."""

    def __init__(
        self,
        client: AsyncHaldir,
        *,
        agent_id: str,
        scopes: Sequence[str],
        spend_limit: Money | None = None,
        ttl: int = DEFAULT_TTL_SECONDS,
        parent_session_id: str | None = None,
        rules: Mapping[str, ToolRule] | None = None,
        prices: Mapping[str, TokenPrice] | None = None,
    ) -> None:
        self._client = client
        self._session = {
            "agent_id": agent_id, "scopes": list(scopes), "spend_limit": spend_limit, "ttl": ttl,
            "parent_session_id": parent_session_id,
        }
        self._rules, self._prices = dict(rules or {}), dict(prices or {})
        self._run: AsyncRun | None = None

    async def __aenter__(self) -> AsyncRun:
        creation = asyncio.ensure_future(self._client.create_session(**cast("dict[str, Any]", self._session)))
        try:
            session = await asyncio.shield(creation)
        except asyncio.CancelledError:
            # The server may have made the session already: wait for its id, to be able to revoke it.
            await asyncio.wait({creation}, timeout=REVOKE_SECONDS)
            if creation.done() and not creation.cancelled() and creation.exception() is None:
                await self._abandon(creation.result().session_id)
            creation.cancel()
            raise
        self._run = AsyncRun(self._client, session, self._rules, self._prices)
        return self._run

    async def _abandon(self, session_id: str) -> None:
        """Revoke a session in which nothing was done. It expires by itself where that fails, and the cancellation goes on."""
        try:
            await self._client.revoke_session(session_id)
        except HaldirError:
            pass

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._run is None:
            return
        revocation = asyncio.ensure_future(self._run.revoke())
        try:
            await asyncio.shield(revocation)
        except asyncio.CancelledError:
            # Cancelled once more while revoking: finish that within its bound.
            await asyncio.wait({revocation}, timeout=REVOKE_SECONDS)
            if not revocation.done():
                revocation.cancel()
            raise
        except HaldirError as failure:
            _not_revoked(self._run, failure, error)


def _not_revoked(run: _Rules, failure: HaldirError, error: BaseException | None) -> None:
    """A session that could not be revoked is an error; beside an error of the run it is a note to that one."""
    if isinstance(failure, SessionInvalid):
        return
    text = f"the session {run.session_id} could not be revoked, and lives until it expires: {failure}"
    if error is None:
        raise HaldirError(text) from failure
    if sys.version_info >= (3, 11):
        error.add_note(text)
    else:
        warnings.warn(text, ResourceWarning, stacklevel=3)
