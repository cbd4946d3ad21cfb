"""A hand-written client on stdio: raw lines in, raw lines out, standard library only. Started by server.py."""

import json
import os
import queue
import subprocess
import sys
import threading
from decimal import Decimal
from pathlib import Path

from checks import TOOLS, UNKNOWN_SESSION, expect, fits, good, refused, run_check, shorten, summary

STORE = Path(os.environ["SCRATCH"], "stdio", "haldir.db")
SECONDS = 10


class Server:
    """One haldir-mcp on stdio. Every line of its stdout has to be one JSON-RPC message."""

    def __init__(self, version="2025-11-25", **variables):
        STORE.parent.mkdir(exist_ok=True)
        environment = os.environ | {"HALDIR_DB": str(STORE)} | variables
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen([os.environ["SERVER_BIN"]], env=environment, **pipes)
        self.lines = queue.Queue()
        threading.Thread(target=self.collect, daemon=True).start()
        params = {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "lines", "version": "1"}}
        self.hello = self.request("initialize", params)["result"]
        self.write('{"jsonrpc":"2.0","method":"notifications/initialized"}')

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def collect(self):
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def write(self, line):
        self.process.stdin.write((line if isinstance(line, bytes) else line.encode()) + b"\n")
        self.process.stdin.flush()

    def read(self):
        try:
            line = self.lines.get(timeout=SECONDS)
        except queue.Empty:
            raise AssertionError(f"no answer in {SECONDS} s") from None
        expect(line is not None, "the server is gone")
        message = json.loads(line, parse_float=Decimal)
        fits(message, jsonrpc="2.0")
        return message

    def ask(self, line):
        self.write(line)
        return self.read()

    def request(self, method, params=None):
        answer = self.ask(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}}))
        fits(answer, id=1)
        return answer

    def call(self, name, /, **arguments):
        return self.request("tools/call", {"name": name, "arguments": arguments})["result"]

    def still_serves(self):
        tools = self.request("tools/list")["result"]["tools"]
        expect({tool["name"] for tool in tools} == TOOLS, f"the tools are {shorten(tools)}")


def every_version_with_a_handshake_is_agreed_to():
    for version in ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"):
        with Server(version) as server:
            fits(server.hello, protocolVersion=version)
            server.still_serves()


def other_versions_get_the_newest_handshake():
    for version in ("2026-07-28", "2099-01-01"):
        with Server(version) as server:
            fits(server.hello, protocolVersion="2025-11-25")
            server.still_serves()


def the_store_is_made_with_a_private_key_file():
    with Server():
        expect(STORE.exists(), "no store")
        keys = [file for file in STORE.parent.iterdir() if "key" in file.name]
        expect(keys, f"no key file beside {[file.name for file in STORE.parent.iterdir()]}")
        for file in keys:
            mode = file.stat().st_mode & 0o777
            expect(mode & 0o077 == 0, f"others may open {file.name}: {mode:o}")


def the_end_of_input_ends_the_server():
    with Server() as server:
        server.process.stdin.close()
        expect(server.process.wait(SECONDS) == 0, f"exit code {server.process.returncode}")
        rest = server.lines.get(timeout=SECONDS)
        expect(rest is None, f"more on stdout: {rest!r}")


def a_request_before_the_end_of_input_is_still_answered():
    with Server() as server:
        server.write('{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"getSpend","arguments":{}}}')
        server.process.stdin.close()
        fits(server.read(), id=7)


def a_line_that_is_no_json_is_a_parse_error_and_the_next_one_works():
    not_a_number = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"getSpend","arguments":{"a":NaN}}}'
    with Server() as server:
        for line in ("hello", "{", b"\xff\xfe", "[" * 100_000, not_a_number):
            fits(server.ask(line)["error"], code=-32700)
            server.still_serves()


def an_unknown_method_is_named_so_and_the_next_one_works():
    with Server() as server:
        fits(server.request("tools/steal")["error"], code=-32601)
        server.still_serves()


def params_that_are_no_object_are_invalid_params_and_the_next_one_works():
    with Server() as server:
        for params in ([], [1], {}, {"name": 7}, {"name": "getSpend", "arguments": []}):
            message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
            answer = server.ask(json.dumps(message))
            fits(answer, id=1)
            fits(answer["error"], code=-32602)
        server.still_serves()


def a_notification_and_an_empty_line_get_no_answer():
    with Server() as server:
        server.write('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":99}}')
        server.write("")
        server.still_serves()


def a_line_of_a_million_characters_is_refused_and_the_next_one_works():
    with Server() as server:
        refused(server.call("createSession", agent_id="x" * 1_000_000), "agent_id")
        server.still_serves()


def two_processes_share_one_store():
    with Server() as one, Server() as other:
        arguments = {"agent_id": "both", "scopes": ["spend"], "spend_limit": 0.3}
        session = good(one.call("createSession", **arguments))["session_id"]
        for server, left in ((one, 0.2), (other, 0.1), (one, 0)):
            paid = good(server.call("authorizePayment", session_id=session, amount=0.1))
            fits(paid, authorized=True, remaining_budget=left)
        refused(other.call("authorizePayment", session_id=session, amount=0.1))
        good(other.call("revokeSession", session_id=session))
        fits(good(one.call("getSession", session_id=session)), is_valid=False, spent=0.3)


def two_processes_have_each_their_own_default_session():
    with Server() as one, Server() as other:
        made = [good(server.call("createSession", agent_id="a"))["session_id"] for server in (one, other)]
        for server, session in zip((one, other), made):
            for default in ({}, {"session_id": None}, {"session_id": ""}):
                fits(good(server.call("getSession", **default)), session_id=session)
        fits(good(one.call("revokeSession")), revoked=True, session_id=made[0])
        fits(good(other.call("getSession")), session_id=made[1], is_valid=True)


def amounts_are_exact_in_text_and_in_structured_content():
    with Server() as server:
        arguments = '{"agent_id":"exact","scopes":["spend"],"spend_limit":99.999999999}'
        line = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"%s","arguments":%s}}'
        session = server.ask(line % ("createSession", arguments))["result"]["structuredContent"]["session_id"]
        # No float holds it: one would make 1234567890.1234567 of it.
        cost = Decimal("1234567890.123456789")
        arguments = f'{{"session_id":"{session}","action":"a","tool":"t","cost_usd":{cost}}}'
        server.ask(line % ("logAction", arguments))
        result = server.call("getSpend", session_id=session)
        text = json.loads(result["content"][0]["text"], parse_float=Decimal)
        fits(text, total_usd=cost, by_tool={"t": cost})
        expect(result["structuredContent"] == text, f"text {text} differs from {result['structuredContent']}")
        params = {"name": "budget-check", "arguments": {"session_id": session}}
        prompt = server.request("prompts/get", params)["result"]["messages"][0]["content"]["text"]
        for amount in (cost, "99.999999999"):
            expect(str(amount) in prompt, f"{amount} is not in {prompt}")


def refusals_are_told_to_who_asks_for_them():
    with Server() as server:
        bad = {"name": "getSecret", "arguments": {"name": "none", "session_id": UNKNOWN_SESSION}}
        refused(server.request("tools/call", bad)["result"])  # nobody asked yet: the answer comes first
        for level, told in (("warning", True), ("error", False), ("debug", True), ("emergency", False)):
            expect(server.request("logging/setLevel", {"level": level})["result"] == {}, "no empty result")
            first = server.ask(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": bad}))
            if told:
                fits(first, method="notifications/message")
                fits(first["params"], level="warning", logger="haldir")
                fits(first["params"]["data"], tool="getSecret", code="session_invalid")
                first = server.read()
            refused(first["result"])
        fits(server.request("logging/setLevel", {"level": "loud"})["error"], code=-32602)


def a_remote_server_is_asked_with_its_key():
    url = os.environ["SERVER_URL"]
    store = str(STORE.parent / "not-made.db")
    with Server(HALDIR_BASE_URL=url, HALDIR_API_KEY=os.environ["SERVER_KEY"], HALDIR_DB=store) as server:
        good(server.call("createSession", agent_id="far"))
    with Server(HALDIR_BASE_URL=url, HALDIR_API_KEY="hld_wrong", HALDIR_DB=store) as server:
        fits(refused(server.call("createSession", agent_id="far")), code="unauthorized")
        server.still_serves()
    with Server(HALDIR_BASE_URL="http://127.0.0.1:9", HALDIR_API_KEY="hld_any", HALDIR_DB=store) as server:
        fits(refused(server.call("createSession", agent_id="far")), code="unavailable")
        server.still_serves()
    expect(not Path(store).exists(), "a local store was made")


def no_session_goes_beyond_the_laptop_ceilings():
    """At most 100 USD, at most a day, neither admin nor *: whether such a wish is refused or cut down."""
    with Server() as server:
        fits(good(server.call("createSession", agent_id="a", spend_limit=100, ttl=86_400)), spend_limit=100)
        for wish in ({"spend_limit": 100.01}, {"ttl": 86_401}, {"ttl": 0}, {"scopes": ["admin"]}, {"scopes": ["*"]}):
            result = server.call("createSession", agent_id="a", **wish)
            if result.get("isError"):
                refused(result)
                continue
            made = good(result)
            session = made["session_id"]
            expect(made["spend_limit"] is None or made["spend_limit"] <= 100, f"{wish} gave {shorten(made)}")
            expect(0 < made["ttl"] <= 86_400 and made["expires_at"] > 0, f"{wish} gave {shorten(made)}")
            for scope in ("admin", "*"):
                fits(good(server.call("checkPermission", session_id=session, scope=scope)), allowed=False)


def a_session_without_a_limit_is_held_by_the_ceiling():
    with Server() as server:
        session = good(server.call("createSession", agent_id="a", scopes=["spend"]))["session_id"]
        refused(server.call("authorizePayment", session_id=session, amount=100.01))
        fits(good(server.call("authorizePayment", session_id=session, amount=100)), authorized=True)


CHECKS = (
    every_version_with_a_handshake_is_agreed_to,
    other_versions_get_the_newest_handshake,
    the_store_is_made_with_a_private_key_file,
    the_end_of_input_ends_the_server,
    a_request_before_the_end_of_input_is_still_answered,
    a_line_that_is_no_json_is_a_parse_error_and_the_next_one_works,
    an_unknown_method_is_named_so_and_the_next_one_works,
    params_that_are_no_object_are_invalid_params_and_the_next_one_works,
    a_notification_and_an_empty_line_get_no_answer,
    a_line_of_a_million_characters_is_refused_and_the_next_one_works,
    two_processes_share_one_store,
    two_processes_have_each_their_own_default_session,
    amounts_are_exact_in_text_and_in_structured_content,
    refusals_are_told_to_who_asks_for_them,
    a_remote_server_is_asked_with_its_key,
    no_session_goes_beyond_the_laptop_ceilings,
    a_session_without_a_limit_is_held_by_the_ceiling,
)

if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)
    for function in CHECKS:
        run_check(function.__name__.replace("_", " "), function)
    sys.exit(summary())
