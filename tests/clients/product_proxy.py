"""The proxy commands of the product's command line, with an MCP server in this process behind our proxy.

Part of python_product.py.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from checks import expect, fits, shorten


class Upstream(BaseHTTPRequestHandler):
    """An MCP server over HTTP with two tools."""

    def do_POST(self):
        call = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if "id" not in call:
            return self.answer(202)
        tools = [{"name": name, "description": f"does {name}", "inputSchema": {"type": "object"}}
                 for name in ("echo", "erase")]
        params = call.get("params") or {}
        known = {
            "initialize": {"protocolVersion": params.get("protocolVersion"), "capabilities": {"tools": {}},
                           "serverInfo": {"name": "upstream", "version": "1"}},
            "ping": {},
            "tools/list": {"tools": tools},
            "tools/call": {"content": [{"type": "text", "text": json.dumps(params.get("arguments"))}]},
        }
        result = known.get(call.get("method"))
        outcome = {"result": result} if result is not None else {"error": {"code": -32601, "message": "unknown"}}
        self.answer(200, json.dumps({"jsonrpc": "2.0", "id": call["id"]} | outcome).encode())

    def do_GET(self):
        self.answer(405)

    def do_DELETE(self):
        self.answer(200)

    def answer(self, status, body=b""):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def the_tools_of_an_upstream_are_listed_and_called(c):
    upstream = ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    threading.Thread(target=upstream.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{upstream.server_port}/mcp"
    made = c.lab.rest("POST", "/v1/proxy/upstreams", 201, json={"name": "up", "url": url})
    fits(made, registered=True, name="up", url=url, healthy=True, tools_discovered=2)
    expect({name.removeprefix("up.") for name in made["tool_names"]} == {"echo", "erase"}, shorten(made))
    c.says("proxy tools", words=["echo", "erase", "up", "does echo"])
    session = c.client.session(scopes=["read", "execute", "up", "echo", "erase"])
    for tool in ("up.echo", "echo"):
        c.says("proxy call", tool, "--args", '{"word": "mellon"}', "--session", session, words=["mellon"])
    fits(c.lab.rest("GET", "/v1/proxy/upstreams")["upstreams"]["up"], url=url, healthy=True, tools=2, total_calls=2)
    c("proxy call", "up.unknown", "--session", session, code=1)
    c("proxy policy add", "--type", "block_tool", "--tool", "up.erase")
    for tool in ("up.erase", "erase"):
        c("proxy call", tool, "--session", session, code=1)
    c("proxy call", "up.echo", "--session", session)


def policies_of_every_type_are_taken_and_no_other(c):
    for words in (
        ["allow_list", "--tools", "up.echo,up.erase"], ["deny_list", "--tools", "up.erase"],
        ["spend_limit", "--max", "100"], ["rate_limit", "--max-per-minute", "1000"],
        ["time_window", "--start-hour", "0", "--end-hour", "24"],
    ):
        c("proxy policy add", "--type", *words)
    listed = c.lab.rest("GET", "/v1/proxy/policies")
    types = {policy["type"] for policy in listed["policies"]}
    expect(listed["count"] == len(listed["policies"]) and {"allow_list", "time_window"} <= types, shorten(listed))
    c("proxy policy add", "--type", "nonsense", code=1)
    c("proxy policy add", "--type", "spend_limit", code=1)


def register_reaches_the_server_that_it_names(c):
    """`proxy register NAME URL` takes URL for the address of haldir as well, whatever --url says, so it can only name
    the haldir that it asks. Ours answers that this is no upstream, or that it is an unhealthy one.
    """
    printed = c("proxy register", "self", c.lab.url, code=(0, 1))
    expect("Not found" not in printed and "self" in printed, shorten(printed))


CHECKS = (
    the_tools_of_an_upstream_are_listed_and_called,
    policies_of_every_type_are_taken_and_no_other,
    register_reaches_the_server_that_it_names,
)
