"""The load: clients of several tenants, and what they were told."""

import asyncio
import json
import random
import secrets
import time
from collections import defaultdict
from decimal import Decimal

from cluster import HttpClient, Unanswered

BUDGET = Decimal(20)
# How long a client repeats a call that is not answered.
GIVE_UP_SECONDS = 90
PAGE = 1000


def is_success(status, _):
    return status < 300


def is_error(code):
    return lambda status, body: status >= 400 and body["code"] == code


class Tenant:
    """An API key, and what the tenant's clients were told."""

    def __init__(self, name, key):
        self.name, self.key = name, key
        # Sessions that clients share, each with a delegated one whose payments count against it.
        self.budgets = []
        # By kind, what the list of that kind must have.
        self.acknowledged = defaultdict(set)
        self.parents = {}


class Client:
    """Calls nodes, one call after the other."""

    def __init__(self, harness, tenant, name, changes_rules=False):
        self.harness, self.tenant, self.changes_rules = harness, tenant, changes_rules
        self.random = random.Random(f"{harness.options.seed} {name}")
        self.http = HttpClient()

    async def once(self, node, method, path, body=None, token=None, session=None, key=None):
        """Calls one node; raises `Unanswered`, also for a status from 500 on."""
        headers = [("Authorization", f"Bearer {key or self.tenant.key}")]
        headers += [("Idempotency-Key", token)] if token else []
        headers += [("X-Session-ID", session)] if session else []
        begun, kind = self.harness.now(), "no response"
        try:
            status, content = await self.http.request(node.port, method, path, headers, body)
            if status >= 500:
                kind = f"{status} {content['code']}"
                raise Unanswered(json.dumps(content))
        except Unanswered as error:
            self.harness.errors.append((node, begun, self.harness.now(), kind, f"{method} {path}: {error}"))
            raise
        self.harness.answered(node, method)
        return status, content

    async def call(self, method, path, body=None, token=None, session=None, refusals=()):
        """Repeats a call on other nodes until it is answered; returns its body, or `None` if it was refused."""
        until, last = time.monotonic() + GIVE_UP_SECONDS, None
        while time.monotonic() < until:
            others = [node for node in self.harness.nodes if node is not last]
            last = node = self.random.choice(others or self.harness.nodes)
            try:
                status, content = await self.once(node, method, path, body, token, session)
            except Unanswered:
                await asyncio.sleep(self.random.uniform(0.05, 0.2))
                continue
            if status < 300:
                return content
            if content["code"] not in refusals:
                self.harness.fail(f"node {node.number} refused {method} {path} {body} with {status}: {content}")
            return None
        self.harness.fail(f"{method} {path} {body} was not answered within {GIVE_UP_SECONDS} s")
        return None

    async def on_every_node(self, what, is_right, method, path, body=None, key=None):
        """Makes a call once on each node that is up: what another node has changed must show in each response."""
        nodes = [node for node in self.harness.nodes if node.is_up()]
        for node in self.random.sample(nodes, len(nodes)):
            try:
                status, content = await self.once(node, method, path, body, key=key)
            except Unanswered:
                continue
            self.harness.counts["calls that must see what another node has changed"] += 1
            if not is_right(status, content):
                self.harness.fail(f"node {node.number} {what}: {method} {path} {body}: {status} {content}")

    async def work(self):
        """Makes calls of all kinds until the time is over."""
        calls = {self.log: 30, self.pay: 30, self.check: 15, self.look: 5, self.open: 8, self.keep: 7, self.revoke: 5}
        calls |= {self.use_key: 2, self.change_rules: 10 if self.changes_rules else 0}
        while self.harness.now() < self.harness.options.seconds:
            await self.random.choices(list(calls), list(calls.values()))[0]()
        self.http.close_all()

    async def new_session(self, limit, parent=None):
        """Creates a session whose agent has a name of its own, by which a second one would be found."""
        token = secrets.token_hex(8)
        body = {"agent_id": f"agent-{token}", "scopes": ["read", "spend"], "spend_limit": limit}
        body |= {"parent_session_id": parent} if parent else {}
        if not (made := await self.call("POST", "/v1/sessions", body, token)):
            return None
        self.tenant.acknowledged["sessions"].add((made["session_id"], body["agent_id"]))
        self.tenant.parents[made["session_id"]] = parent
        return made["session_id"]

    async def new_budget(self):
        root = await self.new_session(BUDGET)
        child = root and await self.new_session(BUDGET / 2, root)
        return child and (root, child)

    def budget(self):
        return self.random.choice(self.tenant.budgets)

    async def open(self):
        await self.new_session(Decimal(1))

    async def log(self):
        token, (session, _) = secrets.token_hex(8), self.budget()
        body = {"session_id": session, "tool": f"tool-{self.random.randrange(5)}", "action": f"op-{token}", "cost_usd": 0.01}
        if logged := await self.call("POST", "/v1/audit", body, token):
            self.tenant.acknowledged["entries"].add((logged["entry_id"], logged["seq"], body["action"]))

    async def pay(self):
        token, budget = secrets.token_hex(8), self.budget()
        amount, session = Decimal(self.random.randint(1, 300)) / 100, self.random.choice([budget[0], *budget])
        body = {"session_id": session, "amount": amount, "description": token}
        paid = await self.call("POST", "/v1/payments/authorize", body, token, refusals=["budget_exceeded"])
        if paid:
            self.tenant.acknowledged["payments"].add((paid["authorization_id"], session, amount, token))
        elif budget in self.tenant.budgets and (fresh := await self.new_budget()):
            # Another client may have replaced it meanwhile.
            self.tenant.budgets = [fresh if each == budget else each for each in self.tenant.budgets]

    async def check(self):
        answer = await self.call("POST", f"/v1/sessions/{self.budget()[1]}/check", {"scope": "read:files"})
        if answer and not answer["allowed"]:
            self.harness.fail(f"a valid session is not allowed its scope: {answer}")

    async def look(self):
        await self.call("GET", f"/v1/sessions/{self.budget()[0]}")
        await self.call("GET", "/v1/audit?limit=5")

    async def keep(self):
        """Stores a secret, and reads it, mostly on another node."""
        token = secrets.token_hex(8)
        body = {"name": f"secret-{token}", "value": f"value of {token}", "scope_required": "read"}
        if await self.call("POST", "/v1/secrets", body, token):
            self.tenant.acknowledged["secrets"].add(body["name"])
            read = await self.call("GET", f"/v1/secrets/{body['name']}", session=self.budget()[0])
            if read and read["value"] != body["value"]:
                self.harness.fail(f"the secret {body['name']} was read with another value")

    async def revoke(self):
        """Revokes a session; from then on no node may allow it anything."""
        session = await self.new_session(Decimal(5))
        if not session or not await self.call("DELETE", f"/v1/sessions/{session}"):
            return
        self.tenant.acknowledged["revocations"].add(session)
        check = (f"/v1/sessions/{session}/check", {"scope": "read"})
        await self.on_every_node("serves a revoked session", lambda _, body: body.get("allowed") is False, "POST", *check)
        payment = ("/v1/payments/authorize", {"session_id": session, "amount": 1})
        await self.on_every_node("serves a revoked session", is_error("session_invalid"), "POST", *payment)

    async def use_key(self):
        """Creates an API key, uses it, and revokes it; then no node may accept it."""
        # Without an idempotency key: a response that holds a secret is not repeated.
        if not (made := await self.call("POST", "/v1/keys", {"name": "short-lived", "role": "agent"})):
            return
        session = ("/v1/sessions", {"agent_id": "of a short-lived key"})
        await self.on_every_node("refuses a key", is_success, "POST", *session, key=made["key"])
        # The key is gone if the response to its deletion was lost.
        await self.call("DELETE", f"/v1/keys/{made['prefix']}", refusals=["not_found"])
        await self.on_every_node("accepts a revoked key", is_error("unauthorized"), "POST", *session, key=made["key"])

    async def change_rules(self):
        """Adds an approval rule for large payments, and deletes it; every node must follow both."""
        payment = ("/v1/payments/authorize", {"session_id": await self.new_session(Decimal(100_000)), "amount": 1000})
        await self.on_every_node("applies a rule that is not there", is_success, "POST", *payment)
        rule = {"type": "spend_over", "threshold": 999}
        if not (added := await self.call("POST", "/v1/approvals/rules", rule, secrets.token_hex(8))):
            return
        await self.on_every_node("ignores a rule", is_error("approval_required"), "POST", *payment)
        await self.call("DELETE", f"/v1/approvals/rules/{added['rule_id']}", refusals=["not_found"])
        await self.on_every_node("applies a deleted rule", is_success, "POST", *payment)

    async def pages(self, path, field):
        """All items of a list."""
        items, cursor = [], ""
        while cursor is not None:
            page = await self.call("GET", f"{path}?limit={PAGE}" + (f"&cursor={cursor}" if cursor else ""))
            items += page[field]
            cursor = page["next_cursor"]
        return items
