"""verify_webhook_signature of the product's Python package, on deliveries that a receiver in this process was sent.

Part of python_product.py. The package registers no webhooks, so plain REST does.
"""

import json
import queue
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import haldir
from checks import expect, fits, near, shorten

DELIVERY_SECONDS = 10


class Receiver(ThreadingHTTPServer):
    """Takes webhooks, keeps their headers and raw bytes, and answers 200. Its webhook is registered on first use."""

    daemon_threads = True

    def __init__(self, lab, **wanted):
        super().__init__(("127.0.0.1", 0), Handler)
        self.lab, self.wanted, self.registered = lab, wanted, None
        self.url = f"http://127.0.0.1:{self.server_port}/hook"
        self.deliveries = queue.Queue()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def webhook(self):
        if self.registered is None:
            self.registered = self.lab.rest("POST", "/v1/webhooks", 201, json={"url": self.url} | self.wanted)
        return self.registered

    def next(self, seconds=DELIVERY_SECONDS):
        try:
            headers, raw = self.deliveries.get(timeout=seconds)
        except queue.Empty:
            raise AssertionError(f"nothing more came within {seconds:.0f} s") from None
        return headers, raw, json.loads(raw)

    def wait_for(self, event, **payload):
        """The next delivery of this event whose body has these fields; others are passed over."""
        deadline = time.monotonic() + DELIVERY_SECONDS
        while True:
            headers, raw, body = self.next(max(0, deadline - time.monotonic()))
            if body.get("event") == event and all(body.get(name) == value for name, value in payload.items()):
                return headers, raw, body


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.server.deliveries.put((self.headers, self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def verifies(headers, raw, secret, **more):
    haldir.verify_webhook_signature(
        raw, headers.get("X-Haldir-Signature", ""), headers.get("X-Haldir-Timestamp", ""), secret, **more
    )


def does_not_verify(headers, raw, secret, **more):
    try:
        verifies(headers, raw, secret, **more)
    except haldir.WebhookVerificationError:
        return
    raise AssertionError("verify_webhook_signature takes anything")


def registration_shows_the_secret_once(lab, c, receiver):
    made = receiver.webhook()
    fits(made, registered=True, url=receiver.url, events=["all"])
    expect(type(made["webhook_id"]) is int, f"webhook_id is {made['webhook_id']!r}; the command line takes integers")
    expect(made["secret"] and made["message"], shorten(made))
    listed = lab.rest("GET", "/v1/webhooks")["webhooks"]
    expect(made["secret"] not in json.dumps(listed), "the list shows the secret")
    mine = next(item for item in listed if item["webhook_id"] == made["webhook_id"])
    fits(mine, url=made["url"], name="all events", events=["all"], active=True, signed=True)
    expect(type(mine["fire_count"]) is int and type(mine["fail_count"]) is int, shorten(mine))


def an_approval_request_is_delivered_and_verifies(lab, c, receiver):
    secret = receiver.webhook()["secret"]
    wanted = {"tool": "bank", "action": "transfer", "amount": 7.5, "reason": "rent"}
    fields = wanted | {"session_id": c.session()}
    asked = lab.rest("POST", "/v1/approvals/request", 201, key=lab.agent, json=fields)
    headers, raw, body = receiver.wait_for("approval_requested", request_id=asked["request_id"])
    verifies(headers, raw, secret)
    verifies(headers, raw.decode(), ["an older secret", secret])
    does_not_verify(headers, raw, "another secret")
    does_not_verify(headers, raw + b" ", secret)
    does_not_verify(headers, raw, secret, now=time.time() + 3600)
    expect(headers["X-Haldir-Timestamp"].isdigit(), f"no whole seconds: {headers['X-Haldir-Timestamp']}")
    for name, value in (("Event", "approval_requested"), ("Delivery-Attempt", "1")):
        expect(headers[f"X-Haldir-{name}"] == value, f"X-Haldir-{name} is {headers[f'X-Haldir-{name}']!r}, not {value}")
    expect(headers.get_content_type() == "application/json", headers.get_content_type())
    fits(body, source="haldir", agent_id="product", **wanted)
    near(body["timestamp"], time.time())


def an_anomaly_is_delivered_and_verifies(lab, c, receiver):
    secret = receiver.webhook()["secret"]
    logged = c.log_action(c.session(agent_id="spree"), tool="shop", action="yacht", cost_usd=1000)
    headers, raw, body = receiver.wait_for("anomaly", agent_id="spree")
    verifies(headers, raw, secret)
    fits(body, tool="shop", action="yacht", cost_usd=1000, reason=logged["flag_reason"])


def exhaust_a_budget(lab, c):
    session = c.session(spend_limit=2)
    c.authorize_payment(session, 2)
    lab.rest("POST", "/v1/payments/authorize", 403, json={"session_id": session, "amount": 1})
    return session


def an_exhausted_budget_is_delivered_and_verifies(lab, c, receiver):
    secret, session = receiver.webhook()["secret"], exhaust_a_budget(lab, c)
    headers, raw, body = receiver.wait_for("budget_exhausted", session_id=session)
    verifies(headers, raw, secret)
    fits(body, agent_id="product", spent=2, limit=2)


def a_webhook_for_one_event_gets_no_other(lab, c, receiver):
    narrow = Receiver(lab, events=["budget_exhausted"])
    secret = narrow.webhook()["secret"]
    c.log_action(c.session(), tool="shop", action="yacht", cost_usd=1000)  # an anomaly, which comes first
    session = exhaust_a_budget(lab, c)
    headers, raw, body = narrow.next()
    fits(body, event="budget_exhausted", session_id=session)
    verifies(headers, raw, secret)
    does_not_verify(headers, raw, receiver.webhook()["secret"])


def what_was_delivered_is_counted(lab, c, receiver):
    made = receiver.webhook()
    deadline = time.monotonic() + DELIVERY_SECONDS
    while True:
        listed = lab.rest("GET", "/v1/webhooks")["webhooks"]
        mine = next(item for item in listed if item["webhook_id"] == made["webhook_id"])
        if mine["fire_count"] >= 3 or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    expect(mine["fire_count"] >= 3 and mine["fail_count"] == 0, f"deliveries answered 200, but: {shorten(mine)}")


def addresses_that_nobody_allowed_are_refused(lab, c, receiver):
    for url in ("http://169.254.169.254/latest", "http://10.0.0.1/", "http://[::1]:1/", "file:///etc/passwd"):
        fits(lab.rest("POST", "/v1/webhooks", 400, json={"url": url}), code="unsafe_url")


def run(lab, c):
    """All checks; the receiver is given back for the commands that show its deliveries."""
    receiver = Receiver(lab, name="all events")
    for function in (
        registration_shows_the_secret_once,
        an_approval_request_is_delivered_and_verifies,
        an_anomaly_is_delivered_and_verifies,
        an_exhausted_budget_is_delivered_and_verifies,
        a_webhook_for_one_event_gets_no_other,
        what_was_delivered_is_counted,
        addresses_that_nobody_allowed_are_refused,
    ):
        lab.check(f"webhooks: {function.__name__}", function, lab, c, receiver)
    return receiver
