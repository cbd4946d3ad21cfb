"""What every connection of the Python client is held to; python_client.py runs each check on each connection."""

import json
import time

import jsonschema
from mcp import MCPError
from mcp_types import PromptReference, ResourceTemplateReference

from checks import TOOLS, UNKNOWN_SESSION, expect, fits, good, near, refused, refused_payment

REQUIRED = {
    "createSession": {"agent_id"},
    "getSession": set(),
    "revokeSession": set(),
    "checkPermission": {"scope"},
    "storeSecret": {"name", "value"},
    "getSecret": {"name"},
    "authorizePayment": {"amount"},
    "logAction": {"action"},
    "getAuditTrail": set(),
    "getSpend": set(),
}
ONLY_READS = {"getSession", "getAuditTrail", "getSpend"}
WRITES = {"createSession", "revokeSession", "storeSecret", "authorizePayment", "logAction"}
CHECKS = []


async def rejected(awaitable, *codes):
    """A JSON-RPC error with one of these codes."""
    try:
        result = await awaitable
    except MCPError as error:
        expect(error.error.code in codes, f"the code is {error.error.code}: {error.error.message}")
        expect(error.error.message, "no message")
        return
    raise AssertionError(f"not rejected: {result}")


def takes_null(schema):
    """Whether null fits; what is optional is a flat anyOf of typed alternatives, the last of which is null."""
    if "anyOf" not in schema:
        expect(isinstance(schema.get("type"), str) and schema["type"] != "null", f"no one type in {schema}")
        return False
    expect("type" not in schema, f"both type and anyOf in {schema}")
    *others, last = schema["anyOf"]
    expect(others and last == {"type": "null"}, f"null is not the last of {schema}")
    for other in others:
        expect(isinstance(other.get("type"), str) and other["type"] != "null", f"not flat: {schema}")
        expect("anyOf" not in other, f"not flat: {schema}")
    return True


def check(function):
    CHECKS.append(function)
    return function


@check
async def negotiates_the_version_and_answers_ping(c):
    wanted = "2026-07-28" if c.era == "auto" else "2025-11-25"
    expect(c.client.protocol_version == wanted, f"{c.client.protocol_version}, not {wanted}")
    expect(c.client.server_info.name == "haldir", f"the server is {c.client.server_info}")
    wanted = ("tools", "prompts", "resources", "completions")
    missing = [name for name in wanted if getattr(c.client.server_capabilities, name) is None]
    expect(not missing, f"not announced: {missing}")
    if c.era == "legacy":  # 2026-07-28 has no ping
        await c.client.send_ping()


@check
async def lists_the_ten_tools_with_true_schemas(c):
    tools = {tool.name: tool for tool in (await c.client.list_tools()).tools}
    expect(set(tools) == TOOLS, f"the tools are {sorted(tools)}")
    for name, tool in tools.items():
        expect(tool.description, f"{name} has no description")
        expect(set(tool.input_schema.get("required", [])) == REQUIRED[name], f"{name}: {tool.input_schema}")
        for argument, schema in tool.input_schema["properties"].items():
            optional = argument not in REQUIRED[name]
            expect(takes_null(schema) == optional, f"{name}.{argument} is optional: {optional}, yet {schema}")
        expect(tool.output_schema and tool.output_schema["type"] == "object", f"{name} has no outputSchema")
        for schema in (tool.input_schema, tool.output_schema):
            jsonschema.Draft202012Validator.check_schema(schema)
        expect(tool.annotations is not None, f"{name} has no annotations")
        expect(name not in ONLY_READS or tool.annotations.read_only_hint is True, f"{name} only reads")
        expect(name not in WRITES or tool.annotations.read_only_hint is not True, f"{name} writes")
    expect(tools["revokeSession"].annotations.destructive_hint is not False, "revokeSession destroys")


@check
async def createSession_opens_a_bounded_session_and_getSession_shows_it(c):
    arguments = {"agent_id": "bot", "scopes": ["read", "spend"], "ttl": 600, "spend_limit": 12.5}
    made = good(await c.call("createSession", **arguments))
    fits(made, agent_id="bot", scopes=["read", "spend"], ttl=600, spend_limit=12.5)
    expect(made["session_id"].startswith("ses_"), made["session_id"])
    near(made["expires_at"], time.time() + 600)
    shown = good(await c.call("getSession", session_id=made["session_id"]))
    fits(shown, session_id=made["session_id"], agent_id="bot", scopes=["read", "spend"], spend_limit=12.5)
    fits(shown, spent=0, remaining_budget=12.5, is_valid=True, expires_at=made["expires_at"])
    near(shown["created_at"], time.time())


@check
async def the_session_made_last_is_the_default(c):
    other = await c.session()
    last = await c.session()
    for default in ({}, {"session_id": None}, {"session_id": ""}):
        fits(good(await c.call("getSession", **default)), session_id=last, agent_id="python")
        for scope, allowed in (("read", True), ("write", False)):
            answer = good(await c.call("checkPermission", scope=scope, **default))
            fits(answer, allowed=allowed, session_id=last, scope=scope)
        name = f"default-{time.time_ns()}"
        fits(good(await c.call("storeSecret", name=name, value="v")), stored=True)
        fits(good(await c.call("getSecret", name=name, **default)), name=name, value="v")
        fits(good(await c.call("authorizePayment", amount=1, **default)), authorized=True, session_id=last)
        entry = good(await c.call("logAction", action="by default", **default))["entry_id"]
        newest = good(await c.call("getAuditTrail", session_id=last, limit=1))["entries"][0]
        fits(newest, entry_id=entry, session_id=last, action="by default")
    fits(good(await c.call("getSession", session_id=last)), spent=3)
    fits(good(await c.call("getSession", session_id=other)), spent=0)  # who is named is meant
    fits(good(await c.call("revokeSession")), revoked=True, session_id=last)
    fits(good(await c.call("getSession", session_id=last)), is_valid=False)
    fits(good(await c.call("getSession", session_id=other)), is_valid=True)


@check
async def null_and_an_empty_string_for_what_is_optional_are_nothing(c):
    nothing = {"scopes": None, "ttl": None, "spend_limit": None, "idempotency_key": None}
    for empty in (None, ""):
        made = good(await c.call("createSession", agent_id="bot", parent_session_id=empty, **nothing))
        fits(made, scopes=["read", "browse"], ttl=3600, spend_limit=None, parent_session_id="")
        session = made["session_id"]
        action = {"session_id": session, "action": "use", "tool": empty, "details": None, "cost_usd": None}
        fits(good(await c.call("logAction", **action)), logged=True, cost_usd=0, cost_rounded=False)
        wanted = {"tool": empty, "agent_id": empty, "cursor": empty, "since": empty, "until": empty}
        trail = good(await c.call("getAuditTrail", session_id=session, limit=None, flagged=None, **wanted))
        fits(trail["entries"][0], session_id=session, action="use", tool="", details=None)
        fits(good(await c.call("getSpend", session_id=session, agent_id=empty)), total_usd=0, action_count=1)


@check
async def createSession_has_modest_defaults(c):
    made = good(await c.call("createSession", agent_id="bot"))
    fits(made, scopes=["read", "browse"], ttl=3600, spend_limit=None)
    near(made["expires_at"], time.time() + 3600)


@check
async def an_idempotency_key_opens_one_session(c):
    key = f"key-{time.time_ns()}"
    first = good(await c.call("createSession", agent_id="bot", idempotency_key=key))
    again = good(await c.call("createSession", agent_id="bot", idempotency_key=key))
    expect(first == again, "the second answer is another one")
    other = refused(await c.call("createSession", agent_id="another", idempotency_key=key))
    fits(other, code="idempotency_mismatch")
    expect("request_id" not in other, "an answer over MCP has the id of its request already")


@check
async def checkPermission_says_yes_or_no_and_never_fails(c):
    session = await c.session()
    for scope, allowed in (("read", True), ("spend", True), ("read:mail", True), ("write", False), ("admin", False)):
        answer = good(await c.call("checkPermission", session_id=session, scope=scope))
        fits(answer, allowed=allowed, session_id=session, scope=scope)
    answer = good(await c.call("checkPermission", session_id=UNKNOWN_SESSION, scope="read"))
    fits(answer, allowed=False)


@check
async def a_secret_comes_back_as_it_was_stored(c):
    session = await c.session()
    name = f"team/api:{time.time_ns()}@work"  # what may stand in a name and means something in a path
    for value in ("first", 'second "ü" \U0001f511\n' + "x" * 10_000):
        fits(good(await c.call("storeSecret", name=name, value=value)), stored=True, name=name)
        fits(good(await c.call("getSecret", name=name, session_id=session)), name=name, value=value)


@check
async def a_refusal_does_not_show_the_secret(c):
    session = await c.session()
    await c.call("storeSecret", name="hidden", value="sk_live_8472", disclosure="inject")
    body = refused(await c.call("getSecret", name="hidden", session_id=session))
    expect("sk_live_8472" not in json.dumps(body), "it does")


@check
async def a_path_in_place_of_a_session_reaches_nothing_else(c):
    session = await c.session()
    await c.call("storeSecret", name="q", value="still here")
    for path in ("../secrets/q", "..%2Fsecrets%2Fq", "../keys", "x/../../secrets/q", "?limit=1", "#"):
        refused(await c.call("revokeSession", session_id=path))
        refused(await c.call("getSession", session_id=path))
    for path in ("../secrets/q", "../sessions", "q/../q", "q?x=1", "."):
        refused(await c.call("getSecret", name=path, session_id=session))
    fits(good(await c.call("getSecret", name="q", session_id=session)), value="still here")
    fits(good(await c.call("getSession", session_id=session)), is_valid=True)


@check
async def authorizePayment_takes_from_the_budget(c):
    session = await c.session()
    paid = good(await c.call("authorizePayment", session_id=session, amount=12.34, description="a book"))
    fits(paid, authorized=True, amount=12.34, currency="USD", remaining_budget=37.66, session_id=session)
    fits(paid, agent_id="python", description="a book")
    expect(paid["authorization_id"].startswith("auth_"), paid["authorization_id"])
    near(paid["timestamp"], time.time())
    no = refused_payment(await c.call("authorizePayment", session_id=session, amount=37.67))
    fits(no, amount=37.67, currency="USD", remaining_budget=37.66, session_id=session, code="budget_exceeded")
    expect("authorization_id" not in no, "a refusal has no authorization")
    shown = good(await c.call("getSession", session_id=session))
    fits(shown, spent=12.34, remaining_budget=37.66)


@check
async def three_dimes_fit_thirty_cents_and_a_fourth_does_not(c):
    session = await c.session(spend_limit=0.3)
    for left in (0.2, 0.1, 0):
        fits(good(await c.call("authorizePayment", session_id=session, amount=0.1)), remaining_budget=left)
    refused_payment(await c.call("authorizePayment", session_id=session, amount=0.1))


@check
async def logAction_and_getAuditTrail_agree_newest_first(c):
    session = await c.session()
    details = {"query": "ü", "hits": [1, 2.5, None, True]}
    first = good(await c.call("logAction", session_id=session, action="search", tool="web", details="plain"))
    fits(first, logged=True, flagged=False, flag_reason="")
    action = {"session_id": session, "action": "read", "tool": "web", "details": details, "cost_usd": 0.25}
    second = good(await c.call("logAction", **action))
    trail = good(await c.call("getAuditTrail", session_id=session, tool="web"))
    fits(trail, count=2)
    newest, oldest = trail["entries"]
    fits(oldest, entry_id=first["entry_id"], action="search", details="plain", cost_usd=0, agent_id="python")
    fits(newest, entry_id=second["entry_id"], action="read", tool="web", cost_usd=0.25, session_id=session)
    kept = newest["details"]
    expect((json.loads(kept) if isinstance(kept, str) else kept) == details, f"details are {kept!r}")
    expect(newest["seq"] > oldest["seq"], "seq does not grow")
    near(newest["timestamp"], time.time())
    expect(newest["entry_hash"] != oldest["entry_hash"], "two entries with one hash")


@check
async def the_cursor_walks_the_trail_without_a_gap(c):
    session = await c.session()
    made, seen, more = [], [], {}
    for n in range(3):
        made.append(good(await c.call("logAction", session_id=session, action=f"step {n}", tool="t"))["entry_id"])
    for _ in made:
        page = good(await c.call("getAuditTrail", session_id=session, tool="t", limit=1, **more))
        fits(page, count=1)
        seen += [entry["entry_id"] for entry in page["entries"]]
        more = {"cursor": page["next_cursor"]} if page.get("next_cursor") else {}
    expect(seen == made[::-1], f"{seen} is not the reverse of {made}")


@check
async def a_cost_beyond_the_budget_is_flagged_with_a_reason(c):
    session = await c.session(spend_limit=1)
    entry = good(await c.call("logAction", session_id=session, action="buy", tool="shop", cost_usd=1.01))
    fits(entry, logged=True, flagged=True)
    expect(entry["flag_reason"], "no reason")
    only = good(await c.call("getAuditTrail", session_id=session, flagged=True))
    expect(entry["entry_id"] in [e["entry_id"] for e in only["entries"]], "the flagged filter misses it")
    expect(all(e["flagged"] for e in only["entries"]), "the flagged filter lets others through")


@check
async def a_cost_of_ten_decimals_is_rounded_to_nine_and_says_so(c):
    session = await c.session()
    for cost, kept, rounded in (
        (0.1234567891, 0.123456789, True),
        (0.1234567896, 0.12345679, True),
        (0.123456789, 0.123456789, False),
        (0.25, 0.25, False),
    ):
        entry = good(await c.call("logAction", session_id=session, action="use", cost_usd=cost))
        fits(entry, logged=True, cost_usd=kept, cost_rounded=rounded)
        newest = good(await c.call("getAuditTrail", session_id=session, limit=1))["entries"][0]
        fits(newest, entry_id=entry["entry_id"], cost_usd=kept)
    fits(good(await c.call("getSpend", session_id=session)), total_usd=0.620370368)


@check
async def getSpend_sums_costs_exactly(c):
    session = await c.session()
    for tool, cost in (("a", 0.1), ("a", 0.2), ("b", 0.000000001)):
        await c.call("logAction", session_id=session, action="use", tool=tool, cost_usd=cost)
    await c.call("authorizePayment", session_id=session, amount=5)
    spend = good(await c.call("getSpend", session_id=session))
    fits(spend, total_usd=0.300000001, authorized_usd=5)
    fits(spend["by_tool"], a=0.3, b=0.000000001)
    expect(spend["action_count"] >= 3, f"{spend['action_count']} actions")


@check
async def revokeSession_ends_a_session_and_its_children_for_good(c):
    parent = await c.session()
    child = await c.session(parent_session_id=parent, spend_limit=5, ttl=60)
    for _ in range(2):
        fits(good(await c.call("revokeSession", session_id=parent, cascade=True)), revoked=True, session_id=parent)
    for session in (parent, child):
        fits(good(await c.call("getSession", session_id=session)), is_valid=False)
        fits(good(await c.call("checkPermission", session_id=session, scope="read")), allowed=False)
        refused(await c.call("authorizePayment", session_id=session, amount=1))


@check
async def an_unknown_tool_is_a_protocol_error(c):
    await rejected(c.client.call_tool("transferAllFunds", {}), -32602)


@check
async def prompts_bring_the_facts(c):
    prompts = {p.name: p for p in (await c.client.list_prompts()).prompts}
    expect(set(prompts) == {"security-audit", "budget-check"}, f"the prompts are {sorted(prompts)}")
    for name, required in (("security-audit", False), ("budget-check", True)):
        (argument,) = prompts[name].arguments
        expect((argument.name, bool(argument.required)) == ("session_id", required), f"{name}: {argument}")
    session = await c.session()
    await c.call("authorizePayment", session_id=session, amount=12.34)
    text = await c.prompt("budget-check", session_id=session)
    for fact in (session, "12.34", "37.66"):
        expect(fact in text, f"budget-check does not say {fact}")
    await c.call("logAction", session_id=session, action="look behind the curtain", tool="eyes")
    for arguments in ({"session_id": session}, {}):
        text = await c.prompt("security-audit", **arguments)
        expect("look behind the curtain" in text, f"security-audit {arguments} does not show the last action")
    await rejected(c.client.get_prompt("budget-check", {}), -32602)
    await rejected(c.client.get_prompt("budget-check", {"session_id": UNKNOWN_SESSION}), -32602)
    await rejected(c.client.get_prompt("sing", {}), -32602)


@check
async def completion_offers_sessions(c):
    session = await c.session()
    for reference in (
        PromptReference(name="budget-check"),
        PromptReference(name="security-audit"),
        ResourceTemplateReference(uri="haldir://sessions/{session_id}"),
    ):
        for value in ("", session[:12], session):
            answer = await c.client.complete(reference, {"name": "session_id", "value": value})
            expect(session in answer.completion.values, f"{reference} {value!r} lacks the newest session")
            expect(all(v.startswith(value) for v in answer.completion.values), "values beside the prefix")
        none = await c.client.complete(reference, {"name": "session_id", "value": "no session"})
        expect(none.completion.values == [], f"values of nothing: {none.completion.values}")


@check
async def resources_are_read_as_json(c):
    fixed = {str(r.uri) for r in (await c.client.list_resources()).resources}
    expect("haldir://audit/tree-head" in fixed, f"the resources are {fixed}")
    templates = {t.uri_template for t in (await c.client.list_resource_templates()).resource_templates}
    expect(templates == {"haldir://sessions/{session_id}", "haldir://audit/{entry_id}"}, f"they are {templates}")
    session = await c.session()
    entry = good(await c.call("logAction", session_id=session, action="read me", tool="t"))["entry_id"]
    fits(await c.read(f"haldir://sessions/{session}"), session_id=session, agent_id="python", is_valid=True)
    fits(await c.read(f"haldir://audit/{entry}"), entry_id=entry, action="read me", session_id=session)
    head = await c.read("haldir://audit/tree-head")
    expect(head["tree_size"] >= 2 and len(bytes.fromhex(head["root_hash"])) == 32, f"{head}")
    fits(head, algorithm="Ed25519-over-canonical-sth")
    not_found = -32602 if c.era == "auto" else -32002
    for uri in (f"sessions/{UNKNOWN_SESSION}", "sessions/../keys", "audit/aud_none", "nothing"):
        await rejected(c.client.read_resource(f"haldir://{uri}"), not_found)
    await rejected(c.client.read_resource("file:///etc/passwd"), not_found)
