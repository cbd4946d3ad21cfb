"""What the Python suites share: checks that are counted, and the shapes of a tool's answers.

Every check prints `ok NAME` or `FAILED NAME: what was wrong`; the name says the right behaviour. `run` counts them.
"""

import json
import math
import re
from pathlib import Path

REFUSALS = json.loads(Path(__file__).with_name("refusals.json").read_text())
TOOLS = set(REFUSALS)
# A well-formed session id that nobody has.
UNKNOWN_SESSION = "ses_" + "A" * 32

failures = []


def expect(condition, problem):
    if not condition:
        raise AssertionError(problem)


def fits(got, **wanted):
    """Every wanted field is there with that value; a bool is no number here."""
    for name, value in wanted.items():
        expect(name in got, f"{name} is missing from {shorten(got)}")
        same = got[name] == value and isinstance(got[name], bool) == isinstance(value, bool)
        expect(same, f"{name} is {got[name]!r}, not {value!r}")


def near(got, wanted, seconds=30):
    expect(isinstance(got, (int, float)) and math.isfinite(got), f"{got!r} is no time")
    expect(abs(got - wanted) <= seconds, f"{got} is not within {seconds} s of {wanted}")


def shorten(value):
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) < 1_000 else text[:1_000] + "…"


def run_check(name, check):
    try:
        check()
    except Exception as error:  # every way to go wrong is a failed check, and the next one still runs
        report(name, error)
    else:
        report(name)


def report(name, error=None):
    if error is None:
        print(f"ok {name}")
    else:
        failures.append(name)
        print(f"FAILED {name}: {type(error).__name__} {shorten(str(error))}")


def summary():
    """The exit status of a suite."""
    return 1 if failures else 0


def placeholders(value, names):
    """Arguments from refusals.json with the names like $session filled in."""
    if isinstance(value, dict):
        return {key: placeholders(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [placeholders(item, names) for item in value]
    return names.get(value, value) if isinstance(value, str) else value


def body_of(result):
    """The JSON in a tool result (as a dict of the wire's names); text and structuredContent are the same.

    A refusal's text has a sentence for people before it, on a line of its own, which tells the error.
    """
    content = result["content"]
    expect(len(content) == 1 and content[0]["type"] == "text", f"one text content, not {shorten(content)}")
    text, sentence = content[0]["text"], None
    if result.get("isError"):
        sentence, newline, text = text.partition("\n")
        expect(newline, f"a sentence alone, no JSON on the next line: {shorten(sentence)}")
        expect(re.fullmatch(r"\w\S* .*\S[.!?]", sentence), f"no sentence but {shorten(repr(sentence))}")
    body = json.loads(text)
    if sentence is not None:
        expect(isinstance(body, dict), f"no JSON object but {shorten(body)}")
        told = body.get("error") or body.get("reason")
        expect(isinstance(told, str) and told.rstrip(".") in sentence, f"{told!r} is not told in {sentence!r}")
    if "structuredContent" in result:
        structured = json.loads(json.dumps(result["structuredContent"], default=float))
        expect(structured == body, f"text {shorten(body)} differs from {shorten(structured)}")
    return body


def good(result):
    body = body_of(result)
    expect(result.get("isError", False) is False, f"refused: {shorten(body)}")
    expect("structuredContent" in result, "no structuredContent")
    return body


def refused(result, field=None, says=None):
    """A refusal: isError, and either {error, code} or, of a payment, {authorized: false, reason}."""
    body = body_of(result)
    expect(result.get("isError") is True, f"not refused: {shorten(body)}")
    if field is None and "authorized" in body:
        return refused_payment(result)
    expect(isinstance(body.get("error"), str) and body["error"], f"no error text in {shorten(body)}")
    code = body.get("code")
    expect(isinstance(code, str) and re.fullmatch(r"[a-z][a-z0-9_]*", code), f"no machine code in {shorten(body)}")
    if field is not None:
        fits(body, field=field)
    expect(says is None or says in body["error"], f"{says!r} is not named in {body['error']!r}")
    return body


def refused_payment(result):
    body = body_of(result)
    expect(result.get("isError") is True, "a refused payment is an error")
    expect("structuredContent" in result, "no structuredContent")
    fits(body, authorized=False)
    expect(isinstance(body.get("reason"), str) and body["reason"], f"no reason in {shorten(body)}")
    return body
