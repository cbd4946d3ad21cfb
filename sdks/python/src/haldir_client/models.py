"""What the server answers with. Written by `sdks/python/generate`; do not edit."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

Disclosure = Literal[
    "return",
    "inject",
]
"""How a secret's plaintext may be used. `return`: getSecret returns it to a session that holds the required scope;
`inject`: It is never returned: only the proxy puts it into an upstream call.
"""

PaymentStatus = Literal[
    "approval_required",
]
"""The decision that a payment waits for. `approval_required`: An operator has to approve it first."""

AuthorizationStatus = Literal[
    "authorized",
    "captured",
    "voided",
]
"""The status of a payment authorization."""

EntryKind = Literal[
    "action",
    "governance",
]
"""The origin of an audit entry. `action`: An agent logged what it did; `governance`: Haldir itself recorded a decision. No
agent can write such an entry.
"""

RuleType = Literal[
    "spend_over",
    "tool_blocked",
    "destructive",
    "all",
]
"""The kinds of rule. `spend_over`: A payment of more than `threshold` USD; `tool_blocked`: A call of one of `tools`;
`destructive`: A call that destroys or overwrites something; `all`: Everything.
"""

ApprovalStatus = Literal[
    "pending",
    "approved",
    "denied",
    "expired",
]
"""The status of a request. It leaves `pending` once, and never changes after that. `pending`: Not decided yet; `approved`:
Approved: it can be used once; `denied`: Denied; `expired`: It expired before a decision.
"""

ExportFormat = Literal[
    "jsonl",
    "csv",
]
"""The formats of an export. `jsonl`: One JSON object a line, and the manifest as the last; `csv`: RFC 4180, with a header;
the manifest is fetched from /v1/audit/export/manifest.
"""

ToolState = Literal[
    "pinned",
    "changed",
    "gone",
]
"""Whether a tool may be called, as far as its pin goes. `pinned`: It is as it was accepted; `changed`: It is not as it was
accepted: in quarantine until an operator accepts it; `gone`: Its upstream offers it no more.
"""

PolicyType = Literal[
    "block_tool",
    "allow_list",
    "deny_list",
    "spend_limit",
    "rate_limit",
    "time_window",
    "cedar",
]
"""The kinds of policy. `block_tool`: `tool` is never called; `allow_list`: Only `tools` are called; `deny_list`: `tools`
are never called; `spend_limit`: No call with an amount of more than `max` USD; `rate_limit`: At most `max_per_minute`
calls of an agent within any minute; `time_window`: Calls only from `start_hour` until `end_hour`, UTC; `cedar`: Only
calls that a policy set in Cedar permits.
"""

Tier = Literal[
    "free",
    "pro",
    "enterprise",
]
"""How many calls an hour a key may make. `free`: 100 calls an hour, unless the operator set another figure; `pro`: 5,000
calls an hour; `enterprise`: 50,000 calls an hour.
"""

Role = Literal[
    "agent",
    "operator",
]
"""The two kinds of caller: the operator sets the limits, the agent works within them. `agent`: Works within sessions;
cannot mint keys, settle payments or change rules; `operator`: Sets the limits of agents.
"""

EventKind = Literal[
    "all",
    "anomaly",
    "approval_requested",
    "budget_exhausted",
    "session_revoked",
    "policy_denied",
]
"""The kinds of events that a webhook can subscribe to. `all`: Every event; `anomaly`: An entry of the audit log was
flagged; `approval_requested`: An agent waits for a decision; `budget_exhausted`: A payment was refused for want of
budget; `session_revoked`: A session was ended; `policy_denied`: A call of an upstream's tool was refused.
"""

PackFormat = Literal[
    "json",
    "markdown",
    "md",
    "html",
]
"""The formats of a pack, for the schema. Another one is refused with a code of its own."""

CriterionState = Literal[
    "pass",
    "warn",
    "fail",
]
"""Whether a criterion is met. `pass`: Met; `warn`: Partly met; `fail`: Not met."""

Cadence = Literal[
    "daily",
    "weekly",
    "monthly",
    "quarterly",
]
"""How often a schedule makes a pack. Periods are the calendar's, in UTC. `daily`: A pack of each day; `weekly`: A pack of
each week, from Monday on; `monthly`: A pack of each month; `quarterly`: A pack of each quarter of a year.
"""

ErrorCode = Literal[
    "malformed_json",
    "invalid_argument",
    "invalid_range",
    "invalid_format",
    "confirmation_required",
    "unsafe_url",
    "unauthorized",
    "session_invalid",
    "scope_denied",
    "insufficient_scope",
    "operator_required",
    "ceiling_exceeded",
    "exceeds_parent",
    "budget_exceeded",
    "currency_mismatch",
    "inject_only",
    "approval_required",
    "approval_invalid",
    "already_decided",
    "approval_expired",
    "unknown_tool",
    "tool_quarantined",
    "policy_denied",
    "secret_denied",
    "forbidden_origin",
    "not_found",
    "method_not_allowed",
    "request_timeout",
    "conflict",
    "payload_too_large",
    "unsupported_media_type",
    "idempotency_mismatch",
    "rate_limit_exceeded",
    "unavailable",
    "internal",
]


@dataclass(frozen=True)
class CreateSessionResponse:
    session_id: str
    """Names the session in every further call."""
    agent_id: str
    """The agent it was made for."""
    scopes: list[str]
    """The scopes it holds."""
    spend_limit: Decimal | None
    """Its budget in USD; null is no limit of its own."""
    expires_at: float
    """When it expires, in Unix seconds; 0 is never."""
    ttl: int
    """Its life in seconds; 0 is without end."""
    parent_session_id: str
    """The session that delegated to it; empty at the root."""
    delegation_depth: int
    """How many delegations lie above it."""
    daily_spend_limit: Decimal | None = None
    """What it and its agent's other sessions with such a limit may spend together in a UTC day, in USD; absent without
    one.
    """


@dataclass(frozen=True)
class ListSessionsResponse:
    count: int
    """How many are in this answer."""
    sessions: list[SessionDetail]
    """Newest first."""
    next_cursor: str | None
    """The cursor of the next page; null on the last page."""


@dataclass(frozen=True)
class SessionDetail:
    """A session, with what is derived from it at the time of the call."""

    session_id: str
    """The session's id."""
    agent_id: str
    """The agent it was made for."""
    scopes: list[str]
    """The scopes it holds."""
    spend_limit: Decimal | None
    """Its budget in USD; null is no limit of its own."""
    spent: Decimal
    """What it and its descendants have authorized, in USD."""
    remaining_budget: Decimal | None
    """What is left of its budget; null without one."""
    is_valid: bool
    """Whether it may act now: it has not expired, and neither it, nor a session above it, nor its key was revoked."""
    revoked: bool
    """Whether it was revoked."""
    created_at: float
    """When it was created, in Unix seconds."""
    expires_at: float
    """When it expires, in Unix seconds; 0 is never."""
    parent_session_id: str
    """The session that delegated to it; empty at the root."""
    delegation_depth: int
    """How many delegations lie above it."""
    logged_cost_usd: Decimal
    """What it has logged as cost, in USD."""
    action_count: int
    """How many actions it has logged."""
    daily_spend_limit: Decimal | None = None
    """What it and its agent's other sessions with such a limit may spend together in a UTC day, in USD; absent without
    one.
    """


@dataclass(frozen=True)
class GetSessionResponse:
    session_id: str
    """The session's id."""
    agent_id: str
    """The agent it was made for."""
    scopes: list[str]
    """The scopes it holds."""
    spend_limit: Decimal | None
    """Its budget in USD; null is no limit of its own."""
    spent: Decimal
    """What it and its descendants have authorized, in USD."""
    remaining_budget: Decimal | None
    """What is left of its budget; null without one."""
    is_valid: bool
    """Whether it may act now: it has not expired, and neither it, nor a session above it, nor its key was revoked."""
    revoked: bool
    """Whether it was revoked."""
    created_at: float
    """When it was created, in Unix seconds."""
    expires_at: float
    """When it expires, in Unix seconds; 0 is never."""
    parent_session_id: str
    """The session that delegated to it; empty at the root."""
    delegation_depth: int
    """How many delegations lie above it."""
    logged_cost_usd: Decimal
    """What it has logged as cost, in USD."""
    action_count: int
    """How many actions it has logged."""
    daily_spend_limit: Decimal | None = None
    """What it and its agent's other sessions with such a limit may spend together in a UTC day, in USD; absent without
    one.
    """


@dataclass(frozen=True)
class RevokeSessionResponse:
    revoked: bool
    """Always true."""
    session_id: str
    """The session that was ended."""
    cascade_revoked: list[str]
    """The descendants that this call ended; the first 1,000 of them."""
    cascade_revoked_count: int
    """How many descendants this call ended."""


@dataclass(frozen=True)
class CheckPermissionResponse:
    allowed: bool
    """Whether the session may."""
    session_id: str
    """The session that was checked."""
    scope: str
    """The scope that was checked."""


@dataclass(frozen=True)
class StopAgentResponse:
    stopped: bool
    """Always true."""
    agent_id: str
    """The agent."""
    sessions_ended: list[str]
    """The sessions that ended, those below them included; the first 1,000 of them."""
    sessions_ended_count: int
    """How many sessions ended."""
    made_by: list[str]
    """The principals that created the agent's sessions: keys by their first characters, `local`, `operator`."""
    keys_revoked: list[str]
    """The keys that were revoked, by their first characters."""


@dataclass(frozen=True)
class ListDescendantsResponse:
    session_id: str
    """The session at the top."""
    count: int
    """How many are in this answer."""
    descendants: list[SessionDetail]
    """Parents before their children."""
    truncated: bool
    """Whether there are more than one response holds."""


@dataclass(frozen=True)
class StoreSecretResponse:
    stored: bool
    """Always true."""
    name: str
    """Its name."""
    version: int
    """1 for a new name, one more each time."""


@dataclass(frozen=True)
class ListSecretsResponse:
    count: int
    """How many are in this answer."""
    secrets: list[str]
    """In alphabetical order."""
    next_cursor: str | None
    """The cursor of the next page; null on the last page."""


@dataclass(frozen=True)
class GetSecretResponse:
    name: str
    """Its name."""
    value: str
    """Its plaintext."""
    version: int
    """Its version."""


@dataclass(frozen=True)
class DeleteSecretResponse:
    deleted: bool
    """Always true."""
    name: str
    """Its name."""


@dataclass(frozen=True)
class AuthorizePaymentResponse:
    authorized: bool
    """Whether the payment may be made."""
    amount: Decimal
    """How much was asked for, and if authorized is true, authorized."""
    currency: str
    """Its currency."""
    remaining_budget: Decimal | None
    """What is left of the session's budget, in USD; null without one. In a refusal, of the budget that refused."""
    session_id: str
    """The session that pays."""
    reason: str | None = None
    """Why it was refused; empty if it was not."""
    status: PaymentStatus | None = None
    """`approval_required`, where the payment waits for a person's decision."""
    approval_request_id: str | None = None
    """The approval request that the decision is about."""
    authorization_id: str | None = None
    """The id of the authorization, for capturePayment and voidPayment."""
    agent_id: str | None = None
    """Its agent."""
    description: str | None = None
    """What it is for."""
    timestamp: float | None = None
    """When it was decided, in Unix seconds."""


@dataclass(frozen=True)
class ListPaymentsResponse:
    count: int
    """How many are in this answer."""
    payments: list[PaymentDetail]
    """Newest first."""
    next_cursor: str | None
    """The cursor of the next page; null on the last page."""


@dataclass(frozen=True)
class PaymentDetail:
    """A payment, and what became of it. Times are Unix seconds."""

    authorization_id: str
    """Names the payment."""
    session_id: str
    """The session that pays."""
    agent_id: str
    """Its agent."""
    status: AuthorizationStatus
    """Its status."""
    amount: Decimal
    """What was authorized."""
    captured: Decimal | None
    """What was paid of it; null until it is settled."""
    currency: str
    """The currency of both."""
    description: str
    """What it is for, in the agent's words."""
    created_at: float
    """When it was authorized."""
    settled_at: float | None
    """When it was captured or voided; null until then."""


@dataclass(frozen=True)
class CapturePaymentResponse:
    authorization_id: str
    """The authorization."""
    status: AuthorizationStatus
    """Its status now."""
    amount: Decimal
    """What was authorized."""
    captured: Decimal
    """What was paid of it."""
    returned: Decimal
    """What returned to the budget."""
    currency: str
    """Its currency."""
    session_id: str
    """The session that pays."""
    timestamp: float
    """When it was settled, in Unix seconds."""


@dataclass(frozen=True)
class VoidPaymentResponse:
    authorization_id: str
    """The authorization."""
    status: AuthorizationStatus
    """Its status now."""
    amount: Decimal
    """What was authorized."""
    captured: Decimal
    """What was paid of it."""
    returned: Decimal
    """What returned to the budget."""
    currency: str
    """Its currency."""
    session_id: str
    """The session that pays."""
    timestamp: float
    """When it was settled, in Unix seconds."""


@dataclass(frozen=True)
class LogActionResponse:
    logged: bool
    """Always true."""
    entry_id: str
    """Names the entry."""
    flagged: bool
    """Whether it looks anomalous."""
    flag_reason: str
    """Why; empty if it does not."""
    seq: int
    """Its place in the log."""
    entry_hash: str
    """The hash that the next entry will name."""
    timestamp: float
    """When it was recorded, in Unix seconds."""
    cost_usd: Decimal
    """The cost as it was recorded, in USD."""
    cost_rounded: bool
    """Whether the cost was rounded, since it had more than nine decimals."""


@dataclass(frozen=True)
class GetAuditTrailResponse:
    count: int
    """How many entries are in this answer."""
    entries: list[AuditEntry]
    """Newest first."""
    next_cursor: str | None
    """Give it as cursor to go on; null at the end. A page that is not the last may have fewer entries than limit."""


@dataclass(frozen=True)
class AuditEntry:
    """An entry of the audit log."""

    entry_id: str
    """Names the entry; empty where it cannot be read."""
    seq: int
    """Its place in the log, from 1."""
    kind: EntryKind
    """`action`: an agent logged it. `governance`: haldir did."""
    session_id: str
    """The session it happened in; empty if in none."""
    agent_id: str
    """The agent; `system` if none was involved."""
    tool: str
    """The tool or service."""
    action: str
    """What was done."""
    cost_usd: Decimal
    """What it cost, in USD."""
    flagged: bool
    """Whether it looked anomalous."""
    flag_reason: str
    """Why; empty if it did not."""
    timestamp: float
    """When it was recorded, in Unix seconds."""
    details: Any
    """More about it; null if there is nothing, or it was erased."""
    actor: str
    """The key that caused it, by its first characters, or `local` or `operator`."""
    details_digest: str | None
    """BLAKE3 over the salt and the details, in hexadecimal; null without details."""
    prev_hash: str
    """The hash of the entry before, in hexadecimal; zeros in front of the first."""
    entry_hash: str
    """BLAKE3 over this entry's canonical bytes, in hexadecimal."""
    erased: bool | None = None
    """True where the entry was erased at an operator's word: only its place, time, cost and hashes are left. Absent
    otherwise.
    """
    unreadable: str | None = None
    """What keeps the entry from being read: it was altered outside haldir, and its other fields say nothing. Absent
    otherwise; whether an entry that can be read is unaltered, verifyAuditTrail says.
    """
    altered: bool | None = None
    """True where the entry can be read, but its fields or its details are not those of its own hash: it was altered
    outside haldir. Absent otherwise; whether the whole log is unaltered, verifyAuditTrail says.
    """


@dataclass(frozen=True)
class GetSpendResponse:
    total_usd: Decimal
    """What agents have logged as cost."""
    action_count: int
    """How many actions they have logged."""
    by_tool: dict[str, Decimal]
    """Logged cost by tool."""
    by_session: dict[str, Decimal]
    """Logged cost by session: the newest ones."""
    by_agent: dict[str, Decimal]
    """Logged cost by agent."""
    authorized_usd: Decimal
    """What payments were authorized and not given back."""
    truncated: bool
    """Whether a breakdown has more lines than the 1,000 shown, or there is more between `since` and `until` than is looked
    at: then the figures are those of the newest 100,000 entries and 10,000 payments in it.
    """


@dataclass(frozen=True)
class GetAuditEntryResponse:
    entry_id: str
    """Names the entry; empty where it cannot be read."""
    seq: int
    """Its place in the log, from 1."""
    kind: EntryKind
    """`action`: an agent logged it. `governance`: haldir did."""
    session_id: str
    """The session it happened in; empty if in none."""
    agent_id: str
    """The agent; `system` if none was involved."""
    tool: str
    """The tool or service."""
    action: str
    """What was done."""
    cost_usd: Decimal
    """What it cost, in USD."""
    flagged: bool
    """Whether it looked anomalous."""
    flag_reason: str
    """Why; empty if it did not."""
    timestamp: float
    """When it was recorded, in Unix seconds."""
    details: Any
    """More about it; null if there is nothing, or it was erased."""
    actor: str
    """The key that caused it, by its first characters, or `local` or `operator`."""
    details_digest: str | None
    """BLAKE3 over the salt and the details, in hexadecimal; null without details."""
    prev_hash: str
    """The hash of the entry before, in hexadecimal; zeros in front of the first."""
    entry_hash: str
    """BLAKE3 over this entry's canonical bytes, in hexadecimal."""
    erased: bool | None = None
    """True where the entry was erased at an operator's word: only its place, time, cost and hashes are left. Absent
    otherwise.
    """
    unreadable: str | None = None
    """What keeps the entry from being read: it was altered outside haldir, and its other fields say nothing. Absent
    otherwise; whether an entry that can be read is unaltered, verifyAuditTrail says.
    """
    altered: bool | None = None
    """True where the entry can be read, but its fields or its details are not those of its own hash: it was altered
    outside haldir. Absent otherwise; whether the whole log is unaltered, verifyAuditTrail says.
    """


@dataclass(frozen=True)
class GetTreeHeadResponse:
    tenant_id: str
    """Whose log it is."""
    chain_head: str
    """Hash of the last entry, in hexadecimal; zeros for an empty log."""
    timestamp: float
    """When the last entry was made, in Unix seconds."""
    signing_key_source: str
    """Where the signing key is: sealed in the store, under the master key."""
    tree_size: int
    """Number of entries."""
    root_hash: str
    """Root of the RFC 6962 tree over the entries' canonical bytes, in hexadecimal."""
    signed_at: int
    """When it was signed, in whole Unix seconds."""
    algorithm: str
    """What is signed and how: Ed25519 over the text `sth:<tree_size>:<root_hash>:<signed_at>`."""
    signature: str
    """The signature, in hexadecimal."""
    public_key: str
    """The key that made it, 32 bytes in hexadecimal; published at /.well-known/jwks.json."""
    key_id: str
    """The key's name there."""


@dataclass(frozen=True)
class GetInclusionProofResponse:
    algorithm: str
    """The tree's definition."""
    entry_id: str
    """The entry that it is about."""
    leaf_index: int
    """Its place in the tree, from 0."""
    leaf_hash: str
    """SHA-256 of a zero byte and the entry's canonical bytes, in hexadecimal."""
    tree_size: int
    """Entries in the tree."""
    root_hash: str
    """Root of the tree, in hexadecimal."""
    audit_path: list[str]
    """The hashes beside the way from the leaf up to the root, in hexadecimal."""
    sth: SignedHead
    """The same tree's head, signed."""


@dataclass(frozen=True)
class SignedHead:
    """A signed tree head."""

    tree_size: int
    """Number of entries."""
    root_hash: str
    """Root of the RFC 6962 tree over the entries' canonical bytes, in hexadecimal."""
    signed_at: int
    """When it was signed, in whole Unix seconds."""
    algorithm: str
    """What is signed and how: Ed25519 over the text `sth:<tree_size>:<root_hash>:<signed_at>`."""
    signature: str
    """The signature, in hexadecimal."""
    public_key: str
    """The key that made it, 32 bytes in hexadecimal; published at /.well-known/jwks.json."""
    key_id: str
    """The key's name there."""


@dataclass(frozen=True)
class GetConsistencyProofResponse:
    algorithm: str
    """The tree's definition."""
    first_size: int
    """The earlier size."""
    second_size: int
    """The later size."""
    first_root: str
    """Root at the earlier size, in hexadecimal."""
    second_root: str
    """Root at the later size, in hexadecimal."""
    consistency_path: list[str]
    """The hashes that lead from one to the other, in hexadecimal."""


@dataclass(frozen=True)
class ListTreeHeadsResponse:
    count: int
    """How many are in this answer."""
    entries: list[SignedHead]
    """The largest first."""
    next_before: int | None
    """Where to go on; null at the end."""


@dataclass(frozen=True)
class VerifyTreeHeadsResponse:
    verified: bool
    """Whether every recorded head is as it was signed, and stands for the beginning of today's log."""
    heads_checked: int
    """How many were found good, from the largest on."""
    tree_size: int
    """Entries in today's log."""
    message: str
    """In one sentence."""
    first_break: BadHead | None
    """The first head that is not good; null if there is none."""


@dataclass(frozen=True)
class BadHead:
    """A head that is not good."""

    tree_size: int
    """Its number of entries."""
    problem: str
    """What is wrong with it."""


@dataclass(frozen=True)
class ListLogKeysResponse:
    origin: str
    """The log's name in checkpoints."""
    count: int
    """How many keys there are."""
    keys: list[LogKey]
    """The newest first: that one signs."""


@dataclass(frozen=True)
class LogKey:
    """A public key."""

    key_id: str
    """Its name, also in /.well-known/jwks.json."""
    public_key: str
    """Ed25519, 32 bytes in hexadecimal."""
    verifier_key: str
    """As verifiers of signed notes take it: `<name>+<hash>+<key>` (C2SP signed-note)."""
    created_at: float
    """When it was made, in Unix seconds."""
    retires_at: float | None
    """Since when it signs nothing any more, or from when on, in Unix seconds; null for the one in use."""


@dataclass(frozen=True)
class VerifyAuditTrailResponse:
    verified: bool
    """Whether every entry that was ever appended is there, unaltered."""
    entries_checked: int
    """How many entries were found good, from the first on."""
    entries_total: int
    """How many entries the log has by its head."""
    message: str
    """In one sentence."""
    first_bad: BadEntry | None
    """The first place that is not as haldir left it; null if there is none."""
    first_break: BadEntry | None
    """The same, under the name that clients of the existing product read."""
    root_hash: str
    """The Merkle root over the entries that were checked, in hexadecimal."""
    chain_head: str
    """The hash of the last entry that was checked, in hexadecimal."""


@dataclass(frozen=True)
class BadEntry:
    """A place that is not as haldir left it."""

    seq: int
    """Its number in the log."""
    entry_id: str | None
    """Its id; null where there is no entry."""
    problem: str
    """What is wrong with it."""


@dataclass(frozen=True)
class AddApprovalRuleResponse:
    added: Literal[True]
    """Always true."""
    type: RuleType
    """The kind of rule."""
    rule_id: str
    """Names the rule, to delete it."""


@dataclass(frozen=True)
class ListApprovalRulesResponse:
    count: int
    """How many there are."""
    rules: list[RuleDetail]
    """Oldest first."""


@dataclass(frozen=True)
class RuleDetail:
    """A rule."""

    rule_id: str
    """Names the rule."""
    type: RuleType
    """The kind of rule."""
    threshold: Decimal
    """Of `spend_over`: payments of more than this many USD."""
    tools: list[str]
    """Of `tool_blocked`: the names of the tools."""
    operator_only: bool
    """Whether an operator has to decide, not the person at the agent's client."""
    created_at: float
    """When it was added, in Unix seconds."""
    created_by: str
    """The key that added it, by its first characters, or `operator`."""


@dataclass(frozen=True)
class DeleteApprovalRuleResponse:
    deleted: bool
    """Always true."""
    rule_id: str
    """The rule."""


@dataclass(frozen=True)
class RequestApprovalResponse:
    request_id: str
    """Names the request."""
    status: ApprovalStatus
    """Its status: pending."""
    expires_at: float
    """When it ends, in Unix seconds; 0 is never."""


@dataclass(frozen=True)
class ListPendingApprovalsResponse:
    count: int
    """How many are in this response."""
    requests: list[ApprovalDetail]
    """The newest first: pending ones by request, decided ones by decision."""
    next_cursor: str | None
    """The cursor of the next page; null on the last page."""


@dataclass(frozen=True)
class ApprovalDetail:
    """A request, and what became of it."""

    request_id: str
    """Names the request."""
    status: ApprovalStatus
    """Its status."""
    usable: bool
    """Whether the action may be done now: approved, not expired, and not done yet."""
    session_id: str
    """The session of the action."""
    agent_id: str
    """Its agent."""
    tool: str
    """The tool that would be called."""
    action: str
    """What would be done."""
    amount: Decimal
    """What it would cost, in USD."""
    reason: str
    """The reason for the request."""
    details: Any
    """More about it; null if there is nothing."""
    digest: str
    """BLAKE3 over the requested action, in hexadecimal: an approval serves for no other action."""
    created_at: float
    """When it was asked, in Unix seconds."""
    expires_at: float
    """When it ends, decided or not, in Unix seconds; 0 is never."""
    decided_by: str
    """The person who decided; empty while it is pending."""
    decision_note: str
    """The note on the decision; empty while it is pending."""
    decided_at: float | None
    """When it was decided, in Unix seconds; null while it is pending."""
    used_at: float | None
    """When the approval was used, in Unix seconds; null until then."""
    operator_only: bool
    """Whether a rule requires an operator to decide, not the person at the agent's client."""
    arguments: Any
    """The arguments with which an operator replaced the details; null where it was approved unchanged."""
    changed: list[str]
    """The names of the arguments that the operator changed."""


@dataclass(frozen=True)
class ListDecidedApprovalsResponse:
    count: int
    """How many are in this response."""
    requests: list[ApprovalDetail]
    """The newest first: pending ones by request, decided ones by decision."""
    next_cursor: str | None
    """The cursor of the next page; null on the last page."""


@dataclass(frozen=True)
class GetApprovalResponse:
    request_id: str
    """Names the request."""
    status: ApprovalStatus
    """Its status."""
    usable: bool
    """Whether the action may be done now: approved, not expired, and not done yet."""
    session_id: str
    """The session of the action."""
    agent_id: str
    """Its agent."""
    tool: str
    """The tool that would be called."""
    action: str
    """What would be done."""
    amount: Decimal
    """What it would cost, in USD."""
    reason: str
    """The reason for the request."""
    details: Any
    """More about it; null if there is nothing."""
    digest: str
    """BLAKE3 over the requested action, in hexadecimal: an approval serves for no other action."""
    created_at: float
    """When it was asked, in Unix seconds."""
    expires_at: float
    """When it ends, decided or not, in Unix seconds; 0 is never."""
    decided_by: str
    """The person who decided; empty while it is pending."""
    decision_note: str
    """The note on the decision; empty while it is pending."""
    decided_at: float | None
    """When it was decided, in Unix seconds; null while it is pending."""
    used_at: float | None
    """When the approval was used, in Unix seconds; null until then."""
    operator_only: bool
    """Whether a rule requires an operator to decide, not the person at the agent's client."""
    arguments: Any
    """The arguments with which an operator replaced the details; null where it was approved unchanged."""
    changed: list[str]
    """The names of the arguments that the operator changed."""
    last_approved: LastApproved | None
    """The last approved request of the same agent, tool and action before this one; null if there is none."""


@dataclass(frozen=True)
class LastApproved:
    """A request that was approved earlier. Times are Unix seconds."""

    request_id: str
    """Names the request."""
    decided_by: str
    """The person who approved it."""
    decided_at: float
    """When that was."""
    amount: Decimal
    """What it cost, in USD."""
    details: Any
    """What was approved: its details, or the arguments with which an operator replaced them; null without details."""


@dataclass(frozen=True)
class ApproveRequestResponse:
    approved: Literal[True]
    """Always true."""
    request_id: str
    """The request."""


@dataclass(frozen=True)
class DenyRequestResponse:
    denied: Literal[True]
    """Always true."""
    request_id: str
    """The request."""


@dataclass(frozen=True)
class GetAuditStatsResponse:
    total_entries: int
    """Entries in the span asked for."""
    flagged_count: int
    """Of these, the flagged ones."""
    session_count: int
    """Sessions that began in it; with `session_id`, that one."""
    agent_count: int
    """Agents that have entries in it."""
    total_usd: Decimal
    """What agents have logged as cost in it."""
    by_tool: dict[str, int]
    """Entries by tool; haldir's own bear the tool `haldir`. Tools beyond 32 a day stand under `(other)`."""
    by_action: dict[str, int]
    """Entries by what was done. Actions beyond 32 a day, and names longer than 64 bytes, stand under `(other)`."""
    counted_from: float | None
    """Where counting began, in Unix seconds; null is the first entry."""
    counted_until: float | None
    """Where counting ended, in Unix seconds; null is the last entry."""
    truncated: bool
    """Whether more would have had to be looked at than is: the figures are then those of the newest entries."""
    actions_this_month: int
    """What agents have logged since the first of this month (UTC), whatever the span."""
    actions_limit: int | None
    """Actions that a month may have; null, since there is no such limit."""
    actions_pct_used: Decimal
    """The part of it that is used; 0, since there is no such limit."""
    actions_cost_usd: Decimal
    """What haldir charges for the actions: nothing."""
    spend_usd_this_month: Decimal
    """What agents have logged as cost since the first of this month (UTC), whatever the span."""
    flagged_7d: int
    """Flagged entries of today and the six days before (UTC), whatever the span."""
    chain_verified: bool
    """Whether the end of the log is as haldir sealed it. It says nothing about the entries before: verifyAuditTrail reads
    them all.
    """
    active_sessions: int
    """The tenant's sessions that are neither revoked nor expired."""
    vault_secrets: int
    """The tenant's secrets."""


@dataclass(frozen=True)
class GetExportManifestResponse:
    type: str
    """Always `manifest`."""
    format_version: int
    """Version of the exported form."""
    tenant_id: str
    """Whose log it is."""
    generated_at: str
    """When it was made, as RFC 3339 text."""
    filters: GivenFilters
    """The filters that were given."""
    count: int
    """How many entries were exported."""
    first_timestamp: float | None
    """When the first of them was recorded, in Unix seconds; null if there is none."""
    last_timestamp: float | None
    """When the last of them was recorded, in Unix seconds; null if there is none."""
    last_chain_hash: str
    """The hash of the last of them, in hexadecimal; empty if there is none."""
    sha256: str
    """SHA-256, in hexadecimal, over the id of every exported entry, each followed by a line feed, in their order."""


@dataclass(frozen=True)
class GivenFilters:
    """The filters that were given."""

    session_id: str | None = None
    """Only this session's entries."""
    agent_id: str | None = None
    """Only this agent's entries."""
    tool: str | None = None
    """Only entries of this tool."""
    since: float | None = None
    """Only entries at this time or later, in Unix seconds."""
    until: float | None = None
    """Only entries before this time, in Unix seconds."""
    flagged_only: bool | None = None
    """Only flagged entries."""
    not_flagged_only: bool | None = None
    """Only entries that were not flagged."""


@dataclass(frozen=True)
class GetAuditRetentionResponse:
    tenant_id: str
    """Whose log it is."""
    retain_days: int
    """Days after which the details of an entry are erased; 0 is never."""
    updated_at: float | None
    """When that was set, in Unix seconds; null if it never was."""
    updated_by: str
    """By whom; empty if it never was."""
    configured: bool
    """Whether it was ever set."""
    preview: RetentionPreview
    """What would be erased now."""


@dataclass(frozen=True)
class RetentionPreview:
    """What would be erased now."""

    tenant_id: str
    """Whose log it is."""
    retain_days: int
    """Days after which details are erased; 0 is never."""
    would_delete: int
    """Entries that would lose their details; of more than 100,000 due entries, those among the first 100,000. No entry is
    ever deleted.
    """
    enabled: bool
    """Whether anything is erased at all."""
    note: str
    """In one sentence."""
    cutoff: float | None
    """Entries from before this time are due, in Unix seconds; null if nothing is erased."""
    oldest_entry_at: float | None
    """When the oldest entry that may still have details was made, in Unix seconds; null if there is none."""


@dataclass(frozen=True)
class SetAuditRetentionResponse:
    tenant_id: str
    """Whose log it is."""
    retain_days: int
    """Days after which the details of an entry are erased; 0 is never."""
    updated_at: float | None
    """When that was set, in Unix seconds; null if it never was."""
    updated_by: str
    """By whom; empty if it never was."""
    configured: bool
    """Whether it was ever set."""
    preview: RetentionPreview
    """What would be erased now."""


@dataclass(frozen=True)
class PruneAuditDetailsResponse:
    pruned: bool
    """Whether anything was due."""
    reason: str
    """Why nothing was; empty if something was."""
    checkpoint_id: str | None
    """Names the run; null if nothing was due."""
    entries_deleted: int
    """Entries that this call erased the details of."""
    entries_left: int
    """Entries that the run has yet to go through."""
    pruned_before: float | None
    """Entries from before this time are due, in Unix seconds; null if nothing was."""
    retain_days: int
    """Days after which details are erased."""
    tree_size: int | None
    """The size of the log when the run began."""
    root_hash: str | None
    """The Merkle root of the log at that size, in hexadecimal: it is what it would be without erasing."""
    algorithm: str | None
    """The tree's definition."""


@dataclass(frozen=True)
class ListRetentionCheckpointsResponse:
    count: int
    """How many are in this answer."""
    checkpoints: list[RetentionCheckpoint]
    """Newest first."""


@dataclass(frozen=True)
class RetentionCheckpoint:
    """A run that erased details."""

    checkpoint_id: str
    """Names the run, in its audit entry as well."""
    created_at: float
    """When it began, in Unix seconds."""
    actor: str
    """Who asked for it: a key, by its first characters, or `retention` for the daily run."""
    entries_deleted: int
    """Entries whose details it has erased so far. No entry was deleted."""
    last_seq: int
    """Details of entries up to this one are erased."""
    entries_left: int
    """Entries that it has yet to go through."""
    pruned_before: float
    """Entries from before this time were due, in Unix seconds."""
    retain_days: int
    """Days after which details were erased."""
    tree_size: int
    """The size of the log when it began."""
    root_hash: str
    """The Merkle root of the log at that size, in hexadecimal."""
    algorithm: str
    """The tree's definition."""


@dataclass(frozen=True)
class EraseAgentResponse:
    complete: bool
    """Whether all is erased; while it is false, the same call goes on."""
    dry_run: bool
    """Whether nothing was erased, since `dry_run` was not false."""
    kind: str
    """`agent` or `session`."""
    erasure_id: str | None
    """Names the erasure, in its audit entries as well; null with `dry_run`."""
    entries: int
    """Entries of its own, whose texts and details are erased. Their places, hashes, times and amounts stay."""
    details: int
    """Entries of others whose details named it: their details are erased."""
    sessions: int
    """Its sessions."""
    records: int
    """Approvals, payments, events on their way and kept answers."""


@dataclass(frozen=True)
class EraseSessionResponse:
    complete: bool
    """Whether all is erased; while it is false, the same call goes on."""
    dry_run: bool
    """Whether nothing was erased, since `dry_run` was not false."""
    kind: str
    """`agent` or `session`."""
    erasure_id: str | None
    """Names the erasure, in its audit entries as well; null with `dry_run`."""
    entries: int
    """Entries of its own, whose texts and details are erased. Their places, hashes, times and amounts stay."""
    details: int
    """Entries of others whose details named it: their details are erased."""
    sessions: int
    """Its sessions."""
    records: int
    """Approvals, payments, events on their way and kept answers."""


@dataclass(frozen=True)
class ListErasuresResponse:
    count: int
    """How many are in this answer."""
    erasures: list[ErasureDetail]
    """Newest first."""


@dataclass(frozen=True)
class ErasureDetail:
    """An erasure."""

    erasure_id: str
    """Names it, in its audit entries as well."""
    kind: str
    """`agent` or `session`."""
    begun_at: float
    """When it began, in Unix seconds."""
    completed_at: float | None
    """When it was complete, in Unix seconds; null while it is not."""
    actor: str
    """Who asked for it: a key, by its first characters, `local` or `operator`."""
    entries: int
    """Entries whose texts and details were erased."""
    details: int
    """Entries of others whose details were erased."""
    sessions: int
    """Sessions that were erased."""
    records: int
    """Other records that were erased."""


@dataclass(frozen=True)
class RegisterUpstreamResponse:
    registered: Literal[True]
    """Always true."""
    name: str
    """Its name."""
    url: str
    """Its address."""
    healthy: bool
    """Whether it answered with a list of tools."""
    tools_discovered: int
    """How many tools can be called."""
    tool_names: list[str]
    """Their names."""
    quarantined: int
    """How many tools are in quarantine, since they differ from what was accepted."""
    error: str | None = None
    """Why it is not healthy."""
    upstream_status: int | None = None
    """The HTTP status that it answered with instead."""
    upstream_body: str | None = None
    """What it said with that status."""


@dataclass(frozen=True)
class ListUpstreamsResponse:
    upstreams: dict[str, UpstreamDetail]
    """By their names."""
    total_tools: int
    """How many tools can be called, of all of them."""
    policies: int
    """How many policies there are."""


@dataclass(frozen=True)
class UpstreamDetail:
    """An upstream as it is listed."""

    url: str
    """Its address; empty for a child process of another haldir."""
    healthy: bool
    """Whether it answered when it was last asked."""
    error: str
    """Why not; empty if it did."""
    tools: int
    """How many of its tools can be called."""
    quarantined: int
    """How many are in quarantine, since they changed."""
    total_calls: int
    """Calls that left."""
    total_errors: int
    """Those that failed."""
    avg_latency_ms: Decimal
    """How long they took, in the mean."""
    last_check: float | None
    """When it was last asked for its tools, in Unix seconds; null if never."""
    headers: list[str]
    """The names of the headers that go with every request."""
    limits: UpstreamSettings
    """Limits that hold for it alone."""
    created_at: float
    """When it was first registered, in Unix seconds."""


@dataclass(frozen=True)
class UpstreamSettings:
    """An operator's settings for one upstream. The server's settings for all upstreams apply to absent ones."""

    call_timeout: int | None = None
    """Seconds without a response or progress after which a call times out, from 1 to 86400."""
    start_timeout: int | None = None
    """Seconds that it may take to start, as a child process, or to list its tools, from 1 to 86400."""
    concurrency: int | None = None
    """Concurrent calls, from 1 to 1024."""
    max_answer: int | None = None
    """The largest response, in bytes, from 4096 to 268435456."""


@dataclass(frozen=True)
class DeleteUpstreamResponse:
    deleted: bool
    """Always true."""
    name: str
    """Its name."""


@dataclass(frozen=True)
class AcceptToolsResponse:
    accepted: list[str]
    """`upstream.tool` of each."""
    count: int
    """How many."""


@dataclass(frozen=True)
class MarkToolResponse:
    tool: str
    """`upstream.tool`."""
    marks: ToolMarks
    """The labels."""


@dataclass(frozen=True)
class ToolMarks:
    """An operator's labels of a tool."""

    source: bool
    """Its results contain untrusted content: web pages, mail, issues."""
    sink: bool
    """It sends data out, or destroys something."""
    cost: Decimal | None = None
    """What one call costs, in USD, out of the session's budget."""
    cost_argument: str | None = None
    """The JSON pointer (RFC 6901) of a call's cost in its arguments."""
    cost_result: str | None = None
    """The JSON pointer (RFC 6901) of a call's cost in its result."""
    cost_max: Decimal | None = None
    """The most that a call costs by its result, in USD; it is reserved before the call."""


@dataclass(frozen=True)
class ListProxyToolsResponse:
    count: int
    """How many are in this answer."""
    tools: list[ToolDetail]
    """By upstream and name."""


@dataclass(frozen=True)
class ToolDetail:
    """A tool."""

    name: str
    """What it is listed under for agents: `upstream__tool`, or what a model API takes in its place."""
    full_name: str
    """`upstream.tool`: by this policies, approval rules and the log know it."""
    description: str
    """What it says of itself."""
    upstream: str
    """Its upstream."""
    tool: str
    """Its own name."""
    bare_name: bool
    """Whether the own name is enough to call it: no other upstream has one like it."""
    input_schema: Any = field(metadata={"wire": "inputSchema"})
    """JSON Schema of its arguments."""
    output_schema: Any = field(metadata={"wire": "outputSchema"})
    """JSON Schema of its structured answer; null if it has none."""
    annotations: Any
    """What it says of its effects."""
    definition: Any
    """The whole definition, as it was accepted."""
    state: ToolState
    """Whether it may be called."""
    digest: str
    """BLAKE3 of what was accepted, in hexadecimal."""
    offered: Any
    """The whole definition as it is offered now, if it changed; else null."""
    warnings: list[str]
    """What is suspicious about it."""
    marks: ToolMarks
    """What the operator says of it."""
    first_seen: float
    """When it was first seen, in Unix seconds."""
    changed_at: float | None
    """When it last changed, in Unix seconds; null if never."""
    accepted_by: str
    """The operator who accepted the last change; empty if it never changed."""


@dataclass(frozen=True)
class ProxyCallResponse:
    content: list[ProxyCallResponseContentItem]
    """The parts of the answer: text, images, audio, resources."""
    is_error: bool = field(metadata={"wire": "isError"})
    """Whether the tool, or its server, failed."""
    structured_content: Any = field(default=None, metadata={"wire": "structuredContent"})
    """The answer as JSON, where the tool gives one."""


@dataclass(frozen=True)
class ProxyCallResponseContentItem:
    type: str
    """The kind of part."""
    text: str | None = None
    """Of a text: the text."""


@dataclass(frozen=True)
class AddProxyPolicyResponse:
    added: Literal[True]
    """Always true."""
    type: PolicyType
    """The kind of policy."""
    policy_id: str
    """Names the policy, to delete it."""
    warnings: list[str] | None = None
    """Of `cedar`: what is strange about the policy set, such as a policy that never matches."""


@dataclass(frozen=True)
class ListProxyPoliciesResponse:
    count: int
    """How many there are."""
    policies: list[PolicyDetail]
    """Oldest first."""


@dataclass(frozen=True)
class PolicyDetail:
    """A policy as everyone sees it."""

    policy_id: str
    """Names the policy."""
    type: PolicyType
    """The kind of policy."""
    created_at: float
    """When it was added, in Unix seconds."""
    created_by: str
    """The key that added it, by its first characters, or `operator`."""
    tool: str | None = None
    """The tool that it applies to."""
    tools: list[str] | None = None
    """The tools that it applies to."""
    max: Decimal | None = None
    """Of `spend_limit`: the largest amount, in USD."""
    argument: str | None = None
    """Of `spend_limit`: the JSON pointer of the amount in the arguments."""
    max_per_minute: int | None = None
    """Of `rate_limit`: calls of an agent within a minute."""
    start_hour: int | None = None
    """Of `time_window`: the first hour, UTC."""
    end_hour: int | None = None
    """Of `time_window`: the hour that it ends before, UTC."""
    cedar: str | None = None
    """Of `cedar`: the policy set, in Cedar."""
    dry_run: bool | None = None
    """Whether it only logs what it would refuse."""


@dataclass(frozen=True)
class TestProxyPolicyResponse:
    calls: int
    """Calls that were looked at."""
    skipped: int
    """Calls of the log that could not be: their arguments were not kept, or have been erased."""
    would_refuse: int
    """How many would have been refused."""
    were_made: int
    """How many of these were made: what the policy would change."""
    refusals: list[WouldRefuse]
    """The newest of those that would have been refused, at most 100."""


@dataclass(frozen=True)
class WouldRefuse:
    """A call that would have been refused."""

    entry_id: str
    """Its entry in the log."""
    tool: str
    """`upstream.tool`."""
    agent_id: str
    """The agent of the call."""
    at: str
    """When it was, by RFC 3339."""
    was: str
    """What became of it: made, held or refused."""
    reason: str
    """Why it would have been refused."""


@dataclass(frozen=True)
class DeleteProxyPolicyResponse:
    deleted: bool
    """Always true."""
    policy_id: str
    """The policy."""


@dataclass(frozen=True)
class GetUsageResponse:
    tenant_id: str
    """The tenant."""
    month: str
    """The month, as YYYY-MM."""
    action_count: int
    """Calls in it."""
    tier: Tier
    """The tier of the calling key."""


@dataclass(frozen=True)
class GetMetricsResponse:
    total_api_keys: int
    """API keys that are not revoked."""
    total_sessions: int
    """Sessions ever created."""
    active_sessions: int
    """Sessions that can act now."""
    unique_agents: int
    """Agents that ever had a session."""
    total_actions: int
    """Actions that agents have logged."""
    flagged_actions: int
    """Entries of the log that are flagged."""
    actions_today: int
    """Actions logged since midnight UTC."""
    total_spend_usd: Decimal
    """What the actions cost."""
    total_secrets: int
    """Secrets in the vault."""
    total_payments: int
    """Payments ever authorized."""
    total_payment_volume_usd: Decimal
    """What payments were authorized and not given back."""
    pending_approvals: int
    """Approvals that wait for a decision."""
    total_approvals: int
    """Approvals ever asked for."""
    top_tools: dict[str, int]
    """The ten tools with most actions."""
    top_agents: dict[str, int]
    """The ten agents with most actions."""
    usage_this_month: dict[str, int]
    """Calls of this month, by tenant: this one."""


@dataclass(frozen=True)
class GetOverviewResponse:
    tenant_id: str
    """Whose it is."""
    tier: Tier
    """The tier of the key that asks."""
    generated_at: str
    """When this was read."""
    usage: UsageOverview
    """Calls and spending of this month."""
    sessions: SessionsOverview
    """Sessions that can act now."""
    vault: VaultOverview
    """Secrets."""
    audit: AuditOverview
    """The log."""
    webhooks: WebhooksOverview
    """Subscriptions and their deliveries."""
    approvals: ApprovalsOverview
    """What waits for a decision."""
    compliance: ComplianceOverview
    """Evidence that is made on a schedule."""
    health: HealthOverview
    """Whether haldir is well."""


@dataclass(frozen=True)
class UsageOverview:
    """Calls and spending of this month, UTC."""

    actions_this_month: int
    """Calls of agents and API keys: requests, not the actions that agents log. The same as `calls_this_month`."""
    calls_this_month: int
    """Calls of agents and API keys."""
    logged_actions_this_month: int
    """Actions that agents have logged, with logAction."""
    actions_limit: int
    """Calls that a month may have: always 999999999, which is no limit; limits are by the hour here."""
    has_actions_limit: bool
    """Whether there is such a limit: always false. A program that prints figures says then that there is none."""
    actions_pct_used: Decimal
    """Share of the limit that is used, from 0 to 1."""
    spend_usd_this_month: Decimal
    """What agents have logged as cost."""
    overage_actions: int
    """Calls beyond the limit; always 0."""
    overage_usd: Decimal
    """What they cost; always 0."""
    metered: bool
    """Whether calls are billed; always false."""


@dataclass(frozen=True)
class SessionsOverview:
    """Sessions that can act now."""

    active_count: int
    """How many there are."""
    agents_active: int
    """Agents that have one; told apart among the 10,000 sessions that last longest."""
    agents_limit: int
    """Agents that may have one: always 999999, which is no limit."""
    has_agents_limit: bool
    """Whether there is such a limit: always false."""
    sessions: list[SessionLine]
    """The newest, at most 100, of the 1,000 sessions created last."""


@dataclass(frozen=True)
class SessionLine:
    """A session that can act now."""

    session_id: str
    agent_id: str
    scopes: list[str]
    spent: Decimal
    spend_limit: Decimal | None
    """Null is no limit of its own."""
    created_at: float
    expires_at: float
    """0 is never."""
    last_active: float
    """When its newest entry was made."""


@dataclass(frozen=True)
class VaultOverview:
    """Secrets."""

    secrets_count: int
    secret_access_count: int
    """Plaintexts given out this month."""


@dataclass(frozen=True)
class AuditOverview:
    """The log."""

    total_entries: int
    """Entries, haldir's own included."""
    flagged_7d: int
    """Entries flagged today and in the six days before, UTC."""
    last_entry_at: str | None
    """When the last entry was made; null for an empty log."""
    chain_verified: bool
    """Whether the head of the log, which names the last entry, the Merkle tree and the totals, bears haldir's keyed hash.
    The entries themselves are verified by /v1/audit/verify.
    """
    recent: list[EntryLine]
    """The newest, at most 20."""


@dataclass(frozen=True)
class EntryLine:
    """An entry."""

    entry_id: str
    session_id: str
    agent_id: str
    action: str
    tool: str
    cost_usd: Decimal
    timestamp: float
    flagged: bool
    flag_reason: str | None


@dataclass(frozen=True)
class WebhooksOverview:
    """Subscriptions and their deliveries."""

    registered_count: int
    deliveries_24h: int
    delivery_success_rate_24h: Decimal
    """From 0 to 1; 1 without deliveries."""
    failed_24h: int


@dataclass(frozen=True)
class ApprovalsOverview:
    """What waits for a decision."""

    pending_count: int


@dataclass(frozen=True)
class ComplianceOverview:
    """Evidence that is made on a schedule."""

    schedules_count: int
    active_count: int
    next_due_at: str | None
    """When the next pack is made; null without schedules."""
    last_run_status: str
    """`ok` or `failed`, of the newest run; empty if there was none."""


@dataclass(frozen=True)
class HealthOverview:
    """Whether haldir is well."""

    status: str
    components: list[ComponentLine]


@dataclass(frozen=True)
class ComponentLine:
    """A part of haldir."""

    name: str
    state: str
    message: str


@dataclass(frozen=True)
class CreateApiKeyResponse:
    key: str
    """The key itself, shown only now: it is not stored."""
    prefix: str
    """Its first characters, by which it is listed and revoked."""
    name: str
    """What people call it."""
    tier: Tier
    """Its hourly limit."""
    role: Role
    """Its role."""
    scopes: list[str]
    """What it may reach."""
    tenant_id: str
    """The tenant it belongs to."""
    message: str
    """What to do now."""
    tenant_created: bool | None = None
    """Whether the tenant was created with this key; it sees no data of other tenants."""


@dataclass(frozen=True)
class ListApiKeysResponse:
    count: int
    """How many are in this answer."""
    keys: list[ApiKeyDetail]
    """Newest first."""
    next_cursor: str | None
    """The cursor of the next page; null on the last page."""


@dataclass(frozen=True)
class ApiKeyDetail:
    """A key as it is listed. Times are Unix seconds."""

    prefix: str
    """Its first characters."""
    name: str
    tier: Tier
    role: Role
    scopes: list[str]
    max_scopes: list[str] | None
    """The scopes that a session created with it may have; null is no list."""
    max_spend: Decimal | None
    """The most that one session may spend, in USD; null is no limit."""
    max_daily_spend: Decimal | None
    """The most that all sessions created with it may spend together in a UTC day, in USD; null is no limit of its own.
    """
    max_ttl: int | None
    """The longest life of a session, in seconds; null is no limit."""
    created_at: float
    expires_at: float | None
    """Null is never."""
    last_used: float | None
    """Exact to about a minute; null is never."""
    revoked: bool


@dataclass(frozen=True)
class RotateApiKeyResponse:
    key: str
    """The new key itself, shown only now: it is not stored."""
    prefix: str
    """Its first characters."""
    name: str
    """What people call it."""
    tier: Tier
    """Its hourly limit."""
    role: Role
    """Its role."""
    scopes: list[str]
    """What it may reach."""
    expires_at: float | None
    """When it expires; null is never."""
    previous_prefix: str
    """The old key's first characters."""
    previous_expires_at: float
    """When the old key ends."""
    grace_seconds: int
    """Seconds until then."""
    message: str
    """What to do now."""


@dataclass(frozen=True)
class SetApiKeyTierResponse:
    prefix: str
    """The key's first characters."""
    tier: Tier
    """Its hourly limit from now on."""
    previous_tier: Tier
    """Its tier before."""


@dataclass(frozen=True)
class RevokeApiKeyResponse:
    revoked: bool
    """Always true."""
    prefix: str
    """The key's first characters."""


@dataclass(frozen=True)
class ListTenantsResponse:
    count: int
    """How many are in this answer."""
    tenants: list[TenantDetail]
    """By their ids."""
    next_cursor: str | None
    """Where the next page begins; null at the end."""


@dataclass(frozen=True)
class TenantDetail:
    """A tenant."""

    tenant_id: str
    """Its id."""
    name: str
    """What it is called; empty without a name."""
    created_at: float
    """When it was made, in Unix seconds."""
    keys: int
    """API keys that are not revoked."""
    sessions: int
    """Sessions that were ever made."""
    entries: int
    """Entries of its log."""


@dataclass(frozen=True)
class NameTenantResponse:
    tenant_id: str
    """The tenant."""
    name: str
    """Its name."""


@dataclass(frozen=True)
class RegisterWebhookResponse:
    registered: bool
    """Always true."""
    webhook_id: int
    """Its number."""
    url: str
    """Where events go."""
    name: str
    """Its name."""
    events: list[str]
    """Which events."""
    secret: str
    """What deliveries are signed with. It is shown this once."""
    message: str
    """What to do with the secret."""


@dataclass(frozen=True)
class ListWebhooksResponse:
    count: int
    """How many there are."""
    webhooks: list[WebhookDetail]
    """In the order of their registration."""


@dataclass(frozen=True)
class WebhookDetail:
    """A webhook as it is listed. Times are Unix seconds."""

    webhook_id: int
    """Its number."""
    url: str
    """Where events go."""
    name: str
    """Its name."""
    events: list[str]
    """Which events."""
    active: bool
    """Whether it receives events; false after its receiver answered 410."""
    fire_count: int
    """Deliveries that succeeded."""
    fail_count: int
    """Attempts that failed."""
    signed: bool
    """Always true: every delivery is signed."""
    waiting: int
    """Queued events."""
    next_attempt_at: float | None
    """When the next of them is sent; null if none is queued."""
    secret_prev_expires_at: float | None
    """Until when the secret before the last rotation is valid; null if it is not."""
    created_at: float
    """When it was registered."""


@dataclass(frozen=True)
class ListDeliveriesResponse:
    count: int
    """How many are in this response."""
    deliveries: list[DeliveryDetail]
    """Newest first."""


@dataclass(frozen=True)
class DeliveryDetail:
    """An attempt. Times are Unix seconds."""

    delivery_id: str
    """Its name."""
    event_id: str
    """The event."""
    event_type: str
    """Its kind."""
    webhook_id: int
    """The webhook's number."""
    webhook_url: str
    """Where it was sent."""
    attempt: int
    """1 for the first of an event, one more each time."""
    status_code: int
    """The receiver's HTTP status; 0 if there was none."""
    response_excerpt: str
    """The beginning of the response's body."""
    error: str
    """The error; empty if the receiver responded."""
    duration_ms: int
    """How long it took, in milliseconds."""
    created_at: float
    """When it was made."""
    next_retry_at: float | None
    """When the event is tried again; null if it is not."""


@dataclass(frozen=True)
class ListDeadLettersResponse:
    count: int
    """How many are in this response."""
    dead_letters: list[DeadLetterDetail]
    """By webhook, oldest first."""


@dataclass(frozen=True)
class DeadLetterDetail:
    """An event that was given up. Times are Unix seconds."""

    webhook_id: int
    """The webhook's number."""
    event_id: str
    """The event."""
    event_type: str
    """Its kind."""
    attempts: int
    """How often it was tried."""
    reason: str
    """Why it was given up."""
    created_at: float
    """When it happened."""
    died_at: float
    """When it was given up."""
    body: str
    """The body that was sent, as text."""


@dataclass(frozen=True)
class DeleteWebhookResponse:
    deleted: bool
    """Always true."""
    webhook_id: int
    """Its number."""
    discarded: int
    """Queued events that will not be sent."""


@dataclass(frozen=True)
class RotateWebhookSecretResponse:
    webhook_id: int
    """Its number."""
    secret: str
    """The new secret. It is shown this once."""
    secret_prev: str
    """Always empty: the old secret was shown when it was made."""
    secret_prev_expires_at: float
    """When the old secret ends, in Unix seconds."""
    grace_seconds: int
    """How long it stays valid."""
    message: str
    """What to do."""


@dataclass(frozen=True)
class PingWebhookResponse:
    queued: bool
    """Always true."""
    webhook_id: int
    """Its number."""
    event_id: str
    """The event, by which its deliveries can be listed."""


@dataclass(frozen=True)
class ResendDeadLettersResponse:
    webhook_id: int
    """The webhook's number."""
    resent: int
    """How many are on their way again."""
    more: bool
    """Whether there are more: then call again."""


@dataclass(frozen=True)
class GetEvidenceResponse:
    format_version: int
    """The version of its members and texts."""
    disclaimer: str
    """The disclaimer."""
    generated_at: str
    """When it was made: the only difference between two packs of the same closed period."""
    period_start: str
    """Where the period begins."""
    period_end: str
    """Where it ends; this second is not included."""
    tenant_id: str
    """The tenant."""
    controls: dict[str, Control]
    """The criterion of each section and what it does not show, by the section's name."""
    identity: Identity
    """Section 1."""
    access_control: AccessControl
    """Section 2."""
    encryption: Encryption
    """Section 3."""
    audit_trail: AuditTrail
    """Section 4: figures."""
    tamper_evidence: TamperEvidence
    """Section 4: the hashes that the period is bound to."""
    spend_governance: SpendGovernance
    """Section 5."""
    approvals: Approvals
    """Section 6."""
    webhooks: Alerting
    """Section 7."""
    signatures: Signatures | None = None
    """Section 8."""


@dataclass(frozen=True)
class Control:
    """A section and its criterion."""

    criterion: str | None
    """The SOC 2 trust services criterion that the section speaks to; null for none."""
    title: str
    """The section's title."""
    evidence: str
    """What it shows."""
    does_not_show: str
    """What it does not show."""


@dataclass(frozen=True)
class Identity:
    """The tenant, and the part of its log."""

    tenant_id: str
    period_seconds: int
    first_seq: int | None
    """The number of the period's first entry; null if it has none."""
    last_seq: int | None
    """The number of its last entry."""


@dataclass(frozen=True)
class AccessControl:
    """Keys, sessions, refusals."""

    key_count: int
    """Keys in force at the end of the period."""
    keys: list[KeyLine]
    """The newest of them, at most 500."""
    has_scoped_keys: bool
    """Whether some key has restricted scopes."""
    least_privilege_used: bool
    """Whether every agent key has restricted scopes; false if there is none."""
    keys_created: int
    """Keys made in the period."""
    keys_rotated: int
    """Keys replaced in it."""
    keys_revoked: int
    """Keys revoked in it."""
    sessions_created: int
    """Sessions begun in it."""
    sessions_revoked: int
    """Sessions revoked in it."""
    refusals: int
    """Calls refused in it."""
    refusals_by_operation: dict[str, int]
    """The same, by operation."""


@dataclass(frozen=True)
class KeyLine:
    """A key in force."""

    prefix: str
    """Its first characters."""
    name: str
    role: Role
    tier: Tier
    scopes: list[str]
    created_at: str


@dataclass(frozen=True)
class Encryption:
    """Secrets."""

    cipher: str
    key_bits: int
    nonce_bits: int
    bound_to: str
    """The associated data that a sealed secret is bound to."""
    secrets_stored: int
    secrets_read: int
    secrets_deleted: int
    reads_refused: int
    """Reads that were refused."""


@dataclass(frozen=True)
class AuditTrail:
    """The log of the period."""

    total_entries_in_period: int
    actions_in_period: int
    """Entries that agents logged."""
    governance_in_period: int
    """Entries that haldir recorded itself."""
    flagged_in_period: int
    first_recorded: str | None
    last_recorded: str | None
    by_action: dict[str, int]
    """Haldir's own entries, by action."""
    erasures_of_details: int
    """Erasures of details by retention."""
    figures_add_up: bool
    """Whether the counts kept at write time match the log's entries."""


@dataclass(frozen=True)
class TamperEvidence:
    """The hashes that the period is bound to."""

    chain_algorithm: str
    tree_algorithm: str
    tree_size: int
    """Entries of the log up to the end of the period: the size of its Merkle tree there."""
    root_hash: str
    """The root of the tree of that size, in hexadecimal."""
    chain_hash: str | None
    """The hash of the last entry up to the end, which covers every entry before it; null for an empty log."""
    preceding_hash: str | None
    """The hash of the entry before the period's first one."""
    how_to_check: str
    """How to check it."""


@dataclass(frozen=True)
class SpendGovernance:
    """Payments and cost."""

    payments_authorized: int
    authorized_usd: str
    payments_captured: int
    captured_usd: str
    payments_voided: int
    voided_usd: str
    payments_refused: int
    logged_cost_usd: str
    """Costs that agents reported."""


@dataclass(frozen=True)
class Approvals:
    """Decisions."""

    requests_in_period: int
    decisions_recorded: int
    by_status: dict[str, int]
    """Requests by their status in the period; `used` are approvals that were used."""
    rules_added: int
    rules_deleted: int


@dataclass(frozen=True)
class Alerting:
    """Alerts."""

    delivery_attempts: int
    deliveries_succeeded: int
    deliveries_failed: int
    webhooks_registered: int
    webhooks_deleted: int
    webhooks_disabled: int
    """Webhooks that a 410 response disabled."""
    secrets_rotated: int


@dataclass(frozen=True)
class Signatures:
    """The digest and the signature."""

    algorithm: str
    """`SHA-256`."""
    input: str
    """What the digest is of."""
    digest: str
    """In hexadecimal. Of a closed period it is the same whenever the pack is made."""
    signed_at: str
    """When the pack was made."""
    period_closed: bool
    """Whether the period was over, so that nothing can be added to it."""
    signature_algorithm: str
    """`Ed25519`."""
    signed_text: str
    """The text that is signed, with its fields in braces."""
    signature: str
    """In hexadecimal."""
    public_key: str
    """The key that it is checked with, in hexadecimal. Believe it only if you know it from elsewhere."""
    key_id: str
    """The key's name, as /.well-known/jwks.json has it."""


@dataclass(frozen=True)
class GetEvidenceManifestResponse:
    tenant_id: str
    """The tenant."""
    period_start: str
    """Where the period begins, ISO 8601."""
    period_end: str
    """Where it ends; not included."""
    signatures: Signatures
    """The digest and the signature."""


@dataclass(frozen=True)
class GetComplianceScoreResponse:
    score: int
    """From 0 to 100: a criterion that passes counts fully, one with a warning half."""
    passing: int
    """Criteria that pass."""
    warning: int
    """Criteria with a warning."""
    failing: int
    """Criteria that fail."""
    total: int
    """All of them."""
    computed_at: float
    """When the score was computed, in Unix seconds."""
    criteria: list[Criterion]
    """The criteria."""


@dataclass(frozen=True)
class Criterion:
    """A criterion."""

    key: str
    """Its name."""
    control: str
    """The SOC 2 trust services criterion that it relates to."""
    description: str
    """The requirement."""
    state: CriterionState
    """Whether it is met."""
    reason: str
    """The reason for this state."""
    remediation: str
    """The remedy; empty if none is needed."""


@dataclass(frozen=True)
class CreateComplianceScheduleResponse:
    schedule_id: str
    """Its id."""
    name: str
    """Its name."""
    cadence: Cadence
    """How often it makes a pack."""
    delivery: str
    """The destination of its packs."""
    active: bool
    """Whether it runs; always true."""
    created_at: float
    """When it was created."""
    last_run_at: float
    """When it last ran, successfully or not; 0 is never."""
    next_due: float
    """When the next pack is made, or retried."""
    next_period_start: float
    """Where the period of the next pack begins."""
    tenant_id: str
    """The tenant."""
    last_status: str
    """`ok`, `failed`, or empty before the first run."""
    last_error: str
    """Why the last run failed; empty otherwise."""
    run_count: int
    """Packs that were put into the webhook's outbox."""
    fail_count: int
    """Runs that failed; each is retried after an hour."""


@dataclass(frozen=True)
class ListComplianceSchedulesResponse:
    count: int
    """How many there are; a tenant has at most 32."""
    schedules: list[ScheduleDetail]
    """In the order of their ids."""


@dataclass(frozen=True)
class ScheduleDetail:
    """A schedule. Times are Unix seconds."""

    schedule_id: str
    """Its id."""
    name: str
    """Its name."""
    cadence: Cadence
    """How often it makes a pack."""
    delivery: str
    """The destination of its packs."""
    active: bool
    """Whether it runs; always true."""
    created_at: float
    """When it was created."""
    last_run_at: float
    """When it last ran, successfully or not; 0 is never."""
    next_due: float
    """When the next pack is made, or retried."""
    next_period_start: float
    """Where the period of the next pack begins."""
    tenant_id: str
    """The tenant."""
    last_status: str
    """`ok`, `failed`, or empty before the first run."""
    last_error: str
    """Why the last run failed; empty otherwise."""
    run_count: int
    """Packs that were put into the webhook's outbox."""
    fail_count: int
    """Runs that failed; each is retried after an hour."""


@dataclass(frozen=True)
class HealthCheckResponse:
    status: Literal['ok']
    service: Literal['haldir']
    version: str
    alive: bool
    checked_at: float
    """Unix seconds"""


@dataclass(frozen=True)
class LivenessCheckResponse:
    alive: bool
    service: Literal['haldir']
    checked_at: float
    """Unix seconds"""


@dataclass(frozen=True)
class ReadinessCheckResponse:
    ready: bool
    service: Literal['haldir']
    checked_at: float
    """Unix seconds"""
    checks: list[ReadinessCheckResponseChecksItem]


@dataclass(frozen=True)
class ReadinessCheckResponseChecksItem:
    name: str
    ok: bool
    message: str
    duration_ms: Decimal


@dataclass(frozen=True)
class ApiIndexResponse:
    service: Literal['haldir']
    version: str
    docs: str
    endpoints: dict[str, str]


@dataclass(frozen=True)
class GetStatusResponse:
    status: Literal['ok', 'degraded', 'down']
    checked_at: float
    """Unix seconds"""
    components: list[GetStatusResponseComponentsItem]
    metrics: GetStatusResponseMetrics


@dataclass(frozen=True)
class GetStatusResponseComponentsItem:
    name: str
    state: str
    message: str
    checked_at: float
    """Unix seconds"""


@dataclass(frozen=True)
class GetStatusResponseMetrics:
    success_rate: GetStatusResponseMetricsSuccess_rate
    latency_seconds: GetStatusResponseMetricsLatency_seconds


@dataclass(frozen=True)
class GetStatusResponseMetricsSuccess_rate:
    total: int
    errors: int
    ratio: Decimal


@dataclass(frozen=True)
class GetStatusResponseMetricsLatency_seconds:
    p50: Decimal | None
    p95: Decimal | None
    p99: Decimal | None
