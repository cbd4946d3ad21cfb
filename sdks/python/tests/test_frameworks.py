"""The examples, each with its framework, against a model on loopback that first looks up a price and then sends money."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from conftest import KEY, URL

SDK = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(SDK.parents[1] / "tests/clients/frameworks"), str(SDK.parents[1] / "tests/clients")]

import model as models  # noqa: E402

SECONDS = 120  # a framework's whole conversation
# Which Python has which framework: {name: path}, from sdks/python/test.
PYTHONS: dict[str, str] = json.loads(os.environ.get("FRAMEWORK_PYTHONS", "{}"))
# No framework reports to its makers from here.
SILENT = {
    "OTEL_SDK_DISABLED": "true", "CREWAI_DISABLE_TELEMETRY": "true", "CREWAI_TRACING_ENABLED": "false",
    "OPENAI_AGENTS_DISABLE_TRACING": "1", "LANGSMITH_TRACING": "false",
}
# The model answers with one input and one output token, at 1.25 and 10 USD per million.
COST_OF_CALL = Decimal("0.00001125")
looked_at: set[str] = set()


def run(name, url, home, program):
    environment = {"PATH": os.environ["PATH"], "HOME": str(home)} | SILENT | {
        "HALDIR_BASE_URL": URL, "HALDIR_API_KEY": KEY,
        "OPENAI_BASE_URL": f"{url}/v1", "OPENAI_API_BASE": f"{url}/v1", "OPENAI_API_KEY": "none",
    }
    command = [PYTHONS[name], "-W", "ignore", program]
    return subprocess.run(command, env=environment, cwd=home, capture_output=True, text=True, timeout=SECONDS)


def session_of(client, name):
    """The only session of this example that has not been looked at before."""
    (session,) = [one for one in client.list_sessions(agent_id=f"{name}-buyer").sessions if one.session_id not in looked_at]
    looked_at.add(session.session_id)
    assert session.revoked, "the session ends with the run"
    return session.session_id


@pytest.mark.parametrize("name", PYTHONS)
def test_a_denial_stops_the_tool_and_the_model_reads_why(name, client, tmp_path, monkeypatch):
    monkeypatch.setattr(models, "CALLS", [("look_up", {"title": "Momo"}), ("send_money", {"amount": 1000})])
    model = models.Model()
    try:
        ended = run(name, model.url, tmp_path, SDK / f"examples/{name.replace('-', '_')}_agent.py")
    finally:
        model.close()
    said = ended.stdout + ended.stderr[-4000:]
    assert ended.returncode == 0, said
    results = max((request["results"] for request in model.seen), key=len)
    assert len(results) == 2 and "Momo is 12.99 USD" in results[0], (results, said)
    assert "send_money was denied and not made" in results[1] and "execute:send_money" in results[1], results
    assert "money was sent" not in said and "done" in ended.stdout
    session_id = session_of(client, name)
    entries = client.get_audit_trail(session_id=session_id).entries
    logged = [(entry.tool, entry.action) for entry in reversed(entries) if entry.kind == "action"]
    assert [one for one in logged if one[1] != "model call"] == [("look_up", "call"), ("send_money", "denied")]
    calls = [one for one in logged if one[1] == "model call"]
    assert len(calls) == len(model.seen) >= 3 and calls[0][0].startswith("gpt-")
    assert client.get_spend(session_id=session_id).total_usd == len(calls) * COST_OF_CALL
    assert f"{len(logged)} proofs hold" in ended.stdout


@pytest.mark.skipif("QUICK" in os.environ, reason="not with --quick")
@pytest.mark.parametrize("name", PYTHONS)
def test_a_tool_that_fails_is_logged_and_the_session_ends_also_if_the_run_fails(name, client, tmp_path, monkeypatch):
    monkeypatch.setattr(models, "CALLS", [("look_up", {"title": "Emil"})])
    model = models.Model()
    try:
        ended = run(name, model.url, tmp_path, SDK / f"examples/{name.replace('-', '_')}_agent.py")
    finally:
        model.close()
    # LangChain ends the run by the error; the others give it to the model.
    assert (ended.returncode != 0 and "KeyError: 'Emil'" in ended.stderr) == (name == "langchain"), ended.stderr[-4000:]
    entries = client.get_audit_trail(session_id=session_of(client, name)).entries
    actions = [entry.action for entry in reversed(entries) if entry.tool == "look_up"]
    # The OpenAI Agents SDK makes a text of the error before anything outside the tool sees it.
    assert actions[:2] == ["call", "failed"] or (name == "openai-agents" and actions == ["call"])
