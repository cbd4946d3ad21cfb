"""Several haldir nodes on one Postgres, under load, while nodes and the database fail.

The harness makes its own Postgres (with a synchronous standby, if it is to fail over), starts the nodes, and lets clients
of several tenants call them. Meanwhile it kills nodes with SIGKILL and starts them again, restarts Postgres once, and
promotes the standby once. Clients repeat a call that was not answered on another node, with the same Idempotency-Key.

At the end it compares what was acknowledged with what the API returns, prints figures, and exits with 1 if a check failed.
"""

import argparse
import asyncio
import base64
import itertools
import os
import random
import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from clients import BUDGET, PAGE, Client, Tenant
from cluster import FOREVER, RECOVERY_SECONDS, HttpClient, Node, Outage, Postgres, Receiver, free_ports

ROOT = Path(__file__).resolve().parents[2]
TENANTS = 8
BUDGETS_PER_TENANT = 3
# How long haldir tries to record that an event was delivered. If it cannot, the event is sent again.
SETTLE_SECONDS = 5
# How long the receiver waits for events; an event of a killed node is due again after 30 s.
DRAIN_SECONDS = 90
FAILURES_SHOWN = 20


class Harness:
    """The database, the nodes, the load, and what is known of all of them."""

    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.random = random.Random(options.seed)
        self.begun = time.monotonic()
        self.master_key = base64.b64encode(secrets.token_bytes(32)).decode()
        self.bootstrap_token = secrets.token_hex(16)
        (folder / "postgres").mkdir()
        self.postgres = Postgres(folder / "postgres", options.failover)
        self.nodes = [Node(self, number, port) for number, port in enumerate(free_ports(options.nodes), 1)]
        self.receiver = Receiver(self)
        self.tenants, self.errors, self.failures, self.outages = [], [], [], []
        self.counts = Counter()

    def now(self):
        """Seconds since the load began."""
        return time.monotonic() - self.begun

    def note(self, text):
        print(f"{self.now():8.2f} s  {text}", flush=True)

    def fail(self, text):
        self.failures.append(f"at {self.now():.2f} s: {text}")

    def answered(self, node, method):
        self.counts["answers"] += 1
        now = self.now()
        for outage in self.outages:
            if method != "GET" and node.is_up() and now >= max(outage.down, node.back_at()):
                outage.first_writes.setdefault(node.number, (now, node.back_at()))

    async def make(self):
        """Makes the database, the nodes (the first makes the schema), and the tenants."""
        await self.postgres.make()
        await self.receiver.start()
        await self.nodes[0].start()
        await asyncio.gather(*(node.start() for node in self.nodes[1:]))
        for number in range(TENANTS):
            body = {"name": "operator", "role": "operator", "tier": "enterprise", "bootstrap_token": self.bootstrap_token}
            # The first key of a store belongs to its local tenant.
            body |= {"tenant_name": f"tenant {number}"} if number else {}
            status, made = await HttpClient().request(self.nodes[0].port, "POST", "/v1/keys", body=body)
            if status != 201:
                raise RuntimeError(f"no API key: {status} {made}")
            tenant = Tenant(made["tenant_id"], made["key"])
            self.tenants.append(tenant)
            client = Client(self, tenant, f"that prepares {number}")
            await client.call("POST", "/v1/webhooks", {"url": f"http://127.0.0.1:{self.receiver.port}/{tenant.name}"})
            tenant.budgets = [await client.new_budget() for _ in range(BUDGETS_PER_TENANT)]

    async def load(self):
        """Clients call, while nodes and the database fail."""
        self.begun = time.monotonic()
        self.counts["answers"] = 0
        clients = [Client(self, self.tenants[n % TENANTS], f"client {n}", n < TENANTS) for n in range(self.options.clients)]
        await asyncio.gather(self.kill_nodes(), self.break_database(), *(client.work() for client in clients))
        self.note(f"the load has ended: {self.counts['answers']} answers")

    async def kill_nodes(self):
        seconds = self.options.seconds
        moments = sorted(self.random.uniform(0.05, 0.9) * seconds for _ in range(max(2, seconds // 6)))
        plan = [(moment, self.random.choice(self.nodes), self.random.uniform(0.2, 3)) for moment in moments]
        for moment, node, pause in plan:
            await asyncio.sleep(max(0, moment - self.now()))
            await node.kill_and_restart(pause)
            self.counts["nodes killed"] += 1

    async def break_database(self):
        # A generator of its own, so that its choices do not depend on when nodes are killed.
        chance, seconds = random.Random(f"{self.options.seed} database"), self.options.seconds
        mode, moment, pause = chance.choice(["fast", "immediate"]), chance.uniform(0.2, 0.4), chance.uniform(0, 4)
        await self.database_away(f"restart -m {mode}", moment * seconds, mode, pause, self.postgres.start, "primary")
        if self.options.failover:
            moment, pause = chance.uniform(0.6, 0.75), chance.uniform(0, 4)
            await self.database_away("failover", moment * seconds, "immediate", pause, self.postgres.promote)

    async def database_away(self, what, moment, mode, pause, bring_back, *arguments):
        await asyncio.sleep(max(0, moment - self.now()))
        outage = Outage(what, self.now())
        self.outages.append(outage)
        await self.postgres.stop("primary", mode)
        outage.down = self.now()
        await asyncio.sleep(pause)
        await bring_back(*arguments)
        outage.ended = self.now()
        self.note(f"{what}: the database was away from {outage.begun:.2f} s on, and is back")

    async def check(self):
        """Compares what was acknowledged with what there is."""
        for tenant in self.tenants:
            client = Client(self, tenant, "that checks")
            await self.check_log(client, tenant)
            await self.check_spending(client, tenant)
            await self.check_webhooks(client, tenant)
            self.compare(tenant, "secrets", set(await client.pages("/v1/secrets", "secrets")))
        self.check_errors()
        self.check_recovery()

    def compare(self, tenant, kind, present):
        acknowledged = tenant.acknowledged[kind]
        self.counts[f"acknowledged {kind}"] += len(acknowledged)
        if lost := acknowledged - present:
            self.fail(f"{tenant.name}: {len(lost)} acknowledged {kind} are lost, such as {sorted(lost)[:3]}")

    def require_unique(self, tenant, what, items):
        if twice := [item for item, count in Counter(items).items() if count > 1]:
            self.fail(f"{tenant.name}: {len(twice)} {what} are there more than once, such as {twice[:3]}")

    async def check_log(self, client, tenant):
        entries = (await client.pages("/v1/audit", "entries"))[::-1]
        self.counts["entries verified"] += len(entries)
        if [entry["seq"] for entry in entries] != list(range(1, len(entries) + 1)):
            self.fail(f"{tenant.name}: the sequence numbers of the log have a gap, or one is there twice")
        if forked := [b["seq"] for a, b in itertools.pairwise(entries) if b["prev_hash"] != a["entry_hash"]]:
            self.fail(f"{tenant.name}: entries {forked[:3]} do not follow the entry before")
        self.compare(tenant, "entries", {(entry["entry_id"], entry["seq"], entry["action"]) for entry in entries})
        self.require_unique(tenant, "entry ids", [entry["entry_id"] for entry in entries])
        logged = [entry for entry in entries if entry["action"].startswith("op-")]
        self.require_unique(tenant, "actions", [entry["action"] for entry in logged])
        by_session = Counter(entry["session_id"] for entry in logged)
        for session in await client.pages("/v1/sessions", "sessions"):
            if session["action_count"] != by_session[session["session_id"]]:
                self.fail(f"{tenant.name}: the log has {by_session[session['session_id']]} actions of {session}")
        for node in self.nodes:
            _, verified = await client.once(node, "GET", "/v1/audit/verify")
            head = [verified.get(name) for name in ("verified", "entries_total", "chain_head")]
            if head != [True, len(entries), entries[-1]["entry_hash"]]:
                self.fail(f"{tenant.name}: node {node.number} verifies its log of {len(entries)} entries: {verified}")

    async def check_spending(self, client, tenant):
        payments = await client.pages("/v1/payments", "payments")
        fields = ("authorization_id", "session_id", "amount", "description")
        present = {tuple(payment[field] for field in fields) for payment in payments}
        self.compare(tenant, "payments", present)
        self.require_unique(tenant, "payments", [text for payment in payments if (text := payment["description"])])
        spent, promised = Counter(), Counter()
        for sums, source in [(spent, present), (promised, tenant.acknowledged["payments"])]:
            for _, session, amount, _ in source:
                sums[session] += amount
                if parent := tenant.parents.get(session):
                    sums[parent] += amount
        sessions = await client.pages("/v1/sessions", "sessions")
        self.compare(tenant, "sessions", {(session["session_id"], session["agent_id"]) for session in sessions})
        agents = [session["agent_id"] for session in sessions if session["agent_id"].startswith("agent-")]
        self.require_unique(tenant, "sessions", agents)
        self.compare(tenant, "revocations", {session["session_id"] for session in sessions if session["revoked"]})
        for session in sessions:
            name, limit = session["session_id"], session["spend_limit"] or 0
            if session["spent"] != spent[name] or max(spent[name], promised[name]) > limit:
                sums = f"payments of {spent[name]}, acknowledged payments of {promised[name]}"
                self.fail(f"{tenant.name}: {name} has {sums}, a limit of {limit}, and says {session['spent']}")
            self.counts["budgets spent to less than 3 USD"] += limit == BUDGET and spent[name] > limit - 3

    async def check_webhooks(self, client, tenant):
        until = time.monotonic() + DRAIN_SECONDS
        while (hook := (await client.call("GET", "/v1/webhooks"))["webhooks"][0])["waiting"]:
            if time.monotonic() > until:
                self.fail(f"{tenant.name}: events were not delivered within {DRAIN_SECONDS} s: {hook}")
                break
            await asyncio.sleep(0.2)
        if lost := tenant.acknowledged["revocations"] - self.receiver.revoked:
            self.fail(f"{tenant.name}: {len(lost)} revocations had no event, such as {sorted(lost)[:3]}")
        recorded, before = [], ""
        while page := (await client.call("GET", f"/v1/webhooks/deliveries?limit={PAGE}{before}"))["deliveries"]:
            recorded += page
            before = f"&before={page[-1]['delivery_id']}"
        self.require_unique(tenant, "delivery ids", [each["delivery_id"] for each in recorded])
        self.require_unique(tenant, "attempts", [(each["event_id"], each["attempt"]) for each in recorded])
        outages = [*self.outages, *(outage for node in self.nodes for outage in node.outages)]
        for (path, event), arrivals in self.receiver.deliveries.items():
            if path != f"/{tenant.name}":
                continue
            self.counts["webhook deliveries"] += len(arrivals)
            for first, again in itertools.pairwise(arrivals):
                self.counts["webhook deliveries repeated after a fault"] += 1
                if again.arrived < first.answered:
                    self.fail(f"{event} was sent by two nodes at a time: {arrivals}")
                elif not any(each.explains(first.arrived, first.answered + SETTLE_SECONDS) for each in outages):
                    self.fail(f"{event} was sent again although it was answered: {arrivals}")

    def check_errors(self):
        """Errors are allowed only while the database or the node was away."""
        for node, begun, ended, kind, text in self.errors:
            is_explained = any(outage.explains(begun, ended) for outage in [*self.outages, *node.outages])
            # That the database is away is no fault of haldir: 503, and not 500.
            if is_explained and not kind.startswith("500"):
                self.counts[f"errors while database or node were away: {kind}"] += 1
            else:
                self.failures.append(f"at {begun:.2f} to {ended:.2f} s: node {node.number}: {kind}: {text}")

    def check_recovery(self):
        for outage in self.outages:
            writes = sorted(outage.first_writes.items())
            waits = {number: max(0.0, now - max(outage.ended, back)) for number, (now, back) in writes}
            listed = ", ".join(f"node {number} {wait:.2f} s" for number, wait in waits.items())
            print(f"{outage.what}: away for {outage.ended - outage.begun:.2f} s; to the first write after it: {listed}")
            if max(waits.values(), default=FOREVER) > RECOVERY_SECONDS:
                self.fail(f"{outage.what}: a node did not write within {RECOVERY_SECONDS} s of the database's return")

    def report(self):
        """Prints figures and failures; returns the exit code."""
        for log in sorted(self.folder.glob("**/*.log")):
            lines = log.read_text(errors="replace").splitlines()
            self.failures += [f"{log}: {line}" for line in lines if "panicked" in line or "deadlock detected" in line]
        for name, count in sorted(self.counts.items()):
            print(f"{count:8}  {name}")
        for line in self.failures[:FAILURES_SHOWN]:
            print(f"FAILED {line}")
        print(f"{len(self.failures)} failures" + (f"; logs and databases: {self.folder}" if self.failures else ""))
        return 1 if self.failures else 0

    async def run(self):
        # Nodes and databases are stopped also if the harness is.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asyncio.current_task().cancel)
        try:
            await self.make()
            await self.load()
            await self.check()
        except BaseException:
            print(f"the harness has failed; logs and databases: {self.folder}")
            raise
        finally:
            await asyncio.gather(*(node.end() for node in self.nodes))
            await self.postgres.end()
        return self.report()


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=60, help="how long clients call")
    parser.add_argument("--clients", type=int, default=128)
    parser.add_argument("--nodes", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1, help="repeats the choice of moments")
    parser.add_argument("--failover", action=argparse.BooleanOptionalAction, default=None, help="to a standby")
    parser.add_argument("--short", action="store_true", help="15 s, 16 clients, 2 nodes, no failover: for CI")
    parser.add_argument("--keep", action="store_true", help="keep logs and databases")
    parser.add_argument("--program", default=str(ROOT / "target/debug/haldir-mcp"), help="the haldir-mcp to run")
    options = parser.parse_args()
    if options.short:
        options.seconds, options.clients, options.nodes = 15, 16, 2
    if options.failover is None:
        options.failover = not options.short
    return options


def main():
    options = parse_options()
    options.program = os.path.abspath(options.program)
    if not os.access(options.program, os.X_OK):
        sys.exit(f"{options.program} is not there: cargo build")
    folder = Path(tempfile.mkdtemp(prefix="haldir-nodes-"))
    # Postgres may run as another user, which must reach its own folder in it.
    folder.chmod(0o711)
    code = asyncio.run(Harness(options, folder).run())
    if code == 0 and not options.keep:
        shutil.rmtree(folder)
    return code


if __name__ == "__main__":
    sys.exit(main())
