"""A method for each operation of the server, for both clients. Written by `sdks/python/generate`; do not edit."""

from __future__ import annotations

from typing import Any, Literal, Mapping, Sequence

from . import models
from ._transport import AsyncTransport, SyncTransport, segment
from ._wire import Money, exact


class Operations(SyncTransport):
    """Every operation of the server."""

    def create_session(
        self,
        *,
        agent_id: str,
        scopes: Sequence[str] | None = None,
        ttl: int | None = None,
        spend_limit: Money | None = None,
        daily_spend_limit: Money | None = None,
        parent_session_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> models.CreateSessionResponse:
        """Create session.

        Start a governed session for an agent: the scopes it may use, how much it may spend, and for how long. Call this
        first; everything else an agent does through haldir names the session. Give the fewest scopes and the smallest
        budget that the task needs. With `parent_session_id` the new session is delegated: its scopes, budget and expiry
        lie within the parent's, what it spends counts against the parent, and it ends with the parent.

        Needs the key scope `sessions:write`.

        `agent_id`: The agent's name. Everything done in the session is logged under it.

        `scopes`: What the session may do. A scope `read` includes every `read:…`; `spend:50` grants `spend` and sets a
        budget of 50 USD when `spend_limit` is not given. Default: read and browse.

        `ttl`: Seconds until the session expires; 0 is never. Default 3600.

        `spend_limit`: The most that the session may spend, in USD; 0 is nothing. Without it the session has no limit of
        its own, but those of its key and of its parents hold.

        `daily_spend_limit`: The most that all sessions of this agent that set this field may spend together in a UTC
        day, in USD, across processes; 0 is nothing. It applies besides `spend_limit`.

        `parent_session_id`: The session that delegates to the new one.
        """
        return self._json(
            models.CreateSessionResponse,
            "POST",
            "/v1/sessions",
            body={
                "agent_id": agent_id,
                "scopes": scopes,
                "ttl": ttl,
                "spend_limit": exact("spend_limit", spend_limit),
                "daily_spend_limit": exact("daily_spend_limit", daily_spend_limit),
                "parent_session_id": parent_session_id,
            },
            idempotency_key=idempotency_key,
            takes_key=True,
        )

    def list_sessions(
        self,
        *,
        agent_id: str | None = None,
        id_prefix: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> models.ListSessionsResponse:
        """List sessions.

        List sessions, newest first.

        Needs the key scope `sessions:read`.

        `agent_id`: Only this agent's.

        `id_prefix`: Only ids that start with this.

        `limit`: How many at most. Default 100.

        `cursor`: The `next_cursor` of the page before.
        """
        return self._json(
            models.ListSessionsResponse,
            "GET",
            "/v1/sessions",
            query={
                "agent_id": agent_id,
                "id_prefix": id_prefix,
                "limit": limit,
                "cursor": cursor,
            },
        )

    def get_session(
        self,
        session_id: str,
    ) -> models.GetSessionResponse:
        """Get session.

        Look at a session: scopes, budget, what is spent and left, when it expires, and whether it is still valid. A
        revoked or expired session can still be looked at; `is_valid` is false then, for good.

        Needs the key scope `sessions:read`.

        `session_id`: The session's id, as createSession answered it.
        """
        return self._json(
            models.GetSessionResponse,
            "GET",
            f'/v1/sessions/{segment("session_id", session_id)}',
        )

    def revoke_session(
        self,
        session_id: str,
        *,
        cascade: bool | None = None,
    ) -> models.RevokeSessionResponse:
        """Revoke session.

        End a session now and for good: it can no longer act, spend or read secrets, and neither can any session that it
        delegated to. Call this when a task is done, or when something looks wrong. Revoking twice is no error.

        Needs the key scope `sessions:write`.

        `session_id`: The session to end.

        `cascade`: Accepted for compatibility: descendants always end with their parent.
        """
        return self._json(
            models.RevokeSessionResponse,
            "DELETE",
            f'/v1/sessions/{segment("session_id", session_id)}',
            query={
                "cascade": cascade,
            },
        )

    def check_permission(
        self,
        session_id: str,
        *,
        scope: str,
    ) -> models.CheckPermissionResponse:
        """Check permission.

        Check whether a session may do something, before doing it. `allowed` is true only if the session is valid and
        holds the scope; for an unknown, expired or revoked session it is false. The check changes nothing.

        Needs the key scope `sessions:read`.

        `session_id`: The session to check.

        `scope`: The scope that the action needs, such as read, files:write or spend.
        """
        return self._json(
            models.CheckPermissionResponse,
            "POST",
            f'/v1/sessions/{segment("session_id", session_id)}/check',
            body={
                "scope": scope,
            },
        )

    def stop_agent(
        self,
        agent_id: str,
        *,
        revoke_keys: bool | None = None,
        idempotency_key: str | None = None,
    ) -> models.StopAgentResponse:
        """Stop agent.

        Stop an agent: end all of its sessions now and for good, and those that they delegated to. With `revoke_keys`
        the agent keys that made them are revoked as well; otherwise the agent can make a new session with the same key.

        Needs the key scope `sessions:write` and an operator's key.

        `agent_id`: The agent's name, as its sessions have it.

        `revoke_keys`: Whether to revoke the agent keys that made its sessions. Operators' keys stay. Default: false.
        """
        return self._json(
            models.StopAgentResponse,
            "POST",
            f'/v1/agents/{segment("agent_id", agent_id)}/stop',
            body={
                "revoke_keys": revoke_keys,
            },
            idempotency_key=idempotency_key,
            takes_key=True,
        )

    def list_descendants(
        self,
        session_id: str,
    ) -> models.ListDescendantsResponse:
        """List delegated sessions.

        List the sessions that a session has delegated to, and those below them.

        Needs the key scope `sessions:read`.

        `session_id`: The session at the top.
        """
        return self._json(
            models.ListDescendantsResponse,
            "GET",
            f'/v1/sessions/{segment("session_id", session_id)}/descendants',
        )

    def store_secret(
        self,
        *,
        name: str,
        value: str,
        scope_required: str | None = None,
        disclosure: models.Disclosure | None = None,
        upstreams: Sequence[str] | None = None,
        session_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> models.StoreSecretResponse:
        """Store secret.

        Put a credential into the vault, encrypted at rest, so that it need not be in a prompt, a file or the
        environment. Storing an existing name makes a new version and deletes the old value. With disclosure `inject`
        the value is never returned: only the proxy puts it into calls.

        Needs the key scope `vault:write`.

        `name`: Its name.

        `value`: The value to encrypt. At least 8 characters if it may be sent to upstreams, or its disclosure is
        `inject`.

        `scope_required`: The scope that a session must hold to read it. Default: read.

        `disclosure`: `return`: getSecret gives it to a session that holds the scope. `inject`: it is never given out.

        `upstreams`: The upstream servers that the proxy may send it to, where `{{secret:NAME}}` stands in a call or a
        header. Default: none.

        `session_id`: The session that stores it. An agent needs one to replace a secret: it must hold the scope that
        the stored one requires. New names and operators need none.
        """
        return self._json(
            models.StoreSecretResponse,
            "POST",
            "/v1/secrets",
            body={
                "name": name,
                "value": value,
                "scope_required": scope_required,
                "disclosure": disclosure,
                "upstreams": upstreams,
                "session_id": session_id,
            },
            idempotency_key=idempotency_key,
            takes_key=True,
        )

    def list_secrets(
        self,
        *,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> models.ListSecretsResponse:
        """List secret names.

        List the names of the secrets in the vault, never their values.

        Needs the key scope `vault:read`.

        `limit`: How many at most. Default 1000.

        `cursor`: The `next_cursor` of the page before.
        """
        return self._json(
            models.ListSecretsResponse,
            "GET",
            "/v1/secrets",
            query={
                "limit": limit,
                "cursor": cursor,
            },
        )

    def get_secret(
        self,
        name: str,
        *,
        session_id: str,
    ) -> models.GetSecretResponse:
        """Get secret.

        Read a secret from the vault for a session that holds the scope it requires. Read it only when it is about to be
        used, and do not repeat its value: every read is logged by name. A secret with disclosure `inject` is never
        returned.

        Needs the key scope `vault:read`.

        `name`: The secret's name.

        `session_id`: The session that asks, instead of session_id: a header is kept in no log of addresses.
        """
        return self._json(
            models.GetSecretResponse,
            "GET",
            f'/v1/secrets/{segment("name", name)}',
            headers={
                "X-Session-ID": session_id,
            },
        )

    def delete_secret(
        self,
        name: str,
        *,
        session_id: str | None = None,
    ) -> models.DeleteSecretResponse:
        """Delete secret.

        Delete a secret from the vault, for good.

        Needs the key scope `vault:write`.

        `name`: Its name.

        `session_id`: The session that deletes it. An agent needs one: it must hold the scope that the secret requires.
        """
        return self._json(
            models.DeleteSecretResponse,
            "DELETE",
            f'/v1/secrets/{segment("name", name)}',
            query={
                "session_id": session_id,
            },
        )

    def authorize_payment(
        self,
        *,
        session_id: str,
        amount: Money,
        currency: str | None = None,
        description: str | None = None,
        approval_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> models.AuthorizePaymentResponse:
        """Authorize payment.

        Ask for permission to pay, before paying. The session must hold the scope spend, and the amount must fit what is
        left of its budget and of every session above it; it is deducted at once. If authorized is false, do not pay:
        the reason says why. If status is `approval_required`, a person has to approve it first: repeat the same call
        later.

        Needs the key scope `payments:write`.

        `session_id`: The session that pays.

        `amount`: How much, more than 0, with at most nine decimals.

        `currency`: ISO 4217 code. Budgets are in USD, and nothing is converted. Default: USD.

        `description`: What it is for.

        `approval_id`: The approval to use, where one is needed. Default: one of exactly this payment, if there is one.
        """
        return self._json(
            models.AuthorizePaymentResponse,
            "POST",
            "/v1/payments/authorize",
            body={
                "session_id": session_id,
                "amount": exact("amount", amount),
                "currency": currency,
                "description": description,
                "approval_id": approval_id,
            },
            idempotency_key=idempotency_key,
            takes_key=True,
        )

    def list_payments(
        self,
        *,
        agent_id: str | None = None,
        session_id: str | None = None,
        open: bool | None = None,
        since: float | str | None = None,
        until: float | str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> models.ListPaymentsResponse:
        """List payments.

        List payments that were authorized, newest first.

        Needs the key scope `payments:read`.

        `agent_id`: Only this agent's.

        `session_id`: Only this session's.

        `open`: Only those that are neither captured nor voided yet. Default: false.

        `since`: Only those authorized at this time or later, in Unix seconds.

        `until`: Only those authorized before this time, in Unix seconds.

        `limit`: How many at most. Default 100.

        `cursor`: The `next_cursor` of the page before.
        """
        return self._json(
            models.ListPaymentsResponse,
            "GET",
            "/v1/payments",
            query={
                "agent_id": agent_id,
                "session_id": session_id,
                "open": open,
                "since": since,
                "until": until,
                "limit": limit,
                "cursor": cursor,
            },
        )

    def capture_payment(
        self,
        authorization_id: str,
        *,
        amount: Money | None = None,
        idempotency_key: str | None = None,
    ) -> models.CapturePaymentResponse:
        """Capture payment.

        Settle an authorized payment at the amount that was paid, at most the authorized amount; the rest returns to the
        budget. Only an operator can: an agent could refill its own budget with it.

        Needs the key scope `payments:write` and an operator's key.

        `authorization_id`: The authorization.

        `amount`: What was paid. Default: all that was authorized.
        """
        return self._json(
            models.CapturePaymentResponse,
            "POST",
            f'/v1/payments/{segment("authorization_id", authorization_id)}/capture',
            body={
                "amount": exact("amount", amount),
            },
            idempotency_key=idempotency_key,
            takes_key=True,
        )

    def void_payment(
        self,
        authorization_id: str,
        *,
        idempotency_key: str | None = None,
    ) -> models.VoidPaymentResponse:
        """Void payment.

        Cancel an authorized payment that was not made; all of it returns to the budget. Only an operator can.

        Needs the key scope `payments:write` and an operator's key.

        `authorization_id`: The authorization.
        """
        return self._json(
            models.VoidPaymentResponse,
            "POST",
            f'/v1/payments/{segment("authorization_id", authorization_id)}/void',
            body={},
            idempotency_key=idempotency_key,
            takes_key=True,
        )

    def log_action(
        self,
        *,
        session_id: str,
        action: str,
        tool: str | None = None,
        details: Any | None = None,
        cost_usd: Money | None = None,
        idempotency_key: str | None = None,
    ) -> models.LogActionResponse:
        """Log action.

        Record what an agent did, in a log that cannot be rewritten: every tool call, request, decision or purchase,
        right after it happened. The answer says whether it looks anomalous, and why. Do not put secrets into it.

        Needs the key scope `audit:write`.

        `session_id`: The session it happened in.

        `action`: What was done.

        `tool`: The tool or service it was done with.

        `details`: More about it: text or any JSON, at most 64 KiB.

        `cost_usd`: What it cost, in USD; more than nine decimals are rounded. It is recorded, not deducted:
        authorizePayment deducts.
        """
        return self._json(
            models.LogActionResponse,
            "POST",
            "/v1/audit",
            body={
                "session_id": session_id,
                "action": action,
                "tool": tool,
                "details": details,
                "cost_usd": exact("cost_usd", cost_usd),
            },
            idempotency_key=idempotency_key,
            takes_key=True,
        )

    def get_audit_trail(
        self,
        *,
        session_id: str | None = None,
        agent_id: str | None = None,
        tool: str | None = None,
        flagged: bool | None = None,
        since: float | str | None = None,
        until: float | str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> models.GetAuditTrailResponse:
        """Get audit trail.

        Read the audit log, newest first: what agents did, and what haldir decided about them. Filter by session, agent,
        tool, time, or only what was flagged as anomalous.

        Needs the key scope `audit:read`.

        `session_id`: Only this session's entries.

        `agent_id`: Only this agent's entries.

        `tool`: Only entries of this tool; haldir's own decisions bear the tool `haldir`.

        `flagged`: true: only flagged entries; false: only others.

        `since`: Only entries at this time or later: Unix seconds, a date-time with its offset (RFC 3339), or a date.

        `until`: Only entries before this time, in the same forms.

        `limit`: How many at most. Default 100.

        `cursor`: Where the last answer ended: its `next_cursor`.
        """
        return self._json(
            models.GetAuditTrailResponse,
            "GET",
            "/v1/audit",
            query={
                "session_id": session_id,
                "agent_id": agent_id,
                "tool": tool,
                "flagged": flagged,
                "since": since,
                "until": until,
                "limit": limit,
                "cursor": cursor,
            },
        )

    def get_spend(
        self,
        *,
        session_id: str | None = None,
        agent_id: str | None = None,
        since: float | str | None = None,
        until: float | str | None = None,
    ) -> models.GetSpendResponse:
        """Get spend.

        Sum up what agents have logged as cost and what payments were authorized, by tool, session and agent; of one
        session, one agent, or all; of all time, or of a span of it.

        Needs the key scope `audit:read`.

        `session_id`: Only this session.

        `agent_id`: Only this agent.

        `since`: Only what was logged and authorized at this time or later, in Unix seconds.

        `until`: Only what was logged and authorized before this time, in Unix seconds.
        """
        return self._json(
            models.GetSpendResponse,
            "GET",
            "/v1/audit/spend",
            query={
                "session_id": session_id,
                "agent_id": agent_id,
                "since": since,
                "until": until,
            },
        )

    def get_audit_entry(
        self,
        entry_id: str,
    ) -> models.GetAuditEntryResponse:
        """Get audit entry.

        Read one entry of the audit log.

        Needs the key scope `audit:read`.

        `entry_id`: The entry's id.
        """
        return self._json(
            models.GetAuditEntryResponse,
            "GET",
            f'/v1/audit/entries/{segment("entry_id", entry_id)}',
        )

    def get_tree_head(
        self,
    ) -> models.GetTreeHeadResponse:
        """Get tree head.

        Read the signed head of the audit log: how many entries it has, and the Merkle root over all of them. Whoever
        keeps it can prove later whether anything before it was changed.

        Needs the key scope `audit:read`.
        """
        return self._json(
            models.GetTreeHeadResponse,
            "GET",
            "/v1/audit/tree-head",
        )

    def get_inclusion_proof(
        self,
        entry_id: str,
    ) -> models.GetInclusionProofResponse:
        """Get inclusion proof.

        Prove that an entry is in the audit log: with the entry's canonical bytes, the path and the signed head, anybody
        can check it without this server.

        Needs the key scope `audit:read`.

        `entry_id`: The entry's id.
        """
        return self._json(
            models.GetInclusionProofResponse,
            "GET",
            f'/v1/audit/inclusion-proof/{segment("entry_id", entry_id)}',
        )

    def get_consistency_proof(
        self,
        *,
        first: int,
        second: int | None = None,
    ) -> models.GetConsistencyProofResponse:
        """Get consistency proof.

        Prove that the audit log at one size begins with the log at an earlier size: that nothing was changed, removed
        or put in between.

        Needs the key scope `audit:read`.

        `first`: The earlier size, at least 1.

        `second`: The later size. Default: as many entries as there are.
        """
        return self._json(
            models.GetConsistencyProofResponse,
            "GET",
            "/v1/audit/consistency-proof",
            query={
                "first": first,
                "second": second,
            },
        )

    def list_tree_heads(
        self,
        *,
        limit: int | None = None,
        before: int | None = None,
    ) -> models.ListTreeHeadsResponse:
        """List recorded tree heads.

        List the heads of the audit log that were signed and recorded, the largest first. A server records one every
        five minutes while the log grows.

        Needs the key scope `audit:read`.

        `limit`: How many at most. Default 100.

        `before`: Only heads of fewer entries: `next_before` of the answer before.
        """
        return self._json(
            models.ListTreeHeadsResponse,
            "GET",
            "/v1/audit/sth-log",
            query={
                "limit": limit,
                "before": before,
            },
        )

    def verify_tree_heads(
        self,
    ) -> models.VerifyTreeHeadsResponse:
        """Verify recorded tree heads.

        Check every recorded head of the audit log: its signature, that a published key made it, and that the log of
        today begins with the log of then.

        Needs the key scope `audit:read`.
        """
        return self._json(
            models.VerifyTreeHeadsResponse,
            "GET",
            "/v1/audit/sth-log/verify",
        )

    def list_log_keys(
        self,
    ) -> models.ListLogKeysResponse:
        """List keys that sign tree heads.

        List the public keys that the heads of this log were signed with, the newest first, and the log's name in
        checkpoints. Keep them elsewhere: a signature proves something only to who knows the key.

        Needs the key scope `audit:read`.
        """
        return self._json(
            models.ListLogKeysResponse,
            "GET",
            "/v1/audit/keys",
        )

    def export_bundle(
        self,
    ) -> str:
        """Export audit log with proofs.

        Export the whole audit log as a bundle that anybody can check without this server: every entry's canonical bytes
        and details, the recorded heads, a checkpoint and the public keys. `haldir audit verify FILE` checks it.

        Needs the key scope `audit:read`.
        """
        return self._text(
            "GET",
            "/v1/audit/bundle",
        )

    def get_checkpoint(
        self,
    ) -> str:
        """Get checkpoint.

        Read the head of the audit log as a checkpoint of the transparency-log world: a signed note with the log's name,
        its size and its root (C2SP tlog-checkpoint). While a signing key is being replaced, both keys sign it.

        Needs the key scope `audit:read`.
        """
        return self._text(
            "GET",
            "/v1/audit/checkpoint",
        )

    def get_tile(
        self,
        tile: str,
    ) -> bytes:
        """Get tile.

        Read a tile of the log's Merkle tree, or a bundle of its entries' canonical bytes, at the paths of C2SP tlog-
        tiles: `<level>/<index>` or `entries/<index>`, with `.p/<width>` behind it for one that is not full. An entry
        that was erased is empty in a bundle; its hash in the tile stays.

        Needs the key scope `audit:read`.

        `tile`: Such as `0/x001/234`, `1/000.p/17` or `entries/000.p/5`.
        """
        return self._bytes(
            "GET",
            f'/v1/audit/tile/{segment("tile", tile, keep="/")}',
        )

    def verify_audit_trail(
        self,
    ) -> models.VerifyAuditTrailResponse:
        """Verify audit trail.

        Check the whole audit log: every field of every entry against its hash, every link to the entry before, the
        Merkle tree, and the authenticated head. Says what it covered, and at a break names the first bad entry.

        Needs the key scope `audit:read`.
        """
        return self._json(
            models.VerifyAuditTrailResponse,
            "GET",
            "/v1/audit/verify",
        )

    def add_approval_rule(
        self,
        *,
        type: models.RuleType,
        threshold: Money | None = None,
        tools: Sequence[str] | None = None,
        operator_only: bool | None = None,
        idempotency_key: str | None = None,
    ) -> models.AddApprovalRuleResponse:
        """Add approval rule.

        Say what needs an operator's approval from now on: payments over a threshold, calls of certain tools, calls that
        destroy something, or everything. authorizePayment is held to it at once.

        Needs the key scope `approvals:write` and an operator's key.

        `type`: The kind of rule.

        `threshold`: With `spend_over`: payments of more than this many USD. Default: 0, which is every payment.

        `tools`: With `tool_blocked`, where it is required: the names of the tools.

        `operator_only`: Whether an operator has to decide: then the person at the agent's client is not asked. Default:
        false.
        """
        return self._json(
            models.AddApprovalRuleResponse,
            "POST",
            "/v1/approvals/rules",
            body={
                "type": type,
                "threshold": exact("threshold", threshold),
                "tools": tools,
                "operator_only": operator_only,
            },
            idempotency_key=idempotency_key,
            takes_key=True,
        )

    def list_approval_rules(
        self,
    ) -> models.ListApprovalRulesResponse:
        """List approval rules.

        List the rules that say what needs an approval, oldest first.

        Needs the key scope `approvals:read` and an operator's key.
        """
        return self._json(
            models.ListApprovalRulesResponse,
            "GET",
            "/v1/approvals/rules",
        )

    def delete_approval_rule(
        self,
        rule_id: str,
    ) -> models.DeleteApprovalRuleResponse:
        """Delete approval rule.

        Delete an approval rule: from the next call on it asks nothing. Requests that it caused stay as they are.

        Needs the key scope `approvals:write` and an operator's key.

        `rule_id`: The rule.
        """
        return self._json(
            models.DeleteApprovalRuleResponse,
            "DELETE",
            f'/v1/approvals/rules/{segment("rule_id", rule_id)}',
        )

    def request_approval(
        self,
        *,
        session_id: str,
        tool: str | None = None,
        action: str | None = None,
        amount: Money | None = None,
        reason: str | None = None,
        details: Any | None = None,
        ttl: int | None = None,
        idempotency_key: str | None = None,
    ) -> models.RequestApprovalResponse:
        """Request approval.

        Request an operator's approval. Read the decision with getApproval; it is bound to exactly the action of this
        request, and serves once. To request a payment ahead of authorizePayment, give the tool `authorizePayment`, the
        payment's description as action, and its amount.

        Needs the key scope `approvals:write`.

        `session_id`: The session that it would be done in.

        `tool`: The tool that would be called.

        `action`: What would be done.

        `amount`: What it would cost, in USD, with at most nine decimals.

        `reason`: The reason, for the person who decides.

        `details`: More about it, such as the arguments of the call: text or any JSON, at most 64 KiB.

        `ttl`: Seconds until the request ends without a decision; 0 is never. Default: 3600.
        """
        return self._json(
            models.RequestApprovalResponse,
            "POST",
            "/v1/approvals/request",
            body={
                "session_id": session_id,
                "tool": tool,
                "action": action,
                "amount": exact("amount", amount),
                "reason": reason,
                "details": details,
                "ttl": ttl,
            },
            idempotency_key=idempotency_key,
            takes_key=True,
        )

    def list_pending_approvals(
        self,
        *,
        agent_id: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> models.ListPendingApprovalsResponse:
        """List pending approvals.

        List the approval requests that wait for a decision, newest first, without expired ones.

        Needs the key scope `approvals:read`.

        `agent_id`: Only this agent's.

        `limit`: How many at most. Default 100.

        `cursor`: The `next_cursor` of the page before.
        """
        return self._json(
            models.ListPendingApprovalsResponse,
            "GET",
            "/v1/approvals/pending",
            query={
                "agent_id": agent_id,
                "limit": limit,
                "cursor": cursor,
            },
        )

    def list_decided_approvals(
        self,
        *,
        agent_id: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> models.ListDecidedApprovalsResponse:
        """List decided approvals.

        List the approval requests that were approved or denied, the newest decision first.

        Needs the key scope `approvals:read`.

        `agent_id`: Only this agent's.

        `limit`: How many at most. Default 100.

        `cursor`: The `next_cursor` of the page before.
        """
        return self._json(
            models.ListDecidedApprovalsResponse,
            "GET",
            "/v1/approvals/decided",
            query={
                "agent_id": agent_id,
                "limit": limit,
                "cursor": cursor,
            },
        )

    def get_approval(
        self,
        request_id: str,
        *,
        wait: int | None = None,
    ) -> models.GetApprovalResponse:
        """Get approval.

        Look at an approval request. With wait, the answer is held back until the request is decided or has expired, or
        that many seconds have passed, so that no client has to poll.

        Needs the key scope `approvals:read`.

        `request_id`: The request.

        `wait`: Seconds to wait for a decision. Default: 0. A server on which too many wait already answers at once.
        """
        return self._json(
            models.GetApprovalResponse,
            "GET",
            f'/v1/approvals/{segment("request_id", request_id)}',
            query={
                "wait": wait,
            },
        )

    def approve_request(
        self,
        request_id: str,
        *,
        decided_by: str | None = None,
        note: str | None = None,
        arguments: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> models.ApproveRequestResponse:
        """Approve request.

        Approve a request of an agent. The decision is final: a second one is refused. The approval serves once, for
        exactly the requested action, until the request ends and for at least ten minutes. With `arguments`, a call of
        an upstream's tool is made with those instead, when the agent repeats the call that it requested.

        Needs the key scope `approvals:write` and an operator's key.

        `request_id`: The request.

        `decided_by`: The name of the person who decides, shown to the agent. Default: the key's first characters.

        `note`: A note on the decision; the agent sees it.

        `arguments`: For a call of an upstream's tool: the arguments that replace the requested ones, an object that
        matches the tool's schema. The call passes all policies and budgets again, and its result tells the agent which
        arguments were changed.
        """
        return self._json(
            models.ApproveRequestResponse,
            "POST",
            f'/v1/approvals/{segment("request_id", request_id)}/approve',
            body={
                "decided_by": decided_by,
                "note": note,
                "arguments": arguments,
            },
            idempotency_key=idempotency_key,
            takes_key=True,
        )

    def deny_request(
        self,
        request_id: str,
        *,
        decided_by: str | None = None,
        note: str | None = None,
        idempotency_key: str | None = None,
    ) -> models.DenyRequestResponse:
        """Deny request.

        Deny a request of an agent. The decision is final: a second one is refused. The same call stays refused until
        the request would have ended.

        Needs the key scope `approvals:write` and an operator's key.

        `request_id`: The request.

        `decided_by`: The name of the person who decides, shown to the agent. Default: the key's first characters.

        `note`: A note on the decision; the agent sees it.
        """
        return self._json(
            models.DenyRequestResponse,
            "POST",
            f'/v1/approvals/{segment("request_id", request_id)}/deny',
            body={
                "decided_by": decided_by,
                "note": note,
            },
            idempotency_key=idempotency_key,
            takes_key=True,
        )

    def get_audit_stats(
        self,
        *,
        session_id: str | None = None,
        agent_id: str | None = None,
        since: float | str | None = None,
        until: float | str | None = None,
    ) -> models.GetAuditStatsResponse:
        """Get audit stats.

        Count what is in the audit log, by tool and by action, in any span of time; in constant time, however long the
        log is.

        Needs the key scope `audit:read`.

        `session_id`: Only this session's entries: the newest 10,000 of them.

        `agent_id`: Only this agent's entries.

        `since`: Only entries at this time or later, in Unix seconds. Exact where at most 1,000 entries lie between it
        and the end of its UTC day, else from the beginning of that day: `counted_from` says.

        `until`: Only entries before this time, in Unix seconds. Exact where at most 1,000 entries lie between the
        beginning of its UTC day and it, else to the end of that day: `counted_until` says.
        """
        return self._json(
            models.GetAuditStatsResponse,
            "GET",
            "/v1/audit/stats",
            query={
                "session_id": session_id,
                "agent_id": agent_id,
                "since": since,
                "until": until,
            },
        )

    def export_audit(
        self,
        *,
        format: models.ExportFormat | None = None,
        session_id: str | None = None,
        agent_id: str | None = None,
        tool: str | None = None,
        since: float | str | None = None,
        until: float | str | None = None,
        flagged: bool | None = None,
        manifest: bool | None = None,
    ) -> str:
        """Export audit log.

        Export the audit log, oldest entry first, as JSONL or CSV. JSONL ends with a manifest line unless manifest is
        false; that of any other export comes from /v1/audit/export/manifest. In CSV, text that a spreadsheet would take
        for a formula is preceded by an apostrophe; JSONL has it as it was logged.

        Needs the key scope `audit:read`.

        `format`: `jsonl` or `csv`. Default `jsonl`.

        `session_id`: Only this session's entries.

        `agent_id`: Only this agent's entries.

        `tool`: Only entries of this tool.

        `since`: Only entries at this time or later, in Unix seconds.

        `until`: Only entries before this time, in Unix seconds.

        `flagged`: true: only flagged entries; false: only others.

        `manifest`: Of JSONL, whether its last line is the manifest: false leaves it out, for programs that read every
        line as an entry. Default: true.
        """
        return self._text(
            "GET",
            "/v1/audit/export",
            query={
                "format": format,
                "session_id": session_id,
                "agent_id": agent_id,
                "tool": tool,
                "since": since,
                "until": until,
                "flagged": flagged,
                "manifest": manifest,
            },
        )

    def get_export_manifest(
        self,
        *,
        session_id: str | None = None,
        agent_id: str | None = None,
        tool: str | None = None,
        since: float | str | None = None,
        until: float | str | None = None,
        flagged: bool | None = None,
    ) -> models.GetExportManifestResponse:
        """Get export manifest.

        Read the manifest of an export with the same filters: how many entries, from when to when, and a digest of their
        ids. It reads all of them, as the export does.

        Needs the key scope `audit:read`.

        `session_id`: Only this session's entries.

        `agent_id`: Only this agent's entries.

        `tool`: Only entries of this tool.

        `since`: Only entries at this time or later, in Unix seconds.

        `until`: Only entries before this time, in Unix seconds.

        `flagged`: true: only flagged entries; false: only others.
        """
        return self._json(
            models.GetExportManifestResponse,
            "GET",
            "/v1/audit/export/manifest",
            query={
                "session_id": session_id,
                "agent_id": agent_id,
                "tool": tool,
                "since": since,
                "until": until,
                "flagged": flagged,
            },
        )

    def get_audit_retention(
        self,
    ) -> models.GetAuditRetentionResponse:
        """Get retention of details.

        Read how long the details of audit entries are kept, and what would be erased now. The entries themselves, with
        the digests of their details, stay for ever.

        Needs the key scope `audit:read`.
        """
        return self._json(
            models.GetAuditRetentionResponse,
            "GET",
            "/v1/audit/retention",
        )

    def set_audit_retention(
        self,
        *,
        retain_days: int,
    ) -> models.SetAuditRetentionResponse:
        """Set retention of details.

        Set how long the details of audit entries are kept. Older ones are erased within a day, for good; the entries
        themselves stay, and every proof about them holds.

        Needs the key scope `audit:write` and an operator's key.

        `retain_days`: Days after which the details of an entry are erased; 0 keeps them for ever.
        """
        return self._json(
            models.SetAuditRetentionResponse,
            "PUT",
            "/v1/audit/retention",
            body={
                "retain_days": retain_days,
            },
        )

    def prune_audit_details(
        self,
        *,
        confirm: Literal[True],
        idempotency_key: str | None = None,
    ) -> models.PruneAuditDetailsResponse:
        """Erase details that are due.

        Erase the details that are due now, instead of waiting for the daily run. One call goes through 1,000 entries;
        what is left is gone through in the background, or by calling again.

        Needs the key scope `audit:write` and an operator's key.

        `confirm`: Must be true: what is erased cannot be brought back.
        """
        return self._json(
            models.PruneAuditDetailsResponse,
            "POST",
            "/v1/audit/retention/prune",
            body={
                "confirm": confirm,
            },
            idempotency_key=idempotency_key,
            takes_key=True,
        )

    def list_retention_checkpoints(
        self,
        *,
        limit: int | None = None,
    ) -> models.ListRetentionCheckpointsResponse:
        """List runs that erased details.

        List the runs that erased details, newest first. The entries themselves were never touched.

        Needs the key scope `audit:read`.

        `limit`: How many at most. Default 100.
        """
        return self._json(
            models.ListRetentionCheckpointsResponse,
            "GET",
            "/v1/audit/retention/checkpoints",
            query={
                "limit": limit,
            },
        )

    def erase_agent(
        self,
        agent_id: str,
        *,
        dry_run: bool | None = None,
        idempotency_key: str | None = None,
    ) -> models.EraseAgentResponse:
        """Erase what concerns an agent.

        Erase everything about one agent: what it did in the log, its sessions, approvals, payments, events and kept
        answers. Every proof of the log still holds, and totals stay. Its sessions must have ended. One call goes
        through up to 500,000 entries; while `complete` is false, call again.

        Needs the key scope `admin:write` and an operator's key.

        `agent_id`: The agent's name, as its sessions have it.

        `dry_run`: Whether to say only what there is. Default: true; false erases, and what is erased cannot be brought
        back.
        """
        return self._json(
            models.EraseAgentResponse,
            "POST",
            f'/v1/agents/{segment("agent_id", agent_id)}/erase',
            body={
                "dry_run": dry_run,
            },
            idempotency_key=idempotency_key,
            takes_key=True,
        )

    def erase_session(
        self,
        session_id: str,
        *,
        dry_run: bool | None = None,
        idempotency_key: str | None = None,
    ) -> models.EraseSessionResponse:
        """Erase what concerns a session.

        Erase everything about one session: what was done in it, its approvals, payments, events and kept answers. Every
        proof of the log still holds, and totals stay. It must have ended. One call goes through up to 500,000 entries;
        while `complete` is false, call again.

        Needs the key scope `admin:write` and an operator's key.

        `session_id`: The session.

        `dry_run`: Whether to say only what there is. Default: true; false erases, and what is erased cannot be brought
        back.
        """
        return self._json(
            models.EraseSessionResponse,
            "POST",
            f'/v1/sessions/{segment("session_id", session_id)}/erase',
            body={
                "dry_run": dry_run,
            },
            idempotency_key=idempotency_key,
            takes_key=True,
        )

    def list_erasures(
        self,
        *,
        limit: int | None = None,
    ) -> models.ListErasuresResponse:
        """List erasures.

        List the erasures of agents and sessions, newest first. They do not say of which.

        Needs the key scope `admin:read` and an operator's key.

        `limit`: How many at most. Default 100.
        """
        return self._json(
            models.ListErasuresResponse,
            "GET",
            "/v1/erasures",
            query={
                "limit": limit,
            },
        )

    def register_upstream(
        self,
        *,
        name: str,
        url: str,
        headers: Mapping[str, Any] | None = None,
        limits: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> models.RegisterUpstreamResponse:
        """Register upstream.

        Register an MCP server behind haldir, over streamable HTTP. Its tools are listed at once, and pinned as they are
        then: one that changes later is not called until an operator accepts the change. Registering a name again
        replaces the address. A server that does not answer is registered as unhealthy, and is asked again when one of
        its tools is called.

        Needs the key scope `proxy:write` and an operator's key.

        `name`: Stands in front of its tools' names.

        `url`: Its address: http or https, and public unless the operator allows the host.

        `headers`: Headers of every request to it. A credential is written as `Bearer {{secret:NAME}}`, and the secret
        must allow this upstream.

        `limits`: Limits that hold for it alone. Default: those of the server.
        """
        return self._json(
            models.RegisterUpstreamResponse,
            "POST",
            "/v1/proxy/upstreams",
            body={
                "name": name,
                "url": url,
                "headers": headers,
                "limits": limits,
            },
            idempotency_key=idempotency_key,
            takes_key=True,
        )

    def list_upstreams(
        self,
    ) -> models.ListUpstreamsResponse:
        """List upstreams.

        List the upstream servers, whether they are well, and what was called of them.

        Needs the key scope `proxy:read`.
        """
        return self._json(
            models.ListUpstreamsResponse,
            "GET",
            "/v1/proxy/upstreams",
        )

    def delete_upstream(
        self,
        name: str,
    ) -> models.DeleteUpstreamResponse:
        """Delete upstream.

        Delete an upstream server with its tools and their pins: from the next call on none of them is known.

        Needs the key scope `proxy:write` and an operator's key.

        `name`: Its name.
        """
        return self._json(
            models.DeleteUpstreamResponse,
            "DELETE",
            f'/v1/proxy/upstreams/{segment("name", name)}',
        )

    def accept_tools(
        self,
        name: str,
        *,
        tool: str | None = None,
        idempotency_key: str | None = None,
    ) -> models.AcceptToolsResponse:
        """Accept changed tools.

        Accept tools in quarantine as their upstream offers them now: one of them, or all. Look at the difference first:
        listProxyTools shows both.

        Needs the key scope `proxy:write` and an operator's key.

        `name`: The upstream.

        `tool`: The tool's own name. Default: all of the upstream's that changed.
        """
        return self._json(
            models.AcceptToolsResponse,
            "POST",
            f'/v1/proxy/upstreams/{segment("name", name)}/accept',
            body={
                "tool": tool,
            },
            idempotency_key=idempotency_key,
            takes_key=True,
        )

    def mark_tool(
        self,
        name: str,
        *,
        tool: str,
        source: bool | None = None,
        sink: bool | None = None,
        cost: Money | None = None,
        cost_argument: str | None = None,
        cost_result: str | None = None,
        cost_max: Money | None = None,
    ) -> models.MarkToolResponse:
        """Mark a tool.

        Set the labels of an upstream's tool: a source of untrusted content, a sink that sends its input out of the
        organisation or destroys something, and the cost of a call. A session that has read from a source calls a sink
        only with approval; costs are taken from its budget. A label that is left out is removed.

        Needs the key scope `proxy:write` and an operator's key.

        `name`: The upstream.

        `tool`: The tool's own name.

        `source`: Whether its results contain untrusted content: web pages, mail, issues.

        `sink`: Whether it sends its input out of the organisation, or destroys something.

        `cost`: What one call costs, in USD, with at most nine decimals.

        `cost_argument`: Where in the arguments the cost of a call stands, as a JSON pointer, such as `/amount`. It is
        added to `cost`.

        `cost_result`: Where in the result the cost of a call stands, as a JSON pointer, such as
        `/structuredContent/price`. It is added to `cost`; until it is known, and where it is no amount from 0 to
        `cost_max`, `cost_max` stands for it.

        `cost_max`: The most that a call costs by its result, in USD. Goes with `cost_result`.
        """
        return self._json(
            models.MarkToolResponse,
            "PUT",
            f'/v1/proxy/upstreams/{segment("name", name)}/marks',
            body={
                "tool": tool,
                "source": source,
                "sink": sink,
                "cost": exact("cost", cost),
                "cost_argument": cost_argument,
                "cost_result": cost_result,
                "cost_max": exact("cost_max", cost_max),
            },
        )

    def list_proxy_tools(
        self,
        *,
        upstream: str | None = None,
        state: models.ToolState | None = None,
        callable: bool | None = None,
        session_id: str | None = None,
    ) -> models.ListProxyToolsResponse:
        """List proxied tools.

        List the tools of all upstream servers, as they were accepted. Those in quarantine are listed as such, with what
        the upstream offers now; they are not called.

        Needs the key scope `proxy:read`.

        `upstream`: Only those of this upstream.

        `state`: Only those in this state.

        `callable`: Only those that policies let be called, and the session if one is named; without those that must be
        called as a task (execution.taskSupport is required), which only works at /mcp/{upstream}. Default: true for
        agents, false for operators.

        `session_id`: Only those that this session may call.
        """
        return self._json(
            models.ListProxyToolsResponse,
            "GET",
            "/v1/proxy/tools",
            query={
                "upstream": upstream,
                "state": state,
                "callable": callable,
                "session_id": session_id,
            },
        )

    def proxy_call(
        self,
        *,
        tool: str,
        session_id: str,
        arguments: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> models.ProxyCallResponse:
        """Call a tool.

        Call a tool of an upstream server. The call passes session, pins, scope, policies, budget and approvals, and is
        an entry of the log before it leaves. `{{secret:NAME}}` in the arguments stands for a secret that may go there.
        If the answer has the status `approval_required`, a person has to approve it first: repeat the same call later.

        Needs the key scope `proxy:write`.

        `tool`: The tool: as it is listed, such as `upstream__tool`; `upstream.tool`; or `tool` while only one upstream
        has it.

        `arguments`: What to call it with: an object, as the tool's schema says.

        `session_id`: The session that calls.
        """
        return self._json(
            models.ProxyCallResponse,
            "POST",
            "/v1/proxy/call",
            body={
                "tool": tool,
                "arguments": arguments,
                "session_id": session_id,
            },
            idempotency_key=idempotency_key,
            takes_key=True,
        )

    def add_proxy_policy(
        self,
        *,
        type: models.PolicyType,
        tool: str | None = None,
        tools: Sequence[str] | None = None,
        max: Money | None = None,
        argument: str | None = None,
        max_per_minute: int | None = None,
        start_hour: int | None = None,
        end_hour: int | None = None,
        cedar: str | None = None,
        dry_run: bool | None = None,
        idempotency_key: str | None = None,
    ) -> models.AddProxyPolicyResponse:
        """Add policy.

        Say what may be called through the proxy. Every policy must let a call pass. Tools are named `upstream.tool`,
        `tool`, `upstream.*` or `*`; a policy that forbids holds for names that look alike too, one that allows for
        exactly that name.

        Needs the key scope `proxy:write` and an operator's key.

        `type`: The kind of policy.

        `tool`: Of `block_tool`: the tool. Of the limits and the window: the tool that it is about, else all.

        `tools`: Of `allow_list` and `deny_list`: the tools. Of the limits and the window: the tools that it is about,
        else all.

        `max`: Of `spend_limit`: the largest amount of one call, in USD.

        `argument`: Of `spend_limit`: where in the arguments the amount stands, as a JSON pointer. Default: wherever it
        may.

        `max_per_minute`: Of `rate_limit`: calls of one agent within any minute.

        `start_hour`: Of `time_window`: the first hour, UTC.

        `end_hour`: Of `time_window`: the hour that it ends before, UTC; one before `start_hour` is of the next day.

        `cedar`: Of `cedar`: a policy set in Cedar, <https://cedarpolicy.com>, for the schema that `haldir policy
        schema` prints. What none of its policies permits is refused.

        `dry_run`: Whether it only logs what it would refuse.
        """
        return self._json(
            models.AddProxyPolicyResponse,
            "POST",
            "/v1/proxy/policies",
            body={
                "type": type,
                "tool": tool,
                "tools": tools,
                "max": exact("max", max),
                "argument": argument,
                "max_per_minute": max_per_minute,
                "start_hour": start_hour,
                "end_hour": end_hour,
                "cedar": cedar,
                "dry_run": dry_run,
            },
            idempotency_key=idempotency_key,
            takes_key=True,
        )

    def list_proxy_policies(
        self,
    ) -> models.ListProxyPoliciesResponse:
        """List policies.

        List the policies of the proxy, oldest first.

        Needs the key scope `proxy:read`.
        """
        return self._json(
            models.ListProxyPoliciesResponse,
            "GET",
            "/v1/proxy/policies",
        )

    def test_proxy_policy(
        self,
        *,
        type: models.PolicyType,
        tool: str | None = None,
        tools: Sequence[str] | None = None,
        max: Money | None = None,
        argument: str | None = None,
        max_per_minute: int | None = None,
        start_hour: int | None = None,
        end_hour: int | None = None,
        cedar: str | None = None,
        dry_run: bool | None = None,
        calls: int | None = None,
    ) -> models.TestProxyPolicyResponse:
        """Test a policy.

        Show what a policy would have refused of the newest calls in the log, without adding it.

        Needs the key scope `proxy:read` and an operator's key.

        `type`: The kind of policy.

        `tool`: Of `block_tool`: the tool. Of the limits and the window: the tool that it is about, else all.

        `tools`: Of `allow_list` and `deny_list`: the tools. Of the limits and the window: the tools that it is about,
        else all.

        `max`: Of `spend_limit`: the largest amount of one call, in USD.

        `argument`: Of `spend_limit`: where in the arguments the amount stands, as a JSON pointer. Default: wherever it
        may.

        `max_per_minute`: Of `rate_limit`: calls of one agent within any minute.

        `start_hour`: Of `time_window`: the first hour, UTC.

        `end_hour`: Of `time_window`: the hour that it ends before, UTC; one before `start_hour` is of the next day.

        `cedar`: Of `cedar`: a policy set in Cedar, <https://cedarpolicy.com>, for the schema that `haldir policy
        schema` prints. What none of its policies permits is refused.

        `dry_run`: Whether it only logs what it would refuse.

        `calls`: How many of the newest calls to look at. Default: 1000.
        """
        return self._json(
            models.TestProxyPolicyResponse,
            "POST",
            "/v1/proxy/policies/test",
            body={
                "type": type,
                "tool": tool,
                "tools": tools,
                "max": exact("max", max),
                "argument": argument,
                "max_per_minute": max_per_minute,
                "start_hour": start_hour,
                "end_hour": end_hour,
                "cedar": cedar,
                "dry_run": dry_run,
                "calls": calls,
            },
        )

    def delete_proxy_policy(
        self,
        policy_id: str,
    ) -> models.DeleteProxyPolicyResponse:
        """Delete policy.

        Delete a policy of the proxy: from the next call on it forbids nothing.

        Needs the key scope `proxy:write` and an operator's key.

        `policy_id`: The policy.
        """
        return self._json(
            models.DeleteProxyPolicyResponse,
            "DELETE",
            f'/v1/proxy/policies/{segment("policy_id", policy_id)}',
        )

    def get_usage(
        self,
        *,
        month: str | None = None,
    ) -> models.GetUsageResponse:
        """Get usage.

        Count the calls that this tenant's agents and API keys made in a month: every authenticated call of an operation
        or of a wrapped server's tool, over REST, MCP over HTTP or stdio, successful or not. Commands of an operator at
        a terminal beside the store do not count.

        Needs the key scope `admin:read`.

        `month`: The month in UTC, as YYYY-MM. Default: this one.
        """
        return self._json(
            models.GetUsageResponse,
            "GET",
            "/v1/usage",
            query={
                "month": month,
            },
        )

    def get_metrics(
        self,
    ) -> models.GetMetricsResponse:
        """Get metrics.

        Figures of this tenant: keys, sessions, actions, spending, secrets and payments; kept as they change, not
        counted when asked for.

        Needs the key scope `admin:read`.
        """
        return self._json(
            models.GetMetricsResponse,
            "GET",
            "/v1/metrics",
        )

    def get_overview(
        self,
    ) -> models.GetOverviewResponse:
        """Get overview.

        What stands in this tenant at a glance: usage, open sessions, vault, log, webhooks, approvals, and whether
        haldir is well. For dashboards.

        Needs the key scope `admin:read` and an operator's key.
        """
        return self._json(
            models.GetOverviewResponse,
            "GET",
            "/v1/admin/overview",
        )

    def create_api_key(
        self,
        *,
        name: str | None = None,
        tier: models.Tier | None = None,
        role: models.Role | None = None,
        scopes: Sequence[str] | None = None,
        max_scopes: Sequence[str] | None = None,
        max_spend: Money | None = None,
        max_daily_spend: Money | None = None,
        max_ttl: int | None = None,
        expires_in: int | None = None,
        bootstrap_token: str | None = None,
        tenant_name: str | None = None,
        idempotency_key: str | None = None,
    ) -> models.CreateApiKeyResponse:
        """Create API key.

        Make an API key. The first key of an empty store needs no authentication on a loopback address, and belongs to
        an operator. Later ones are made by an operator's key, or with the bootstrap token, which makes a new tenant. A
        key has a role and ceilings that no session created with it can exceed. It is shown once.

        Needs the key scope `admin:write` and an operator's key.

        `name`: What people call it.

        `tier`: Its hourly limit: free 100 calls, pro 5,000, enterprise 50,000.

        `role`: An agent's key cannot make keys, settle payments or change rules. Default: agent; the first key of a
        tenant is an operator's.

        `scopes`: What it may reach: `*`, or `<resource>:read|write|*` over sessions, vault, audit, payments, webhooks,
        proxy, approvals and admin. Default: what its maker may reach.

        `max_scopes`: The scopes that a session created with it may have. Default: every scope but admin and *, for an
        agent.

        `max_spend`: The most that one session created with it may spend, in USD.

        `max_daily_spend`: The most that all sessions created with it may spend together in a UTC day, in USD.

        `max_ttl`: The longest life of a session created with it, in seconds.

        `expires_in`: Seconds until the key expires; no later than its maker. Default: as its maker, or never.

        `bootstrap_token`: The server's `HALDIR_BOOTSTRAP_TOKEN`, instead of an operator's key: a new tenant is made
        with the key.

        `tenant_name`: What the new tenant is called, with the bootstrap token. No two tenants have the same name.
        """
        return self._json(
            models.CreateApiKeyResponse,
            "POST",
            "/v1/keys",
            body={
                "name": name,
                "tier": tier,
                "role": role,
                "scopes": scopes,
                "max_scopes": max_scopes,
                "max_spend": exact("max_spend", max_spend),
                "max_daily_spend": exact("max_daily_spend", max_daily_spend),
                "max_ttl": max_ttl,
                "expires_in": expires_in,
                "bootstrap_token": bootstrap_token,
                "tenant_name": tenant_name,
            },
            idempotency_key=idempotency_key,
            takes_key=True,
        )

    def list_api_keys(
        self,
        *,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> models.ListApiKeysResponse:
        """List API keys.

        List the API keys of this tenant, newest first: never the keys themselves, which are not stored.

        Needs the key scope `admin:read` and an operator's key.

        `limit`: How many at most. Default 1000.

        `cursor`: The `next_cursor` of the page before.
        """
        return self._json(
            models.ListApiKeysResponse,
            "GET",
            "/v1/keys",
            query={
                "limit": limit,
                "cursor": cursor,
            },
        )

    def rotate_api_key(
        self,
        prefix: str,
        *,
        grace_seconds: int | None = None,
        idempotency_key: str | None = None,
    ) -> models.RotateApiKeyResponse:
        """Rotate API key.

        Replace an API key by a new one with the same name, tier, role, scopes and ceilings. The old key stays valid for
        an overlap, so that its users can change over. The new key is shown once. An operator can replace keys that
        allow no more than the operator's own key.

        Needs the key scope `admin:write` and an operator's key.

        `prefix`: The old key's first twelve characters.

        `grace_seconds`: Seconds for which the old key stays valid; 0 ends it now. Default: 3600.
        """
        return self._json(
            models.RotateApiKeyResponse,
            "POST",
            f'/v1/keys/{segment("prefix", prefix)}/rotate',
            body={
                "grace_seconds": grace_seconds,
            },
            idempotency_key=idempotency_key,
            takes_key=True,
        )

    def set_api_key_tier(
        self,
        prefix: str,
        *,
        tier: models.Tier,
    ) -> models.SetApiKeyTierResponse:
        """Set API key tier.

        Change an API key's hourly limit, from the next call on. It has an effect only where the server limits calls.

        Needs the key scope `admin:write` and an operator's key.

        `prefix`: The key's first twelve characters.

        `tier`: Its hourly limit: free 100 calls, pro 5,000, enterprise 50,000, unless the server has other figures.
        """
        return self._json(
            models.SetApiKeyTierResponse,
            "PUT",
            f'/v1/keys/{segment("prefix", prefix)}/tier',
            body={
                "tier": tier,
            },
        )

    def revoke_api_key(
        self,
        prefix: str,
    ) -> models.RevokeApiKeyResponse:
        """Revoke API key.

        Revoke an API key: it is refused from the next call on, in every process, and the sessions that it made end.
        Revoking twice is no error.

        Needs the key scope `admin:write` and an operator's key.

        `prefix`: The key's first twelve characters.
        """
        return self._json(
            models.RevokeApiKeyResponse,
            "DELETE",
            f'/v1/keys/{segment("prefix", prefix)}',
        )

    def list_tenants(
        self,
        *,
        bootstrap_token: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
    ) -> models.ListTenantsResponse:
        """List tenants.

        List the tenants of the whole store, in the order of their ids. Only the operator of the server can: it needs
        the bootstrap token, or the terminal client beside the store.

        Needs the key scope `admin:read` and an operator's key.

        `bootstrap_token`: The server's `HALDIR_BOOTSTRAP_TOKEN`.

        `cursor`: Only tenants behind this id: `next_cursor` of the page before.

        `limit`: How many at most. Default 100.
        """
        return self._json(
            models.ListTenantsResponse,
            "POST",
            "/v1/tenants/list",
            body={
                "bootstrap_token": bootstrap_token,
                "cursor": cursor,
                "limit": limit,
            },
        )

    def name_tenant(
        self,
        tenant_id: str,
        *,
        name: str,
        bootstrap_token: str | None = None,
    ) -> models.NameTenantResponse:
        """Name a tenant.

        Give a tenant a name for people. Only the operator of the server can: it needs the bootstrap token, or the
        terminal client beside the store. No two tenants have the same name.

        Needs the key scope `admin:write` and an operator's key.

        `tenant_id`: The tenant.

        `name`: Its name from now on.

        `bootstrap_token`: The server's `HALDIR_BOOTSTRAP_TOKEN`.
        """
        return self._json(
            models.NameTenantResponse,
            "PUT",
            f'/v1/tenants/{segment("tenant_id", tenant_id)}/name',
            body={
                "name": name,
                "bootstrap_token": bootstrap_token,
            },
        )

    def register_webhook(
        self,
        *,
        url: str,
        name: str | None = None,
        events: Sequence[models.EventKind] | None = None,
        idempotency_key: str | None = None,
    ) -> models.RegisterWebhookResponse:
        """Register webhook.

        Register an address for events. They are sent as signed POST requests, at least once and in order, and retried
        for up to a day until the receiver answers with a 2xx status. The address must be public, unless the operator
        allows its host.

        Needs the key scope `webhooks:write` and an operator's key.

        `url`: Where to: http or https, without user name or password.

        `name`: A name for people.

        `events`: Which events. Default: all.
        """
        return self._json(
            models.RegisterWebhookResponse,
            "POST",
            "/v1/webhooks",
            body={
                "url": url,
                "name": name,
                "events": events,
            },
            idempotency_key=idempotency_key,
            takes_key=True,
        )

    def list_webhooks(
        self,
    ) -> models.ListWebhooksResponse:
        """List webhooks.

        List the webhooks of this tenant, with their delivery counts and queued events; never their secrets.

        Needs the key scope `webhooks:read` and an operator's key.
        """
        return self._json(
            models.ListWebhooksResponse,
            "GET",
            "/v1/webhooks",
        )

    def list_deliveries(
        self,
        *,
        event_id: str | None = None,
        before: str | None = None,
        limit: int | None = None,
    ) -> models.ListDeliveriesResponse:
        """List deliveries.

        List attempts to deliver events, newest first: when each was made, how the receiver responded, and when it is
        retried. Attempts are kept for 30 days.

        Needs the key scope `webhooks:read` and an operator's key.

        `event_id`: Only attempts of this event.

        `before`: Only attempts before this one, by its `delivery_id`.

        `limit`: How many, at most 1000. Default: 100.
        """
        return self._json(
            models.ListDeliveriesResponse,
            "GET",
            "/v1/webhooks/deliveries",
            query={
                "event_id": event_id,
                "before": before,
                "limit": limit,
            },
        )

    def list_dead_letters(
        self,
        *,
        webhook_id: int | None = None,
        limit: int | None = None,
    ) -> models.ListDeadLettersResponse:
        """List dead letters.

        List events that were not delivered: after a day of attempts, or because the receiver answered 410. They are
        kept for 30 days; resendDeadLetters sends them again.

        Needs the key scope `webhooks:read` and an operator's key.

        `webhook_id`: Only those of this webhook.

        `limit`: How many, at most 1000. Default: 100.
        """
        return self._json(
            models.ListDeadLettersResponse,
            "GET",
            "/v1/webhooks/dead-letters",
            query={
                "webhook_id": webhook_id,
                "limit": limit,
            },
        )

    def delete_webhook(
        self,
        webhook_id: int,
    ) -> models.DeleteWebhookResponse:
        """Delete webhook.

        Delete a webhook, its secret, its dead letters and its queued events.

        Needs the key scope `webhooks:write` and an operator's key.

        `webhook_id`: Its number.
        """
        return self._json(
            models.DeleteWebhookResponse,
            "DELETE",
            f'/v1/webhooks/{segment("webhook_id", webhook_id)}',
        )

    def rotate_webhook_secret(
        self,
        webhook_id: int,
        *,
        grace_seconds: int | None = None,
        idempotency_key: str | None = None,
    ) -> models.RotateWebhookSecretResponse:
        """Rotate webhook secret.

        Give a webhook a new secret. Until the overlap ends, `webhook-signature` holds a signature with each of the two;
        X-Haldir-Signature, which holds one signature, uses the new secret from now on.

        Needs the key scope `webhooks:write` and an operator's key.

        `webhook_id`: Its number.

        `grace_seconds`: How long the old secret stays valid beside the new one: from 60 to 604800 seconds. Default:
        86400.
        """
        return self._json(
            models.RotateWebhookSecretResponse,
            "POST",
            f'/v1/webhooks/{segment("webhook_id", webhook_id)}/rotate-secret',
            body={
                "grace_seconds": grace_seconds,
            },
            idempotency_key=idempotency_key,
            takes_key=True,
        )

    def ping_webhook(
        self,
        webhook_id: int,
        *,
        idempotency_key: str | None = None,
    ) -> models.PingWebhookResponse:
        """Ping webhook.

        Send a test event, `ping`, to one webhook, and make its queued events due now. The ping is sent in order, like
        any other event; listDeliveries shows the result. A webhook that a 410 response had disabled is active again.

        Needs the key scope `webhooks:write` and an operator's key.

        `webhook_id`: Its number.
        """
        return self._json(
            models.PingWebhookResponse,
            "POST",
            f'/v1/webhooks/{segment("webhook_id", webhook_id)}/ping',
            body={},
            idempotency_key=idempotency_key,
            takes_key=True,
        )

    def resend_dead_letters(
        self,
        webhook_id: int,
        *,
        event_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> models.ResendDeadLettersResponse:
        """Resend dead letters.

        Send dead letters of a webhook again, oldest first, behind its queued events; each is retried for another day. A
        webhook that a 410 response had disabled is active again.

        Needs the key scope `webhooks:write` and an operator's key.

        `webhook_id`: The webhook's number.

        `event_id`: Only this event. Default: up to 500 dead letters.
        """
        return self._json(
            models.ResendDeadLettersResponse,
            "POST",
            f'/v1/webhooks/{segment("webhook_id", webhook_id)}/resend',
            body={
                "event_id": event_id,
            },
            idempotency_key=idempotency_key,
            takes_key=True,
        )

    def get_evidence(
        self,
        *,
        since: float | str | None = None,
        until: float | str | None = None,
        format: models.PackFormat | None = None,
    ) -> models.GetEvidenceResponse | str:
        """Get evidence pack.

        Make the evidence pack of a period: eight sections with figures from the log, each with its criterion and with
        what it does not show, and a digest with an Ed25519 signature. Packs of a closed period differ only in the date
        on which they are made.

        Needs the key scope `audit:read` and an operator's key.

        `since`: Where the period begins, cut to whole seconds. Default: 90 days before its end.

        `until`: Where it ends, cut to whole seconds; not included. Default: now.

        `format`: `json`, `markdown` (or `md`), or `html`: one self-contained page. Default `json`.
        """
        return self._json_or_text(
            models.GetEvidenceResponse,
            "GET",
            "/v1/compliance/evidence",
            query={
                "since": since,
                "until": until,
                "format": format,
            },
        )

    def get_evidence_manifest(
        self,
        *,
        since: float | str | None = None,
        until: float | str | None = None,
    ) -> models.GetEvidenceManifestResponse:
        """Get evidence manifest.

        Read the digest and the signature of a period's evidence pack without the pack, to compare with an archived pack
        of a closed period.

        Needs the key scope `audit:read` and an operator's key.

        `since`: Where the period begins, cut to whole seconds. Default: 90 days before its end.

        `until`: Where it ends, cut to whole seconds; not included. Default: now.
        """
        return self._json(
            models.GetEvidenceManifestResponse,
            "GET",
            "/v1/compliance/evidence/manifest",
            query={
                "since": since,
                "until": until,
            },
        )

    def get_compliance_score(
        self,
    ) -> models.GetComplianceScoreResponse:
        """Get compliance score.

        Score the tenant's present configuration against seven criteria, each with a reason and a remedy.

        Needs the key scope `audit:read` and an operator's key.
        """
        return self._json(
            models.GetComplianceScoreResponse,
            "GET",
            "/v1/compliance/score",
        )

    def create_compliance_schedule(
        self,
        *,
        name: str,
        cadence: models.Cadence,
        delivery: str,
        idempotency_key: str | None = None,
    ) -> models.CreateComplianceScheduleResponse:
        """Create evidence schedule.

        Schedule an evidence pack for each day, week, month or quarter (UTC), delivered to a webhook after the period as
        the event `compliance.evidence_pack`. The first is for the period in which the schedule is created. Packs that
        were missed while no server ran are made later, one for each period.

        Needs the key scope `admin:write` and an operator's key.

        `name`: A name for people.

        `cadence`: How often.

        `delivery`: `webhook:` and the webhook's number, such as `webhook:1`. Haldir sends no e-mail.
        """
        return self._json(
            models.CreateComplianceScheduleResponse,
            "POST",
            "/v1/compliance/schedules",
            body={
                "name": name,
                "cadence": cadence,
                "delivery": delivery,
            },
            idempotency_key=idempotency_key,
            takes_key=True,
        )

    def list_compliance_schedules(
        self,
    ) -> models.ListComplianceSchedulesResponse:
        """List evidence schedules.

        List the schedules of evidence packs, with the results of their last runs.

        Needs the key scope `admin:read` and an operator's key.
        """
        return self._json(
            models.ListComplianceSchedulesResponse,
            "GET",
            "/v1/compliance/schedules",
        )

    def delete_compliance_schedule(
        self,
        schedule_id: str,
    ) -> None:
        """Delete evidence schedule.

        Delete a schedule. Packs that are queued for its webhook are still delivered.

        Needs the key scope `admin:write` and an operator's key.

        `schedule_id`: Its id.
        """
        self._nothing(
            "DELETE",
            f'/v1/compliance/schedules/{segment("schedule_id", schedule_id)}',
        )

    def health_check(
        self,
    ) -> models.HealthCheckResponse:
        """Whether the process runs."""
        return self._json(
            models.HealthCheckResponse,
            "GET",
            "/healthz",
        )

    def liveness_check(
        self,
    ) -> models.LivenessCheckResponse:
        """Whether the process runs, and nothing else."""
        return self._json(
            models.LivenessCheckResponse,
            "GET",
            "/livez",
        )

    def readiness_check(
        self,
    ) -> models.ReadinessCheckResponse:
        """Whether the store answers, and each thing that haldir needs."""
        return self._json(
            models.ReadinessCheckResponse,
            "GET",
            "/readyz",
        )

    def api_index(
        self,
    ) -> models.ApiIndexResponse:
        """What there is."""
        return self._json(
            models.ApiIndexResponse,
            "GET",
            "/v1",
        )

    def get_status(
        self,
    ) -> models.GetStatusResponse:
        """How this process is doing, without a figure of any tenant."""
        return self._json(
            models.GetStatusResponse,
            "GET",
            "/v1/status",
        )


class AsyncOperations(AsyncTransport):
    """Every operation of the server."""

    async def create_session(
        self,
        *,
        agent_id: str,
        scopes: Sequence[str] | None = None,
        ttl: int | None = None,
        spend_limit: Money | None = None,
        daily_spend_limit: Money | None = None,
        parent_session_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> models.CreateSessionResponse:
        """Create session. The arguments are those of `Operations.create_session`."""
        return await self._json(
            models.CreateSessionResponse,
            "POST",
            "/v1/sessions",
            body={
                "agent_id": agent_id,
                "scopes": scopes,
                "ttl": ttl,
                "spend_limit": exact("spend_limit", spend_limit),
                "daily_spend_limit": exact("daily_spend_limit", daily_spend_limit),
                "parent_session_id": parent_session_id,
            },
            idempotency_key=idempotency_key,
            takes_key=True,
        )

    async def list_sessions(
        self,
        *,
        agent_id: str | None = None,
        id_prefix: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> models.ListSessionsResponse:
        """List sessions. The arguments are those of `Operations.list_sessions`."""
        return await self._json(
            models.ListSessionsResponse,
            "GET",
            "/v1/sessions",
            query={
                "agent_id": agent_id,
                "id_prefix": id_prefix,
                "limit": limit,
                "cursor": cursor,
            },
        )

    async def get_session(
        self,
        session_id: str,
    ) -> models.GetSessionResponse:
        """Get session. The arguments are those of `Operations.get_session`."""
        return await self._json(
            models.GetSessionResponse,
            "GET",
            f'/v1/sessions/{segment("session_id", session_id)}',
        )

    async def revoke_session(
        self,
        session_id: str,
        *,
        cascade: bool | None = None,
    ) -> models.RevokeSessionResponse:
        """Revoke session. The arguments are those of `Operations.revoke_session`."""
        return await self._json(
            models.RevokeSessionResponse,
            "DELETE",
            f'/v1/sessions/{segment("session_id", session_id)}',
            query={
                "cascade": cascade,
            },
        )

    async def check_permission(
        self,
        session_id: str,
        *,
        scope: str,
    ) -> models.CheckPermissionResponse:
        """Check permission. The arguments are those of `Operations.check_permission`."""
        return await self._json(
            models.CheckPermissionResponse,
            "POST",
            f'/v1/sessions/{segment("session_id", session_id)}/check',
            body={
                "scope": scope,
            },
        )

    async def stop_agent(
        self,
        agent_id: str,
        *,
        revoke_keys: bool | None = None,
        idempotency_key: str | None = None,
    ) -> models.StopAgentResponse:
        """Stop agent. The arguments are those of `Operations.stop_agent`."""
        return await self._json(
            models.StopAgentResponse,
            "POST",
            f'/v1/agents/{segment("agent_id", agent_id)}/stop',
            body={
                "revoke_keys": revoke_keys,
            },
            idempotency_key=idempotency_key,
            takes_key=True,
        )

    async def list_descendants(
        self,
        session_id: str,
    ) -> models.ListDescendantsResponse:
        """List delegated sessions. The arguments are those of `Operations.list_descendants`."""
        return await self._json(
            models.ListDescendantsResponse,
            "GET",
            f'/v1/sessions/{segment("session_id", session_id)}/descendants',
        )

    async def store_secret(
        self,
        *,
        name: str,
        value: str,
        scope_required: str | None = None,
        disclosure: models.Disclosure | None = None,
        upstreams: Sequence[str] | None = None,
        session_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> models.StoreSecretResponse:
        """Store secret. The arguments are those of `Operations.store_secret`."""
        return await self._json(
            models.StoreSecretResponse,
            "POST",
            "/v1/secrets",
            body={
                "name": name,
                "value": value,
                "scope_required": scope_required,
                "disclosure": disclosure,
                "upstreams": upstreams,
                "session_id": session_id,
            },
            idempotency_key=idempotency_key,
            takes_key=True,
        )

    async def list_secrets(
        self,
        *,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> models.ListSecretsResponse:
        """List secret names. The arguments are those of `Operations.list_secrets`."""
        return await self._json(
            models.ListSecretsResponse,
            "GET",
            "/v1/secrets",
            query={
                "limit": limit,
                "cursor": cursor,
            },
        )

    async def get_secret(
        self,
        name: str,
        *,
        session_id: str,
    ) -> models.GetSecretResponse:
        """Get secret. The arguments are those of `Operations.get_secret`."""
        return await self._json(
            models.GetSecretResponse,
            "GET",
            f'/v1/secrets/{segment("name", name)}',
            headers={
                "X-Session-ID": session_id,
            },
        )

    async def delete_secret(
        self,
        name: str,
        *,
        session_id: str | None = None,
    ) -> models.DeleteSecretResponse:
        """Delete secret. The arguments are those of `Operations.delete_secret`."""
        return await self._json(
            models.DeleteSecretResponse,
            "DELETE",
            f'/v1/secrets/{segment("name", name)}',
            query={
                "session_id": session_id,
            },
        )

    async def authorize_payment(
        self,
        *,
        session_id: str,
        amount: Money,
        currency: str | None = None,
        description: str | None = None,
        approval_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> models.AuthorizePaymentResponse:
        """Authorize payment. The arguments are those of `Operations.authorize_payment`."""
        return await self._json(
            models.AuthorizePaymentResponse,
            "POST",
            "/v1/payments/authorize",
            body={
                "session_id": session_id,
                "amount": exact("amount", amount),
                "currency": currency,
                "description": description,
                "approval_id": approval_id,
            },
            idempotency_key=idempotency_key,
            takes_key=True,
        )

    async def list_payments(
        self,
        *,
        agent_id: str | None = None,
        session_id: str | None = None,
        open: bool | None = None,
        since: float | str | None = None,
        until: float | str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> models.ListPaymentsResponse:
        """List payments. The arguments are those of `Operations.list_payments`."""
        return await self._json(
            models.ListPaymentsResponse,
            "GET",
            "/v1/payments",
            query={
                "agent_id": agent_id,
                "session_id": session_id,
                "open": open,
                "since": since,
                "until": until,
                "limit": limit,
                "cursor": cursor,
            },
        )

    async def capture_payment(
        self,
        authorization_id: str,
        *,
        amount: Money | None = None,
        idempotency_key: str | None = None,
    ) -> models.CapturePaymentResponse:
        """Capture payment. The arguments are those of `Operations.capture_payment`."""
        return await self._json(
            models.CapturePaymentResponse,
            "POST",
            f'/v1/payments/{segment("authorization_id", authorization_id)}/capture',
            body={
                "amount": exact("amount", amount),
            },
            idempotency_key=idempotency_key,
            takes_key=True,
        )

    async def void_payment(
        self,
        authorization_id: str,
        *,
        idempotency_key: str | None = None,
    ) -> models.VoidPaymentResponse:
        """Void payment. The arguments are those of `Operations.void_payment`."""
        return await self._json(
            models.VoidPaymentResponse,
            "POST",
            f'/v1/payments/{segment("authorization_id", authorization_id)}/void',
            body={},
            idempotency_key=idempotency_key,
            takes_key=True,
        )

    async def log_action(
        self,
        *,
        session_id: str,
        action: str,
        tool: str | None = None,
        details: Any | None = None,
        cost_usd: Money | None = None,
        idempotency_key: str | None = None,
    ) -> models.LogActionResponse:
        """Log action. The arguments are those of `Operations.log_action`."""
        return await self._json(
            models.LogActionResponse,
            "POST",
            "/v1/audit",
            body={
                "session_id": session_id,
                "action": action,
                "tool": tool,
                "details": details,
                "cost_usd": exact("cost_usd", cost_usd),
            },
            idempotency_key=idempotency_key,
            takes_key=True,
        )

    async def get_audit_trail(
        self,
        *,
        session_id: str | None = None,
        agent_id: str | None = None,
        tool: str | None = None,
        flagged: bool | None = None,
        since: float | str | None = None,
        until: float | str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> models.GetAuditTrailResponse:
        """Get audit trail. The arguments are those of `Operations.get_audit_trail`."""
        return await self._json(
            models.GetAuditTrailResponse,
            "GET",
            "/v1/audit",
            query={
                "session_id": session_id,
                "agent_id": agent_id,
                "tool": tool,
                "flagged": flagged,
                "since": since,
                "until": until,
                "limit": limit,
                "cursor": cursor,
            },
        )

    async def get_spend(
        self,
        *,
        session_id: str | None = None,
        agent_id: str | None = None,
        since: float | str | None = None,
        until: float | str | None = None,
    ) -> models.GetSpendResponse:
        """Get spend. The arguments are those of `Operations.get_spend`."""
        return await self._json(
            models.GetSpendResponse,
            "GET",
            "/v1/audit/spend",
            query={
                "session_id": session_id,
                "agent_id": agent_id,
                "since": since,
                "until": until,
            },
        )

    async def get_audit_entry(
        self,
        entry_id: str,
    ) -> models.GetAuditEntryResponse:
        """Get audit entry. The arguments are those of `Operations.get_audit_entry`."""
        return await self._json(
            models.GetAuditEntryResponse,
            "GET",
            f'/v1/audit/entries/{segment("entry_id", entry_id)}',
        )

    async def get_tree_head(
        self,
    ) -> models.GetTreeHeadResponse:
        """Get tree head. The arguments are those of `Operations.get_tree_head`."""
        return await self._json(
            models.GetTreeHeadResponse,
            "GET",
            "/v1/audit/tree-head",
        )

    async def get_inclusion_proof(
        self,
        entry_id: str,
    ) -> models.GetInclusionProofResponse:
        """Get inclusion proof. The arguments are those of `Operations.get_inclusion_proof`."""
        return await self._json(
            models.GetInclusionProofResponse,
            "GET",
            f'/v1/audit/inclusion-proof/{segment("entry_id", entry_id)}',
        )

    async def get_consistency_proof(
        self,
        *,
        first: int,
        second: int | None = None,
    ) -> models.GetConsistencyProofResponse:
        """Get consistency proof. The arguments are those of `Operations.get_consistency_proof`."""
        return await self._json(
            models.GetConsistencyProofResponse,
            "GET",
            "/v1/audit/consistency-proof",
            query={
                "first": first,
                "second": second,
            },
        )

    async def list_tree_heads(
        self,
        *,
        limit: int | None = None,
        before: int | None = None,
    ) -> models.ListTreeHeadsResponse:
        """List recorded tree heads. The arguments are those of `Operations.list_tree_heads`."""
        return await self._json(
            models.ListTreeHeadsResponse,
            "GET",
            "/v1/audit/sth-log",
            query={
                "limit": limit,
                "before": before,
            },
        )

    async def verify_tree_heads(
        self,
    ) -> models.VerifyTreeHeadsResponse:
        """Verify recorded tree heads. The arguments are those of `Operations.verify_tree_heads`."""
        return await self._json(
            models.VerifyTreeHeadsResponse,
            "GET",
            "/v1/audit/sth-log/verify",
        )

    async def list_log_keys(
        self,
    ) -> models.ListLogKeysResponse:
        """List keys that sign tree heads. The arguments are those of `Operations.list_log_keys`."""
        return await self._json(
            models.ListLogKeysResponse,
            "GET",
            "/v1/audit/keys",
        )

    async def export_bundle(
        self,
    ) -> str:
        """Export audit log with proofs. The arguments are those of `Operations.export_bundle`."""
        return await self._text(
            "GET",
            "/v1/audit/bundle",
        )

    async def get_checkpoint(
        self,
    ) -> str:
        """Get checkpoint. The arguments are those of `Operations.get_checkpoint`."""
        return await self._text(
            "GET",
            "/v1/audit/checkpoint",
        )

    async def get_tile(
        self,
        tile: str,
    ) -> bytes:
        """Get tile. The arguments are those of `Operations.get_tile`."""
        return await self._bytes(
            "GET",
            f'/v1/audit/tile/{segment("tile", tile, keep="/")}',
        )

    async def verify_audit_trail(
        self,
    ) -> models.VerifyAuditTrailResponse:
        """Verify audit trail. The arguments are those of `Operations.verify_audit_trail`."""
        return await self._json(
            models.VerifyAuditTrailResponse,
            "GET",
            "/v1/audit/verify",
        )

    async def add_approval_rule(
        self,
        *,
        type: models.RuleType,
        threshold: Money | None = None,
        tools: Sequence[str] | None = None,
        operator_only: bool | None = None,
        idempotency_key: str | None = None,
    ) -> models.AddApprovalRuleResponse:
        """Add approval rule. The arguments are those of `Operations.add_approval_rule`."""
        return await self._json(
            models.AddApprovalRuleResponse,
            "POST",
            "/v1/approvals/rules",
            body={
                "type": type,
                "threshold": exact("threshold", threshold),
                "tools": tools,
                "operator_only": operator_only,
            },
            idempotency_key=idempotency_key,
            takes_key=True,
        )

    async def list_approval_rules(
        self,
    ) -> models.ListApprovalRulesResponse:
        """List approval rules. The arguments are those of `Operations.list_approval_rules`."""
        return await self._json(
            models.ListApprovalRulesResponse,
            "GET",
            "/v1/approvals/rules",
        )

    async def delete_approval_rule(
        self,
        rule_id: str,
    ) -> models.DeleteApprovalRuleResponse:
        """Delete approval rule. The arguments are those of `Operations.delete_approval_rule`."""
        return await self._json(
            models.DeleteApprovalRuleResponse,
            "DELETE",
            f'/v1/approvals/rules/{segment("rule_id", rule_id)}',
        )

    async def request_approval(
        self,
        *,
        session_id: str,
        tool: str | None = None,
        action: str | None = None,
        amount: Money | None = None,
        reason: str | None = None,
        details: Any | None = None,
        ttl: int | None = None,
        idempotency_key: str | None = None,
    ) -> models.RequestApprovalResponse:
        """Request approval. The arguments are those of `Operations.request_approval`."""
        return await self._json(
            models.RequestApprovalResponse,
            "POST",
            "/v1/approvals/request",
            body={
                "session_id": session_id,
                "tool": tool,
                "action": action,
                "amount": exact("amount", amount),
                "reason": reason,
                "details": details,
                "ttl": ttl,
            },
            idempotency_key=idempotency_key,
            takes_key=True,
        )

    async def list_pending_approvals(
        self,
        *,
        agent_id: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> models.ListPendingApprovalsResponse:
        """List pending approvals. The arguments are those of `Operations.list_pending_approvals`."""
        return await self._json(
            models.ListPendingApprovalsResponse,
            "GET",
            "/v1/approvals/pending",
            query={
                "agent_id": agent_id,
                "limit": limit,
                "cursor": cursor,
            },
        )

    async def list_decided_approvals(
        self,
        *,
        agent_id: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> models.ListDecidedApprovalsResponse:
        """List decided approvals. The arguments are those of `Operations.list_decided_approvals`."""
        return await self._json(
            models.ListDecidedApprovalsResponse,
            "GET",
            "/v1/approvals/decided",
            query={
                "agent_id": agent_id,
                "limit": limit,
                "cursor": cursor,
            },
        )

    async def get_approval(
        self,
        request_id: str,
        *,
        wait: int | None = None,
    ) -> models.GetApprovalResponse:
        """Get approval. The arguments are those of `Operations.get_approval`."""
        return await self._json(
            models.GetApprovalResponse,
            "GET",
            f'/v1/approvals/{segment("request_id", request_id)}',
            query={
                "wait": wait,
            },
        )

    async def approve_request(
        self,
        request_id: str,
        *,
        decided_by: str | None = None,
        note: str | None = None,
        arguments: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> models.ApproveRequestResponse:
        """Approve request. The arguments are those of `Operations.approve_request`."""
        return await self._json(
            models.ApproveRequestResponse,
            "POST",
            f'/v1/approvals/{segment("request_id", request_id)}/approve',
            body={
                "decided_by": decided_by,
                "note": note,
                "arguments": arguments,
            },
            idempotency_key=idempotency_key,
            takes_key=True,
        )

    async def deny_request(
        self,
        request_id: str,
        *,
        decided_by: str | None = None,
        note: str | None = None,
        idempotency_key: str | None = None,
    ) -> models.DenyRequestResponse:
        """Deny request. The arguments are those of `Operations.deny_request`."""
        return await self._json(
            models.DenyRequestResponse,
            "POST",
            f'/v1/approvals/{segment("request_id", request_id)}/deny',
            body={
                "decided_by": decided_by,
                "note": note,
            },
            idempotency_key=idempotency_key,
            takes_key=True,
        )

    async def get_audit_stats(
        self,
        *,
        session_id: str | None = None,
        agent_id: str | None = None,
        since: float | str | None = None,
        until: float | str | None = None,
    ) -> models.GetAuditStatsResponse:
        """Get audit stats. The arguments are those of `Operations.get_audit_stats`."""
        return await self._json(
            models.GetAuditStatsResponse,
            "GET",
            "/v1/audit/stats",
            query={
                "session_id": session_id,
                "agent_id": agent_id,
                "since": since,
                "until": until,
            },
        )

    async def export_audit(
        self,
        *,
        format: models.ExportFormat | None = None,
        session_id: str | None = None,
        agent_id: str | None = None,
        tool: str | None = None,
        since: float | str | None = None,
        until: float | str | None = None,
        flagged: bool | None = None,
        manifest: bool | None = None,
    ) -> str:
        """Export audit log. The arguments are those of `Operations.export_audit`."""
        return await self._text(
            "GET",
            "/v1/audit/export",
            query={
                "format": format,
                "session_id": session_id,
                "agent_id": agent_id,
                "tool": tool,
                "since": since,
                "until": until,
                "flagged": flagged,
                "manifest": manifest,
            },
        )

    async def get_export_manifest(
        self,
        *,
        session_id: str | None = None,
        agent_id: str | None = None,
        tool: str | None = None,
        since: float | str | None = None,
        until: float | str | None = None,
        flagged: bool | None = None,
    ) -> models.GetExportManifestResponse:
        """Get export manifest. The arguments are those of `Operations.get_export_manifest`."""
        return await self._json(
            models.GetExportManifestResponse,
            "GET",
            "/v1/audit/export/manifest",
            query={
                "session_id": session_id,
                "agent_id": agent_id,
                "tool": tool,
                "since": since,
                "until": until,
                "flagged": flagged,
            },
        )

    async def get_audit_retention(
        self,
    ) -> models.GetAuditRetentionResponse:
        """Get retention of details. The arguments are those of `Operations.get_audit_retention`."""
        return await self._json(
            models.GetAuditRetentionResponse,
            "GET",
            "/v1/audit/retention",
        )

    async def set_audit_retention(
        self,
        *,
        retain_days: int,
    ) -> models.SetAuditRetentionResponse:
        """Set retention of details. The arguments are those of `Operations.set_audit_retention`."""
        return await self._json(
            models.SetAuditRetentionResponse,
            "PUT",
            "/v1/audit/retention",
            body={
                "retain_days": retain_days,
            },
        )

    async def prune_audit_details(
        self,
        *,
        confirm: Literal[True],
        idempotency_key: str | None = None,
    ) -> models.PruneAuditDetailsResponse:
        """Erase details that are due. The arguments are those of `Operations.prune_audit_details`."""
        return await self._json(
            models.PruneAuditDetailsResponse,
            "POST",
            "/v1/audit/retention/prune",
            body={
                "confirm": confirm,
            },
            idempotency_key=idempotency_key,
            takes_key=True,
        )

    async def list_retention_checkpoints(
        self,
        *,
        limit: int | None = None,
    ) -> models.ListRetentionCheckpointsResponse:
        """List runs that erased details. The arguments are those of `Operations.list_retention_checkpoints`."""
        return await self._json(
            models.ListRetentionCheckpointsResponse,
            "GET",
            "/v1/audit/retention/checkpoints",
            query={
                "limit": limit,
            },
        )

    async def erase_agent(
        self,
        agent_id: str,
        *,
        dry_run: bool | None = None,
        idempotency_key: str | None = None,
    ) -> models.EraseAgentResponse:
        """Erase what concerns an agent. The arguments are those of `Operations.erase_agent`."""
        return await self._json(
            models.EraseAgentResponse,
            "POST",
            f'/v1/agents/{segment("agent_id", agent_id)}/erase',
            body={
                "dry_run": dry_run,
            },
            idempotency_key=idempotency_key,
            takes_key=True,
        )

    async def erase_session(
        self,
        session_id: str,
        *,
        dry_run: bool | None = None,
        idempotency_key: str | None = None,
    ) -> models.EraseSessionResponse:
        """Erase what concerns a session. The arguments are those of `Operations.erase_session`."""
        return await self._json(
            models.EraseSessionResponse,
            "POST",
            f'/v1/sessions/{segment("session_id", session_id)}/erase',
            body={
                "dry_run": dry_run,
            },
            idempotency_key=idempotency_key,
            takes_key=True,
        )

    async def list_erasures(
        self,
        *,
        limit: int | None = None,
    ) -> models.ListErasuresResponse:
        """List erasures. The arguments are those of `Operations.list_erasures`."""
        return await self._json(
            models.ListErasuresResponse,
            "GET",
            "/v1/erasures",
            query={
                "limit": limit,
            },
        )

    async def register_upstream(
        self,
        *,
        name: str,
        url: str,
        headers: Mapping[str, Any] | None = None,
        limits: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> models.RegisterUpstreamResponse:
        """Register upstream. The arguments are those of `Operations.register_upstream`."""
        return await self._json(
            models.RegisterUpstreamResponse,
            "POST",
            "/v1/proxy/upstreams",
            body={
                "name": name,
                "url": url,
                "headers": headers,
                "limits": limits,
            },
            idempotency_key=idempotency_key,
            takes_key=True,
        )

    async def list_upstreams(
        self,
    ) -> models.ListUpstreamsResponse:
        """List upstreams. The arguments are those of `Operations.list_upstreams`."""
        return await self._json(
            models.ListUpstreamsResponse,
            "GET",
            "/v1/proxy/upstreams",
        )

    async def delete_upstream(
        self,
        name: str,
    ) -> models.DeleteUpstreamResponse:
        """Delete upstream. The arguments are those of `Operations.delete_upstream`."""
        return await self._json(
            models.DeleteUpstreamResponse,
            "DELETE",
            f'/v1/proxy/upstreams/{segment("name", name)}',
        )

    async def accept_tools(
        self,
        name: str,
        *,
        tool: str | None = None,
        idempotency_key: str | None = None,
    ) -> models.AcceptToolsResponse:
        """Accept changed tools. The arguments are those of `Operations.accept_tools`."""
        return await self._json(
            models.AcceptToolsResponse,
            "POST",
            f'/v1/proxy/upstreams/{segment("name", name)}/accept',
            body={
                "tool": tool,
            },
            idempotency_key=idempotency_key,
            takes_key=True,
        )

    async def mark_tool(
        self,
        name: str,
        *,
        tool: str,
        source: bool | None = None,
        sink: bool | None = None,
        cost: Money | None = None,
        cost_argument: str | None = None,
        cost_result: str | None = None,
        cost_max: Money | None = None,
    ) -> models.MarkToolResponse:
        """Mark a tool. The arguments are those of `Operations.mark_tool`."""
        return await self._json(
            models.MarkToolResponse,
            "PUT",
            f'/v1/proxy/upstreams/{segment("name", name)}/marks',
            body={
                "tool": tool,
                "source": source,
                "sink": sink,
                "cost": exact("cost", cost),
                "cost_argument": cost_argument,
                "cost_result": cost_result,
                "cost_max": exact("cost_max", cost_max),
            },
        )

    async def list_proxy_tools(
        self,
        *,
        upstream: str | None = None,
        state: models.ToolState | None = None,
        callable: bool | None = None,
        session_id: str | None = None,
    ) -> models.ListProxyToolsResponse:
        """List proxied tools. The arguments are those of `Operations.list_proxy_tools`."""
        return await self._json(
            models.ListProxyToolsResponse,
            "GET",
            "/v1/proxy/tools",
            query={
                "upstream": upstream,
                "state": state,
                "callable": callable,
                "session_id": session_id,
            },
        )

    async def proxy_call(
        self,
        *,
        tool: str,
        session_id: str,
        arguments: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> models.ProxyCallResponse:
        """Call a tool. The arguments are those of `Operations.proxy_call`."""
        return await self._json(
            models.ProxyCallResponse,
            "POST",
            "/v1/proxy/call",
            body={
                "tool": tool,
                "arguments": arguments,
                "session_id": session_id,
            },
            idempotency_key=idempotency_key,
            takes_key=True,
        )

    async def add_proxy_policy(
        self,
        *,
        type: models.PolicyType,
        tool: str | None = None,
        tools: Sequence[str] | None = None,
        max: Money | None = None,
        argument: str | None = None,
        max_per_minute: int | None = None,
        start_hour: int | None = None,
        end_hour: int | None = None,
        cedar: str | None = None,
        dry_run: bool | None = None,
        idempotency_key: str | None = None,
    ) -> models.AddProxyPolicyResponse:
        """Add policy. The arguments are those of `Operations.add_proxy_policy`."""
        return await self._json(
            models.AddProxyPolicyResponse,
            "POST",
            "/v1/proxy/policies",
            body={
                "type": type,
                "tool": tool,
                "tools": tools,
                "max": exact("max", max),
                "argument": argument,
                "max_per_minute": max_per_minute,
                "start_hour": start_hour,
                "end_hour": end_hour,
                "cedar": cedar,
                "dry_run": dry_run,
            },
            idempotency_key=idempotency_key,
            takes_key=True,
        )

    async def list_proxy_policies(
        self,
    ) -> models.ListProxyPoliciesResponse:
        """List policies. The arguments are those of `Operations.list_proxy_policies`."""
        return await self._json(
            models.ListProxyPoliciesResponse,
            "GET",
            "/v1/proxy/policies",
        )

    async def test_proxy_policy(
        self,
        *,
        type: models.PolicyType,
        tool: str | None = None,
        tools: Sequence[str] | None = None,
        max: Money | None = None,
        argument: str | None = None,
        max_per_minute: int | None = None,
        start_hour: int | None = None,
        end_hour: int | None = None,
        cedar: str | None = None,
        dry_run: bool | None = None,
        calls: int | None = None,
    ) -> models.TestProxyPolicyResponse:
        """Test a policy. The arguments are those of `Operations.test_proxy_policy`."""
        return await self._json(
            models.TestProxyPolicyResponse,
            "POST",
            "/v1/proxy/policies/test",
            body={
                "type": type,
                "tool": tool,
                "tools": tools,
                "max": exact("max", max),
                "argument": argument,
                "max_per_minute": max_per_minute,
                "start_hour": start_hour,
                "end_hour": end_hour,
                "cedar": cedar,
                "dry_run": dry_run,
                "calls": calls,
            },
        )

    async def delete_proxy_policy(
        self,
        policy_id: str,
    ) -> models.DeleteProxyPolicyResponse:
        """Delete policy. The arguments are those of `Operations.delete_proxy_policy`."""
        return await self._json(
            models.DeleteProxyPolicyResponse,
            "DELETE",
            f'/v1/proxy/policies/{segment("policy_id", policy_id)}',
        )

    async def get_usage(
        self,
        *,
        month: str | None = None,
    ) -> models.GetUsageResponse:
        """Get usage. The arguments are those of `Operations.get_usage`."""
        return await self._json(
            models.GetUsageResponse,
            "GET",
            "/v1/usage",
            query={
                "month": month,
            },
        )

    async def get_metrics(
        self,
    ) -> models.GetMetricsResponse:
        """Get metrics. The arguments are those of `Operations.get_metrics`."""
        return await self._json(
            models.GetMetricsResponse,
            "GET",
            "/v1/metrics",
        )

    async def get_overview(
        self,
    ) -> models.GetOverviewResponse:
        """Get overview. The arguments are those of `Operations.get_overview`."""
        return await self._json(
            models.GetOverviewResponse,
            "GET",
            "/v1/admin/overview",
        )

    async def create_api_key(
        self,
        *,
        name: str | None = None,
        tier: models.Tier | None = None,
        role: models.Role | None = None,
        scopes: Sequence[str] | None = None,
        max_scopes: Sequence[str] | None = None,
        max_spend: Money | None = None,
        max_daily_spend: Money | None = None,
        max_ttl: int | None = None,
        expires_in: int | None = None,
        bootstrap_token: str | None = None,
        tenant_name: str | None = None,
        idempotency_key: str | None = None,
    ) -> models.CreateApiKeyResponse:
        """Create API key. The arguments are those of `Operations.create_api_key`."""
        return await self._json(
            models.CreateApiKeyResponse,
            "POST",
            "/v1/keys",
            body={
                "name": name,
                "tier": tier,
                "role": role,
                "scopes": scopes,
                "max_scopes": max_scopes,
                "max_spend": exact("max_spend", max_spend),
                "max_daily_spend": exact("max_daily_spend", max_daily_spend),
                "max_ttl": max_ttl,
                "expires_in": expires_in,
                "bootstrap_token": bootstrap_token,
                "tenant_name": tenant_name,
            },
            idempotency_key=idempotency_key,
            takes_key=True,
        )

    async def list_api_keys(
        self,
        *,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> models.ListApiKeysResponse:
        """List API keys. The arguments are those of `Operations.list_api_keys`."""
        return await self._json(
            models.ListApiKeysResponse,
            "GET",
            "/v1/keys",
            query={
                "limit": limit,
                "cursor": cursor,
            },
        )

    async def rotate_api_key(
        self,
        prefix: str,
        *,
        grace_seconds: int | None = None,
        idempotency_key: str | None = None,
    ) -> models.RotateApiKeyResponse:
        """Rotate API key. The arguments are those of `Operations.rotate_api_key`."""
        return await self._json(
            models.RotateApiKeyResponse,
            "POST",
            f'/v1/keys/{segment("prefix", prefix)}/rotate',
            body={
                "grace_seconds": grace_seconds,
            },
            idempotency_key=idempotency_key,
            takes_key=True,
        )

    async def set_api_key_tier(
        self,
        prefix: str,
        *,
        tier: models.Tier,
    ) -> models.SetApiKeyTierResponse:
        """Set API key tier. The arguments are those of `Operations.set_api_key_tier`."""
        return await self._json(
            models.SetApiKeyTierResponse,
            "PUT",
            f'/v1/keys/{segment("prefix", prefix)}/tier',
            body={
                "tier": tier,
            },
        )

    async def revoke_api_key(
        self,
        prefix: str,
    ) -> models.RevokeApiKeyResponse:
        """Revoke API key. The arguments are those of `Operations.revoke_api_key`."""
        return await self._json(
            models.RevokeApiKeyResponse,
            "DELETE",
            f'/v1/keys/{segment("prefix", prefix)}',
        )

    async def list_tenants(
        self,
        *,
        bootstrap_token: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
    ) -> models.ListTenantsResponse:
        """List tenants. The arguments are those of `Operations.list_tenants`."""
        return await self._json(
            models.ListTenantsResponse,
            "POST",
            "/v1/tenants/list",
            body={
                "bootstrap_token": bootstrap_token,
                "cursor": cursor,
                "limit": limit,
            },
        )

    async def name_tenant(
        self,
        tenant_id: str,
        *,
        name: str,
        bootstrap_token: str | None = None,
    ) -> models.NameTenantResponse:
        """Name a tenant. The arguments are those of `Operations.name_tenant`."""
        return await self._json(
            models.NameTenantResponse,
            "PUT",
            f'/v1/tenants/{segment("tenant_id", tenant_id)}/name',
            body={
                "name": name,
                "bootstrap_token": bootstrap_token,
            },
        )

    async def register_webhook(
        self,
        *,
        url: str,
        name: str | None = None,
        events: Sequence[models.EventKind] | None = None,
        idempotency_key: str | None = None,
    ) -> models.RegisterWebhookResponse:
        """Register webhook. The arguments are those of `Operations.register_webhook`."""
        return await self._json(
            models.RegisterWebhookResponse,
            "POST",
            "/v1/webhooks",
            body={
                "url": url,
                "name": name,
                "events": events,
            },
            idempotency_key=idempotency_key,
            takes_key=True,
        )

    async def list_webhooks(
        self,
    ) -> models.ListWebhooksResponse:
        """List webhooks. The arguments are those of `Operations.list_webhooks`."""
        return await self._json(
            models.ListWebhooksResponse,
            "GET",
            "/v1/webhooks",
        )

    async def list_deliveries(
        self,
        *,
        event_id: str | None = None,
        before: str | None = None,
        limit: int | None = None,
    ) -> models.ListDeliveriesResponse:
        """List deliveries. The arguments are those of `Operations.list_deliveries`."""
        return await self._json(
            models.ListDeliveriesResponse,
            "GET",
            "/v1/webhooks/deliveries",
            query={
                "event_id": event_id,
                "before": before,
                "limit": limit,
            },
        )

    async def list_dead_letters(
        self,
        *,
        webhook_id: int | None = None,
        limit: int | None = None,
    ) -> models.ListDeadLettersResponse:
        """List dead letters. The arguments are those of `Operations.list_dead_letters`."""
        return await self._json(
            models.ListDeadLettersResponse,
            "GET",
            "/v1/webhooks/dead-letters",
            query={
                "webhook_id": webhook_id,
                "limit": limit,
            },
        )

    async def delete_webhook(
        self,
        webhook_id: int,
    ) -> models.DeleteWebhookResponse:
        """Delete webhook. The arguments are those of `Operations.delete_webhook`."""
        return await self._json(
            models.DeleteWebhookResponse,
            "DELETE",
            f'/v1/webhooks/{segment("webhook_id", webhook_id)}',
        )

    async def rotate_webhook_secret(
        self,
        webhook_id: int,
        *,
        grace_seconds: int | None = None,
        idempotency_key: str | None = None,
    ) -> models.RotateWebhookSecretResponse:
        """Rotate webhook secret. The arguments are those of `Operations.rotate_webhook_secret`."""
        return await self._json(
            models.RotateWebhookSecretResponse,
            "POST",
            f'/v1/webhooks/{segment("webhook_id", webhook_id)}/rotate-secret',
            body={
                "grace_seconds": grace_seconds,
            },
            idempotency_key=idempotency_key,
            takes_key=True,
        )

    async def ping_webhook(
        self,
        webhook_id: int,
        *,
        idempotency_key: str | None = None,
    ) -> models.PingWebhookResponse:
        """Ping webhook. The arguments are those of `Operations.ping_webhook`."""
        return await self._json(
            models.PingWebhookResponse,
            "POST",
            f'/v1/webhooks/{segment("webhook_id", webhook_id)}/ping',
            body={},
            idempotency_key=idempotency_key,
            takes_key=True,
        )

    async def resend_dead_letters(
        self,
        webhook_id: int,
        *,
        event_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> models.ResendDeadLettersResponse:
        """Resend dead letters. The arguments are those of `Operations.resend_dead_letters`."""
        return await self._json(
            models.ResendDeadLettersResponse,
            "POST",
            f'/v1/webhooks/{segment("webhook_id", webhook_id)}/resend',
            body={
                "event_id": event_id,
            },
            idempotency_key=idempotency_key,
            takes_key=True,
        )

    async def get_evidence(
        self,
        *,
        since: float | str | None = None,
        until: float | str | None = None,
        format: models.PackFormat | None = None,
    ) -> models.GetEvidenceResponse | str:
        """Get evidence pack. The arguments are those of `Operations.get_evidence`."""
        return await self._json_or_text(
            models.GetEvidenceResponse,
            "GET",
            "/v1/compliance/evidence",
            query={
                "since": since,
                "until": until,
                "format": format,
            },
        )

    async def get_evidence_manifest(
        self,
        *,
        since: float | str | None = None,
        until: float | str | None = None,
    ) -> models.GetEvidenceManifestResponse:
        """Get evidence manifest. The arguments are those of `Operations.get_evidence_manifest`."""
        return await self._json(
            models.GetEvidenceManifestResponse,
            "GET",
            "/v1/compliance/evidence/manifest",
            query={
                "since": since,
                "until": until,
            },
        )

    async def get_compliance_score(
        self,
    ) -> models.GetComplianceScoreResponse:
        """Get compliance score. The arguments are those of `Operations.get_compliance_score`."""
        return await self._json(
            models.GetComplianceScoreResponse,
            "GET",
            "/v1/compliance/score",
        )

    async def create_compliance_schedule(
        self,
        *,
        name: str,
        cadence: models.Cadence,
        delivery: str,
        idempotency_key: str | None = None,
    ) -> models.CreateComplianceScheduleResponse:
        """Create evidence schedule. The arguments are those of `Operations.create_compliance_schedule`."""
        return await self._json(
            models.CreateComplianceScheduleResponse,
            "POST",
            "/v1/compliance/schedules",
            body={
                "name": name,
                "cadence": cadence,
                "delivery": delivery,
            },
            idempotency_key=idempotency_key,
            takes_key=True,
        )

    async def list_compliance_schedules(
        self,
    ) -> models.ListComplianceSchedulesResponse:
        """List evidence schedules. The arguments are those of `Operations.list_compliance_schedules`."""
        return await self._json(
            models.ListComplianceSchedulesResponse,
            "GET",
            "/v1/compliance/schedules",
        )

    async def delete_compliance_schedule(
        self,
        schedule_id: str,
    ) -> None:
        """Delete evidence schedule. The arguments are those of `Operations.delete_compliance_schedule`."""
        await self._nothing(
            "DELETE",
            f'/v1/compliance/schedules/{segment("schedule_id", schedule_id)}',
        )

    async def health_check(
        self,
    ) -> models.HealthCheckResponse:
        """Whether the process runs. The arguments are those of `Operations.health_check`."""
        return await self._json(
            models.HealthCheckResponse,
            "GET",
            "/healthz",
        )

    async def liveness_check(
        self,
    ) -> models.LivenessCheckResponse:
        """Whether the process runs, and nothing else. The arguments are those of `Operations.liveness_check`."""
        return await self._json(
            models.LivenessCheckResponse,
            "GET",
            "/livez",
        )

    async def readiness_check(
        self,
    ) -> models.ReadinessCheckResponse:
        """Whether the store answers, and each thing that haldir needs. The arguments are those of
        `Operations.readiness_check`.
        """
        return await self._json(
            models.ReadinessCheckResponse,
            "GET",
            "/readyz",
        )

    async def api_index(
        self,
    ) -> models.ApiIndexResponse:
        """What there is. The arguments are those of `Operations.api_index`."""
        return await self._json(
            models.ApiIndexResponse,
            "GET",
            "/v1",
        )

    async def get_status(
        self,
    ) -> models.GetStatusResponse:
        """How this process is doing, without a figure of any tenant. The arguments are those of `Operations.get_status`.
        """
        return await self._json(
            models.GetStatusResponse,
            "GET",
            "/v1/status",
        )
