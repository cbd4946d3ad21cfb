"""The command line of the product's Python package, against our server.

Part of python_product.py. A check calls the program as a user does, and looks at its exit code and what it printed;
where it only prints sentences, at the values in them.
"""

import argparse
import csv
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

import cli  # the package's command line
import product_mcp
import product_proxy
from checks import UNKNOWN_SESSION, expect, fits, near, shorten
from product_webhooks import verifies

# Commands that ask no server: they start one of the product's own, or work on its own files.
LOCAL = {"serve", "dev", "init", "migrate up", "migrate status", "migrate verify"}
PROGRAM = Path(sys.executable).with_name("haldir")
KEY = re.compile(r"hld_[\w-]{43}")
SIGNATURE = re.compile(r"Signature: [0-9a-f]{40}")
CSV_COLUMNS = (
    "entry_id timestamp timestamp_iso tenant_id session_id agent_id tool action cost_usd flagged flag_reason "
    "details_json prev_hash entry_hash"
).split()


def leaves(parser=None, path=()):
    """The path of every command that has none below it."""
    parser = parser or cli.build_parser()
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                yield from leaves(below, (*path, name))
            return
    yield " ".join(path)


class CommandLine:
    """The program with our server's address and the operator's key; remembers which commands were called."""

    def __init__(self, lab, client, receiver):
        self.lab, self.client, self.receiver = lab, client, receiver
        self.commands, self.called = set(leaves()), set()
        self.home = lab.scratch / "home"
        self.home.mkdir()
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(self.home)}

    def options(self, key=None):
        return [PROGRAM, "--url", self.lab.url, "--key", key or self.lab.operator]

    def __call__(self, command, *arguments, code=0, key=None, answer="", options=None):
        """What it printed. The command is one text; arguments follow it."""
        self.called |= {leaf for leaf in self.commands if f"{command} ".startswith(f"{leaf} ")}
        words = [*(self.options(key) if options is None else [PROGRAM, *options]), *command.split(), *arguments]
        done = subprocess.run(
            words, input=answer, capture_output=True, text=True, timeout=30, env=self.environment, cwd=self.home
        )
        printed = " ".join((done.stdout + done.stderr).split())
        if "Traceback" in done.stderr:
            raise AssertionError(f"{command} broke: {done.stderr.strip().splitlines()[-1]}")
        codes = code if isinstance(code, tuple) else (code,)
        expect(done.returncode in codes, f"{command}: exit code {done.returncode}: {shorten(printed[-300:])}")
        return printed if done.stderr else done.stdout.strip()

    def json(self, command, *arguments, **more):
        return json.loads(self(command, "--json", *arguments, **more))

    def says(self, command, *arguments, words, **more):
        """Each of the words is in what it prints."""
        printed = self(command, *arguments, **more)
        missing = [word for word in map(str, words) if word not in printed]
        expect(not missing, f"{command} does not print {missing}: {shorten(' '.join(printed.split()))}")
        return printed

    def entry(self, **more):
        """A logged action, with its session and agent."""
        agent = f"cli-{os.urandom(4).hex()}"
        session = self.client.session(agent_id=agent)
        logged = self.client.log_action(session, **{"tool": "shop", "action": "order", "cost_usd": 1.25} | more)
        return agent, session, logged["entry_id"]


# Keys, sessions, secrets, payments


def login_keeps_the_key_and_the_address(c):
    c.says("login", "--key", c.lab.operator, "--url", c.lab.url, options=[], words=["enterprise"])
    saved = json.loads((c.home / ".haldir/config.json").read_text())
    fits(saved, api_key=c.lab.operator, base_url=c.lab.url)
    c.says("config show", options=[], words=[c.lab.url, c.lab.operator[:12]])
    fits(json.loads(c("mcp config").split("\n\n")[0])["mcpServers"]["haldir"]["env"], HALDIR_BASE_URL=c.lab.url)
    c("secret list", options=[])  # by the saved settings alone


def keys_are_made_listed_and_revoked(c):
    made = c("keys create", "--name", "ci", "--tier", "pro", "--scopes", "audit:read,sessions:read")
    key = KEY.search(made)[0]
    listed = {item["prefix"]: item for item in c.json("keys list")}
    fits(listed[key[:12]], name="ci", tier="pro", scopes=["audit:read", "sessions:read"], revoked=False)
    near(listed[key[:12]]["created_at"], time.time())
    c.says("keys list", words=[key[:12], "ci", "active"])
    c("audit trail", key=key)
    c.says("secret list", key=key, code=1, words=["vault:read"])
    c("keys revoke", key[:12], answer="n\n", code=1)
    c("audit trail", key=key)
    c("keys revoke", key[:12], "--yes")
    c("audit trail", key=key, code=1)
    expect({item["prefix"]: item["revoked"] for item in c.json("keys list")}[key[:12]] is True, "not shown as revoked")
    c("keys revoke", "hld_nobodys1", "--yes", code=1)


def sessions_are_made_shown_checked_and_revoked(c):
    made = c("session create", "--agent", "cli", "--scopes", "read,spend", "--ttl", "600", "--budget", "5")
    session = re.search(r"ses_[\w-]+", made)[0]
    fits(c.client.get_session(session), agent_id="cli", scopes=["read", "spend"], spend_limit=5)
    c.says("session get", session, words=[session, "ACTIVE", "cli", "5"])
    c.says("session check", session, "--scope", "read", words=["read"])
    c.says("session check", session, "--scope", "admin", words=["NOT", "admin"])
    c.says("session revoke", session, words=[session])
    c.says("session get", session, words=["REVOKED"])
    c.says("session get", UNKNOWN_SESSION, code=1, words=["Not found"])
    c("session create", "--agent", "cli")


def secrets_are_stored_listed_read_and_deleted(c):
    session = c.client.session()
    c("secret store", "cli-token", "not-a-secret", "--scope", "read")
    c.says("secret list", words=["cli-token"])
    c.says("secret get", "cli-token", "--session", session, words=["not-a-secret"])
    c.says("secret get", "cli-token", code=1, words=["400"])
    c("secret delete", "cli-token")
    c.says("secret get", "cli-token", "--session", session, code=1, words=["Not found"])


def payments_are_authorized_and_refused(c):
    session = c.client.session(spend_limit=2)
    words = ["--description", "tea", "--currency", "USD"]
    c.says("pay authorize", session, "1.25", *words, words=["1.25", "0.75"])
    c.says("pay authorize", session, "0.76", code=1, words=["0.75"])
    fits(c.client.get_session(session), spent=1.25)


# Audit


def actions_are_logged_and_found(c):
    agent, session, _ = c.entry()
    words = ["--tool", "post", "--action", "send", "--cost", "0.5", "--details", '{"order": 7}']
    printed = c("audit log", session, *words)
    entry = c.client.get_audit_trail(session_id=session, tool="post")["entries"][0]
    fits(entry, action="send", cost_usd=0.5, details={"order": 7})
    expect(entry["entry_id"] in printed, "the entry's id is not printed")
    found = c("audit trail", "--session", session, "--agent", agent, "--tool", "post", "--limit", "5")
    expect("send" in found and "order" not in found, shorten(found))
    c.says("audit log", session, "--action", "yacht", "--cost", "1000", words=["FLAGGED"])
    found = c.says("audit trail", "--agent", agent, "--flagged", words=["yacht"])
    expect("send" not in found, "an entry that is not flagged")
    c.says("audit spend", "--session", session, "--agent", agent, words=["1001.75", "post", "shop"])


def stats_count_by_tool_and_action(c):
    agent, session, _ = c.entry()
    c.client.log_action(session, tool="post", action="send", cost_usd=0.5)
    stats = c.json("audit stats", "--agent", agent, "--session", session)
    fits(stats, flagged_count=0, session_count=1, agent_count=1, total_usd=1.75)
    fits(stats["by_tool"], shop=1, post=1)
    fits(stats["by_action"], order=1, send=1)
    expect(stats["total_entries"] >= 2, shorten(stats))
    fits(c.json("audit stats", "--agent", agent, "--since", "2020-01-01T00:00:00Z")["by_tool"], shop=1, post=1)
    fits(c.json("audit stats", "--agent", agent, "--until", "1700000000"), total_entries=0)
    c.says("audit stats", "--agent", agent, words=["1.75", "shop", "send"])


def export_as_jsonl_ends_with_a_true_manifest(c):
    agent, session, entry_id = c.entry(details={"a": [1, "ü"]})
    since, file = datetime.fromtimestamp(time.time() - 60, timezone.utc).isoformat(), c.home / "export.jsonl"
    filters = ["--session", session, "--agent", agent, "--tool", "shop", "--since", since]
    c("audit export", "--out", str(file), *filters)
    *rows, manifest = [json.loads(line) for line in file.read_text().splitlines()]
    expect([row["entry_id"] for row in rows] == [entry_id], shorten(rows))
    fits(rows[0], session_id=session, agent_id=agent, action="order", cost_usd=1.25, details={"a": [1, "ü"]})
    fits(manifest, type="manifest", format_version=1, count=1, last_chain_hash=rows[0]["entry_hash"])
    fits(manifest, first_timestamp=rows[0]["timestamp"], last_timestamp=rows[0]["timestamp"])
    fits(manifest["filters"], session_id=session, agent_id=agent, tool="shop")
    whole = [json.loads(line) for line in c("audit export", "--format", "jsonl").splitlines()]
    ids = "".join(row["entry_id"] + "\n" for row in whole[:-1])
    fits(whole[-1], count=len(whole) - 1, sha256=hashlib.sha256(ids.encode()).hexdigest(), filters={})
    times = [row["timestamp"] for row in whole[:-1]]
    expect(times == sorted(times), "not the oldest first")
    alone = c.lab.rest("GET", "/v1/audit/export/manifest", params={"session_id": session, "tool": "shop"})
    fits(alone, type="manifest", count=1, sha256=hashlib.sha256(f"{entry_id}\n".encode()).hexdigest())
    c.says("audit export", "--since", "yesterday", code=1, words=["400"])


def export_as_csv_has_a_line_for_each_entry(c):
    _, session, entry_id = c.entry(details={"quote": 'a "b", c'}, cost_usd=0.123456789)
    rows = list(csv.DictReader(io.StringIO(c("audit export", "--format", "csv", "--session", session))))
    row = next(row for row in rows if row["entry_id"] == entry_id)
    expect(set(CSV_COLUMNS) <= set(row), f"columns {sorted(row)}")
    fits(row, session_id=session, action="order", cost_usd="0.123456789", flagged="false")
    expect(json.loads(row["details_json"]) == {"quote": 'a "b", c'}, row["details_json"])


def the_log_verifies(c):
    fits(c.json("audit verify"), verified=True)
    c("audit verify")


def proofs_are_fetched_and_verified_offline(c):
    _, _, entry_id = c.entry()
    head, file = c.json("audit tree-head"), c.home / "proof.json"
    shown = c.says("audit tree-head", words=[head["root_hash"], head["algorithm"]])
    expect(SIGNATURE.search(shown), "audit tree-head shows no signature")  # another each second: the time is signed too
    c("audit prove", entry_id, "--out", str(file))
    fits(json.loads(file.read_text()), entry_id=entry_id)
    c("audit verify-proof", str(file))
    fits(c.json("audit prove", entry_id), entry_id=entry_id)
    c.says("audit prove", entry_id, words=[entry_id])
    sizes = ["1", str(head["tree_size"])]
    fits(c.json("audit consistency", *sizes), first_size=1, second_size=head["tree_size"])
    c.says("audit consistency", *sizes, words=[head["root_hash"]])
    c("audit prove", "aud_" + "A" * 24, code=1)


def retention_is_shown_set_and_carried_out(c):
    fits(c.json("retention show"), retain_days=0)
    c.says("retention set", "30", words=["30"])
    shown = c.json("retention show")
    fits(shown, retain_days=30)
    fits(shown["preview"], enabled=True, would_delete=0)
    c.says("retention show", words=["30"])
    c("retention prune")
    c("retention prune", "--yes", code=(0, 1))  # nothing is that old; the product answers 409 then, hence the 1
    fits(c.json("retention checkpoints", "--limit", "5"), count=0, checkpoints=[])
    c("retention checkpoints")
    c("retention set", "0")
    fits(c.json("retention show"), retain_days=0)
    c("retention set", "-1", code=(1, 2))


# Webhooks, compliance


def deliveries_are_listed(c):
    c.receiver.webhook()
    agent = c.entry(cost_usd=1000)[0]
    event = c.receiver.wait_for("anomaly", agent_id=agent)[2]["event_id"]
    deadline = time.monotonic() + 5
    while not (found := c.json("webhooks deliveries", "--event-id", event)["deliveries"]):
        expect(time.monotonic() < deadline, "what was delivered is not listed")
    fits(found[0], event_id=event, event_type="anomaly", attempt=1, status_code=200, webhook_url=c.receiver.url)
    near(found[0]["created_at"], time.time())
    c.says("webhooks deliveries", "--limit", "5", words=["anomaly", "200", event[:12], c.receiver.url])


def a_rotated_secret_verifies_beside_the_old_one(c):
    old = c.receiver.webhook()
    new = re.search(r"New secret: (\S+)", c("webhooks rotate", str(old["webhook_id"]), "--grace-seconds", "120"))[1]
    expect(len(new) > 20 and new != old["secret"], "no new secret is printed")
    agent = c.entry(cost_usd=1000)[0]
    headers, raw, _ = c.receiver.wait_for("anomaly", agent_id=agent)
    verifies(headers, raw, [new, old["secret"]])
    c("webhooks rotate", str(old["webhook_id"]))
    c("webhooks rotate", "999999999", code=1)


def evidence_is_a_document_with_a_digest(c):
    file, since = c.home / "evidence", ["--since", "2020-01-01", "--until", str(int(time.time()))]
    c("compliance evidence", "--format", "json", "--out", str(file), *since)
    pack = json.loads(file.read_text())
    fits(pack["signatures"], algorithm="SHA-256")
    expect(re.fullmatch(r"[0-9a-f]{64}", pack["signatures"]["digest"]), shorten(pack["signatures"]))
    c.says("compliance evidence", "--out", str(file), *since, words=[pack["signatures"]["digest"]])
    expect(file.read_text().startswith("# "), "no Markdown")
    c.says("compliance evidence", "--format", "md", words=["# "])


def schedules_are_made_listed_and_deleted(c):
    target = f"webhook:{c.receiver.webhook()['webhook_id']}"
    made = c("compliance schedules create", "--name", "board", "--cadence", "monthly", "--delivery", target)
    listed = c.json("compliance schedules list")
    fits(listed[0], name="board", cadence="monthly", delivery=target)
    expect(listed[0]["schedule_id"] in made, "its id was not printed")
    c.says("compliance schedules list", words=["board", "monthly"])
    c("compliance schedules delete", listed[0]["schedule_id"])
    c("compliance schedules delete", listed[0]["schedule_id"], code=1)
    expect(c.json("compliance schedules list") == [], "it is still there")


# Operations


def readiness_is_shown_check_by_check(c):
    ready = c.json("ready")
    fits(ready, ready=True)
    c.says("ready", words=[check["name"] for check in ready["checks"]])


def status_shows_components_and_latency(c):
    status = c.json("status")
    expect(status["status"] in ("ok", "degraded", "down"), shorten(status))
    expect({"api", "database"} <= {item["name"] for item in status["components"]}, shorten(status))
    for item in status["components"]:
        expect(item["message"] and near(item["checked_at"], time.time()) is None, shorten(item))
    fits(status["metrics"]["success_rate"], errors=0, ratio=1)
    expect(set(status["metrics"]["latency_seconds"]) == {"p50", "p95", "p99"}, shorten(status["metrics"]))
    c.says("status", words=["api", "database"])


def the_overview_agrees_with_what_was_done(c):
    agent, session, entry_id = c.entry()
    c.client.store_secret("overview", "v")
    seen = c.json("overview")
    expect(seen["tenant_id"] and seen["tier"] and seen["generated_at"], shorten(seen))
    for name in ("actions_this_month", "actions_limit", "actions_pct_used", "spend_usd_this_month", "overage_actions"):
        number = seen["usage"].get(name)
        expect(isinstance(number, (int, float)), f"usage.{name} is {number!r}: the command line formats it as a number")
    row = next(row for row in seen["sessions"]["sessions"] if row["session_id"] == session)
    fits(row, agent_id=agent, spend_limit=50, spent=0)
    near(row["last_active"], time.time())
    expect(seen["sessions"]["active_count"] >= seen["sessions"]["agents_active"] > 0, shorten(seen["sessions"]))
    expect(seen["vault"]["secrets_count"] > 0 and seen["audit"]["total_entries"] > 0, shorten(seen))
    fits(next(row for row in seen["audit"]["recent"] if row["entry_id"] == entry_id), agent_id=agent, action="order")
    fits(seen["audit"], chain_verified=True)
    for part, names in (("webhooks", {"registered_count", "deliveries_24h", "delivery_success_rate_24h", "failed_24h"}),
                        ("approvals", {"pending_count"}), ("health", {"status", "components"}),
                        ("compliance", {"schedules_count", "active_count", "next_due_at", "last_run_status"})):
        expect(names <= set(seen[part]), f"{part}: {shorten(seen[part])}")
    c.says("overview", words=[seen["tenant_id"], seen["tier"]])
    c.says("top", "--once", words=[agent, "order", session[:12]])


def metrics_are_a_table(c):
    c.says("metrics", words=["total_api_keys", "total_sessions", "total_actions", "top_tools", "usage_this_month"])
    seen = c.lab.rest("GET", "/v1/metrics")
    expect(seen["total_sessions"] >= seen["active_sessions"] > 0 and seen["total_actions"] > 0, shorten(seen))
    fits(c.lab.rest("GET", "/v1/usage", params={"month": "2020-01"}), month="2020-01", action_count=0)
    expect(c.lab.rest("GET", "/v1/usage")["action_count"] > 0, "no call was counted this month")


def every_command_was_called(c):
    expect(LOCAL <= c.commands, f"gone: {LOCAL - c.commands}")
    missing = c.commands - c.called - LOCAL
    expect(not missing, f"not called: {sorted(missing)}")


COMMAND_CHECKS = (
    login_keeps_the_key_and_the_address,
    keys_are_made_listed_and_revoked,
    sessions_are_made_shown_checked_and_revoked,
    secrets_are_stored_listed_read_and_deleted,
    payments_are_authorized_and_refused,
    actions_are_logged_and_found,
    stats_count_by_tool_and_action,
    export_as_jsonl_ends_with_a_true_manifest,
    export_as_csv_has_a_line_for_each_entry,
    the_log_verifies,
    proofs_are_fetched_and_verified_offline,
    retention_is_shown_set_and_carried_out,
    deliveries_are_listed,
    a_rotated_secret_verifies_beside_the_old_one,
    evidence_is_a_document_with_a_digest,
    schedules_are_made_listed_and_deleted,
    readiness_is_shown_check_by_check,
    status_shows_components_and_latency,
    the_overview_agrees_with_what_was_done,
    metrics_are_a_table,
)


def run(lab, client, receiver):
    c = CommandLine(lab, client, receiver)
    for function in (*COMMAND_CHECKS, *product_proxy.CHECKS):
        lab.check(f"commands: {function.__name__}", function, c)
    product_mcp.run(c)
    lab.check("commands: every command was called", every_command_was_called, c)
