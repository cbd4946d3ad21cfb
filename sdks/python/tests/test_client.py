"""The client against a running server. Only failures that a server does not show on demand are made by the transport."""

from __future__ import annotations

import asyncio
import inspect
import json
import subprocess
import sys
import time
import tomllib
import typing
from decimal import Decimal
from importlib.metadata import requires
from pathlib import Path

import httpx
import pytest
from conftest import BINARY, KEY, URL

import haldir_client
from haldir_client import _transport, _wire, errors, models
from haldir_client import (
    ApiError, AsyncHaldir, BudgetExceeded, ConnectionFailed, Haldir, IdempotencyMismatch, InvalidRequest, NotFound,
    PermissionDenied, RateLimited, ScopeDenied, SessionInvalid, Unauthorized, Unavailable, UnexpectedResponse,
)

SDK = Path(__file__).resolve().parents[1]
PLACES = [Decimal("9223372035.123456789"), Decimal("0.000000001"), Decimal("0.1"), Decimal(7)]


class Between(httpx.BaseTransport):
    """Stands before the real transport: `answer` may answer a request itself, and `lose` the answers of the server."""

    def __init__(self, answer=None, lose=0):
        self.real, self.answer, self.lose, self.requests = httpx.HTTPTransport(), answer, lose, []

    def handle_request(self, request):
        self.requests.append(request)
        made = self.answer(len(self.requests)) if self.answer else None
        if made is not None:
            return made
        response = self.real.handle_request(request)
        if len(self.requests) <= self.lose:
            response.read()
            raise httpx.ReadError("the connection was lost before the answer")
        return response


@pytest.fixture
def waits(monkeypatch):
    """The waits between attempts, which are not slept."""
    recorded = []
    monkeypatch.setattr(time, "sleep", recorded.append)
    return recorded


@pytest.mark.parametrize("value", PLACES)
def test_amounts_keep_every_digit(client, value):
    session = client.create_session(agent_id="exact", scopes=["spend"], spend_limit=value)
    assert session.spend_limit == value and isinstance(session.spend_limit, Decimal)
    payment = client.authorize_payment(session_id=session.session_id, amount=format(value, "f"))
    assert (payment.amount, payment.remaining_budget) == (value, 0)
    entry = client.log_action(session_id=session.session_id, action="paid", cost_usd=value)
    assert entry.cost_usd == value and not entry.cost_rounded
    assert client.get_spend(session_id=session.session_id).by_session == {session.session_id: value}


def test_floats_and_what_is_no_amount_are_refused_before_anything_is_sent(client):
    session = client.create_session(agent_id="exact", scopes=["spend"]).session_id
    for wrong, error in [(0.1, TypeError), (True, TypeError), ("1e3", ValueError), ("NaN", ValueError), ("", ValueError)]:
        with pytest.raises(error, match="amount"):
            client.authorize_payment(session_id=session, amount=wrong)
    for wrong in (Decimal("NaN"), Decimal("Infinity"), Decimal("1e999999"), Decimal("1e-999999"), "٣"):
        with pytest.raises(ValueError, match="amount"):
            client.authorize_payment(session_id=session, amount=wrong)


def test_refusals_are_typed_and_name_code_field_and_request(client):
    session = client.create_session(agent_id="poor", scopes=["read", "spend"], spend_limit=5).session_id
    with pytest.raises(BudgetExceeded) as caught:
        client.authorize_payment(session_id=session, amount=6)
    assert (caught.value.code, caught.value.field, caught.value.status) == ("budget_exceeded", "amount", 403)
    assert caught.value.body["remaining_budget"] == 5 and caught.value.request_id.startswith("req_")
    assert not caught.value.retryable and isinstance(caught.value, PermissionDenied)
    with pytest.raises(InvalidRequest) as caught:
        client.create_session(agent_id="", scopes=["read"])
    assert (caught.value.code, caught.value.field) == ("invalid_argument", "agent_id")
    with pytest.raises(NotFound):
        client.get_session("ses_" + "A" * 32)
    with pytest.raises(SessionInvalid):
        client.log_action(session_id="ses_" + "A" * 32, action="x")
    without = client.create_session(agent_id="poor", scopes=["read"]).session_id
    with pytest.raises(ScopeDenied):
        client.authorize_payment(session_id=without, amount=1)
    for key in ("hld_wrong", None):
        with Haldir(URL, key) as other, pytest.raises(Unauthorized):
            other.list_sessions()


def test_every_error_code_of_the_server_has_an_exception():
    codes = typing.get_args(models.ErrorCode)
    assert set(errors._BY_CODE) <= set(codes)
    assert all(isinstance(errors.api_error(400, {"error": "e", "code": code}, None), ApiError) for code in codes)


def test_a_write_whose_answer_was_lost_is_carried_out_once(client, waits):
    session = client.create_session(agent_id="lossy", scopes=["spend"], spend_limit=10).session_id
    transport = Between(lose=2)
    with Haldir(URL, KEY, transport=transport) as lossy:
        payment = lossy.authorize_payment(session_id=session, amount=4)
    assert len(transport.requests) == 3 and payment.remaining_budget == 6
    assert len({request.headers["Idempotency-Key"] for request in transport.requests}) == 1
    assert client.get_session(session).remaining_budget == 6
    assert len(waits) == 2 and waits[0] < waits[1] <= _transport.MAX_WAIT_SECONDS


def test_an_own_idempotency_key_gives_the_first_answer_again(client):
    session = client.create_session(agent_id="again", scopes=["spend"]).session_id
    first = client.authorize_payment(session_id=session, amount=4, idempotency_key=f"{session} 1")
    assert client.authorize_payment(session_id=session, amount=4, idempotency_key=f"{session} 1") == first
    with pytest.raises(IdempotencyMismatch):
        client.authorize_payment(session_id=session, amount=5, idempotency_key=f"{session} 1")
    with pytest.raises(ValueError, match="Idempotency-Key"):
        client.authorize_payment(session_id=session, amount=5, idempotency_key="a\r\nX-API-Key: other")


def refuse(status, code, **headers):
    body = {"error": "no", "code": code}
    return lambda number: httpx.Response(status, json=body, headers=headers)


def test_attempts_are_bounded_and_a_refusal_is_not_repeated(waits):
    for answer, error, attempts in [
        (refuse(503, "unavailable"), Unavailable, _transport.MAX_ATTEMPTS),
        (refuse(403, "policy_denied"), PermissionDenied, 1),
        (refuse(500, "internal"), Unavailable, 1),
        (refuse(429, "rate_limit_exceeded", **{"Retry-After": "2"}), RateLimited, _transport.MAX_ATTEMPTS),
        (refuse(429, "rate_limit_exceeded", **{"Retry-After": "1742"}), RateLimited, 1),
    ]:
        transport = Between(answer)
        with Haldir(URL, KEY, transport=transport) as refused, pytest.raises(error):
            refused.list_sessions()
        assert len(transport.requests) == attempts
    assert waits[-3:] == [2.0, 2.0, 2.0]


def test_a_call_goes_on_after_retry_after(waits):
    slow = refuse(429, "rate_limit_exceeded", **{"Retry-After": "3"})
    with Haldir(URL, KEY, transport=Between(lambda number: slow(number) if number == 1 else None)) as limited:
        assert limited.health_check().status == "ok"
    assert waits == [3.0]


def test_the_servers_own_rate_limit_is_an_error_that_names_the_time(tmp_path):
    command = [BINARY, "serve", "--listen", "127.0.0.1:0", "--db", str(tmp_path / "haldir.db"), "--rate-limits", "on"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        url = server.stdout.readline().removeprefix("haldir listening on ").strip()
        with Haldir(url) as anonymous:
            key = anonymous.create_api_key(name="free", tier="free").key
        with Haldir(url, key) as limited, pytest.raises(RateLimited) as caught:
            for _ in range(101):
                limited.list_sessions()
        assert caught.value.limit == 100 and 0 < caught.value.retry_after <= 3600
    finally:
        server.terminate()
        server.wait(20)


def test_nothing_listens(short_waits):
    with Haldir("http://127.0.0.1:9", KEY) as lost, pytest.raises(ConnectionFailed, match="after 4 attempts"):
        lost.health_check()


def test_answers_that_are_not_haldirs_are_refused(monkeypatch):
    deep = b"[" * 100_000
    for content in (b"<html>", b"[]", b'{"status": 1, "service": "haldir"}', b'{"status": NaN}', deep, b""):
        made = httpx.Response(200, content=content, headers={"content-type": "application/json"})
        with Haldir(URL, KEY, transport=Between(lambda number: made)) as wrong, pytest.raises(UnexpectedResponse):
            wrong.health_check()
    moved = httpx.Response(307, headers={"location": "http://elsewhere.invalid/"})
    with Haldir(URL, KEY, transport=Between(lambda number: moved)) as redirected, pytest.raises(ApiError) as caught:
        redirected.list_sessions()
    assert caught.value.status == 307  # the key is not sent elsewhere
    monkeypatch.setattr(_transport, "MAX_RESPONSE_BYTES", 10)
    with Haldir(URL, KEY) as client, pytest.raises(UnexpectedResponse, match="10 bytes"):
        client.list_sessions()


def test_members_of_a_newer_server_are_left_out():
    newer = {"allowed": False, "session_id": "ses_1", "scope": "read", "shiny": [1]}
    assert _wire.decode(models.CheckPermissionResponse, newer) == models.CheckPermissionResponse(False, "ses_1", "read")
    with pytest.raises(UnexpectedResponse, match="CheckPermissionResponse.allowed: expected bool, got int"):
        _wire.decode(models.CheckPermissionResponse, newer | {"allowed": 1})


def test_a_path_parameter_stays_within_its_segment(client):
    for wrong in ("", ".", "..", "../keys", "a/../b"):
        with pytest.raises(ValueError, match="session_id"):
            client.get_session(wrong)
    for hostile in ("x?y=z", "x#y", "x/y", "x%2fy", "x y", "é"):
        with pytest.raises(ApiError) as caught:
            client.get_session(hostile)
        assert caught.value.code in ("not_found", "invalid_argument", "invalid_format")
    session = client.create_session(agent_id="vault", scopes=["read"]).session_id
    client.store_secret(name="team/key@1:a", value="s3cret-value")
    assert client.get_secret("team/key@1:a", session_id=session).value == "s3cret-value"


def test_addresses_and_keys_are_checked_and_the_key_is_not_shown(monkeypatch):
    for wrong in ("", "127.0.0.1:8000", "ftp://host", "http://user:word@host", "http://host?apiKey=x"):
        with pytest.raises(ValueError, match="base_url"):
            Haldir(wrong, KEY)
    with pytest.raises(ValueError, match="api_key"):
        Haldir(URL, "hld_x\r\nX-Other: y")
    monkeypatch.setenv("HALDIR_BASE_URL", URL + "/")
    monkeypatch.setenv("HALDIR_API_KEY", KEY)
    with Haldir() as client:
        assert client.list_sessions() and KEY not in repr(client)


def reads():
    """The operations without required arguments that change nothing."""
    for name, method in inspect.getmembers(Haldir, inspect.isfunction):
        parameters = list(inspect.signature(method).parameters.values())[1:]
        if name == "list_tenants":
            continue  # needs the bootstrap token, which this server has not
        if name.startswith(("get_", "list_", "verify_", "export_", "health", "live", "ready", "api_")):
            if all(one.default is not one.empty for one in parameters):
                yield name


@pytest.mark.parametrize("name", list(reads()))
def test_every_read_of_the_server_is_understood(client, name):
    annotation = inspect.signature(getattr(Haldir, name)).return_annotation
    answer = getattr(client, name)()
    assert type(answer).__name__ in annotation


def test_the_async_client_has_the_same_operations(client):
    def arguments(kind):
        return {
            name: str(inspect.signature(method)) for name, method in inspect.getmembers(kind, inspect.isfunction)
            if not name.startswith("_") and name != "close"
        }

    assert arguments(Haldir) == arguments(AsyncHaldir) and len(arguments(Haldir)) > 80

    async def many():
        async with AsyncHaldir(URL, KEY) as other:
            session = (await other.create_session(agent_id="many", scopes=["spend"], spend_limit="1.5")).session_id
            payments = [other.authorize_payment(session_id=session, amount="0.1") for _ in range(20)]
            return session, await asyncio.gather(*payments, return_exceptions=True)

    session, outcomes = asyncio.run(many())
    assert sum(isinstance(one, BudgetExceeded) for one in outcomes) == 5
    assert client.get_session(session).remaining_budget == 0


def test_the_async_client_retries_and_gives_up_too(short_waits):
    async def lost():
        async with AsyncHaldir("http://127.0.0.1:9", KEY) as other:
            await other.health_check()

    with pytest.raises(ConnectionFailed, match="after 4 attempts"):
        asyncio.run(lost())


def test_details_of_any_json_arrive_as_they_were_sent(client):
    session = client.create_session(agent_id="json", scopes=["read"]).session_id
    details = {"list": [1, None, True, "ü\u2028\"\\"], "amount": Decimal("0.123456789"), "nested": {"": {}}}
    entry = client.log_action(session_id=session, action="x", details=details)
    assert client.get_audit_entry(entry.entry_id).details == details
    for wrong in ({"x": float("nan")}, {1: 2}, {"x": object()}):
        with pytest.raises((TypeError, ValueError)):
            client.log_action(session_id=session, action="x", details=wrong)


def test_exports_and_tiles_are_texts_and_bytes(client):
    session = client.create_session(agent_id="export", scopes=["read"]).session_id
    lines = client.export_audit(session_id=session, manifest=False).splitlines()
    assert [json.loads(line)["action"] for line in lines] == ["session.create"]
    assert client.export_audit(format="csv", session_id=session).startswith("entry_id,")
    size = client.get_tree_head().tree_size
    assert len(client.get_tile(f"0/000.p/{size}" if size < 256 else "0/000")) % 32 == 0
    assert isinstance(client.get_evidence(format="markdown"), str)
    assert isinstance(client.get_evidence(), models.GetEvidenceResponse)


def test_the_generated_files_are_those_of_this_server():
    checked = subprocess.run([sys.executable, SDK / "generate", "--check", BINARY], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr


def test_version_and_licence_are_those_of_the_server_and_httpx_is_the_only_dependency():
    cargo = tomllib.loads((SDK.parents[1] / "Cargo.toml").read_text())
    assert haldir_client.__version__ == cargo["workspace"]["package"]["version"]
    assert (SDK / "LICENSE").read_text() == (SDK.parents[1] / "LICENSE").read_text()
    assert [one for one in requires("haldir-client") if "extra" not in one] == ["httpx<1,>=0.27"]
