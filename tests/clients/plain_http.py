"""Users of curl and hand-written clients: raw JSON text over HTTP, standard library only. Started by server.py."""

import http.client
import json
import os
import sys
from decimal import Decimal
from urllib.parse import urlsplit

from checks import TOOLS, UNKNOWN_SESSION, expect, fits, refused, refused_payment, run_check, shorten, summary

KEY = os.environ["SERVER_KEY"]
HOST = urlsplit(os.environ["SERVER_URL"]).netloc
BEARER = {"Authorization": f"Bearer {KEY}"}
HANDSHAKE = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
MODERN = "2026-07-28"
READ = '["read"]'


class Answer:
    def __init__(self, response):
        self.status, self.headers, self.text = response.status, response.headers, response.read().decode()

    def json(self):
        """Numbers with a fraction become Decimal: their own text, nothing rounded."""
        expect(self.headers.get_content_type() == "application/json", f"{self.status} {shorten(self.text)}")
        return json.loads(self.text, parse_float=Decimal)

    def result(self, number=1):
        body = self.json()
        expect(self.status == 200, f"status {self.status}: {shorten(self.text)}")
        fits(body, jsonrpc="2.0", id=number)
        expect("result" in body, f"an error: {shorten(self.text)}")
        return body["result"]

    def rejected(self, code, *statuses):
        """The error of a JSON-RPC error body, which has nothing beside its three fields."""
        body = self.json()
        expect(self.status in statuses, f"status {self.status}: {shorten(self.text)}")
        fits(body, jsonrpc="2.0")
        expect(set(body) == {"jsonrpc", "id", "error"}, f"other fields: {shorten(self.text)}")
        error = body["error"]
        fits(error, code=code)
        expect(isinstance(error["message"], str) and error["message"], f"no message: {shorten(self.text)}")
        expect(set(error) <= {"code", "message", "data"}, f"other fields: {shorten(self.text)}")
        return error

    def refused(self, code, status, name, number=None):
        """haldir's own refusal of a request at /mcp: its usual body is the data of a JSON-RPC error."""
        error = self.rejected(code, status)
        fits(self.json(), id=number)
        data = error["data"]
        fits(data, error=error["message"], code=name, request_id=self.headers["X-Request-ID"])
        expect(isinstance(data["retryable"], bool), f"retryable is {data['retryable']!r}")
        return error


def send(method, path, body=b"", headers=None):
    connection = http.client.HTTPConnection(HOST, timeout=10)
    try:
        connection.request(method, path, body.encode() if isinstance(body, str) else body, headers or {})
        return Answer(connection.getresponse())
    finally:
        connection.close()


def post(body, path="/mcp", headers=None):
    """A POST as curl users write it: Accept: application/json alone, and no handshake before it."""
    plain = {"Content-Type": "application/json", "Accept": "application/json"}
    return send("POST", path, body, plain | (BEARER if headers is None else headers))


def request(method, params="{}", **more):
    return post(f'{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}', **more)


def call(tool, arguments):
    """A tool's result; the arguments are raw JSON text, so that a number arrives as it is written."""
    return request("tools/call", f'{{"name":"{tool}","arguments":{arguments}}}').result()


def good(tool, arguments):
    result = call(tool, arguments)
    expect(result.get("isError", False) is False, f"refused: {shorten(result)}")
    text = json.loads(result["content"][0]["text"], parse_float=Decimal)
    expect(text == result["structuredContent"], f"{text} is not {result['structuredContent']}")
    return text


def session(budget="50", scopes='["spend"]'):
    made = good("createSession", f'{{"agent_id":"curl","scopes":{scopes},"spend_limit":{budget}}}')
    return made["session_id"]


def pay(session_id, amount):
    return f'{{"session_id":"{session_id}","amount":{amount}}}'


# What curl users do


def tools_list_answers_without_a_handshake():
    names = {tool["name"] for tool in request("tools/list").result()["tools"]}
    expect(names == TOOLS, f"the tools are {names}")


def tools_call_answers_without_a_handshake():
    fits(good("createSession", '{"agent_id":"curl"}'), agent_id="curl", ttl=3600)


def any_accept_header_is_served():
    for accept in ("*/*", "application/json, text/event-stream", "application/json; charset=utf-8"):
        request("ping", headers=BEARER | {"Accept": accept}).result()


def the_key_comes_in_any_of_four_ways():
    for headers in (BEARER, {"X-API-Key": KEY}, {"Authorization": KEY}):
        request("ping", headers=headers).result()
    request("ping", path=f"/mcp?apiKey={KEY}", headers={}).result()


def ids_come_back_as_they_were_sent():
    for written, number in (("0", 0), ('"a"', "a"), ("9007199254740991", 2**53 - 1)):
        post(f'{{"jsonrpc":"2.0","id":{written},"method":"ping"}}').result(number)


def null_params_are_no_params():
    for method in ("ping", "tools/list", "prompts/list", "resources/list"):
        request(method, "null").result()
    post('{"jsonrpc":"2.0","id":1,"method":"tools/list"}').result()


def a_notification_is_accepted_without_an_answer():
    answer = post('{"jsonrpc":"2.0","method":"notifications/initialized"}')
    expect((answer.status, answer.text) == (202, ""), f"{answer.status} {answer.text!r}")


def a_batch_is_answered_or_declined_by_name():
    answer = post('[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":2,"method":"ping"}]')
    body = answer.json()
    if isinstance(body, list):
        expect(answer.status == 200, f"status {answer.status}")
        expect({item["id"]: item["result"] for item in body} == {1: {}, 2: {}}, shorten(answer.text))
    else:
        answer.rejected(-32600, 200, 400)


# Who may come in


def no_key_and_wrong_keys_get_the_same_401():
    made = post('{"name":"short-lived"}', path="/v1/keys").json()
    expect(send("DELETE", f"/v1/keys/{made['prefix']}", headers=BEARER).status == 200, "the key is not revoked")
    bodies = []
    for headers in ({}, {"Authorization": "Bearer hld_wrong"}, {"X-API-Key": made["key"]}, {"X-API-Key": ""}):
        for method in ("tools/list", "initialize"):
            answer = request(method, headers=headers)
            expect(answer.status == 401, f"{method} with {list(headers)}: {answer.status} {shorten(answer.text)}")
            error = answer.refused(-32001, 401, "unauthorized", 1)
            expect(answer.headers["WWW-Authenticate"], "no WWW-Authenticate")
            del error["data"]["request_id"]
            bodies.append(error)
    expect(all(body == bodies[0] for body in bodies), f"they differ: {bodies}")
    expect(request("ping", path="/mcp?apiKey=hld_wrong", headers={}).status == 401, "a wrong apiKey comes in")


def what_http_itself_refuses_is_a_json_rpc_error():
    answer = send("POST", "/mcp", b"{}", BEARER | {"Content-Type": "text/plain"})
    answer.refused(-32602, 415, "unsupported_media_type")
    error = post('{"a":"' + "x" * 4_194_304 + '"}').refused(-32602, 413, "payload_too_large")
    fits(error["data"], max_bytes=4_194_304)
    for method in ("GET", "DELETE"):
        send(method, "/mcp").refused(-32001, 401, "unauthorized")
    send("GET", "/mcp", headers=BEARER).rejected(-32600, 406)
    send("DELETE", "/mcp", headers=BEARER).rejected(-32600, 400)


def a_foreign_host_is_refused():
    for host in ("evil.example", f"evil.example:{HOST.split(':')[1]}", "127.0.0.1.evil.example"):
        status = request("ping", headers=BEARER | {"Host": host}).status
        expect(status == 403, f"{host}: {status}")
    request("ping", headers=BEARER | {"Host": HOST.replace("127.0.0.1", "localhost")}).result()


def a_foreign_origin_is_refused():
    for origin in ("https://evil.example", "http://127.0.0.1.evil.example", "null"):
        status = request("ping", headers=BEARER | {"Origin": origin}).status
        expect(status == 403, f"{origin}: {status}")
    request("ping", headers=BEARER | {"Origin": f"http://{HOST}"}).result()


# What is not understood


def malformed_json_is_a_parse_error():
    for body in ("", "{", "hello", '{"jsonrpc":"2.0","id":1,"method":"ping"', b"\xff\xfe", "[" * 100_000):
        post(body).rejected(-32700, 400)


def json_that_is_no_request_is_an_invalid_request():
    for body in ("7", "{}", '{"id":1,"method":"ping"}', '{"jsonrpc":"2.0","id":1,"method":7}', "[]"):
        post(body).rejected(-32600, 200, 400)


def an_unknown_method_is_named_so():
    for method in ("tools/steal", "resources/remove"):
        request(method).rejected(-32601, 200, 404)


def an_unknown_tool_and_absent_params_are_invalid_params():
    request("tools/call", '{"name":"transferAllFunds","arguments":{}}').rejected(-32602, 200)
    for params in ("{}", "null", '{"name":7}', '{"name":"getSpend","arguments":[]}', "[]"):
        request("tools/call", params).rejected(-32602, 200, 400)


def a_lone_surrogate_is_no_name():
    answer = request("tools/call", '{"name":"createSession","arguments":{"agent_id":"\\ud800"}}')
    expect(answer.status < 500, f"status {answer.status}")
    body = answer.json()
    expect("error" in body or body["result"]["isError"] is True, f"taken: {shorten(answer.text)}")


# Versions of the protocol


def initialize(version):
    params = {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "curl", "version": "1"}}
    return request("initialize", json.dumps(params)).result()


def initialize_agrees_to_every_version_with_a_handshake():
    for version in HANDSHAKE:
        result = initialize(version)
        fits(result, protocolVersion=version)
        fits(result["serverInfo"], name="haldir")
        expect({"tools", "prompts", "resources"} <= set(result["capabilities"]), f"{result['capabilities']}")


def initialize_offers_the_newest_handshake_for_other_versions():
    for version in (MODERN, "2099-01-01", "1.0"):
        fits(initialize(version), protocolVersion=HANDSHAKE[-1])


def every_version_is_served_after_its_handshake():
    for version in HANDSHAKE:
        answer = request("tools/list", headers=BEARER | {"MCP-Protocol-Version": version})
        expect(len(answer.result()["tools"]) == len(TOOLS), f"{version} has not all tools")


def modern(method, params, **meta):
    """A request of 2026-07-28, which describes itself; the names of `meta` get the protocol's prefix."""
    meta = {"protocolVersion": MODERN, "clientCapabilities": {}} | meta
    params = params | {"_meta": {f"io.modelcontextprotocol/{name}": value for name, value in meta.items()}}
    headers = BEARER | {"MCP-Protocol-Version": MODERN, "Mcp-Method": method}
    if "name" in params:
        headers["Mcp-Name"] = params["name"]
    return request(method, json.dumps(params), headers=headers)


def the_modern_version_needs_no_handshake():
    result = modern("server/discover", {}).result()
    fits(result, resultType="complete")
    expect(MODERN in result["supportedVersions"], f"{result['supportedVersions']}")
    result = modern("tools/call", {"name": "createSession", "arguments": {"agent_id": "modern"}}).result()
    fits(result, resultType="complete")
    fits(result["structuredContent"], agent_id="modern")


# Sessions of the protocol, and event streams


def events(answer):
    """The messages of an event stream."""
    expect(answer.status == 200, f"status {answer.status}: {shorten(answer.text)}")
    expect(answer.headers.get_content_type() == "text/event-stream", f"no event stream: {answer.headers}")
    data = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: ")]
    return [json.loads(item, parse_float=Decimal) for item in data if item]


def protocol_session():
    """The headers of an open session."""
    headers = BEARER | {"Accept": "application/json, text/event-stream"}
    params = {"protocolVersion": HANDSHAKE[-1], "capabilities": {}, "clientInfo": {"name": "curl", "version": "1"}}
    answer = request("initialize", json.dumps(params), headers=headers)
    fits(events(answer)[0]["result"], protocolVersion=HANDSHAKE[-1])
    headers |= {"Mcp-Session-Id": answer.headers["Mcp-Session-Id"], "MCP-Protocol-Version": HANDSHAKE[-1]}
    done = post('{"jsonrpc":"2.0","method":"notifications/initialized"}', headers=headers)
    expect(done.status == 202, f"status {done.status}")
    return headers


def the_default_session_is_the_one_that_this_client_made_last():
    mine = session()
    other = post('{"name":"another"}', path="/v1/keys").json()
    theirs = BEARER | {"Authorization": f"Bearer {other['key']}"}
    nothing = request("tools/call", '{"name":"getSession","arguments":{}}', headers=theirs).result()
    fits(refused(nothing, "session_id"), code="invalid_argument")  # a client that made none has no default
    params = '{"name":"createSession","arguments":{"agent_id":"other"}}'
    made = request("tools/call", params, headers=theirs).result()["structuredContent"]["session_id"]
    for headers, wanted in ((BEARER, mine), (theirs, made), (BEARER, mine)):
        for default in ("{}", '{"session_id":null}', '{"session_id":""}'):
            params = f'{{"name":"getSession","arguments":{default}}}'
            fits(request("tools/call", params, headers=headers).result()["structuredContent"], session_id=wanted)
    fits(good("revokeSession", "{}"), revoked=True, session_id=mine)
    for tool in ("getSession", "revokeSession"):  # what has ended is no default
        refused(call(tool, "{}"), "session_id")
    refused(call("authorizePayment", '{"amount":1}'))
    fits(good("getSession", f'{{"session_id":"{mine}"}}'), is_valid=False)


def delete_ends_a_session_of_the_protocol_without_a_body():
    headers = protocol_session()
    expect(events(request("ping", headers=headers))[-1]["result"] == {}, "no empty result")
    answer = send("DELETE", "/mcp", headers=headers)
    expect((answer.status, answer.text) == (204, ""), f"{answer.status} {answer.text!r}")
    request("ping", headers=headers).rejected(-32600, 404)


def amounts_are_exact_in_event_streams_and_in_the_modern_version():
    worker, cost = session(), Decimal("1234567890.123456789")  # no float holds it
    good("logAction", f'{{"session_id":"{worker}","action":"a","tool":"t","cost_usd":{cost}}}')
    params = {"name": "getSpend", "arguments": {"session_id": worker}}
    streamed = events(request("tools/call", json.dumps(params), headers=protocol_session()))[-1]["result"]
    for result in (streamed, modern("tools/call", params).result()):
        fits(result["structuredContent"], total_usd=cost, by_tool={"t": cost})


def a_log_level_is_accepted_in_a_session_and_without_one():
    expect(request("logging/setLevel", '{"level":"warning"}').result() == {}, "no empty result")
    answer = request("logging/setLevel", '{"level":"warning"}', headers=protocol_session())
    expect(events(answer)[-1]["result"] == {}, "no empty result")
    request("logging/setLevel", '{"level":"loud"}').rejected(-32602, 200)
    for params in ({"level": "warning"}, {}):
        modern("logging/setLevel", params).rejected(-32601, 404)


def the_modern_version_asks_for_log_messages_with_each_request():
    params = {"name": "getSecret", "arguments": {"name": "none", "session_id": UNKNOWN_SESSION}}
    message, answer = events(modern("tools/call", params, logLevel="warning"))
    fits(message, method="notifications/message")
    fits(message["params"], level="warning")
    refused(answer["result"])
    refused(modern("tools/call", params, logLevel="error").result())
    refused(modern("tools/call", params).result())


def a_path_in_place_of_a_session_reaches_nothing_else():
    good("storeSecret", '{"name":"q","value":"still here"}')
    for path in ("..%2Fsecrets%2Fq", "%2e%2e%2Fsecrets%2Fq", "..%252Fsecrets%252Fq"):
        for method in ("DELETE", "GET"):
            answer = send(method, f"/v1/sessions/{path}", headers=BEARER)
            expect(400 <= answer.status < 500, f"{method} {path}: {answer.status} {shorten(answer.text)}")
            expect(answer.json()["request_id"] == answer.headers["X-Request-ID"], "no request_id")
    fits(good("getSecret", f'{{"name":"q","session_id":"{session("null", READ)}"}}'), value="still here")


# Money, in its own text


def three_dimes_fit_thirty_cents_and_a_fourth_does_not():
    buyer = session("0.30")
    for amount, left in (("0.1", "0.2"), ("0.10", "0.1"), ("1e-1", "0")):
        paid = good("authorizePayment", pay(buyer, amount))
        fits(paid, authorized=True, amount=Decimal("0.1"), remaining_budget=Decimal(left))
    refused_payment(call("authorizePayment", pay(buyer, "0.1")))
    refused_payment(call("authorizePayment", pay(buyer, "0.000000001")))


def nine_decimals_are_kept_and_ten_refused():
    buyer = session("12345678.123456789")
    fits(good("authorizePayment", pay(buyer, "0.123456789")), amount=Decimal("0.123456789"))
    fits(good("authorizePayment", pay(buyer, "1e-9")), remaining_budget=Decimal("12345677.999999999"))
    for amount in ("0.1234567891", "1e-10", "1.00000000001"):
        refused(call("authorizePayment", pay(buyer, amount)), "amount")
    shown = good("getSession", f'{{"session_id":"{buyer}"}}')
    fits(shown, spent=Decimal("0.123456790"), spend_limit=Decimal("12345678.123456789"))


def costs_are_summed_exactly():
    worker = session()
    for _ in range(3):
        good("logAction", f'{{"session_id":"{worker}","action":"a","tool":"t","cost_usd":0.123456789}}')
    fits(good("getSpend", f'{{"session_id":"{worker}"}}'), total_usd=Decimal("0.370370367"))


def a_cost_of_more_than_nine_decimals_is_rounded_and_says_so():
    worker = session()
    for cost, kept, rounded in (
        ("0.1234567891", "0.123456789", True),
        ("0.1234567896", "0.12345679", True),
        ("1.00000000001", "1", True),
        ("1e-10", "0", True),
        ("1234567890.1234567891", "1234567890.123456789", True),
        ("0.123456789", "0.123456789", False),
        ("1e-9", "0.000000001", False),
    ):
        entry = good("logAction", f'{{"session_id":"{worker}","action":"a","cost_usd":{cost}}}')
        fits(entry, logged=True, cost_usd=Decimal(kept), cost_rounded=rounded)
    fits(good("getSpend", f'{{"session_id":"{worker}"}}'), total_usd=Decimal("1234567891.493827158"))


def what_is_no_amount_is_refused_and_nothing_is_spent():
    buyer = session()
    for amount in ("1e300", "1e400", "-1", "-0.1", "0", "0.0", "-0", "true", '"1"', '"nan"', "null", "[1]", "{}"):
        refused(call("authorizePayment", pay(buyer, amount)), "amount")
    for amount in ("NaN", "Infinity", "-Infinity", "01", ".5", "1.", "0x1", "1_0"):
        body = f'{{"name":"authorizePayment","arguments":{pay(buyer, amount)}}}'
        request("tools/call", body).rejected(-32700, 400)
    fits(good("getSession", f'{{"session_id":"{buyer}"}}'), spent=0, remaining_budget=50)


def what_is_no_budget_opens_no_session():
    for budget in ("1e300", "-1", "-0.000000001", "true", '"1"', "0.1234567891", "[]"):
        refused(call("createSession", f'{{"agent_id":"a","spend_limit":{budget}}}'), "spend_limit")


def a_budget_of_nothing_spends_nothing():
    refused_payment(call("authorizePayment", pay(session("0"), "0.01")))


def the_scope_spend_50_is_a_budget():
    buyer = session("null", '["spend:50"]')
    fits(good("authorizePayment", pay(buyer, "12.34")), remaining_budget=Decimal("37.66"))
    refused_payment(call("authorizePayment", pay(buyer, "37.67")))


CHECKS = (
    tools_list_answers_without_a_handshake,
    tools_call_answers_without_a_handshake,
    any_accept_header_is_served,
    the_key_comes_in_any_of_four_ways,
    ids_come_back_as_they_were_sent,
    null_params_are_no_params,
    a_notification_is_accepted_without_an_answer,
    a_batch_is_answered_or_declined_by_name,
    no_key_and_wrong_keys_get_the_same_401,
    what_http_itself_refuses_is_a_json_rpc_error,
    a_foreign_host_is_refused,
    a_foreign_origin_is_refused,
    malformed_json_is_a_parse_error,
    json_that_is_no_request_is_an_invalid_request,
    an_unknown_method_is_named_so,
    an_unknown_tool_and_absent_params_are_invalid_params,
    a_lone_surrogate_is_no_name,
    initialize_agrees_to_every_version_with_a_handshake,
    initialize_offers_the_newest_handshake_for_other_versions,
    every_version_is_served_after_its_handshake,
    the_modern_version_needs_no_handshake,
    the_default_session_is_the_one_that_this_client_made_last,
    delete_ends_a_session_of_the_protocol_without_a_body,
    amounts_are_exact_in_event_streams_and_in_the_modern_version,
    a_log_level_is_accepted_in_a_session_and_without_one,
    the_modern_version_asks_for_log_messages_with_each_request,
    a_path_in_place_of_a_session_reaches_nothing_else,
    three_dimes_fit_thirty_cents_and_a_fourth_does_not,
    nine_decimals_are_kept_and_ten_refused,
    costs_are_summed_exactly,
    a_cost_of_more_than_nine_decimals_is_rounded_and_says_so,
    what_is_no_amount_is_refused_and_nothing_is_spent,
    what_is_no_budget_opens_no_session,
    a_budget_of_nothing_spends_nothing,
    the_scope_spend_50_is_a_budget,
)

if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)
    for function in CHECKS:
        run_check(function.__name__.replace("_", " "), function)
    sys.exit(summary())
