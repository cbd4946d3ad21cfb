"""What schemathesis cannot know from a schema: which ids are there, which hosts have an address, and rules about
values. Only requests that are meant to be taken are changed; those that are meant to be refused stay as they are.
"""

import json
import os
import random

import schemathesis

# Ids of what the suite made before; see schemathesis_run.py.
LIVE = json.loads(os.environ.get("LIVE_IDS", "{}"))
MONEY = {"amount", "cost_usd", "threshold", "spend_limit", "max_spend", "max", "cost", "cost_max"}
NANO = 1e-9
# What a schema cannot say: that a text is a policy.
CEDAR = "permit (principal, action, resource);"
# A name that is allowed as a receiver and leads nowhere (RFC 6761): one that a generator thinks of has no address.
RECEIVER = "https://receiver.invalid/hook"


def exact(value):
    """An amount has at most nine decimals. `multipleOf: 1e-9` would say so, but validators that count in floats take
    29.99 for no multiple of it, and would keep users from paying."""
    return max(round(value, 9), NANO) if value > 0 else value


def spare(case):
    """Whatever a request is to show: it must not end the key that the suite works with, nor the session it lives in.
    schemathesis finds both in lists."""
    path = case.path_parameters or {}
    if path.get("prefix") == LIVE.get("own_prefix") and case.method != "GET":
        path["prefix"] = LIVE.get("prefix")
    if path.get("session_id") == LIVE.get("session_id") and case.method == "DELETE":
        path["session_id"] = "ses_" + "A" * 32


def one_key(case, kwargs):
    """The document allows a key in either of two headers, which schemathesis fills both. Two different keys are refused
    before anything else is looked at."""
    names = {name.lower(): name for name in case.headers or {}}
    has_bearer = "authorization" in names or any(name.lower() == "authorization" for name in kwargs.get("headers") or {})
    if has_bearer and "x-api-key" in names:
        del case.headers[names["x-api-key"]]


@schemathesis.hook
def before_call(context, case, kwargs):
    spare(case)
    one_key(case, kwargs)
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    # In half of the requests, so that what there is not is asked for too.
    chance = random.Random(case.id)
    body = case.body if isinstance(case.body, dict) else {}
    for name, value in body.items():
        if name in MONEY and isinstance(value, float):
            body[name] = exact(value)
    if case.operation.label in ("POST /v1/webhooks", "POST /v1/proxy/upstreams") and "url" in body:
        body["url"] = RECEIVER
    if body.get("type") == "cedar" and isinstance(body.get("cedar"), str):
        body["cedar"] = CEDAR
        # A build without Cedar refuses every policy set, which the document cannot say.
        if not os.environ.get("HAS_CEDAR"):
            body["type"], body["tool"] = "block_tool", "other"
            del body["cedar"]
    # A short value that is sent to upstreams is refused, which depends on other members.
    if case.operation.label == "POST /v1/secrets" and isinstance(body.get("value"), str):
        if body.get("upstreams") or body.get("disclosure") == "inject":
            body["value"] = "generated" + body["value"]
    # A window of no length is refused.
    if isinstance(body.get("start_hour"), int | float) and body["start_hour"] == body.get("end_hour"):
        body["end_hour"] += 1
    query, headers = case.query or {}, case.headers or {}
    # A time has one of several forms; more alternatives in its schema would be more than converters of frameworks read.
    for name in ("since", "until"):
        if isinstance(query.get(name), str):
            query[name] = chance.choice(["2026-11-21", "2026-11-21T09:30:00Z", "1795246557.25"])
    # Nothing decides while it waits: a second shows as much as thirty.
    if "wait" in query:
        query["wait"] = min(int(query["wait"]), 1)
    # In either place it will do, so that neither is required.
    if case.operation.label == "GET /v1/secrets/{name}" and "session_id" not in query and "X-Session-ID" not in headers:
        headers["X-Session-ID"] = LIVE.get("session_id", "ses_" + "A" * 32)
    # Given twice with different values it is refused: which of the two would be meant?
    if "session_id" in query and "X-Session-ID" in headers:
        del headers["X-Session-ID"]
    places = [body, query, headers] + ([] if case.method == "DELETE" else [case.path_parameters or {}])
    # Short keys come up again with other bodies, and what they repeat is not carried out: most are made new.
    if "Idempotency-Key" in headers and chance.random() < 0.75:
        headers["Idempotency-Key"] = case.id
    for place in places:
        for name, live in LIVE.items():
            if name in place and place[name] is not None and chance.random() < 0.5:
                place[name] = live
