"""The MCP server that `haldir mcp serve` of the product's Python package starts, each tool of it, against our server.

Part of python_product.py. Its tools pass the arguments on to REST and the answer back; approvals are decided by REST,
since the package has nothing for that.
"""

import json
import subprocess
import threading
import time
from datetime import datetime, timezone

import haldir_mcp_server
from checks import expect, fits, near, shorten


class Stdio:
    """`haldir mcp serve`, line by line; a key of its own, since nobody approves what they asked for themselves."""

    def __init__(self, c):
        c.called.add("mcp serve")
        words = [*c.options(c.lab.key(name="mcp", role="operator", tier="enterprise")), "mcp", "serve"]
        self.process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env=c.environment,
        )
        self.timer = threading.Timer(60, self.process.kill)
        self.timer.start()
        self.asked, self.called = 0, set()
        self.ask("initialize", protocolVersion="2025-06-18", capabilities={}, clientInfo={"name": "t", "version": "1"})
        self.send(method="notifications/initialized")

    def send(self, **message):
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0"} | message) + "\n")
        self.process.stdin.flush()

    def ask(self, method, /, **params):
        self.asked += 1
        self.send(id=self.asked, method=method, params=params)
        while line := self.process.stdout.readline():
            if (message := json.loads(line)).get("id") == self.asked:
                return message["result"]
        raise AssertionError(f"{method}: `haldir mcp serve` ended")

    def __call__(self, name, /, refused=None, **arguments):
        """The JSON in a tool's text; it holds status_code if the server refused."""
        self.called.add(f"haldir_{name}")
        body = json.loads(self.ask("tools/call", name=f"haldir_{name}", arguments=arguments)["content"][0]["text"])
        expect(body.get("status_code") == refused, f"{name}: {shorten(body)}")
        return body

    def close(self):
        self.timer.cancel()
        self.process.kill()
        self.process.wait()


def it_opens_sessions_reads_secrets_and_pays(c, tool):
    wanted = {"agent_id": "mcp", "scopes": ["read", "spend"], "spend_limit": 5, "ttl": 600}
    session = tool("create_session", **wanted)["session_id"]
    fits(tool("get_session", session_id=session), agent_id="mcp", spend_limit=5, is_valid=True)
    fits(tool("check_permission", session_id=session, scope="read"), allowed=True)
    fits(tool("store_secret", name="mcp", value="v", scope_required="read"), stored=True)
    fits(tool("get_secret", name="mcp", session_id=session), value="v")
    tool("get_secret", name="none", session_id=session, refused=404)
    expect("mcp" in tool("list_secrets")["secrets"], "the secret is not listed")
    fits(tool("authorize_payment", session_id=session, amount=5, description="all"), remaining_budget=0)
    fits(tool("authorize_payment", session_id=session, amount=1, refused=403), authorized=False)
    fits(tool("revoke_session", session_id=session), revoked=True)


def it_logs_finds_and_proves(c, tool):
    session = tool("create_session", agent_id="mcp")["session_id"]
    details = {"n": 1}
    logged = tool("log_audit_action", session_id=session, tool="t", action="a", cost_usd=0.5, details=details)
    filters = {"session_id": session, "agent_id": "mcp", "tool": "t", "flagged": False, "limit": 10}
    fits(tool("query_audit_trail", **filters)["entries"][0], entry_id=logged["entry_id"], details=details)
    fits(tool("query_audit_trail", session_id=session, flagged=True), count=0)
    fits(tool("get_spend", session_id=session), total_usd=0.5, by_tool={"t": 0.5})
    fits(tool("verify_audit_chain"), verified=True)
    size = tool("get_tree_head")["tree_size"]
    fits(tool("get_inclusion_proof", entry_id=logged["entry_id"]), entry_id=logged["entry_id"])
    fits(tool("get_consistency_proof", first=1, second=size), second_size=size)


def it_asks_for_approval_and_sees_the_decision(c, tool):
    session = tool("create_session", agent_id="mcp")["session_id"]
    fields = {"session_id": session, "action": "delete", "reason": "tidy", "details": {"table": "old"}, "ttl": 60}
    for verb, status in (("approve", "approved"), ("deny", "denied")):
        asked = tool("request_approval", **fields)
        fits(asked, status="pending")
        near(asked["expires_at"], time.time() + 60)
        request, pending = asked["request_id"], c.lab.rest("GET", "/v1/approvals/pending", params={"agent_id": "mcp"})
        expect(request in [item["request_id"] for item in pending["requests"]], "not among the pending")
        shown = tool("get_approval_status", request_id=request)
        fits(shown, status="pending", agent_id="mcp", tool="", action="delete", amount=0, reason="tidy", decided_by="")
        decision = {"decided_by": "the auditor", "note": "seen"}
        fits(c.lab.rest("POST", f"/v1/approvals/{request}/{verb}", json=decision), request_id=request, **{status: True})
        shown = tool("get_approval_status", approval_id=request)
        fits(shown, status=status, decided_by="the auditor", decision_note="seen")
        c.lab.rest("POST", f"/v1/approvals/{request}/approve", 400, json={})
    tool("get_approval_status", request_id="apr_" + "A" * 22, refused=404)


def it_fetches_score_and_evidence(c, tool):
    score = tool("compliance_score")
    expect(0 <= score["score"] <= 100 and score["criteria"], shorten(score))
    pack = tool("build_evidence_pack", since="2020-01-01", until=datetime.now(timezone.utc).isoformat())
    expect(pack["signatures"]["digest"], shorten(pack["signatures"]))


def every_tool_was_called(c, tool):
    tools = {item["name"] for item in haldir_mcp_server.TOOLS}
    expect(tools == tool.called, f"not called: {sorted(tools - tool.called)}")


def run(c):
    tool = Stdio(c)
    try:
        for function in (
            it_opens_sessions_reads_secrets_and_pays,
            it_logs_finds_and_proves,
            it_asks_for_approval_and_sees_the_decision,
            it_fetches_score_and_evidence,
            every_tool_was_called,
        ):
            c.lab.check(f"mcp serve: {function.__name__}", function, c, tool)
    finally:
        tool.close()
