"""schemathesis reads our OpenAPI document and makes requests of it, good ones and bad ones: no fault of the server, no
status that the document does not have, no answer that does not fit its schema, nothing bad taken, nothing good refused.

    schemathesis_run.py EXAMPLES    how many per operation and phase; run by server.py, with a key and without one
"""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from checks import expect, run_check, summary

URL, KEY = os.environ["SERVER_URL"], os.environ["SERVER_KEY"]
HERE = Path(__file__).parent
PROGRAM = Path(sys.executable).with_name("schemathesis")
PHASES = "examples,coverage,fuzzing,stateful"
# Up to this many examples are the same each time, so that a change is judged by what it changes; longer runs search.
REPEATED = 25


def post(path, body):
    request = urllib.request.Request(
        URL + path,
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def live_ids():
    """One of each thing that an operation asks for by its id, as the fields of the document name them."""
    session = post("/v1/sessions", {"agent_id": "generated", "scopes": ["*", "spend:100000"], "ttl": 2592000})["session_id"]
    post("/v1/secrets", {"name": "stripe_key", "value": "generated"})
    return {
        "session_id": session,
        "X-Session-ID": session,
        "parent_session_id": session,
        "authorization_id": post("/v1/payments/authorize", {"session_id": session, "amount": 1000})["authorization_id"],
        "request_id": post("/v1/approvals/request", {"session_id": session, "ttl": 0})["request_id"],
        "entry_id": post("/v1/audit", {"session_id": session, "action": "generated"})["entry_id"],
        "rule_id": post("/v1/approvals/rules", {"type": "tool_blocked", "tools": ["generated"]})["rule_id"],
        "webhook_id": post("/v1/webhooks", {"url": "https://receiver.invalid/hook"})["webhook_id"],
        "schedule_id": post("/v1/compliance/schedules", {"name": "generated", "cadence": "daily", "delivery": "webhook:1"})[
            "schedule_id"
        ],
        "policy_id": post("/v1/proxy/policies", {"type": "block_tool", "tool": "generated"})["policy_id"],
        "prefix": post("/v1/keys", {"name": "generated"})["prefix"],
        "name": "stripe_key",
        "own_prefix": KEY[:12],
    }


def has_cedar():
    """Whether the server was built with Cedar."""
    try:
        post("/v1/proxy/policies/test", {"type": "cedar", "cedar": "permit (principal, action, resource);"})
    except urllib.error.HTTPError as refused:
        expect(b"--features cedar" in refused.read(), "a good policy in Cedar was refused for another reason")
        return False
    return True


def conforms(examples, options, live):
    command = [PROGRAM, "--config-file", HERE / "schemathesis.toml", "run", f"{URL}/openapi.json"]
    command += ["--phases", PHASES, "--checks", "all", "--max-examples", str(examples), "--no-color"]
    # One worker: Python 3.11 can fail to read source text on two threads at once (python/cpython#106905), and a second
    # one would wait for the same interpreter lock.
    command += ["--workers", "1"]
    if examples <= REPEATED:
        command += ["--seed", "1"]
    command += ["--continue-on-failure", "--suppress-health-check", "too_slow", *options]
    environment = os.environ | {"LIVE_IDS": json.dumps(live), "PYTHONPATH": str(HERE)}
    if has_cedar():
        environment["HAS_CEDAR"] = "1"
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=os.environ["SCRATCH"])
    # The rest of what it says is an account of each failure, with a command that repeats it.
    print(ran.stdout[ran.stdout.rfind("= SUMMARY =") :] if ran.returncode == 0 else ran.stdout + ran.stderr)
    expect(ran.returncode == 0, f"schemathesis ended with status {ran.returncode}")


def still_works(session):
    """What the suite worked with was there to the end: otherwise it saw refusals alone."""
    expect(post("/v1/audit", {"session_id": session, "action": "the end"})["logged"], "the session is gone")
    expect(post("/v1/audit/retention/prune", {"confirm": True})["reason"] is not None, "the key is no operator's")


def main(examples):
    live = live_ids()
    with_key = ["--header", f"Authorization: Bearer {KEY}"]
    run_check("every request with a key is answered as the document says", lambda: conforms(examples, with_key, live))
    run_check("key and session held to the end", lambda: still_works(live["session_id"]))
    few = max(examples // 4, 1)
    run_check("every request without a key is answered as the document says", lambda: conforms(few, [], {}))
    return summary()


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)
    sys.exit(main(int(sys.argv[1])))
