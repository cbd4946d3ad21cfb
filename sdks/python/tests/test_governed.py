"""Governed runs, without a framework."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from decimal import Decimal

import pytest
from conftest import KEY, URL

from haldir_client import (
    AsyncHaldir, Haldir, HaldirError, SessionInvalid, TokenPrice, ToolDenied, ToolRule, govern, govern_async, verify_inclusion,
)
from haldir_client.governed import MAX_DETAIL_BYTES

PRICES = {"gpt-5": TokenPrice("1.25", "10"), "gpt-5-mini": TokenPrice("0.25", "2")}


class Failed(Exception):
    pass


def entries(client, run):
    return {entry.entry_id: entry for entry in client.get_audit_trail(session_id=run.session_id).entries}


def is_over(client, session_id):
    return client.get_session(session_id).revoked


def test_a_denied_tool_is_not_run_and_the_denial_is_logged(client):
    ran = []
    with govern(client, agent_id="core", scopes=["execute:look_up"]) as run:
        assert run.call("look_up", lambda title: title.upper(), title="momo") == "MOMO"
        with pytest.raises(ToolDenied, match="execute:send_money") as caught:
            run.call("send_money", ran.append, amount=1000)
        assert not ran and caught.value.tool == "send_money"
    found = [entries(client, run)[entry_id] for entry_id in run.entry_ids]
    assert [(entry.tool, entry.action) for entry in found] == [("look_up", "call"), ("send_money", "denied")]
    assert found[0].details == {"scope": "execute:look_up", "arguments": {"title": "momo"}}
    assert is_over(client, run.session_id)


def test_the_call_is_in_the_log_before_the_tool_runs(client):
    with govern(client, agent_id="core", scopes=["execute"]) as run:
        run.call("look", lambda: [entry.tool for entry in entries(client, run).values()].index("look"))


def test_a_tool_that_fails_is_logged_and_its_error_goes_on(client):
    def fail():
        raise Failed("it broke")

    with govern(client, agent_id="core", scopes=["execute"]) as run:
        with pytest.raises(Failed):
            run.call("fail", fail)
        with pytest.raises(Failed):
            run.tool(fail)()

    async def work(other):
        async with govern_async(other, agent_id="core", scopes=["execute"]) as run:
            with pytest.raises(Failed):
                await run.call("fail", fail)
            with pytest.raises(Failed):
                await run.tool(fail)()
        return run

    for one in (run, run_async(work)):
        found = [entries(client, one)[entry_id] for entry_id in one.entry_ids]
        assert [(entry.tool, entry.action) for entry in found] == [("fail", "call"), ("fail", "failed")] * 2
        assert found[1].details == {"error": "it broke"}


def test_rules_name_the_scope_the_cost_and_what_is_logged_of_a_tool(client):
    rules = {"open": ToolRule(scope="read:files", cost_usd="0.05"), "öffnen": ToolRule(scope="read:files")}
    rules["login"] = ToolRule(scope="read", details=lambda given: {"user": given["user"]})
    with govern(client, agent_id="core", scopes=["read"], rules=rules) as run:
        run.permit("open")
        run.permit("öffnen")
        login = run.permit("login", {"user": "ann", "password": "hunter2"})
        with pytest.raises(ToolDenied, match="no scope"):
            run.permit("schließen")
    assert client.get_spend(session_id=run.session_id).by_tool["open"] == Decimal("0.05")
    assert entries(client, run)[login].details["arguments"] == {"user": "ann"}


def test_a_session_ends_with_its_run_also_by_an_exception(client):
    with pytest.raises(Failed), govern(client, agent_id="core", scopes=["execute"]) as run:
        raise Failed
    assert is_over(client, run.session_id)
    with pytest.raises(ToolDenied, match="has ended"):
        run.permit("late")


def test_a_session_that_an_operator_revokes_stops_the_tools(client):
    with govern(client, agent_id="core", scopes=["execute"]) as run:
        client.revoke_session(run.session_id)
        with pytest.raises(ToolDenied, match="has ended"):
            run.call("look", lambda: pytest.fail("it ran"))


def test_a_server_that_cannot_be_reached_is_a_denial(client, short_waits):
    with govern(client, agent_id="core", scopes=["execute"]) as run:
        with Haldir("http://127.0.0.1:9", KEY) as lost:
            run._client = lost
            with pytest.raises(ToolDenied, match="could not decide"):
                run.call("look", lambda: pytest.fail("it ran"))
            run._client = client


def test_a_session_that_cannot_be_revoked_is_an_error(client, short_waits):
    with Haldir("http://127.0.0.1:9", KEY) as lost:
        with pytest.raises(HaldirError, match="could not be revoked"), govern(client, agent_id="core", scopes=["x"]) as run:
            run._client = lost
        with pytest.raises(Failed) as caught, govern(client, agent_id="core", scopes=["x"]) as run:
            run._client = lost
            raise Failed
        assert "could not be revoked" in caught.value.__notes__[0]  # of Python 3.11


def test_tokens_are_logged_as_spend_exactly(client):
    with govern(client, agent_id="core", scopes=["execute"], prices=PRICES) as run:
        run.log_tokens("gpt-5", 1000, 100)
        run.log_tokens("gpt-5-2026-01-01", 1, 1)
        run.log_tokens("gpt-5-mini-2026", 3, 0)
        unpriced = run.log_tokens("other", 10, 10)
    assert client.get_spend(session_id=run.session_id).total_usd == Decimal("0.00225") + Decimal("0.00001125") + Decimal("0.00000075")
    assert entries(client, run)[unpriced].details["priced"] is False
    for wrong, error in [(0.1, TypeError), ("-1", ValueError), (-1, ValueError)]:
        with pytest.raises(error, match="output"):
            TokenPrice(1, wrong)
        with pytest.raises(error, match="cost_usd"):
            ToolRule(cost_usd=wrong)
    with pytest.raises(ValueError, match="tokens"):
        PRICES["gpt-5"].cost(-1, 0)


def test_every_entry_of_a_run_has_a_proof_that_holds(client):
    with govern(client, agent_id="core", scopes=["execute"]) as run:
        for number in range(7):
            run.permit("look", {"number": number})
    proofs = run.proofs()
    assert [proof.entry_id for proof in proofs] == list(run.entry_ids) and all(map(verify_inclusion, proofs))
    proof = proofs[3]
    other = "0" * 64
    for forged in [
        {"leaf_hash": other}, {"root_hash": other}, {"leaf_index": proof.leaf_index + 1}, {"leaf_index": -1},
        {"tree_size": proof.tree_size + 1}, {"audit_path": proof.audit_path[1:]}, {"audit_path": [*proof.audit_path, other]},
        {"audit_path": ["zz"]}, {"audit_path": [other] * 65}, {"algorithm": "other"},
        {"sth": dataclasses.replace(proof.sth, root_hash=other)},
        {"tree_size": 2**40, "sth": dataclasses.replace(proof.sth, tree_size=2**40)},
    ]:
        assert not verify_inclusion(dataclasses.replace(proof, **forged)), forged


def test_long_and_strange_arguments_do_not_stop_a_call(client):
    with govern(client, agent_id="core", scopes=["execute"]) as run:
        long = run.permit("look", {"text": "x" * MAX_DETAIL_BYTES})
        strange = run.permit("look", {"thing": threading.Lock, "surrogate": "\ud800"})
    found = entries(client, run)
    assert found[long].details["arguments"]["bytes"] > MAX_DETAIL_BYTES
    assert "Lock" in str(found[strange].details) or "lock" in str(found[strange].details)


def test_a_decorated_function_is_governed_by_its_name(client):
    with govern(client, agent_id="core", scopes=["execute:add"]) as run:

        @run.tool
        def add(left, right=2):
            return left + right

        @run.tool
        def drop():
            pytest.fail("it ran")

        assert add(1) == 3
        with pytest.raises(ToolDenied):
            drop()
        with pytest.raises(TypeError, match="govern_async"):

            @run.tool
            async def later():
                pass


def run_async(work):
    async def main():
        async with AsyncHaldir(URL, KEY) as client:
            return await work(client)

    return asyncio.run(main())


def test_async_runs_decide_log_and_prove_the_same_way(client):
    async def work(other):
        async with govern_async(other, agent_id="core", scopes=["execute:add"], prices=PRICES) as run:

            @run.tool
            async def add(left, right):
                return left + right

            assert await add(1, right=2) == 3
            assert await run.call("add", lambda left: left, left=4) == 4
            with pytest.raises(ToolDenied, match="execute:drop"):
                await run.call("drop", lambda: pytest.fail("it ran"))
            await run.log_tokens("gpt-5", 100, 0)
        assert all(verify_inclusion(proof) for proof in await run.proofs())
        return run

    run = run_async(work)
    assert is_over(client, run.session_id) and len(run.entry_ids) == 4
    assert client.get_spend(session_id=run.session_id).total_usd == Decimal("0.000125")


def test_a_cancelled_run_revokes_its_session(client):
    async def work(other):
        made = []

        async def agent():
            async with govern_async(other, agent_id="core", scopes=["execute"]) as run:
                made.append(run.session_id)
                await asyncio.sleep(60)

        task = asyncio.create_task(agent())
        while not made:
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()  # again, while it revokes
        with pytest.raises(asyncio.CancelledError):
            await task
        return made[0]

    assert is_over(client, run_async(work))


@pytest.mark.parametrize("steps", [1, 2, 4, 8, 16, 32])
def test_a_run_that_is_cancelled_while_it_begins_leaves_no_session(client, steps):
    agent_id = f"begin-{steps}"

    async def work(other):
        async def agent():
            async with govern_async(other, agent_id=agent_id, scopes=["execute"]):
                await asyncio.sleep(60)

        task = asyncio.create_task(agent())
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run_async(work)
    assert all(session.revoked for session in client.list_sessions(agent_id=agent_id).sessions)


def test_delegated_runs_end_with_their_parent(client):
    with govern(client, agent_id="parent", scopes=["execute"], spend_limit=5) as parent:
        child = client.create_session(agent_id="child", scopes=["execute"], parent_session_id=parent.session_id)
        with pytest.raises(HaldirError):
            with govern(client, agent_id="child", scopes=["admin"], parent_session_id=parent.session_id):
                pytest.fail("more than its parent")
    assert is_over(client, child.session_id)


def test_runs_of_many_threads_keep_their_entries(client):
    with govern(client, agent_id="core", scopes=["execute"]) as run:
        threads = [threading.Thread(target=lambda: [run.permit("look") for _ in range(10)]) for _ in range(4)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
    assert len(set(run.entry_ids)) == 40


def test_the_end_of_an_ended_session_is_no_error(client):
    with govern(client, agent_id="core", scopes=["execute"]) as run:
        run.revoke()
    assert is_over(client, run.session_id)
    with pytest.raises(SessionInvalid):
        client.log_action(session_id=run.session_id, action="late")
