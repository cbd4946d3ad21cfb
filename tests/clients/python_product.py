"""The product's own Python package, unchanged, against our server: python_product.py BINARY

README
  What it is for  Users of the existing product change the base URL and nothing else. So the package that they have,
                  haldir==0.4.2 from PyPI, has to work as it is. Nobody here wrote it; none of its code is in here.
  What it needs   A virtual environment of its own, since the package wants mcp 1.x and the other suites mcp 2.x:
                      python3 -m venv V && V/bin/pip install haldir==0.4.2 && V/bin/python python_product.py BINARY
                  Beside this file: checks.py and server.py, which all suites share, and product_*.py.
  What it drives  here: every public method of HaldirClient and of HaldirAsyncClient, with the same checks, and the
                  offline verifiers of proofs;
                  product_webhooks.py: verify_webhook_signature, on what a receiver in this process was sent;
                  product_commands.py, product_proxy.py, product_mcp.py: every command of its command line, and
                  every tool of its `mcp serve`.
                  What the package has is read from it, so that nothing is left out unnoticed.
  What it leaves  verify_rekor_receipt, which asks Sigstore's log, and product_commands.LOCAL, which asks no server.
  What it prints  `ok NAME` or `FAILED NAME: what was wrong` for each check, and the sum. Exit code 1 if any failed.

The server gets an empty store, a limit of FREE_CALLS an hour for free keys, and leave to call 127.0.0.1, where the
receivers are. The clients use an agent's key, as an agent would; the command line an operator's.
"""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import checks
import haldir
import httpx
import product_commands
import product_webhooks
from checks import UNKNOWN_SESSION, expect, fits, near, run_check, shorten
from server import LISTENING, check_first_key, first_line, post_key, stop, store

FREE_CALLS = 5


class Lab:
    """What all checks share: the server's address, keys, plain REST, a folder, and the count of checks."""

    def __init__(self, scratch):
        self.scratch, self.checked = Path(scratch), 0
        self.url = self.operator = self.agent = None

    def check(self, name, function, *arguments):
        self.checked += 1
        name = name.replace("_", " ")
        run_check(name, lambda: function(*arguments))

    def rest(self, method, path, status=200, key=None, **more):
        headers = {"Authorization": f"Bearer {key or self.operator}"}
        answer = httpx.request(method, self.url + path, headers=headers, timeout=10, **more)
        expect(answer.status_code == status, f"{method} {path}: {answer.status_code} {shorten(answer.text)}")
        return answer.json()

    def key(self, **fields):
        return self.rest("POST", "/v1/keys", 201, json=fields)["key"]


class Client:
    """A client of the package, sync or async, called the same way; remembers which methods were called."""

    def __init__(self, client, finish):
        self.client, self.finish, self.called = client, finish, set()

    def __getattr__(self, name):
        self.called.add(name)
        method = getattr(self.client, name)
        return lambda *arguments, **named: self.finish(method(*arguments, **named))

    def session(self, **wanted):
        wanted = {"agent_id": "product", "scopes": ["read", "spend"], "ttl": 600, "spend_limit": 50} | wanted
        return self.create_session(**wanted)["session_id"]


def raises(kind, status, call, *arguments, **named):
    """The body of a refusal, which has our error shape everywhere."""
    try:
        answer = call(*arguments, **named)
    except haldir.HaldirAPIError as error:
        expect(type(error) is kind, f"{type(error).__name__}, not {kind.__name__}: {error}")
        expect(error.status_code == status, f"status {error.status_code}, not {status}: {error}")
        for name in ("error", "code", "request_id"):
            expect(isinstance(error.body.get(name), str), f"no text {name} in {shorten(error.body)}")
        return error.body
    raise AssertionError(f"not refused: {shorten(answer)}")


# Checks of both clients


def create_session_opens_what_was_asked_for(c):
    made = c.create_session("bot", scopes=["read", "spend"], ttl=600, spend_limit=12.5)
    fits(made, agent_id="bot", scopes=["read", "spend"], ttl=600, spend_limit=12.5)
    near(made["expires_at"], time.time() + 600)
    made = c.create_session("bot")
    fits(made, scopes=["read", "browse"], ttl=3600, spend_limit=None, parent_session_id="", delegation_depth=0)
    fits(c.create_session("bot", ttl=0), ttl=0, expires_at=0)
    fits(c.create_session("bot", scopes=["spend:7"]), spend_limit=7)


def bad_sessions_are_refused_by_field(c):
    fits(raises(haldir.HaldirAPIError, 400, c.create_session, "bot", ttl=-1), field="ttl")
    fits(raises(haldir.HaldirAPIError, 400, c.create_session, "bot", spend_limit=-1), field="spend_limit")
    fits(raises(haldir.HaldirAPIError, 400, c.create_session, ""), field="agent_id")


def get_session_shows_budget_and_validity(c):
    session = c.session(spend_limit=10)
    c.authorize_payment(session, 2.5)
    shown = c.get_session(session)
    fits(shown, session_id=session, agent_id="product", spend_limit=10, spent=2.5, remaining_budget=7.5, is_valid=True)
    near(shown["created_at"], time.time())
    raises(haldir.HaldirNotFoundError, 404, c.get_session, UNKNOWN_SESSION)


def check_permission_says_yes_and_no(c):
    session = c.session(scopes=["read"], spend_limit=None)
    fits(c.check_permission(session, "read:files"), allowed=True, session_id=session, scope="read:files")
    fits(c.check_permission(session, "spend"), allowed=False)
    fits(c.check_permission(UNKNOWN_SESSION, "read"), allowed=False)


def revoke_session_ends_it_for_good(c):
    session = c.session()
    for _ in range(2):
        fits(c.revoke_session(session), revoked=True, session_id=session)
    fits(c.get_session(session), is_valid=False)
    fits(c.check_permission(session, "read"), allowed=False)
    raises(haldir.HaldirAuthError, 401, c.log_action, session, action="late")
    raises(haldir.HaldirAuthError, 401, c.authorize_payment, session, 1)
    raises(haldir.HaldirNotFoundError, 404, c.revoke_session, UNKNOWN_SESSION)


def secrets_are_stored_listed_read_and_deleted(c):
    name, session = f"token-{os.urandom(4).hex()}", c.session()
    fits(c.store_secret(name, "first"), stored=True, name=name)
    # A name that exists is an operator's, or a session's that holds the secret's scope, which this client names in no call.
    raises(haldir.HaldirPermissionError, 403, c.store_secret, name, "second")
    fits(c.get_secret(name, session_id=session), name=name, value="first")
    c.operator.store_secret(name, "second")
    fits(c.get_secret(name, session_id=session), name=name, value="second")
    listed = c.list_secrets()
    expect(name in listed["secrets"] and listed["count"] == len(listed["secrets"]), shorten(listed))
    raises(haldir.HaldirPermissionError, 403, c.delete_secret, name)
    fits(c.operator.delete_secret(name), deleted=True, name=name)
    raises(haldir.HaldirNotFoundError, 404, c.get_secret, name, session_id=session)
    raises(haldir.HaldirNotFoundError, 404, c.delete_secret, name)


def a_secret_needs_a_session_with_its_scope(c):
    name = f"guarded-{os.urandom(4).hex()}"
    c.store_secret(name, "v", scope_required="treasury")
    raises(haldir.HaldirPermissionError, 403, c.get_secret, name, session_id=c.session())
    raises(haldir.HaldirAPIError, 400, c.get_secret, name)
    raises(haldir.HaldirAuthError, 401, c.get_secret, name, session_id=UNKNOWN_SESSION)


def authorize_payment_deducts_exactly(c):
    session = c.session(spend_limit=0.3)
    for left in (0.2, 0.1, 0):
        paid = c.authorize_payment(session, 0.1, description="a dime")
        fits(paid, authorized=True, amount=0.1, currency="USD", remaining_budget=left, description="a dime")
        fits(paid, session_id=session, agent_id="product")
        expect(paid["authorization_id"].startswith("auth_"), shorten(paid))


def a_refused_payment_is_a_permission_error_with_its_reason(c):
    session = c.session(spend_limit=1)
    refused = raises(haldir.HaldirPermissionError, 403, c.authorize_payment, session, 1.01)
    fits(refused, authorized=False, remaining_budget=1)
    expect(isinstance(refused["reason"], str) and refused["reason"], shorten(refused))
    raises(haldir.HaldirPermissionError, 403, c.authorize_payment, session, 0.5, currency="EUR")
    raises(haldir.HaldirPermissionError, 403, c.authorize_payment, c.session(scopes=["read"]), 0.5)
    raises(haldir.HaldirAPIError, 400, c.authorize_payment, session, 0)
    fits(c.get_session(session), spent=0)


def log_action_is_found_by_every_filter(c):
    agent = f"logger-{os.urandom(4).hex()}"
    session, details = c.session(agent_id=agent), {"order": 7, "items": ["a", "b"]}
    logged = c.log_action(session, tool="shop", action="order", cost_usd=1.25, details=details)
    fits(logged, logged=True, flagged=False, flag_reason="")
    for filters in ({"session_id": session}, {"agent_id": agent}, {"agent_id": agent, "tool": "shop"}):
        found = c.get_audit_trail(**filters)["entries"]
        entry = next((entry for entry in found if entry["entry_id"] == logged["entry_id"]), None)
        expect(entry, f"not found by {filters}")
        fits(entry, session_id=session, agent_id=agent, tool="shop", action="order", cost_usd=1.25, details=details)
        fits(entry, flagged=False, flag_reason="")
        near(entry["timestamp"], time.time())
    c.log_action(session, action="bare")
    page = c.get_audit_trail(session_id=session, limit=1)
    fits(page, count=1)
    fits(page["entries"][0], action="bare", tool="", cost_usd=0)
    raises(haldir.HaldirAPIError, 400, c.get_audit_trail, limit=0)
    raises(haldir.HaldirAuthError, 401, c.log_action, UNKNOWN_SESSION, action="nobody")
    raises(haldir.HaldirAPIError, 400, c.log_action, session)


def an_expensive_action_is_flagged_and_found_so(c):
    session = c.session(agent_id=f"lavish-{os.urandom(4).hex()}", spend_limit=None)
    logged = c.log_action(session, tool="shop", action="yacht", cost_usd=1000)
    fits(logged, flagged=True)
    expect(logged["flag_reason"], "no reason")
    c.log_action(session, tool="shop", action="tea", cost_usd=1)
    found = c.get_audit_trail(session_id=session, flagged_only=True)["entries"]
    expect([entry["entry_id"] for entry in found] == [logged["entry_id"]], shorten(found))
    fits(found[0], flagged=True, flag_reason=logged["flag_reason"])


def get_spend_sums_by_tool(c):
    agent = f"spender-{os.urandom(4).hex()}"
    one, two = c.session(agent_id=agent), c.session(agent_id=agent)
    for session, tool, cost in ((one, "a", 0.1), (one, "b", 0.2), (two, "a", 0.4)):
        c.log_action(session, tool=tool, action="x", cost_usd=cost)
    fits(c.get_spend(session_id=one), total_usd=0.3, action_count=2, by_tool={"a": 0.1, "b": 0.2})
    fits(c.get_spend(agent_id=agent), total_usd=0.7, action_count=3, by_tool={"a": 0.5, "b": 0.2})
    expect(c.get_spend()["total_usd"] >= 0.7, "the total of all is less than a part of it")


def the_tree_head_is_signed(c):
    c.log_action(c.session(), action="leaf")
    head = c.get_tree_head()
    expect(head["tree_size"] > 0 and len(bytes.fromhex(head["root_hash"])) == 32, shorten(head))
    fits(head, algorithm=haldir.STH_ALGORITHM_ED25519)
    expect(haldir.verify_sth(head), f"verify_sth rejects {shorten(head)}")
    expect(not haldir.verify_sth(head | {"tree_size": head["tree_size"] + 1}), "verify_sth takes anything")


def an_inclusion_proof_verifies_offline(c):
    logged = c.log_action(c.session(), action="leaf")
    for _ in range(3):
        c.log_action(c.session(), action="another leaf")
    proof = c.get_inclusion_proof(logged["entry_id"])
    fits(proof, entry_id=logged["entry_id"], algorithm="RFC6962-SHA256")
    expect(haldir.verify_inclusion_proof(proof), f"rejected: {shorten(proof)}")
    expect(haldir.verify_sth(proof["sth"]), f"verify_sth rejects {shorten(proof['sth'])}")
    fits(proof["sth"], root_hash=proof["root_hash"], tree_size=proof["tree_size"])
    expect(not haldir.verify_inclusion_proof(proof | {"leaf_hash": "00" * 32}), "the verifier takes anything")
    raises(haldir.HaldirNotFoundError, 404, c.get_inclusion_proof, "aud_" + "A" * 24)


def a_consistency_proof_verifies_offline(c):
    c.log_action(c.session(), action="leaf")
    first = c.get_tree_head()
    c.log_action(c.session(), action="leaf")
    second = c.get_tree_head()
    sizes = (first["tree_size"], second["tree_size"])
    for sizes in {(1, sizes[1]), sizes, (sizes[1] - 1, sizes[1]), (sizes[1], sizes[1])}:
        proof = c.get_consistency_proof(*sizes)
        fits(proof, first_size=sizes[0], second_size=sizes[1])
        expect(haldir.verify_consistency_proof(proof), f"{sizes} rejected: {shorten(proof)}")
    proof = c.get_consistency_proof(first["tree_size"], second["tree_size"])
    fits(proof, first_root=first["root_hash"], second_root=second["root_hash"], algorithm="RFC6962-SHA256")
    expect(not haldir.verify_consistency_proof(proof | {"first_root": "00" * 32}), "the verifier takes anything")
    raises(haldir.HaldirAPIError, 400, c.get_consistency_proof, 0, 1)
    raises(haldir.HaldirAPIError, 400, c.get_consistency_proof, 1, 10**9)


CLIENT_CHECKS = (
    create_session_opens_what_was_asked_for,
    bad_sessions_are_refused_by_field,
    get_session_shows_budget_and_validity,
    check_permission_says_yes_and_no,
    revoke_session_ends_it_for_good,
    secrets_are_stored_listed_read_and_deleted,
    a_secret_needs_a_session_with_its_scope,
    authorize_payment_deducts_exactly,
    a_refused_payment_is_a_permission_error_with_its_reason,
    log_action_is_found_by_every_filter,
    an_expensive_action_is_flagged_and_found_so,
    get_spend_sums_by_tool,
    the_tree_head_is_signed,
    an_inclusion_proof_verifies_offline,
    a_consistency_proof_verifies_offline,
)


def a_wrong_key_is_an_auth_error(connect):
    for key in ("hld_" + "A" * 43, "nonsense"):
        raises(haldir.HaldirAuthError, 401, connect(key).list_secrets)


def a_key_over_its_limit_is_told_when_to_come_back(lab, connect):
    c, answered = connect(lab.key(name="free", tier="free")), 0
    try:
        while answered <= 2 * FREE_CALLS:  # the hour may turn in between
            c.list_secrets()
            answered += 1
    except haldir.HaldirAPIError:
        expect(answered >= FREE_CALLS, f"refused after {answered} calls")
    body = raises(haldir.HaldirAPIError, 429, c.list_secrets)
    fits(body, code="rate_limit_exceeded", limit=FREE_CALLS, tier="free")
    expect(type(body["retry_after"]) is int and 0 < body["retry_after"] <= 3600, shorten(body))


def every_method_was_called(c):
    methods = {name for name in vars(type(c.client)) if not name.startswith("_")}
    expect(methods <= c.called, f"not called: {sorted(methods - c.called)}")


def a_with_block_opens_and_closes_it(lab, flavour):
    async def inside():
        async with haldir.HaldirAsyncClient(lab.agent, base_url=lab.url) as c:
            return await c.list_secrets()

    if flavour == "async":
        listed = asyncio.run(inside())
    else:
        with haldir.HaldirClient(lab.agent, base_url=lab.url + "/") as c:
            listed = c.list_secrets()
    expect("secrets" in listed, shorten(listed))


def clients(lab, flavour, connect):
    """All checks on one flavour of client; `connect` makes one with a key."""
    c = connect(lab.agent)
    c.operator = connect(lab.operator)
    for function in CLIENT_CHECKS:
        lab.check(f"{flavour}: {function.__name__}", function, c)
    lab.check(f"{flavour}: a wrong key is an auth error", a_wrong_key_is_an_auth_error, connect)
    name = "a key over its limit is told when to come back"
    lab.check(f"{flavour}: {name}", a_key_over_its_limit_is_told_when_to_come_back, lab, connect)
    lab.check(f"{flavour}: a with block opens and closes it", a_with_block_opens_and_closes_it, lab, flavour)
    lab.check(f"{flavour}: the client closes", c.close)
    lab.check(f"{flavour}: every method was called", every_method_was_called, c)


# The run


def start(binary, lab, flags):
    """The server with its address; an empty address if it does not start with these flags."""
    address, needed = store(lab.scratch / "haldir.db")
    command = [binary, "serve", "--listen", "127.0.0.1:0", "--db", address, *flags]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HALDIR_")}
    with (lab.scratch / "server.log").open("ab") as log:
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, env=clean | needed)
    match = LISTENING.fullmatch(first_line(server))
    if not match:
        stop(server)
    return server, match[1] if match else ""


def run(lab):
    status, first = post_key(lab.url)
    lab.operator = first["key"]
    lab.check("an empty store gives the first key", check_first_key, status, first)
    lab.agent = lab.key(name="agent", tier="enterprise")
    loop = asyncio.new_event_loop()

    def sync_client(key):
        return Client(haldir.HaldirClient(key, base_url=lab.url), lambda answer: answer)

    def async_client(key):
        return Client(haldir.HaldirAsyncClient(key, base_url=lab.url), loop.run_until_complete)

    clients(lab, "sync", sync_client)
    clients(lab, "async", async_client)
    receiver = product_webhooks.run(lab, sync_client(lab.agent))
    product_commands.run(lab, sync_client(lab.agent), receiver)
    loop.close()


def main(binary):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
    with tempfile.TemporaryDirectory(prefix="haldir-product-") as scratch:
        lab = Lab(scratch)
        limits = ["--rate-limits", f"free={FREE_CALLS}"]
        server, lab.url = start(binary, lab, [*limits, "--allow-private", "127.0.0.1"])
        lab.check("serve takes --allow-private", expect, lab.url, f"exit code {server.returncode}")
        if not lab.url:
            server, lab.url = start(binary, lab, limits)
        try:
            expect(lab.url, "the server does not start")
            run(lab)
            code, _ = stop(server)
            lab.check("SIGTERM ends the server with exit code 0", expect, code == 0, f"it is {code}")
        finally:
            server.kill()
            server.wait()
        log = (lab.scratch / "server.log").read_text(errors="replace")
        lab.check("the server does not panic", expect, "panicked" not in log, "it did")
    passed = lab.checked - len(checks.failures)
    print(f"{passed} passed, {len(checks.failures)} failed")
    return checks.summary()


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)
    sys.exit(main(sys.argv[1]))
