// Written by sdks/javascript/generate from the server's OpenAPI document. Do not edit.
import type { Amount, AmountInput } from "../money.js";
export interface components {
    schemas: {
        /**
         * @description How a secret's plaintext may be used. `return`: getSecret returns it to a session that holds the required scope; `inject`: It is never returned: only the proxy puts it into an upstream call.
         * @enum {string}
         */
        Disclosure: "return" | "inject";
        /**
         * @description The kinds of rule. `spend_over`: A payment of more than `threshold` USD; `tool_blocked`: A call of one of `tools`; `destructive`: A call that destroys or overwrites something; `all`: Everything.
         * @enum {string}
         */
        RuleType: "spend_over" | "tool_blocked" | "destructive" | "all";
        /**
         * @description The formats of an export. `jsonl`: One JSON object a line, and the manifest as the last; `csv`: RFC 4180, with a header; the manifest is fetched from /v1/audit/export/manifest.
         * @enum {string}
         */
        ExportFormat: "jsonl" | "csv";
        /** @description An operator's settings for one upstream. The server's settings for all upstreams apply to absent ones. */
        UpstreamSettings: {
            /** @description Seconds without a response or progress after which a call times out, from 1 to 86400. */
            call_timeout?: number | null;
            /** @description Seconds that it may take to start, as a child process, or to list its tools, from 1 to 86400. */
            start_timeout?: number | null;
            /** @description Concurrent calls, from 1 to 1024. */
            concurrency?: number | null;
            /** @description The largest response, in bytes, from 4096 to 268435456. */
            max_answer?: number | null;
        };
        /**
         * @description Whether a tool may be called, as far as its pin goes. `pinned`: It is as it was accepted; `changed`: It is not as it was accepted: in quarantine until an operator accepts it; `gone`: Its upstream offers it no more.
         * @enum {string}
         */
        ToolState: "pinned" | "changed" | "gone";
        /**
         * @description The kinds of policy. `block_tool`: `tool` is never called; `allow_list`: Only `tools` are called; `deny_list`: `tools` are never called; `spend_limit`: No call with an amount of more than `max` USD; `rate_limit`: At most `max_per_minute` calls of an agent within any minute; `time_window`: Calls only from `start_hour` until `end_hour`, UTC; `cedar`: Only calls that a policy set in Cedar permits.
         * @enum {string}
         */
        PolicyType: "block_tool" | "allow_list" | "deny_list" | "spend_limit" | "rate_limit" | "time_window" | "cedar";
        /**
         * @description How many calls an hour a key may make. `free`: 100 calls an hour, unless the operator set another figure; `pro`: 5,000 calls an hour; `enterprise`: 50,000 calls an hour.
         * @enum {string}
         */
        Tier: "free" | "pro" | "enterprise";
        /**
         * @description The two kinds of caller: the operator sets the limits, the agent works within them. `agent`: Works within sessions; cannot mint keys, settle payments or change rules; `operator`: Sets the limits of agents.
         * @enum {string}
         */
        Role: "agent" | "operator";
        /** @description The token as presented; wiped from memory afterwards. */
        BootstrapToken: string;
        /**
         * @description The kinds of events that a webhook can subscribe to. `all`: Every event; `anomaly`: An entry of the audit log was flagged; `approval_requested`: An agent waits for a decision; `budget_exhausted`: A payment was refused for want of budget; `session_revoked`: A session was ended; `policy_denied`: A call of an upstream's tool was refused.
         * @enum {string}
         */
        EventKind: "all" | "anomaly" | "approval_requested" | "budget_exhausted" | "session_revoked" | "policy_denied";
        /**
         * @description The formats of a pack, for the schema. Another one is refused with a code of its own.
         * @enum {string}
         */
        PackFormat: "json" | "markdown" | "md" | "html";
        /**
         * @description How often a schedule makes a pack. Periods are the calendar's, in UTC. `daily`: A pack of each day; `weekly`: A pack of each week, from Monday on; `monthly`: A pack of each month; `quarterly`: A pack of each quarter of a year.
         * @enum {string}
         */
        Cadence: "daily" | "weekly" | "monthly" | "quarterly";
        /** @description A session, with what is derived from it at the time of the call. */
        SessionDetail: {
            /**
             * @description The session's id.
             * @example ses_kdQWugkeF2Zy3Q1s8c68UvDQvytmSPGf
             */
            session_id: string;
            /** @description The agent it was made for. */
            agent_id: string;
            /** @description The scopes it holds. */
            scopes: string[];
            /**
             * @description Its budget in USD; null is no limit of its own.
             * @example 29.99
             */
            spend_limit: Amount | null;
            /**
             * @description What it and its agent's other sessions with such a limit may spend together in a UTC day, in USD; absent without one.
             * @example 29.99
             */
            daily_spend_limit?: Amount | null;
            /**
             * @description What it and its descendants have authorized, in USD.
             * @example 29.99
             */
            spent: Amount;
            /**
             * @description What is left of its budget; null without one.
             * @example 29.99
             */
            remaining_budget: Amount | null;
            /** @description Whether it may act now: it has not expired, and neither it, nor a session above it, nor its key was revoked. */
            is_valid: boolean;
            /** @description Whether it was revoked. */
            revoked: boolean;
            /**
             * @description When it was created, in Unix seconds.
             * @example 1795246557.25
             */
            created_at: number;
            /**
             * @description When it expires, in Unix seconds; 0 is never.
             * @example 1795246557.25
             */
            expires_at: number;
            /** @description The session that delegated to it; empty at the root. */
            parent_session_id: string;
            /**
             * Format: int64
             * @description How many delegations lie above it.
             */
            delegation_depth: number;
            /**
             * @description What it has logged as cost, in USD.
             * @example 29.99
             */
            logged_cost_usd: Amount;
            /**
             * Format: int64
             * @description How many actions it has logged.
             */
            action_count: number;
        };
        /**
         * @description The decision that a payment waits for. `approval_required`: An operator has to approve it first.
         * @enum {string}
         */
        PaymentStatus: "approval_required";
        /** @description A payment, and what became of it. Times are Unix seconds. */
        PaymentDetail: {
            /**
             * @description Names the payment.
             * @example auth_ubboQEgLF2N9Bt9NF0UBGw
             */
            authorization_id: string;
            /**
             * @description The session that pays.
             * @example ses_kdQWugkeF2Zy3Q1s8c68UvDQvytmSPGf
             */
            session_id: string;
            /**
             * @description Its agent.
             * @example research-bot
             */
            agent_id: string;
            /** @description Its status. */
            status: components["schemas"]["AuthorizationStatus"];
            /**
             * @description What was authorized.
             * @example 29.99
             */
            amount: Amount;
            /**
             * @description What was paid of it; null until it is settled.
             * @example 29.99
             */
            captured: Amount | null;
            /** @description The currency of both. */
            currency: string;
            /** @description What it is for, in the agent's words. */
            description: string;
            /**
             * @description When it was authorized.
             * @example 1795246557.25
             */
            created_at: number;
            /**
             * @description When it was captured or voided; null until then.
             * @example 1795246557.25
             */
            settled_at: number | null;
        };
        /**
         * @description The status of a payment authorization.
         * @enum {string}
         */
        AuthorizationStatus: "authorized" | "captured" | "voided";
        /** @description An entry of the audit log. */
        AuditEntry: {
            /** @description Names the entry; empty where it cannot be read. */
            entry_id: string;
            /**
             * Format: int64
             * @description Its place in the log, from 1.
             */
            seq: number;
            /** @description `action`: an agent logged it. `governance`: haldir did. */
            kind: components["schemas"]["EntryKind"];
            /** @description The session it happened in; empty if in none. */
            session_id: string;
            /** @description The agent; `system` if none was involved. */
            agent_id: string;
            /** @description The tool or service. */
            tool: string;
            /** @description What was done. */
            action: string;
            /**
             * @description What it cost, in USD.
             * @example 29.99
             */
            cost_usd: Amount;
            /** @description Whether it looked anomalous. */
            flagged: boolean;
            /** @description Why; empty if it did not. */
            flag_reason: string;
            /**
             * @description When it was recorded, in Unix seconds.
             * @example 1795246557.25
             */
            timestamp: number;
            /** @description More about it; null if there is nothing, or it was erased. */
            details: unknown;
            /** @description The key that caused it, by its first characters, or `local` or `operator`. */
            actor: string;
            /** @description BLAKE3 over the salt and the details, in hexadecimal; null without details. */
            details_digest: string | null;
            /** @description The hash of the entry before, in hexadecimal; zeros in front of the first. */
            prev_hash: string;
            /** @description BLAKE3 over this entry's canonical bytes, in hexadecimal. */
            entry_hash: string;
            /** @description True where the entry was erased at an operator's word: only its place, time, cost and hashes are left. Absent otherwise. */
            erased?: boolean;
            /** @description What keeps the entry from being read: it was altered outside haldir, and its other fields say nothing. Absent otherwise; whether an entry that can be read is unaltered, verifyAuditTrail says. */
            unreadable?: string | null;
            /** @description True where the entry can be read, but its fields or its details are not those of its own hash: it was altered outside haldir. Absent otherwise; whether the whole log is unaltered, verifyAuditTrail says. */
            altered?: boolean;
        };
        /**
         * @description The origin of an audit entry. `action`: An agent logged what it did; `governance`: Haldir itself recorded a decision. No agent can write such an entry.
         * @enum {string}
         */
        EntryKind: "action" | "governance";
        /** @description A signed tree head. */
        SignedHead: {
            /**
             * Format: int64
             * @description Number of entries.
             */
            tree_size: number;
            /** @description Root of the RFC 6962 tree over the entries' canonical bytes, in hexadecimal. */
            root_hash: string;
            /**
             * Format: int64
             * @description When it was signed, in whole Unix seconds.
             */
            signed_at: number;
            /** @description What is signed and how: Ed25519 over the text `sth:<tree_size>:<root_hash>:<signed_at>`. */
            algorithm: string;
            /** @description The signature, in hexadecimal. */
            signature: string;
            /** @description The key that made it, 32 bytes in hexadecimal; published at /.well-known/jwks.json. */
            public_key: string;
            /** @description The key's name there. */
            key_id: string;
        };
        /** @description A head that is not good. */
        BadHead: {
            /**
             * Format: int64
             * @description Its number of entries.
             */
            tree_size: number;
            /** @description What is wrong with it. */
            problem: string;
        };
        /** @description A public key. */
        LogKey: {
            /** @description Its name, also in /.well-known/jwks.json. */
            key_id: string;
            /** @description Ed25519, 32 bytes in hexadecimal. */
            public_key: string;
            /** @description As verifiers of signed notes take it: `<name>+<hash>+<key>` (C2SP signed-note). */
            verifier_key: string;
            /**
             * @description When it was made, in Unix seconds.
             * @example 1795246557.25
             */
            created_at: number;
            /**
             * @description Since when it signs nothing any more, or from when on, in Unix seconds; null for the one in use.
             * @example 1795246557.25
             */
            retires_at: number | null;
        };
        /** @description A place that is not as haldir left it. */
        BadEntry: {
            /**
             * Format: int64
             * @description Its number in the log.
             */
            seq: number;
            /** @description Its id; null where there is no entry. */
            entry_id: string | null;
            /** @description What is wrong with it. */
            problem: string;
        };
        /** @description A rule. */
        RuleDetail: {
            /**
             * @description Names the rule.
             * @example rule_Yw9sQ2mJx4uP7cLr1tAeVg
             */
            rule_id: string;
            /** @description The kind of rule. */
            type: components["schemas"]["RuleType"];
            /**
             * @description Of `spend_over`: payments of more than this many USD.
             * @example 29.99
             */
            threshold: Amount;
            /** @description Of `tool_blocked`: the names of the tools. */
            tools: string[];
            /** @description Whether an operator has to decide, not the person at the agent's client. */
            operator_only: boolean;
            /**
             * @description When it was added, in Unix seconds.
             * @example 1795246557.25
             */
            created_at: number;
            /** @description The key that added it, by its first characters, or `operator`. */
            created_by: string;
        };
        /**
         * @description The status of a request. It leaves `pending` once, and never changes after that. `pending`: Not decided yet; `approved`: Approved: it can be used once; `denied`: Denied; `expired`: It expired before a decision.
         * @enum {string}
         */
        ApprovalStatus: "pending" | "approved" | "denied" | "expired";
        /** @description A request, and what became of it. */
        ApprovalDetail: {
            /**
             * @description Names the request.
             * @example apr_3kHhR1oEwJrN8qT0vYb6Zg
             */
            request_id: string;
            /** @description Its status. */
            status: components["schemas"]["ApprovalStatus"];
            /** @description Whether the action may be done now: approved, not expired, and not done yet. */
            usable: boolean;
            /**
             * @description The session of the action.
             * @example ses_kdQWugkeF2Zy3Q1s8c68UvDQvytmSPGf
             */
            session_id: string;
            /** @description Its agent. */
            agent_id: string;
            /** @description The tool that would be called. */
            tool: string;
            /** @description What would be done. */
            action: string;
            /**
             * @description What it would cost, in USD.
             * @example 29.99
             */
            amount: Amount;
            /** @description The reason for the request. */
            reason: string;
            /** @description More about it; null if there is nothing. */
            details: unknown;
            /** @description BLAKE3 over the requested action, in hexadecimal: an approval serves for no other action. */
            digest: string;
            /**
             * @description When it was asked, in Unix seconds.
             * @example 1795246557.25
             */
            created_at: number;
            /**
             * @description When it ends, decided or not, in Unix seconds; 0 is never.
             * @example 1795246557.25
             */
            expires_at: number;
            /** @description The person who decided; empty while it is pending. */
            decided_by: string;
            /** @description The note on the decision; empty while it is pending. */
            decision_note: string;
            /**
             * @description When it was decided, in Unix seconds; null while it is pending.
             * @example 1795246557.25
             */
            decided_at: number | null;
            /**
             * @description When the approval was used, in Unix seconds; null until then.
             * @example 1795246557.25
             */
            used_at: number | null;
            /** @description Whether a rule requires an operator to decide, not the person at the agent's client. */
            operator_only: boolean;
            /** @description The arguments with which an operator replaced the details; null where it was approved unchanged. */
            arguments: unknown;
            /** @description The names of the arguments that the operator changed. */
            changed: string[];
        };
        /** @description A request that was approved earlier. Times are Unix seconds. */
        LastApproved: {
            /**
             * @description Names the request.
             * @example apr_3kHhR1oEwJrN8qT0vYb6Zg
             */
            request_id: string;
            /** @description The person who approved it. */
            decided_by: string;
            /**
             * @description When that was.
             * @example 1795246557.25
             */
            decided_at: number;
            /**
             * @description What it cost, in USD.
             * @example 29.99
             */
            amount: Amount;
            /** @description What was approved: its details, or the arguments with which an operator replaced them; null without details. */
            details: unknown;
        };
        /** @description The filters that were given. */
        GivenFilters: {
            /**
             * @description Only this session's entries.
             * @example ses_kdQWugkeF2Zy3Q1s8c68UvDQvytmSPGf
             */
            session_id?: string | null;
            /**
             * @description Only this agent's entries.
             * @example research-bot
             */
            agent_id?: string | null;
            /** @description Only entries of this tool. */
            tool?: string | null;
            /**
             * @description Only entries at this time or later, in Unix seconds.
             * @example 1795246557.25
             */
            since?: number | null;
            /**
             * @description Only entries before this time, in Unix seconds.
             * @example 1795246557.25
             */
            until?: number | null;
            /** @description Only flagged entries. */
            flagged_only?: boolean | null;
            /** @description Only entries that were not flagged. */
            not_flagged_only?: boolean | null;
        };
        /** @description What would be erased now. */
        RetentionPreview: {
            /**
             * @description Whose log it is.
             * @example local
             */
            tenant_id: string;
            /**
             * Format: int64
             * @description Days after which details are erased; 0 is never.
             */
            retain_days: number;
            /**
             * Format: int64
             * @description Entries that would lose their details; of more than 100,000 due entries, those among the first 100,000. No entry is ever deleted.
             */
            would_delete: number;
            /** @description Whether anything is erased at all. */
            enabled: boolean;
            /** @description In one sentence. */
            note: string;
            /**
             * @description Entries from before this time are due, in Unix seconds; null if nothing is erased.
             * @example 1795246557.25
             */
            cutoff: number | null;
            /**
             * @description When the oldest entry that may still have details was made, in Unix seconds; null if there is none.
             * @example 1795246557.25
             */
            oldest_entry_at: number | null;
        };
        /** @description A run that erased details. */
        RetentionCheckpoint: {
            /** @description Names the run, in its audit entry as well. */
            checkpoint_id: string;
            /**
             * @description When it began, in Unix seconds.
             * @example 1795246557.25
             */
            created_at: number;
            /** @description Who asked for it: a key, by its first characters, or `retention` for the daily run. */
            actor: string;
            /**
             * Format: int64
             * @description Entries whose details it has erased so far. No entry was deleted.
             */
            entries_deleted: number;
            /**
             * Format: int64
             * @description Details of entries up to this one are erased.
             */
            last_seq: number;
            /**
             * Format: int64
             * @description Entries that it has yet to go through.
             */
            entries_left: number;
            /**
             * @description Entries from before this time were due, in Unix seconds.
             * @example 1795246557.25
             */
            pruned_before: number;
            /**
             * Format: int64
             * @description Days after which details were erased.
             */
            retain_days: number;
            /**
             * Format: int64
             * @description The size of the log when it began.
             */
            tree_size: number;
            /** @description The Merkle root of the log at that size, in hexadecimal. */
            root_hash: string;
            /** @description The tree's definition. */
            algorithm: string;
        };
        /** @description An erasure. */
        ErasureDetail: {
            /** @description Names it, in its audit entries as well. */
            erasure_id: string;
            /** @description `agent` or `session`. */
            kind: string;
            /**
             * @description When it began, in Unix seconds.
             * @example 1795246557.25
             */
            begun_at: number;
            /**
             * @description When it was complete, in Unix seconds; null while it is not.
             * @example 1795246557.25
             */
            completed_at: number | null;
            /** @description Who asked for it: a key, by its first characters, `local` or `operator`. */
            actor: string;
            /**
             * Format: int64
             * @description Entries whose texts and details were erased.
             */
            entries: number;
            /**
             * Format: int64
             * @description Entries of others whose details were erased.
             */
            details: number;
            /**
             * Format: int64
             * @description Sessions that were erased.
             */
            sessions: number;
            /**
             * Format: int64
             * @description Other records that were erased.
             */
            records: number;
        };
        /** @description An upstream as it is listed. */
        UpstreamDetail: {
            /** @description Its address; empty for a child process of another haldir. */
            url: string;
            /** @description Whether it answered when it was last asked. */
            healthy: boolean;
            /** @description Why not; empty if it did. */
            error: string;
            /**
             * Format: int64
             * @description How many of its tools can be called.
             */
            tools: number;
            /**
             * Format: int64
             * @description How many are in quarantine, since they changed.
             */
            quarantined: number;
            /**
             * Format: int64
             * @description Calls that left.
             */
            total_calls: number;
            /**
             * Format: int64
             * @description Those that failed.
             */
            total_errors: number;
            /** @description How long they took, in the mean. */
            avg_latency_ms: number;
            /**
             * @description When it was last asked for its tools, in Unix seconds; null if never.
             * @example 1795246557.25
             */
            last_check: number | null;
            /** @description The names of the headers that go with every request. */
            headers: string[];
            /** @description Limits that hold for it alone. */
            limits: components["schemas"]["UpstreamSettings"];
            /**
             * @description When it was first registered, in Unix seconds.
             * @example 1795246557.25
             */
            created_at: number;
        };
        /** @description An operator's labels of a tool. */
        ToolMarks: {
            /**
             * @description Its results contain untrusted content: web pages, mail, issues.
             * @default false
             */
            source: boolean;
            /**
             * @description It sends data out, or destroys something.
             * @default false
             */
            sink: boolean;
            /**
             * @description What one call costs, in USD, out of the session's budget.
             * @example 29.99
             */
            cost?: Amount | null;
            /** @description The JSON pointer (RFC 6901) of a call's cost in its arguments. */
            cost_argument?: string | null;
            /** @description The JSON pointer (RFC 6901) of a call's cost in its result. */
            cost_result?: string | null;
            /**
             * @description The most that a call costs by its result, in USD; it is reserved before the call.
             * @example 29.99
             */
            cost_max?: Amount | null;
        };
        /** @description A tool. */
        ToolDetail: {
            /** @description What it is listed under for agents: `upstream__tool`, or what a model API takes in its place. */
            name: string;
            /** @description `upstream.tool`: by this policies, approval rules and the log know it. */
            full_name: string;
            /** @description What it says of itself. */
            description: string;
            /**
             * @description Its upstream.
             * @example github
             */
            upstream: string;
            /** @description Its own name. */
            tool: string;
            /** @description Whether the own name is enough to call it: no other upstream has one like it. */
            bare_name: boolean;
            /** @description JSON Schema of its arguments. */
            inputSchema: unknown;
            /** @description JSON Schema of its structured answer; null if it has none. */
            outputSchema: unknown;
            /** @description What it says of its effects. */
            annotations: unknown;
            /** @description The whole definition, as it was accepted. */
            definition: unknown;
            /** @description Whether it may be called. */
            state: components["schemas"]["ToolState"];
            /** @description BLAKE3 of what was accepted, in hexadecimal. */
            digest: string;
            /** @description The whole definition as it is offered now, if it changed; else null. */
            offered: unknown;
            /** @description What is suspicious about it. */
            warnings: string[];
            /** @description What the operator says of it. */
            marks: components["schemas"]["ToolMarks"];
            /**
             * @description When it was first seen, in Unix seconds.
             * @example 1795246557.25
             */
            first_seen: number;
            /**
             * @description When it last changed, in Unix seconds; null if never.
             * @example 1795246557.25
             */
            changed_at: number | null;
            /** @description The operator who accepted the last change; empty if it never changed. */
            accepted_by: string;
        };
        /** @description A policy as everyone sees it. */
        PolicyDetail: {
            /**
             * @description Names the policy.
             * @example pol_Q7hYc0mXw2uT9kLr5tBfZg
             */
            policy_id: string;
            /** @description The kind of policy. */
            type: components["schemas"]["PolicyType"];
            /** @description The tool that it applies to. */
            tool?: string | null;
            /** @description The tools that it applies to. */
            tools?: string[] | null;
            /**
             * @description Of `spend_limit`: the largest amount, in USD.
             * @example 29.99
             */
            max?: Amount | null;
            /** @description Of `spend_limit`: the JSON pointer of the amount in the arguments. */
            argument?: string | null;
            /** @description Of `rate_limit`: calls of an agent within a minute. */
            max_per_minute?: number | null;
            /** @description Of `time_window`: the first hour, UTC. */
            start_hour?: number | null;
            /** @description Of `time_window`: the hour that it ends before, UTC. */
            end_hour?: number | null;
            /** @description Of `cedar`: the policy set, in Cedar. */
            cedar?: string | null;
            /** @description Whether it only logs what it would refuse. */
            dry_run?: boolean;
            /**
             * @description When it was added, in Unix seconds.
             * @example 1795246557.25
             */
            created_at: number;
            /** @description The key that added it, by its first characters, or `operator`. */
            created_by: string;
        };
        /** @description A call that would have been refused. */
        WouldRefuse: {
            /**
             * @description Its entry in the log.
             * @example aud_AAAAAAABqK8mXDBhzVn2oPq1
             */
            entry_id: string;
            /** @description `upstream.tool`. */
            tool: string;
            /** @description The agent of the call. */
            agent_id: string;
            /** @description When it was, by RFC 3339. */
            at: string;
            /** @description What became of it: made, held or refused. */
            was: string;
            /** @description Why it would have been refused. */
            reason: string;
        };
        /** @description Calls and spending of this month, UTC. */
        UsageOverview: {
            /**
             * Format: int64
             * @description Calls of agents and API keys: requests, not the actions that agents log. The same as `calls_this_month`.
             */
            actions_this_month: number;
            /**
             * Format: int64
             * @description Calls of agents and API keys.
             */
            calls_this_month: number;
            /**
             * Format: int64
             * @description Actions that agents have logged, with logAction.
             */
            logged_actions_this_month: number;
            /**
             * Format: int64
             * @description Calls that a month may have: always 999999999, which is no limit; limits are by the hour here.
             */
            actions_limit: number;
            /** @description Whether there is such a limit: always false. A program that prints figures says then that there is none. */
            has_actions_limit: boolean;
            /** @description Share of the limit that is used, from 0 to 1. */
            actions_pct_used: number;
            /**
             * @description What agents have logged as cost.
             * @example 29.99
             */
            spend_usd_this_month: Amount;
            /**
             * Format: int64
             * @description Calls beyond the limit; always 0.
             */
            overage_actions: number;
            /**
             * @description What they cost; always 0.
             * @example 29.99
             */
            overage_usd: Amount;
            /** @description Whether calls are billed; always false. */
            metered: boolean;
        };
        /** @description Sessions that can act now. */
        SessionsOverview: {
            /**
             * Format: int64
             * @description How many there are.
             */
            active_count: number;
            /**
             * Format: int64
             * @description Agents that have one; told apart among the 10,000 sessions that last longest.
             */
            agents_active: number;
            /**
             * Format: int64
             * @description Agents that may have one: always 999999, which is no limit.
             */
            agents_limit: number;
            /** @description Whether there is such a limit: always false. */
            has_agents_limit: boolean;
            /** @description The newest, at most 100, of the 1,000 sessions created last. */
            sessions: components["schemas"]["SessionLine"][];
        };
        /** @description A session that can act now. */
        SessionLine: {
            /** @example ses_kdQWugkeF2Zy3Q1s8c68UvDQvytmSPGf */
            session_id: string;
            /** @example research-bot */
            agent_id: string;
            scopes: string[];
            /** @example 29.99 */
            spent: Amount;
            /**
             * @description Null is no limit of its own.
             * @example 29.99
             */
            spend_limit: Amount | null;
            /** @example 1795246557.25 */
            created_at: number;
            /**
             * @description 0 is never.
             * @example 1795246557.25
             */
            expires_at: number;
            /**
             * @description When its newest entry was made.
             * @example 1795246557.25
             */
            last_active: number;
        };
        /** @description Secrets. */
        VaultOverview: {
            /** Format: int64 */
            secrets_count: number;
            /**
             * Format: int64
             * @description Plaintexts given out this month.
             */
            secret_access_count: number;
        };
        /** @description The log. */
        AuditOverview: {
            /**
             * Format: int64
             * @description Entries, haldir's own included.
             */
            total_entries: number;
            /**
             * Format: int64
             * @description Entries flagged today and in the six days before, UTC.
             */
            flagged_7d: number;
            /** @description When the last entry was made; null for an empty log. */
            last_entry_at: string | null;
            /** @description Whether the head of the log, which names the last entry, the Merkle tree and the totals, bears haldir's keyed hash. The entries themselves are verified by /v1/audit/verify. */
            chain_verified: boolean;
            /** @description The newest, at most 20. */
            recent: components["schemas"]["EntryLine"][];
        };
        /** @description An entry. */
        EntryLine: {
            /** @example aud_AAAAAAABqK8mXDBhzVn2oPq1 */
            entry_id: string;
            session_id: string;
            agent_id: string;
            action: string;
            tool: string;
            /** @example 29.99 */
            cost_usd: Amount;
            /** @example 1795246557.25 */
            timestamp: number;
            flagged: boolean;
            flag_reason: string | null;
        };
        /** @description Subscriptions and their deliveries. */
        WebhooksOverview: {
            /** Format: int64 */
            registered_count: number;
            /** Format: int64 */
            deliveries_24h: number;
            /** @description From 0 to 1; 1 without deliveries. */
            delivery_success_rate_24h: number;
            /** Format: int64 */
            failed_24h: number;
        };
        /** @description What waits for a decision. */
        ApprovalsOverview: {
            /** Format: int64 */
            pending_count: number;
        };
        /** @description Evidence that is made on a schedule. */
        ComplianceOverview: {
            /** Format: int64 */
            schedules_count: number;
            /** Format: int64 */
            active_count: number;
            /** @description When the next pack is made; null without schedules. */
            next_due_at: string | null;
            /** @description `ok` or `failed`, of the newest run; empty if there was none. */
            last_run_status: string;
        };
        /** @description Whether haldir is well. */
        HealthOverview: {
            status: string;
            components: components["schemas"]["ComponentLine"][];
        };
        /** @description A part of haldir. */
        ComponentLine: {
            name: string;
            state: string;
            message: string;
        };
        /** @description A key as it is listed. Times are Unix seconds. */
        ApiKeyDetail: {
            /** @description Its first characters. */
            prefix: string;
            name: string;
            tier: components["schemas"]["Tier"];
            role: components["schemas"]["Role"];
            scopes: string[];
            /** @description The scopes that a session created with it may have; null is no list. */
            max_scopes: string[] | null;
            /**
             * @description The most that one session may spend, in USD; null is no limit.
             * @example 29.99
             */
            max_spend: Amount | null;
            /**
             * @description The most that all sessions created with it may spend together in a UTC day, in USD; null is no limit of its own.
             * @example 29.99
             */
            max_daily_spend: Amount | null;
            /** @description The longest life of a session, in seconds; null is no limit. */
            max_ttl: number | null;
            /** @example 1795246557.25 */
            created_at: number;
            /**
             * @description Null is never.
             * @example 1795246557.25
             */
            expires_at: number | null;
            /**
             * @description Exact to about a minute; null is never.
             * @example 1795246557.25
             */
            last_used: number | null;
            revoked: boolean;
        };
        /** @description A tenant. */
        TenantDetail: {
            /**
             * @description Its id.
             * @example local
             */
            tenant_id: string;
            /** @description What it is called; empty without a name. */
            name: string;
            /**
             * @description When it was made, in Unix seconds.
             * @example 1795246557.25
             */
            created_at: number;
            /**
             * Format: int64
             * @description API keys that are not revoked.
             */
            keys: number;
            /**
             * Format: int64
             * @description Sessions that were ever made.
             */
            sessions: number;
            /**
             * Format: int64
             * @description Entries of its log.
             */
            entries: number;
        };
        /** @description A webhook as it is listed. Times are Unix seconds. */
        WebhookDetail: {
            /**
             * Format: int64
             * @description Its number.
             */
            webhook_id: number;
            /** @description Where events go. */
            url: string;
            /** @description Its name. */
            name: string;
            /** @description Which events. */
            events: string[];
            /** @description Whether it receives events; false after its receiver answered 410. */
            active: boolean;
            /**
             * Format: int64
             * @description Deliveries that succeeded.
             */
            fire_count: number;
            /**
             * Format: int64
             * @description Attempts that failed.
             */
            fail_count: number;
            /** @description Always true: every delivery is signed. */
            signed: boolean;
            /**
             * Format: int64
             * @description Queued events.
             */
            waiting: number;
            /**
             * @description When the next of them is sent; null if none is queued.
             * @example 1795246557.25
             */
            next_attempt_at: number | null;
            /**
             * @description Until when the secret before the last rotation is valid; null if it is not.
             * @example 1795246557.25
             */
            secret_prev_expires_at: number | null;
            /**
             * @description When it was registered.
             * @example 1795246557.25
             */
            created_at: number;
        };
        /** @description An attempt. Times are Unix seconds. */
        DeliveryDetail: {
            /** @description Its name. */
            delivery_id: string;
            /** @description The event. */
            event_id: string;
            /** @description Its kind. */
            event_type: string;
            /**
             * Format: int64
             * @description The webhook's number.
             */
            webhook_id: number;
            /** @description Where it was sent. */
            webhook_url: string;
            /**
             * Format: int64
             * @description 1 for the first of an event, one more each time.
             */
            attempt: number;
            /**
             * Format: int64
             * @description The receiver's HTTP status; 0 if there was none.
             */
            status_code: number;
            /** @description The beginning of the response's body. */
            response_excerpt: string;
            /** @description The error; empty if the receiver responded. */
            error: string;
            /**
             * Format: int64
             * @description How long it took, in milliseconds.
             */
            duration_ms: number;
            /**
             * @description When it was made.
             * @example 1795246557.25
             */
            created_at: number;
            /**
             * @description When the event is tried again; null if it is not.
             * @example 1795246557.25
             */
            next_retry_at: number | null;
        };
        /** @description An event that was given up. Times are Unix seconds. */
        DeadLetterDetail: {
            /**
             * Format: int64
             * @description The webhook's number.
             */
            webhook_id: number;
            /** @description The event. */
            event_id: string;
            /** @description Its kind. */
            event_type: string;
            /**
             * Format: int64
             * @description How often it was tried.
             */
            attempts: number;
            /** @description Why it was given up. */
            reason: string;
            /**
             * @description When it happened.
             * @example 1795246557.25
             */
            created_at: number;
            /**
             * @description When it was given up.
             * @example 1795246557.25
             */
            died_at: number;
            /** @description The body that was sent, as text. */
            body: string;
        };
        /** @description A section and its criterion. */
        Control: {
            /** @description The SOC 2 trust services criterion that the section speaks to; null for none. */
            criterion: string | null;
            /** @description The section's title. */
            title: string;
            /** @description What it shows. */
            evidence: string;
            /** @description What it does not show. */
            does_not_show: string;
        };
        /** @description The tenant, and the part of its log. */
        Identity: {
            /** @example local */
            tenant_id: string;
            /** Format: int64 */
            period_seconds: number;
            /** @description The number of the period's first entry; null if it has none. */
            first_seq: number | null;
            /** @description The number of its last entry. */
            last_seq: number | null;
        };
        /** @description Keys, sessions, refusals. */
        AccessControl: {
            /**
             * Format: int64
             * @description Keys in force at the end of the period.
             */
            key_count: number;
            /** @description The newest of them, at most 500. */
            keys: components["schemas"]["KeyLine"][];
            /** @description Whether some key has restricted scopes. */
            has_scoped_keys: boolean;
            /** @description Whether every agent key has restricted scopes; false if there is none. */
            least_privilege_used: boolean;
            /**
             * Format: int64
             * @description Keys made in the period.
             */
            keys_created: number;
            /**
             * Format: int64
             * @description Keys replaced in it.
             */
            keys_rotated: number;
            /**
             * Format: int64
             * @description Keys revoked in it.
             */
            keys_revoked: number;
            /**
             * Format: int64
             * @description Sessions begun in it.
             */
            sessions_created: number;
            /**
             * Format: int64
             * @description Sessions revoked in it.
             */
            sessions_revoked: number;
            /**
             * Format: int64
             * @description Calls refused in it.
             */
            refusals: number;
            /** @description The same, by operation. */
            refusals_by_operation: {
                [key: string]: number;
            };
        };
        /** @description A key in force. */
        KeyLine: {
            /** @description Its first characters. */
            prefix: string;
            name: string;
            role: components["schemas"]["Role"];
            tier: components["schemas"]["Tier"];
            scopes: string[];
            created_at: string;
        };
        /** @description Secrets. */
        Encryption: {
            cipher: string;
            /** Format: int64 */
            key_bits: number;
            /** Format: int64 */
            nonce_bits: number;
            /** @description The associated data that a sealed secret is bound to. */
            bound_to: string;
            /** Format: int64 */
            secrets_stored: number;
            /** Format: int64 */
            secrets_read: number;
            /** Format: int64 */
            secrets_deleted: number;
            /**
             * Format: int64
             * @description Reads that were refused.
             */
            reads_refused: number;
        };
        /** @description The log of the period. */
        AuditTrail: {
            /** Format: int64 */
            total_entries_in_period: number;
            /**
             * Format: int64
             * @description Entries that agents logged.
             */
            actions_in_period: number;
            /**
             * Format: int64
             * @description Entries that haldir recorded itself.
             */
            governance_in_period: number;
            /** Format: int64 */
            flagged_in_period: number;
            first_recorded: string | null;
            last_recorded: string | null;
            /** @description Haldir's own entries, by action. */
            by_action: {
                [key: string]: number;
            };
            /**
             * Format: int64
             * @description Erasures of details by retention.
             */
            erasures_of_details: number;
            /** @description Whether the counts kept at write time match the log's entries. */
            figures_add_up: boolean;
        };
        /** @description The hashes that the period is bound to. */
        TamperEvidence: {
            chain_algorithm: string;
            tree_algorithm: string;
            /**
             * Format: int64
             * @description Entries of the log up to the end of the period: the size of its Merkle tree there.
             */
            tree_size: number;
            /** @description The root of the tree of that size, in hexadecimal. */
            root_hash: string;
            /** @description The hash of the last entry up to the end, which covers every entry before it; null for an empty log. */
            chain_hash: string | null;
            /** @description The hash of the entry before the period's first one. */
            preceding_hash: string | null;
            /** @description How to check it. */
            how_to_check: string;
        };
        /** @description Payments and cost. */
        SpendGovernance: {
            /** Format: int64 */
            payments_authorized: number;
            authorized_usd: string;
            /** Format: int64 */
            payments_captured: number;
            captured_usd: string;
            /** Format: int64 */
            payments_voided: number;
            voided_usd: string;
            /** Format: int64 */
            payments_refused: number;
            /** @description Costs that agents reported. */
            logged_cost_usd: string;
        };
        /** @description Decisions. */
        Approvals: {
            /** Format: int64 */
            requests_in_period: number;
            /** Format: int64 */
            decisions_recorded: number;
            /** @description Requests by their status in the period; `used` are approvals that were used. */
            by_status: {
                [key: string]: number;
            };
            /** Format: int64 */
            rules_added: number;
            /** Format: int64 */
            rules_deleted: number;
        };
        /** @description Alerts. */
        Alerting: {
            /** Format: int64 */
            delivery_attempts: number;
            /** Format: int64 */
            deliveries_succeeded: number;
            /** Format: int64 */
            deliveries_failed: number;
            /** Format: int64 */
            webhooks_registered: number;
            /** Format: int64 */
            webhooks_deleted: number;
            /**
             * Format: int64
             * @description Webhooks that a 410 response disabled.
             */
            webhooks_disabled: number;
            /** Format: int64 */
            secrets_rotated: number;
        };
        /** @description The digest and the signature. */
        Signatures: {
            /** @description `SHA-256`. */
            algorithm: string;
            /** @description What the digest is of. */
            input: string;
            /** @description In hexadecimal. Of a closed period it is the same whenever the pack is made. */
            digest: string;
            /** @description When the pack was made. */
            signed_at: string;
            /** @description Whether the period was over, so that nothing can be added to it. */
            period_closed: boolean;
            /** @description `Ed25519`. */
            signature_algorithm: string;
            /** @description The text that is signed, with its fields in braces. */
            signed_text: string;
            /** @description In hexadecimal. */
            signature: string;
            /** @description The key that it is checked with, in hexadecimal. Believe it only if you know it from elsewhere. */
            public_key: string;
            /** @description The key's name, as /.well-known/jwks.json has it. */
            key_id: string;
        };
        /** @description A criterion. */
        Criterion: {
            /** @description Its name. */
            key: string;
            /** @description The SOC 2 trust services criterion that it relates to. */
            control: string;
            /** @description The requirement. */
            description: string;
            /** @description Whether it is met. */
            state: components["schemas"]["CriterionState"];
            /** @description The reason for this state. */
            reason: string;
            /** @description The remedy; empty if none is needed. */
            remediation: string;
        };
        /**
         * @description Whether a criterion is met. `pass`: Met; `warn`: Partly met; `fail`: Not met.
         * @enum {string}
         */
        CriterionState: "pass" | "warn" | "fail";
        /** @description A schedule. Times are Unix seconds. */
        ScheduleDetail: {
            /** @description Its id. */
            schedule_id: string;
            /** @description Its name. */
            name: string;
            /** @description How often it makes a pack. */
            cadence: components["schemas"]["Cadence"];
            /** @description The destination of its packs. */
            delivery: string;
            /** @description Whether it runs; always true. */
            active: boolean;
            /**
             * @description When it was created.
             * @example 1795246557.25
             */
            created_at: number;
            /**
             * @description When it last ran, successfully or not; 0 is never.
             * @example 1795246557.25
             */
            last_run_at: number;
            /**
             * @description When the next pack is made, or retried.
             * @example 1795246557.25
             */
            next_due: number;
            /**
             * @description Where the period of the next pack begins.
             * @example 1795246557.25
             */
            next_period_start: number;
            /**
             * @description The tenant.
             * @example local
             */
            tenant_id: string;
            /** @description `ok`, `failed`, or empty before the first run. */
            last_status: string;
            /** @description Why the last run failed; empty otherwise. */
            last_error: string;
            /**
             * Format: int64
             * @description Packs that were put into the webhook's outbox.
             */
            run_count: number;
            /**
             * Format: int64
             * @description Runs that failed; each is retried after an hour.
             */
            fail_count: number;
        };
        CreateSessionRequest: {
            /**
             * @description The agent's name. Everything done in the session is logged under it.
             * @example research-bot
             */
            agent_id: string;
            /**
             * @description What the session may do. A scope `read` includes every `read:…`; `spend:50` grants `spend` and sets a budget of 50 USD when `spend_limit` is not given. Default: read and browse.
             * @default [
             *       "read",
             *       "browse"
             *     ]
             */
            scopes?: string[] | null;
            /**
             * @description Seconds until the session expires; 0 is never. Default 3600.
             * @default 3600
             */
            ttl?: number | null;
            /**
             * @description The most that the session may spend, in USD; 0 is nothing. Without it the session has no limit of its own, but those of its key and of its parents hold.
             * @example 29.99
             */
            spend_limit?: AmountInput | null;
            /**
             * @description The most that all sessions of this agent that set this field may spend together in a UTC day, in USD, across processes; 0 is nothing. It applies besides `spend_limit`.
             * @example 29.99
             */
            daily_spend_limit?: AmountInput | null;
            /**
             * @description The session that delegates to the new one.
             * @example ses_kdQWugkeF2Zy3Q1s8c68UvDQvytmSPGf
             */
            parent_session_id?: string | null;
        };
        CreateSessionResponse: {
            /**
             * @description Names the session in every further call.
             * @example ses_kdQWugkeF2Zy3Q1s8c68UvDQvytmSPGf
             */
            session_id: string;
            /**
             * @description The agent it was made for.
             * @example research-bot
             */
            agent_id: string;
            /** @description The scopes it holds. */
            scopes: string[];
            /**
             * @description Its budget in USD; null is no limit of its own.
             * @example 29.99
             */
            spend_limit: Amount | null;
            /**
             * @description What it and its agent's other sessions with such a limit may spend together in a UTC day, in USD; absent without one.
             * @example 29.99
             */
            daily_spend_limit?: Amount | null;
            /**
             * @description When it expires, in Unix seconds; 0 is never.
             * @example 1795246557.25
             */
            expires_at: number;
            /**
             * Format: int64
             * @description Its life in seconds; 0 is without end.
             */
            ttl: number;
            /** @description The session that delegated to it; empty at the root. */
            parent_session_id: string;
            /**
             * Format: int64
             * @description How many delegations lie above it.
             */
            delegation_depth: number;
        };
        GetSessionResponse: {
            /**
             * @description The session's id.
             * @example ses_kdQWugkeF2Zy3Q1s8c68UvDQvytmSPGf
             */
            session_id: string;
            /** @description The agent it was made for. */
            agent_id: string;
            /** @description The scopes it holds. */
            scopes: string[];
            /**
             * @description Its budget in USD; null is no limit of its own.
             * @example 29.99
             */
            spend_limit: Amount | null;
            /**
             * @description What it and its agent's other sessions with such a limit may spend together in a UTC day, in USD; absent without one.
             * @example 29.99
             */
            daily_spend_limit?: Amount | null;
            /**
             * @description What it and its descendants have authorized, in USD.
             * @example 29.99
             */
            spent: Amount;
            /**
             * @description What is left of its budget; null without one.
             * @example 29.99
             */
            remaining_budget: Amount | null;
            /** @description Whether it may act now: it has not expired, and neither it, nor a session above it, nor its key was revoked. */
            is_valid: boolean;
            /** @description Whether it was revoked. */
            revoked: boolean;
            /**
             * @description When it was created, in Unix seconds.
             * @example 1795246557.25
             */
            created_at: number;
            /**
             * @description When it expires, in Unix seconds; 0 is never.
             * @example 1795246557.25
             */
            expires_at: number;
            /** @description The session that delegated to it; empty at the root. */
            parent_session_id: string;
            /**
             * Format: int64
             * @description How many delegations lie above it.
             */
            delegation_depth: number;
            /**
             * @description What it has logged as cost, in USD.
             * @example 29.99
             */
            logged_cost_usd: Amount;
            /**
             * Format: int64
             * @description How many actions it has logged.
             */
            action_count: number;
        };
        RevokeSessionResponse: {
            /** @description Always true. */
            revoked: boolean;
            /**
             * @description The session that was ended.
             * @example ses_kdQWugkeF2Zy3Q1s8c68UvDQvytmSPGf
             */
            session_id: string;
            /** @description The descendants that this call ended; the first 1,000 of them. */
            cascade_revoked: string[];
            /**
             * Format: int64
             * @description How many descendants this call ended.
             */
            cascade_revoked_count: number;
        };
        CheckPermissionRequest: {
            /** @description The scope that the action needs, such as read, files:write or spend. */
            scope: string;
        };
        CheckPermissionResponse: {
            /** @description Whether the session may. */
            allowed: boolean;
            /**
             * @description The session that was checked.
             * @example ses_kdQWugkeF2Zy3Q1s8c68UvDQvytmSPGf
             */
            session_id: string;
            /** @description The scope that was checked. */
            scope: string;
        };
        ListSessionsResponse: {
            /**
             * Format: int64
             * @description How many are in this answer.
             */
            count: number;
            /** @description Newest first. */
            sessions: components["schemas"]["SessionDetail"][];
            /** @description The cursor of the next page; null on the last page. */
            next_cursor: string | null;
        };
        StopAgentRequest: {
            /**
             * @description Whether to revoke the agent keys that made its sessions. Operators' keys stay. Default: false.
             * @default false
             */
            revoke_keys?: boolean | null;
        };
        StopAgentResponse: {
            /** @description Always true. */
            stopped: boolean;
            /**
             * @description The agent.
             * @example research-bot
             */
            agent_id: string;
            /** @description The sessions that ended, those below them included; the first 1,000 of them. */
            sessions_ended: string[];
            /**
             * Format: int64
             * @description How many sessions ended.
             */
            sessions_ended_count: number;
            /** @description The principals that created the agent's sessions: keys by their first characters, `local`, `operator`. */
            made_by: string[];
            /** @description The keys that were revoked, by their first characters. */
            keys_revoked: string[];
        };
        ListDescendantsResponse: {
            /**
             * @description The session at the top.
             * @example ses_kdQWugkeF2Zy3Q1s8c68UvDQvytmSPGf
             */
            session_id: string;
            /**
             * Format: int64
             * @description How many are in this answer.
             */
            count: number;
            /** @description Parents before their children. */
            descendants: components["schemas"]["SessionDetail"][];
            /** @description Whether there are more than one response holds. */
            truncated: boolean;
        };
        StoreSecretRequest: {
            /**
             * @description Its name.
             * @example stripe_key
             */
            name: string;
            /** @description The value to encrypt. At least 8 characters if it may be sent to upstreams, or its disclosure is `inject`. */
            value: string;
            /**
             * @description The scope that a session must hold to read it. Default: read.
             * @default read
             * @example read
             * @example files:write
             * @example spend:50
             */
            scope_required?: string | null;
            /**
             * @description `return`: getSecret gives it to a session that holds the scope. `inject`: it is never given out.
             * @default return
             */
            disclosure?: components["schemas"]["Disclosure"];
            /** @description The upstream servers that the proxy may send it to, where `{{secret:NAME}}` stands in a call or a header. Default: none. */
            upstreams?: string[] | null;
            /**
             * @description The session that stores it. An agent needs one to replace a secret: it must hold the scope that the stored one requires. New names and operators need none.
             * @example ses_kdQWugkeF2Zy3Q1s8c68UvDQvytmSPGf
             */
            session_id?: string | null;
        };
        StoreSecretResponse: {
            /** @description Always true. */
            stored: boolean;
            /**
             * @description Its name.
             * @example stripe_key
             */
            name: string;
            /**
             * Format: int64
             * @description 1 for a new name, one more each time.
             */
            version: number;
        };
        GetSecretResponse: {
            /**
             * @description Its name.
             * @example stripe_key
             */
            name: string;
            /** @description Its plaintext. */
            value: string;
            /**
             * Format: int64
             * @description Its version.
             */
            version: number;
        };
        ListSecretsResponse: {
            /**
             * Format: int64
             * @description How many are in this answer.
             */
            count: number;
            /** @description In alphabetical order. */
            secrets: string[];
            /** @description The cursor of the next page; null on the last page. */
            next_cursor: string | null;
        };
        DeleteSecretResponse: {
            /** @description Always true. */
            deleted: boolean;
            /**
             * @description Its name.
             * @example stripe_key
             */
            name: string;
        };
        AuthorizePaymentRequest: {
            /**
             * @description The session that pays.
             * @example ses_kdQWugkeF2Zy3Q1s8c68UvDQvytmSPGf
             */
            session_id: string;
            /**
             * @description How much, more than 0, with at most nine decimals.
             * @example 29.99
             */
            amount: AmountInput;
            /**
             * @description ISO 4217 code. Budgets are in USD, and nothing is converted. Default: USD.
             * @default USD
             */
            currency?: string | null;
            /**
             * @description What it is for.
             * @default
             */
            description?: string | null;
            /**
             * @description The approval to use, where one is needed. Default: one of exactly this payment, if there is one.
             * @example apr_3kHhR1oEwJrN8qT0vYb6Zg
             */
            approval_id?: string | null;
        };
        AuthorizePaymentResponse: {
            /** @description Whether the payment may be made. */
            authorized: boolean;
            /**
             * @description How much was asked for, and if authorized is true, authorized.
             * @example 29.99
             */
            amount: Amount;
            /** @description Its currency. */
            currency: string;
            /**
             * @description What is left of the session's budget, in USD; null without one. In a refusal, of the budget that refused.
             * @example 29.99
             */
            remaining_budget: Amount | null;
            /** @description Why it was refused; empty if it was not. */
            reason?: string;
            /** @description `approval_required`, where the payment waits for a person's decision. */
            status?: components["schemas"]["PaymentStatus"] | null;
            /**
             * @description The approval request that the decision is about.
             * @example apr_3kHhR1oEwJrN8qT0vYb6Zg
             */
            approval_request_id?: string | null;
            /**
             * @description The id of the authorization, for capturePayment and voidPayment.
             * @example auth_ubboQEgLF2N9Bt9NF0UBGw
             */
            authorization_id?: string | null;
            /**
             * @description The session that pays.
             * @example ses_kdQWugkeF2Zy3Q1s8c68UvDQvytmSPGf
             */
            session_id: string;
            /** @description Its agent. */
            agent_id?: string | null;
            /** @description What it is for. */
            description?: string | null;
            /**
             * @description When it was decided, in Unix seconds.
             * @example 1795246557.25
             */
            timestamp?: number | null;
        };
        AuthorizePaymentRefusal: {
            /** @description For people: what was wrong, and what would be right */
            error: string;
            /** @enum {string} */
            code: "malformed_json" | "invalid_argument" | "invalid_range" | "invalid_format" | "confirmation_required" | "unsafe_url" | "unauthorized" | "session_invalid" | "scope_denied" | "insufficient_scope" | "operator_required" | "ceiling_exceeded" | "exceeds_parent" | "budget_exceeded" | "currency_mismatch" | "inject_only" | "approval_required" | "approval_invalid" | "already_decided" | "approval_expired" | "unknown_tool" | "tool_quarantined" | "policy_denied" | "secret_denied" | "forbidden_origin" | "not_found" | "method_not_allowed" | "request_timeout" | "conflict" | "payload_too_large" | "unsupported_media_type" | "idempotency_mismatch" | "rate_limit_exceeded" | "unavailable" | "internal";
            /** @description The input field that it is about */
            field?: string;
            /** @description Whether the same call may succeed later */
            retryable?: boolean;
            /** @description As in the header X-Request-ID */
            request_id?: string;
            /** @description Whether the payment may be made. */
            authorized: boolean;
            /**
             * @description How much was asked for, and if authorized is true, authorized.
             * @example 29.99
             */
            amount?: Amount;
            /** @description Its currency. */
            currency?: string;
            /**
             * @description What is left of the session's budget, in USD; null without one. In a refusal, of the budget that refused.
             * @example 29.99
             */
            remaining_budget?: Amount | null;
            /** @description Why it was refused; empty if it was not. */
            reason?: string;
            /** @description `approval_required`, where the payment waits for a person's decision. */
            status?: components["schemas"]["PaymentStatus"] | null;
            /**
             * @description The approval request that the decision is about.
             * @example apr_3kHhR1oEwJrN8qT0vYb6Zg
             */
            approval_request_id?: string | null;
            /**
             * @description The id of the authorization, for capturePayment and voidPayment.
             * @example auth_ubboQEgLF2N9Bt9NF0UBGw
             */
            authorization_id?: string | null;
            /**
             * @description The session that pays.
             * @example ses_kdQWugkeF2Zy3Q1s8c68UvDQvytmSPGf
             */
            session_id?: string;
            /** @description Its agent. */
            agent_id?: string | null;
            /** @description What it is for. */
            description?: string | null;
            /**
             * @description When it was decided, in Unix seconds.
             * @example 1795246557.25
             */
            timestamp?: number | null;
        };
        ListPaymentsResponse: {
            /**
             * Format: int64
             * @description How many are in this answer.
             */
            count: number;
            /** @description Newest first. */
            payments: components["schemas"]["PaymentDetail"][];
            /** @description The cursor of the next page; null on the last page. */
            next_cursor: string | null;
        };
        CapturePaymentRequest: {
            /**
             * @description What was paid. Default: all that was authorized.
             * @example 29.99
             */
            amount?: AmountInput | null;
        };
        CapturePaymentResponse: {
            /**
             * @description The authorization.
             * @example auth_ubboQEgLF2N9Bt9NF0UBGw
             */
            authorization_id: string;
            /** @description Its status now. */
            status: components["schemas"]["AuthorizationStatus"];
            /**
             * @description What was authorized.
             * @example 29.99
             */
            amount: Amount;
            /**
             * @description What was paid of it.
             * @example 29.99
             */
            captured: Amount;
            /**
             * @description What returned to the budget.
             * @example 29.99
             */
            returned: Amount;
            /** @description Its currency. */
            currency: string;
            /**
             * @description The session that pays.
             * @example ses_kdQWugkeF2Zy3Q1s8c68UvDQvytmSPGf
             */
            session_id: string;
            /**
             * @description When it was settled, in Unix seconds.
             * @example 1795246557.25
             */
            timestamp: number;
        };
        VoidPaymentRequest: Record<string, never>;
        VoidPaymentResponse: {
            /**
             * @description The authorization.
             * @example auth_ubboQEgLF2N9Bt9NF0UBGw
             */
            authorization_id: string;
            /** @description Its status now. */
            status: components["schemas"]["AuthorizationStatus"];
            /**
             * @description What was authorized.
             * @example 29.99
             */
            amount: Amount;
            /**
             * @description What was paid of it.
             * @example 29.99
             */
            captured: Amount;
            /**
             * @description What returned to the budget.
             * @example 29.99
             */
            returned: Amount;
            /** @description Its currency. */
            currency: string;
            /**
             * @description The session that pays.
             * @example ses_kdQWugkeF2Zy3Q1s8c68UvDQvytmSPGf
             */
            session_id: string;
            /**
             * @description When it was settled, in Unix seconds.
             * @example 1795246557.25
             */
            timestamp: number;
        };
        LogActionRequest: {
            /**
             * @description The session it happened in.
             * @example ses_kdQWugkeF2Zy3Q1s8c68UvDQvytmSPGf
             */
            session_id: string;
            /** @description What was done. */
            action: string;
            /**
             * @description The tool or service it was done with.
             * @default
             */
            tool?: string | null;
            /** @description More about it: text or any JSON, at most 64 KiB. */
            details?: unknown;
            /**
             * @description What it cost, in USD; more than nine decimals are rounded. It is recorded, not deducted: authorizePayment deducts.
             * @default 0
             * @example 29.99
             */
            cost_usd?: AmountInput | null;
        };
        LogActionResponse: {
            /** @description Always true. */
            logged: boolean;
            /**
             * @description Names the entry.
             * @example aud_AAAAAAABqK8mXDBhzVn2oPq1
             */
            entry_id: string;
            /** @description Whether it looks anomalous. */
            flagged: boolean;
            /** @description Why; empty if it does not. */
            flag_reason: string;
            /**
             * Format: int64
             * @description Its place in the log.
             */
            seq: number;
            /** @description The hash that the next entry will name. */
            entry_hash: string;
            /**
             * @description When it was recorded, in Unix seconds.
             * @example 1795246557.25
             */
            timestamp: number;
            /**
             * @description The cost as it was recorded, in USD.
             * @example 29.99
             */
            cost_usd: Amount;
            /** @description Whether the cost was rounded, since it had more than nine decimals. */
            cost_rounded: boolean;
        };
        GetAuditTrailResponse: {
            /**
             * Format: int64
             * @description How many entries are in this answer.
             */
            count: number;
            /** @description Newest first. */
            entries: components["schemas"]["AuditEntry"][];
            /** @description Give it as cursor to go on; null at the end. A page that is not the last may have fewer entries than limit. */
            next_cursor: string | null;
        };
        GetSpendResponse: {
            /**
             * @description What agents have logged as cost.
             * @example 29.99
             */
            total_usd: Amount;
            /**
             * Format: int64
             * @description How many actions they have logged.
             */
            action_count: number;
            /** @description Logged cost by tool. */
            by_tool: {
                [key: string]: Amount;
            };
            /** @description Logged cost by session: the newest ones. */
            by_session: {
                [key: string]: Amount;
            };
            /** @description Logged cost by agent. */
            by_agent: {
                [key: string]: Amount;
            };
            /**
             * @description What payments were authorized and not given back.
             * @example 29.99
             */
            authorized_usd: Amount;
            /** @description Whether a breakdown has more lines than the 1,000 shown, or there is more between `since` and `until` than is looked at: then the figures are those of the newest 100,000 entries and 10,000 payments in it. */
            truncated: boolean;
        };
        GetAuditEntryResponse: {
            /** @description Names the entry; empty where it cannot be read. */
            entry_id: string;
            /**
             * Format: int64
             * @description Its place in the log, from 1.
             */
            seq: number;
            /** @description `action`: an agent logged it. `governance`: haldir did. */
            kind: components["schemas"]["EntryKind"];
            /** @description The session it happened in; empty if in none. */
            session_id: string;
            /** @description The agent; `system` if none was involved. */
            agent_id: string;
            /** @description The tool or service. */
            tool: string;
            /** @description What was done. */
            action: string;
            /**
             * @description What it cost, in USD.
             * @example 29.99
             */
            cost_usd: Amount;
            /** @description Whether it looked anomalous. */
            flagged: boolean;
            /** @description Why; empty if it did not. */
            flag_reason: string;
            /**
             * @description When it was recorded, in Unix seconds.
             * @example 1795246557.25
             */
            timestamp: number;
            /** @description More about it; null if there is nothing, or it was erased. */
            details: unknown;
            /** @description The key that caused it, by its first characters, or `local` or `operator`. */
            actor: string;
            /** @description BLAKE3 over the salt and the details, in hexadecimal; null without details. */
            details_digest: string | null;
            /** @description The hash of the entry before, in hexadecimal; zeros in front of the first. */
            prev_hash: string;
            /** @description BLAKE3 over this entry's canonical bytes, in hexadecimal. */
            entry_hash: string;
            /** @description True where the entry was erased at an operator's word: only its place, time, cost and hashes are left. Absent otherwise. */
            erased?: boolean;
            /** @description What keeps the entry from being read: it was altered outside haldir, and its other fields say nothing. Absent otherwise; whether an entry that can be read is unaltered, verifyAuditTrail says. */
            unreadable?: string | null;
            /** @description True where the entry can be read, but its fields or its details are not those of its own hash: it was altered outside haldir. Absent otherwise; whether the whole log is unaltered, verifyAuditTrail says. */
            altered?: boolean;
        };
        GetTreeHeadResponse: {
            /**
             * @description Whose log it is.
             * @example local
             */
            tenant_id: string;
            /** @description Hash of the last entry, in hexadecimal; zeros for an empty log. */
            chain_head: string;
            /**
             * @description When the last entry was made, in Unix seconds.
             * @example 1795246557.25
             */
            timestamp: number;
            /** @description Where the signing key is: sealed in the store, under the master key. */
            signing_key_source: string;
            /**
             * Format: int64
             * @description Number of entries.
             */
            tree_size: number;
            /** @description Root of the RFC 6962 tree over the entries' canonical bytes, in hexadecimal. */
            root_hash: string;
            /**
             * Format: int64
             * @description When it was signed, in whole Unix seconds.
             */
            signed_at: number;
            /** @description What is signed and how: Ed25519 over the text `sth:<tree_size>:<root_hash>:<signed_at>`. */
            algorithm: string;
            /** @description The signature, in hexadecimal. */
            signature: string;
            /** @description The key that made it, 32 bytes in hexadecimal; published at /.well-known/jwks.json. */
            public_key: string;
            /** @description The key's name there. */
            key_id: string;
        };
        GetInclusionProofResponse: {
            /** @description The tree's definition. */
            algorithm: string;
            /**
             * @description The entry that it is about.
             * @example aud_AAAAAAABqK8mXDBhzVn2oPq1
             */
            entry_id: string;
            /**
             * Format: int64
             * @description Its place in the tree, from 0.
             */
            leaf_index: number;
            /** @description SHA-256 of a zero byte and the entry's canonical bytes, in hexadecimal. */
            leaf_hash: string;
            /**
             * Format: int64
             * @description Entries in the tree.
             */
            tree_size: number;
            /** @description Root of the tree, in hexadecimal. */
            root_hash: string;
            /** @description The hashes beside the way from the leaf up to the root, in hexadecimal. */
            audit_path: string[];
            /** @description The same tree's head, signed. */
            sth: components["schemas"]["SignedHead"];
        };
        GetConsistencyProofResponse: {
            /** @description The tree's definition. */
            algorithm: string;
            /**
             * Format: int64
             * @description The earlier size.
             */
            first_size: number;
            /**
             * Format: int64
             * @description The later size.
             */
            second_size: number;
            /** @description Root at the earlier size, in hexadecimal. */
            first_root: string;
            /** @description Root at the later size, in hexadecimal. */
            second_root: string;
            /** @description The hashes that lead from one to the other, in hexadecimal. */
            consistency_path: string[];
        };
        ListTreeHeadsResponse: {
            /**
             * Format: int64
             * @description How many are in this answer.
             */
            count: number;
            /** @description The largest first. */
            entries: components["schemas"]["SignedHead"][];
            /** @description Where to go on; null at the end. */
            next_before: number | null;
        };
        VerifyTreeHeadsResponse: {
            /** @description Whether every recorded head is as it was signed, and stands for the beginning of today's log. */
            verified: boolean;
            /**
             * Format: int64
             * @description How many were found good, from the largest on.
             */
            heads_checked: number;
            /**
             * Format: int64
             * @description Entries in today's log.
             */
            tree_size: number;
            /** @description In one sentence. */
            message: string;
            /** @description The first head that is not good; null if there is none. */
            first_break: components["schemas"]["BadHead"] | null;
        };
        ListLogKeysResponse: {
            /** @description The log's name in checkpoints. */
            origin: string;
            /**
             * Format: int64
             * @description How many keys there are.
             */
            count: number;
            /** @description The newest first: that one signs. */
            keys: components["schemas"]["LogKey"][];
        };
        VerifyAuditTrailResponse: {
            /** @description Whether every entry that was ever appended is there, unaltered. */
            verified: boolean;
            /**
             * Format: int64
             * @description How many entries were found good, from the first on.
             */
            entries_checked: number;
            /**
             * Format: int64
             * @description How many entries the log has by its head.
             */
            entries_total: number;
            /** @description In one sentence. */
            message: string;
            /** @description The first place that is not as haldir left it; null if there is none. */
            first_bad: components["schemas"]["BadEntry"] | null;
            /** @description The same, under the name that clients of the existing product read. */
            first_break: components["schemas"]["BadEntry"] | null;
            /** @description The Merkle root over the entries that were checked, in hexadecimal. */
            root_hash: string;
            /** @description The hash of the last entry that was checked, in hexadecimal. */
            chain_head: string;
        };
        AddApprovalRuleRequest: {
            /** @description The kind of rule. */
            type: components["schemas"]["RuleType"];
            /**
             * @description With `spend_over`: payments of more than this many USD. Default: 0, which is every payment.
             * @default 0
             * @example 29.99
             */
            threshold?: AmountInput | null;
            /** @description With `tool_blocked`, where it is required: the names of the tools. */
            tools?: string[] | null;
            /**
             * @description Whether an operator has to decide: then the person at the agent's client is not asked. Default: false.
             * @default false
             */
            operator_only?: boolean | null;
        } & (unknown & unknown);
        AddApprovalRuleResponse: {
            /**
             * @description Always true.
             * @enum {boolean}
             */
            added: true;
            /** @description The kind of rule. */
            type: components["schemas"]["RuleType"];
            /**
             * @description Names the rule, to delete it.
             * @example rule_Yw9sQ2mJx4uP7cLr1tAeVg
             */
            rule_id: string;
        };
        ListApprovalRulesResponse: {
            /**
             * Format: int64
             * @description How many there are.
             */
            count: number;
            /** @description Oldest first. */
            rules: components["schemas"]["RuleDetail"][];
        };
        DeleteApprovalRuleResponse: {
            /** @description Always true. */
            deleted: boolean;
            /**
             * @description The rule.
             * @example rule_Yw9sQ2mJx4uP7cLr1tAeVg
             */
            rule_id: string;
        };
        RequestApprovalRequest: {
            /**
             * @description The session that it would be done in.
             * @example ses_kdQWugkeF2Zy3Q1s8c68UvDQvytmSPGf
             */
            session_id: string;
            /**
             * @description The tool that would be called.
             * @default
             */
            tool?: string | null;
            /**
             * @description What would be done.
             * @default
             */
            action?: string | null;
            /**
             * @description What it would cost, in USD, with at most nine decimals.
             * @default 0
             * @example 29.99
             */
            amount?: AmountInput | null;
            /**
             * @description The reason, for the person who decides.
             * @default
             */
            reason?: string | null;
            /** @description More about it, such as the arguments of the call: text or any JSON, at most 64 KiB. */
            details?: unknown;
            /**
             * @description Seconds until the request ends without a decision; 0 is never. Default: 3600.
             * @default 3600
             */
            ttl?: number | null;
        };
        RequestApprovalResponse: {
            /**
             * @description Names the request.
             * @example apr_3kHhR1oEwJrN8qT0vYb6Zg
             */
            request_id: string;
            /** @description Its status: pending. */
            status: components["schemas"]["ApprovalStatus"];
            /**
             * @description When it ends, in Unix seconds; 0 is never.
             * @example 1795246557.25
             */
            expires_at: number;
        };
        ListPendingApprovalsResponse: {
            /**
             * Format: int64
             * @description How many are in this response.
             */
            count: number;
            /** @description The newest first: pending ones by request, decided ones by decision. */
            requests: components["schemas"]["ApprovalDetail"][];
            /** @description The cursor of the next page; null on the last page. */
            next_cursor: string | null;
        };
        ListDecidedApprovalsResponse: {
            /**
             * Format: int64
             * @description How many are in this response.
             */
            count: number;
            /** @description The newest first: pending ones by request, decided ones by decision. */
            requests: components["schemas"]["ApprovalDetail"][];
            /** @description The cursor of the next page; null on the last page. */
            next_cursor: string | null;
        };
        GetApprovalResponse: {
            /**
             * @description Names the request.
             * @example apr_3kHhR1oEwJrN8qT0vYb6Zg
             */
            request_id: string;
            /** @description Its status. */
            status: components["schemas"]["ApprovalStatus"];
            /** @description Whether the action may be done now: approved, not expired, and not done yet. */
            usable: boolean;
            /**
             * @description The session of the action.
             * @example ses_kdQWugkeF2Zy3Q1s8c68UvDQvytmSPGf
             */
            session_id: string;
            /** @description Its agent. */
            agent_id: string;
            /** @description The tool that would be called. */
            tool: string;
            /** @description What would be done. */
            action: string;
            /**
             * @description What it would cost, in USD.
             * @example 29.99
             */
            amount: Amount;
            /** @description The reason for the request. */
            reason: string;
            /** @description More about it; null if there is nothing. */
            details: unknown;
            /** @description BLAKE3 over the requested action, in hexadecimal: an approval serves for no other action. */
            digest: string;
            /**
             * @description When it was asked, in Unix seconds.
             * @example 1795246557.25
             */
            created_at: number;
            /**
             * @description When it ends, decided or not, in Unix seconds; 0 is never.
             * @example 1795246557.25
             */
            expires_at: number;
            /** @description The person who decided; empty while it is pending. */
            decided_by: string;
            /** @description The note on the decision; empty while it is pending. */
            decision_note: string;
            /**
             * @description When it was decided, in Unix seconds; null while it is pending.
             * @example 1795246557.25
             */
            decided_at: number | null;
            /**
             * @description When the approval was used, in Unix seconds; null until then.
             * @example 1795246557.25
             */
            used_at: number | null;
            /** @description Whether a rule requires an operator to decide, not the person at the agent's client. */
            operator_only: boolean;
            /** @description The arguments with which an operator replaced the details; null where it was approved unchanged. */
            arguments: unknown;
            /** @description The names of the arguments that the operator changed. */
            changed: string[];
            /** @description The last approved request of the same agent, tool and action before this one; null if there is none. */
            last_approved: components["schemas"]["LastApproved"] | null;
        };
        ApproveRequestRequest: {
            /**
             * @description The name of the person who decides, shown to the agent. Default: the key's first characters.
             * @default
             */
            decided_by?: string | null;
            /**
             * @description A note on the decision; the agent sees it.
             * @default
             */
            note?: string | null;
            /** @description For a call of an upstream's tool: the arguments that replace the requested ones, an object that matches the tool's schema. The call passes all policies and budgets again, and its result tells the agent which arguments were changed. */
            arguments?: {
                [key: string]: unknown;
            } | null;
        };
        ApproveRequestResponse: {
            /**
             * @description Always true.
             * @enum {boolean}
             */
            approved: true;
            /**
             * @description The request.
             * @example apr_3kHhR1oEwJrN8qT0vYb6Zg
             */
            request_id: string;
        };
        DenyRequestRequest: {
            /**
             * @description The name of the person who decides, shown to the agent. Default: the key's first characters.
             * @default
             */
            decided_by?: string | null;
            /**
             * @description A note on the decision; the agent sees it.
             * @default
             */
            note?: string | null;
        };
        DenyRequestResponse: {
            /**
             * @description Always true.
             * @enum {boolean}
             */
            denied: true;
            /**
             * @description The request.
             * @example apr_3kHhR1oEwJrN8qT0vYb6Zg
             */
            request_id: string;
        };
        GetAuditStatsResponse: {
            /**
             * Format: int64
             * @description Entries in the span asked for.
             */
            total_entries: number;
            /**
             * Format: int64
             * @description Of these, the flagged ones.
             */
            flagged_count: number;
            /**
             * Format: int64
             * @description Sessions that began in it; with `session_id`, that one.
             */
            session_count: number;
            /**
             * Format: int64
             * @description Agents that have entries in it.
             */
            agent_count: number;
            /**
             * @description What agents have logged as cost in it.
             * @example 29.99
             */
            total_usd: Amount;
            /** @description Entries by tool; haldir's own bear the tool `haldir`. Tools beyond 32 a day stand under `(other)`. */
            by_tool: {
                [key: string]: number;
            };
            /** @description Entries by what was done. Actions beyond 32 a day, and names longer than 64 bytes, stand under `(other)`. */
            by_action: {
                [key: string]: number;
            };
            /**
             * @description Where counting began, in Unix seconds; null is the first entry.
             * @example 1795246557.25
             */
            counted_from: number | null;
            /**
             * @description Where counting ended, in Unix seconds; null is the last entry.
             * @example 1795246557.25
             */
            counted_until: number | null;
            /** @description Whether more would have had to be looked at than is: the figures are then those of the newest entries. */
            truncated: boolean;
            /**
             * Format: int64
             * @description What agents have logged since the first of this month (UTC), whatever the span.
             */
            actions_this_month: number;
            /** @description Actions that a month may have; null, since there is no such limit. */
            actions_limit: number | null;
            /** @description The part of it that is used; 0, since there is no such limit. */
            actions_pct_used: number;
            /**
             * @description What haldir charges for the actions: nothing.
             * @example 29.99
             */
            actions_cost_usd: Amount;
            /**
             * @description What agents have logged as cost since the first of this month (UTC), whatever the span.
             * @example 29.99
             */
            spend_usd_this_month: Amount;
            /**
             * Format: int64
             * @description Flagged entries of today and the six days before (UTC), whatever the span.
             */
            flagged_7d: number;
            /** @description Whether the end of the log is as haldir sealed it. It says nothing about the entries before: verifyAuditTrail reads them all. */
            chain_verified: boolean;
            /**
             * Format: int64
             * @description The tenant's sessions that are neither revoked nor expired.
             */
            active_sessions: number;
            /**
             * Format: int64
             * @description The tenant's secrets.
             */
            vault_secrets: number;
        };
        GetExportManifestResponse: {
            /** @description Always `manifest`. */
            type: string;
            /**
             * Format: int64
             * @description Version of the exported form.
             */
            format_version: number;
            /**
             * @description Whose log it is.
             * @example local
             */
            tenant_id: string;
            /** @description When it was made, as RFC 3339 text. */
            generated_at: string;
            /** @description The filters that were given. */
            filters: components["schemas"]["GivenFilters"];
            /**
             * Format: int64
             * @description How many entries were exported.
             */
            count: number;
            /**
             * @description When the first of them was recorded, in Unix seconds; null if there is none.
             * @example 1795246557.25
             */
            first_timestamp: number | null;
            /**
             * @description When the last of them was recorded, in Unix seconds; null if there is none.
             * @example 1795246557.25
             */
            last_timestamp: number | null;
            /** @description The hash of the last of them, in hexadecimal; empty if there is none. */
            last_chain_hash: string;
            /** @description SHA-256, in hexadecimal, over the id of every exported entry, each followed by a line feed, in their order. */
            sha256: string;
        };
        GetAuditRetentionResponse: {
            /**
             * @description Whose log it is.
             * @example local
             */
            tenant_id: string;
            /**
             * Format: int64
             * @description Days after which the details of an entry are erased; 0 is never.
             */
            retain_days: number;
            /**
             * @description When that was set, in Unix seconds; null if it never was.
             * @example 1795246557.25
             */
            updated_at: number | null;
            /** @description By whom; empty if it never was. */
            updated_by: string;
            /** @description Whether it was ever set. */
            configured: boolean;
            /** @description What would be erased now. */
            preview: components["schemas"]["RetentionPreview"];
        };
        SetAuditRetentionRequest: {
            /**
             * Format: int64
             * @description Days after which the details of an entry are erased; 0 keeps them for ever.
             */
            retain_days: number;
        };
        SetAuditRetentionResponse: {
            /**
             * @description Whose log it is.
             * @example local
             */
            tenant_id: string;
            /**
             * Format: int64
             * @description Days after which the details of an entry are erased; 0 is never.
             */
            retain_days: number;
            /**
             * @description When that was set, in Unix seconds; null if it never was.
             * @example 1795246557.25
             */
            updated_at: number | null;
            /** @description By whom; empty if it never was. */
            updated_by: string;
            /** @description Whether it was ever set. */
            configured: boolean;
            /** @description What would be erased now. */
            preview: components["schemas"]["RetentionPreview"];
        };
        PruneAuditDetailsRequest: {
            /**
             * @description Must be true: what is erased cannot be brought back.
             * @enum {boolean}
             */
            confirm: true;
        };
        PruneAuditDetailsResponse: {
            /** @description Whether anything was due. */
            pruned: boolean;
            /** @description Why nothing was; empty if something was. */
            reason: string;
            /** @description Names the run; null if nothing was due. */
            checkpoint_id: string | null;
            /**
             * Format: int64
             * @description Entries that this call erased the details of.
             */
            entries_deleted: number;
            /**
             * Format: int64
             * @description Entries that the run has yet to go through.
             */
            entries_left: number;
            /**
             * @description Entries from before this time are due, in Unix seconds; null if nothing was.
             * @example 1795246557.25
             */
            pruned_before: number | null;
            /**
             * Format: int64
             * @description Days after which details are erased.
             */
            retain_days: number;
            /** @description The size of the log when the run began. */
            tree_size: number | null;
            /** @description The Merkle root of the log at that size, in hexadecimal: it is what it would be without erasing. */
            root_hash: string | null;
            /** @description The tree's definition. */
            algorithm: string | null;
        };
        ListRetentionCheckpointsResponse: {
            /**
             * Format: int64
             * @description How many are in this answer.
             */
            count: number;
            /** @description Newest first. */
            checkpoints: components["schemas"]["RetentionCheckpoint"][];
        };
        EraseAgentRequest: {
            /**
             * @description Whether to say only what there is. Default: true; false erases, and what is erased cannot be brought back.
             * @default true
             */
            dry_run?: boolean | null;
        };
        EraseAgentResponse: {
            /** @description Whether all is erased; while it is false, the same call goes on. */
            complete: boolean;
            /** @description Whether nothing was erased, since `dry_run` was not false. */
            dry_run: boolean;
            /** @description `agent` or `session`. */
            kind: string;
            /** @description Names the erasure, in its audit entries as well; null with `dry_run`. */
            erasure_id: string | null;
            /**
             * Format: int64
             * @description Entries of its own, whose texts and details are erased. Their places, hashes, times and amounts stay.
             */
            entries: number;
            /**
             * Format: int64
             * @description Entries of others whose details named it: their details are erased.
             */
            details: number;
            /**
             * Format: int64
             * @description Its sessions.
             */
            sessions: number;
            /**
             * Format: int64
             * @description Approvals, payments, events on their way and kept answers.
             */
            records: number;
        };
        EraseSessionRequest: {
            /**
             * @description Whether to say only what there is. Default: true; false erases, and what is erased cannot be brought back.
             * @default true
             */
            dry_run?: boolean | null;
        };
        EraseSessionResponse: {
            /** @description Whether all is erased; while it is false, the same call goes on. */
            complete: boolean;
            /** @description Whether nothing was erased, since `dry_run` was not false. */
            dry_run: boolean;
            /** @description `agent` or `session`. */
            kind: string;
            /** @description Names the erasure, in its audit entries as well; null with `dry_run`. */
            erasure_id: string | null;
            /**
             * Format: int64
             * @description Entries of its own, whose texts and details are erased. Their places, hashes, times and amounts stay.
             */
            entries: number;
            /**
             * Format: int64
             * @description Entries of others whose details named it: their details are erased.
             */
            details: number;
            /**
             * Format: int64
             * @description Its sessions.
             */
            sessions: number;
            /**
             * Format: int64
             * @description Approvals, payments, events on their way and kept answers.
             */
            records: number;
        };
        ListErasuresResponse: {
            /**
             * Format: int64
             * @description How many are in this answer.
             */
            count: number;
            /** @description Newest first. */
            erasures: components["schemas"]["ErasureDetail"][];
        };
        RegisterUpstreamRequest: {
            /**
             * @description Stands in front of its tools' names.
             * @example github
             */
            name: string;
            /**
             * Format: uri
             * @description Its address: http or https, and public unless the operator allows the host.
             */
            url: string;
            /**
             * @description Headers of every request to it. A credential is written as `Bearer {{secret:NAME}}`, and the secret must allow this upstream.
             * @default null
             */
            headers?: {
                [key: string]: string;
            } | null;
            /**
             * @description Limits that hold for it alone. Default: those of the server.
             * @default null
             */
            limits?: components["schemas"]["UpstreamSettings"] | null;
        };
        RegisterUpstreamResponse: {
            /**
             * @description Always true.
             * @enum {boolean}
             */
            registered: true;
            /**
             * @description Its name.
             * @example github
             */
            name: string;
            /** @description Its address. */
            url: string;
            /** @description Whether it answered with a list of tools. */
            healthy: boolean;
            /**
             * Format: int64
             * @description How many tools can be called.
             */
            tools_discovered: number;
            /** @description Their names. */
            tool_names: string[];
            /**
             * Format: int64
             * @description How many tools are in quarantine, since they differ from what was accepted.
             */
            quarantined: number;
            /** @description Why it is not healthy. */
            error?: string;
            /**
             * Format: int64
             * @description The HTTP status that it answered with instead.
             */
            upstream_status?: number;
            /** @description What it said with that status. */
            upstream_body?: string;
        };
        ListUpstreamsResponse: {
            /** @description By their names. */
            upstreams: {
                [key: string]: components["schemas"]["UpstreamDetail"];
            };
            /**
             * Format: int64
             * @description How many tools can be called, of all of them.
             */
            total_tools: number;
            /**
             * Format: int64
             * @description How many policies there are.
             */
            policies: number;
        };
        DeleteUpstreamResponse: {
            /** @description Always true. */
            deleted: boolean;
            /**
             * @description Its name.
             * @example github
             */
            name: string;
        };
        AcceptToolsRequest: {
            /** @description The tool's own name. Default: all of the upstream's that changed. */
            tool?: string | null;
        };
        AcceptToolsResponse: {
            /** @description `upstream.tool` of each. */
            accepted: string[];
            /**
             * Format: int64
             * @description How many.
             */
            count: number;
        };
        MarkToolRequest: {
            /** @description The tool's own name. */
            tool: string;
            /** @description Whether its results contain untrusted content: web pages, mail, issues. */
            source?: boolean | null;
            /** @description Whether it sends its input out of the organisation, or destroys something. */
            sink?: boolean | null;
            /**
             * @description What one call costs, in USD, with at most nine decimals.
             * @example 29.99
             */
            cost?: AmountInput | null;
            /** @description Where in the arguments the cost of a call stands, as a JSON pointer, such as `/amount`. It is added to `cost`. */
            cost_argument?: string | null;
            /** @description Where in the result the cost of a call stands, as a JSON pointer, such as `/structuredContent/price`. It is added to `cost`; until it is known, and where it is no amount from 0 to `cost_max`, `cost_max` stands for it. */
            cost_result?: string | null;
            /**
             * @description The most that a call costs by its result, in USD. Goes with `cost_result`.
             * @example 29.99
             */
            cost_max?: AmountInput | null;
        };
        MarkToolResponse: {
            /** @description `upstream.tool`. */
            tool: string;
            /** @description The labels. */
            marks: components["schemas"]["ToolMarks"];
        };
        ListProxyToolsResponse: {
            /**
             * Format: int64
             * @description How many are in this answer.
             */
            count: number;
            /** @description By upstream and name. */
            tools: components["schemas"]["ToolDetail"][];
        };
        ProxyCallRequest: {
            /** @description The tool: as it is listed, such as `upstream__tool`; `upstream.tool`; or `tool` while only one upstream has it. */
            tool: string;
            /** @description What to call it with: an object, as the tool's schema says. */
            arguments?: {
                [key: string]: unknown;
            } | null;
            /**
             * @description The session that calls.
             * @example ses_kdQWugkeF2Zy3Q1s8c68UvDQvytmSPGf
             */
            session_id: string;
        };
        ProxyCallResponse: {
            /** @description The parts of the answer: text, images, audio, resources. */
            content: {
                /** @description The kind of part. */
                type: string;
                /** @description Of a text: the text. */
                text?: string;
            }[];
            /** @description Whether the tool, or its server, failed. */
            isError: boolean;
            /** @description The answer as JSON, where the tool gives one. */
            structuredContent?: unknown;
        };
        ProxyCallRefusal: {
            /** @description For people: what was wrong, and what would be right */
            error: string;
            /** @enum {string} */
            code: "malformed_json" | "invalid_argument" | "invalid_range" | "invalid_format" | "confirmation_required" | "unsafe_url" | "unauthorized" | "session_invalid" | "scope_denied" | "insufficient_scope" | "operator_required" | "ceiling_exceeded" | "exceeds_parent" | "budget_exceeded" | "currency_mismatch" | "inject_only" | "approval_required" | "approval_invalid" | "already_decided" | "approval_expired" | "unknown_tool" | "tool_quarantined" | "policy_denied" | "secret_denied" | "forbidden_origin" | "not_found" | "method_not_allowed" | "request_timeout" | "conflict" | "payload_too_large" | "unsupported_media_type" | "idempotency_mismatch" | "rate_limit_exceeded" | "unavailable" | "internal";
            /** @description The input field that it is about */
            field?: string;
            /** @description Whether the same call may succeed later */
            retryable?: boolean;
            /** @description As in the header X-Request-ID */
            request_id?: string;
            /** @description The parts of the answer: text, images, audio, resources. */
            content: {
                /** @description The kind of part. */
                type: string;
                /** @description Of a text: the text. */
                text?: string;
            }[];
            /**
             * @description Always true: the call was not made
             * @constant
             */
            isError: true;
        };
        AddProxyPolicyRequest: {
            /** @description The kind of policy. */
            type: components["schemas"]["PolicyType"];
            /** @description Of `block_tool`: the tool. Of the limits and the window: the tool that it is about, else all. */
            tool?: string | null;
            /** @description Of `allow_list` and `deny_list`: the tools. Of the limits and the window: the tools that it is about, else all. */
            tools?: string[] | null;
            /**
             * @description Of `spend_limit`: the largest amount of one call, in USD.
             * @example 29.99
             */
            max?: AmountInput | null;
            /** @description Of `spend_limit`: where in the arguments the amount stands, as a JSON pointer. Default: wherever it may. */
            argument?: string | null;
            /** @description Of `rate_limit`: calls of one agent within any minute. */
            max_per_minute?: number | null;
            /** @description Of `time_window`: the first hour, UTC. */
            start_hour?: number | null;
            /** @description Of `time_window`: the hour that it ends before, UTC; one before `start_hour` is of the next day. */
            end_hour?: number | null;
            /** @description Of `cedar`: a policy set in Cedar, <https://cedarpolicy.com>, for the schema that `haldir policy schema` prints. What none of its policies permits is refused. */
            cedar?: string | null;
            /**
             * @description Whether it only logs what it would refuse.
             * @default false
             */
            dry_run?: boolean | null;
        } & (unknown & unknown & unknown & unknown & unknown & unknown & unknown);
        AddProxyPolicyResponse: {
            /**
             * @description Always true.
             * @enum {boolean}
             */
            added: true;
            /** @description The kind of policy. */
            type: components["schemas"]["PolicyType"];
            /**
             * @description Names the policy, to delete it.
             * @example pol_Q7hYc0mXw2uT9kLr5tBfZg
             */
            policy_id: string;
            /** @description Of `cedar`: what is strange about the policy set, such as a policy that never matches. */
            warnings?: string[];
        };
        ListProxyPoliciesResponse: {
            /**
             * Format: int64
             * @description How many there are.
             */
            count: number;
            /** @description Oldest first. */
            policies: components["schemas"]["PolicyDetail"][];
        };
        TestProxyPolicyRequest: {
            /** @description The kind of policy. */
            type: components["schemas"]["PolicyType"];
            /** @description Of `block_tool`: the tool. Of the limits and the window: the tool that it is about, else all. */
            tool?: string | null;
            /** @description Of `allow_list` and `deny_list`: the tools. Of the limits and the window: the tools that it is about, else all. */
            tools?: string[] | null;
            /**
             * @description Of `spend_limit`: the largest amount of one call, in USD.
             * @example 29.99
             */
            max?: AmountInput | null;
            /** @description Of `spend_limit`: where in the arguments the amount stands, as a JSON pointer. Default: wherever it may. */
            argument?: string | null;
            /** @description Of `rate_limit`: calls of one agent within any minute. */
            max_per_minute?: number | null;
            /** @description Of `time_window`: the first hour, UTC. */
            start_hour?: number | null;
            /** @description Of `time_window`: the hour that it ends before, UTC; one before `start_hour` is of the next day. */
            end_hour?: number | null;
            /** @description Of `cedar`: a policy set in Cedar, <https://cedarpolicy.com>, for the schema that `haldir policy schema` prints. What none of its policies permits is refused. */
            cedar?: string | null;
            /**
             * @description Whether it only logs what it would refuse.
             * @default false
             */
            dry_run?: boolean | null;
            /**
             * @description How many of the newest calls to look at. Default: 1000.
             * @default 1000
             */
            calls?: number | null;
        } & (unknown & unknown & unknown & unknown & unknown & unknown & unknown);
        TestProxyPolicyResponse: {
            /**
             * Format: int64
             * @description Calls that were looked at.
             */
            calls: number;
            /**
             * Format: int64
             * @description Calls of the log that could not be: their arguments were not kept, or have been erased.
             */
            skipped: number;
            /**
             * Format: int64
             * @description How many would have been refused.
             */
            would_refuse: number;
            /**
             * Format: int64
             * @description How many of these were made: what the policy would change.
             */
            were_made: number;
            /** @description The newest of those that would have been refused, at most 100. */
            refusals: components["schemas"]["WouldRefuse"][];
        };
        DeleteProxyPolicyResponse: {
            /** @description Always true. */
            deleted: boolean;
            /**
             * @description The policy.
             * @example pol_Q7hYc0mXw2uT9kLr5tBfZg
             */
            policy_id: string;
        };
        GetUsageResponse: {
            /**
             * @description The tenant.
             * @example local
             */
            tenant_id: string;
            /** @description The month, as YYYY-MM. */
            month: string;
            /**
             * Format: int64
             * @description Calls in it.
             */
            action_count: number;
            /** @description The tier of the calling key. */
            tier: components["schemas"]["Tier"];
        };
        GetMetricsResponse: {
            /**
             * Format: int64
             * @description API keys that are not revoked.
             */
            total_api_keys: number;
            /**
             * Format: int64
             * @description Sessions ever created.
             */
            total_sessions: number;
            /**
             * Format: int64
             * @description Sessions that can act now.
             */
            active_sessions: number;
            /**
             * Format: int64
             * @description Agents that ever had a session.
             */
            unique_agents: number;
            /**
             * Format: int64
             * @description Actions that agents have logged.
             */
            total_actions: number;
            /**
             * Format: int64
             * @description Entries of the log that are flagged.
             */
            flagged_actions: number;
            /**
             * Format: int64
             * @description Actions logged since midnight UTC.
             */
            actions_today: number;
            /**
             * @description What the actions cost.
             * @example 29.99
             */
            total_spend_usd: Amount;
            /**
             * Format: int64
             * @description Secrets in the vault.
             */
            total_secrets: number;
            /**
             * Format: int64
             * @description Payments ever authorized.
             */
            total_payments: number;
            /**
             * @description What payments were authorized and not given back.
             * @example 29.99
             */
            total_payment_volume_usd: Amount;
            /**
             * Format: int64
             * @description Approvals that wait for a decision.
             */
            pending_approvals: number;
            /**
             * Format: int64
             * @description Approvals ever asked for.
             */
            total_approvals: number;
            /** @description The ten tools with most actions. */
            top_tools: {
                [key: string]: number;
            };
            /** @description The ten agents with most actions. */
            top_agents: {
                [key: string]: number;
            };
            /** @description Calls of this month, by tenant: this one. */
            usage_this_month: {
                [key: string]: number;
            };
        };
        GetOverviewResponse: {
            /**
             * @description Whose it is.
             * @example local
             */
            tenant_id: string;
            /** @description The tier of the key that asks. */
            tier: components["schemas"]["Tier"];
            /** @description When this was read. */
            generated_at: string;
            /** @description Calls and spending of this month. */
            usage: components["schemas"]["UsageOverview"];
            /** @description Sessions that can act now. */
            sessions: components["schemas"]["SessionsOverview"];
            /** @description Secrets. */
            vault: components["schemas"]["VaultOverview"];
            /** @description The log. */
            audit: components["schemas"]["AuditOverview"];
            /** @description Subscriptions and their deliveries. */
            webhooks: components["schemas"]["WebhooksOverview"];
            /** @description What waits for a decision. */
            approvals: components["schemas"]["ApprovalsOverview"];
            /** @description Evidence that is made on a schedule. */
            compliance: components["schemas"]["ComplianceOverview"];
            /** @description Whether haldir is well. */
            health: components["schemas"]["HealthOverview"];
        };
        CreateApiKeyRequest: {
            /**
             * @description What people call it.
             * @default default
             */
            name?: string | null;
            /**
             * @description Its hourly limit: free 100 calls, pro 5,000, enterprise 50,000.
             * @default free
             */
            tier?: components["schemas"]["Tier"];
            /** @description An agent's key cannot make keys, settle payments or change rules. Default: agent; the first key of a tenant is an operator's. */
            role?: components["schemas"]["Role"] | null;
            /** @description What it may reach: `*`, or `<resource>:read|write|*` over sessions, vault, audit, payments, webhooks, proxy, approvals and admin. Default: what its maker may reach. */
            scopes?: string[] | null;
            /** @description The scopes that a session created with it may have. Default: every scope but admin and *, for an agent. */
            max_scopes?: string[] | null;
            /**
             * @description The most that one session created with it may spend, in USD.
             * @example 29.99
             */
            max_spend?: AmountInput | null;
            /**
             * @description The most that all sessions created with it may spend together in a UTC day, in USD.
             * @example 29.99
             */
            max_daily_spend?: AmountInput | null;
            /** @description The longest life of a session created with it, in seconds. */
            max_ttl?: number | null;
            /** @description Seconds until the key expires; no later than its maker. Default: as its maker, or never. */
            expires_in?: number | null;
            /** @description The server's `HALDIR_BOOTSTRAP_TOKEN`, instead of an operator's key: a new tenant is made with the key. */
            bootstrap_token?: components["schemas"]["BootstrapToken"] | null;
            /** @description What the new tenant is called, with the bootstrap token. No two tenants have the same name. */
            tenant_name?: string | null;
        };
        CreateApiKeyResponse: {
            /** @description The key itself, shown only now: it is not stored. */
            key: string;
            /** @description Its first characters, by which it is listed and revoked. */
            prefix: string;
            /** @description What people call it. */
            name: string;
            /** @description Its hourly limit. */
            tier: components["schemas"]["Tier"];
            /** @description Its role. */
            role: components["schemas"]["Role"];
            /** @description What it may reach. */
            scopes: string[];
            /**
             * @description The tenant it belongs to.
             * @example local
             */
            tenant_id: string;
            /** @description Whether the tenant was created with this key; it sees no data of other tenants. */
            tenant_created?: boolean;
            /** @description What to do now. */
            message: string;
        };
        ListApiKeysResponse: {
            /**
             * Format: int64
             * @description How many are in this answer.
             */
            count: number;
            /** @description Newest first. */
            keys: components["schemas"]["ApiKeyDetail"][];
            /** @description The cursor of the next page; null on the last page. */
            next_cursor: string | null;
        };
        RotateApiKeyRequest: {
            /**
             * @description Seconds for which the old key stays valid; 0 ends it now. Default: 3600.
             * @default 3600
             */
            grace_seconds?: number | null;
        };
        RotateApiKeyResponse: {
            /** @description The new key itself, shown only now: it is not stored. */
            key: string;
            /** @description Its first characters. */
            prefix: string;
            /** @description What people call it. */
            name: string;
            /** @description Its hourly limit. */
            tier: components["schemas"]["Tier"];
            /** @description Its role. */
            role: components["schemas"]["Role"];
            /** @description What it may reach. */
            scopes: string[];
            /**
             * @description When it expires; null is never.
             * @example 1795246557.25
             */
            expires_at: number | null;
            /** @description The old key's first characters. */
            previous_prefix: string;
            /**
             * @description When the old key ends.
             * @example 1795246557.25
             */
            previous_expires_at: number;
            /**
             * Format: int64
             * @description Seconds until then.
             */
            grace_seconds: number;
            /** @description What to do now. */
            message: string;
        };
        SetApiKeyTierRequest: {
            /** @description Its hourly limit: free 100 calls, pro 5,000, enterprise 50,000, unless the server has other figures. */
            tier: components["schemas"]["Tier"];
        };
        SetApiKeyTierResponse: {
            /** @description The key's first characters. */
            prefix: string;
            /** @description Its hourly limit from now on. */
            tier: components["schemas"]["Tier"];
            /** @description Its tier before. */
            previous_tier: components["schemas"]["Tier"];
        };
        RevokeApiKeyResponse: {
            /** @description Always true. */
            revoked: boolean;
            /** @description The key's first characters. */
            prefix: string;
        };
        ListTenantsRequest: {
            /** @description The server's `HALDIR_BOOTSTRAP_TOKEN`. */
            bootstrap_token?: components["schemas"]["BootstrapToken"] | null;
            /**
             * @description Only tenants behind this id: `next_cursor` of the page before.
             * @example local
             */
            cursor?: string | null;
            /**
             * @description How many at most. Default 100.
             * @default 100
             */
            limit?: number | null;
        };
        ListTenantsResponse: {
            /**
             * Format: int64
             * @description How many are in this answer.
             */
            count: number;
            /** @description By their ids. */
            tenants: components["schemas"]["TenantDetail"][];
            /**
             * @description Where the next page begins; null at the end.
             * @example local
             */
            next_cursor: string | null;
        };
        NameTenantRequest: {
            /** @description Its name from now on. */
            name: string;
            /** @description The server's `HALDIR_BOOTSTRAP_TOKEN`. */
            bootstrap_token?: components["schemas"]["BootstrapToken"] | null;
        };
        NameTenantResponse: {
            /**
             * @description The tenant.
             * @example local
             */
            tenant_id: string;
            /** @description Its name. */
            name: string;
        };
        RegisterWebhookRequest: {
            /**
             * Format: uri
             * @description Where to: http or https, without user name or password.
             */
            url: string;
            /**
             * @description A name for people.
             * @default
             */
            name?: string | null;
            /** @description Which events. Default: all. */
            events?: components["schemas"]["EventKind"][] | null;
        };
        RegisterWebhookResponse: {
            /** @description Always true. */
            registered: boolean;
            /**
             * Format: int64
             * @description Its number.
             */
            webhook_id: number;
            /** @description Where events go. */
            url: string;
            /** @description Its name. */
            name: string;
            /** @description Which events. */
            events: string[];
            /** @description What deliveries are signed with. It is shown this once. */
            secret: string;
            /** @description What to do with the secret. */
            message: string;
        };
        ListWebhooksResponse: {
            /**
             * Format: int64
             * @description How many there are.
             */
            count: number;
            /** @description In the order of their registration. */
            webhooks: components["schemas"]["WebhookDetail"][];
        };
        ListDeliveriesResponse: {
            /**
             * Format: int64
             * @description How many are in this response.
             */
            count: number;
            /** @description Newest first. */
            deliveries: components["schemas"]["DeliveryDetail"][];
        };
        ListDeadLettersResponse: {
            /**
             * Format: int64
             * @description How many are in this response.
             */
            count: number;
            /** @description By webhook, oldest first. */
            dead_letters: components["schemas"]["DeadLetterDetail"][];
        };
        DeleteWebhookResponse: {
            /** @description Always true. */
            deleted: boolean;
            /**
             * Format: int64
             * @description Its number.
             */
            webhook_id: number;
            /**
             * Format: int64
             * @description Queued events that will not be sent.
             */
            discarded: number;
        };
        RotateWebhookSecretRequest: {
            /**
             * @description How long the old secret stays valid beside the new one: from 60 to 604800 seconds. Default: 86400.
             * @default 86400
             */
            grace_seconds?: number | null;
        };
        RotateWebhookSecretResponse: {
            /**
             * Format: int64
             * @description Its number.
             */
            webhook_id: number;
            /** @description The new secret. It is shown this once. */
            secret: string;
            /** @description Always empty: the old secret was shown when it was made. */
            secret_prev: string;
            /**
             * @description When the old secret ends, in Unix seconds.
             * @example 1795246557.25
             */
            secret_prev_expires_at: number;
            /**
             * Format: int64
             * @description How long it stays valid.
             */
            grace_seconds: number;
            /** @description What to do. */
            message: string;
        };
        PingWebhookRequest: Record<string, never>;
        PingWebhookResponse: {
            /** @description Always true. */
            queued: boolean;
            /**
             * Format: int64
             * @description Its number.
             */
            webhook_id: number;
            /** @description The event, by which its deliveries can be listed. */
            event_id: string;
        };
        ResendDeadLettersRequest: {
            /** @description Only this event. Default: up to 500 dead letters. */
            event_id?: string | null;
        };
        ResendDeadLettersResponse: {
            /**
             * Format: int64
             * @description The webhook's number.
             */
            webhook_id: number;
            /**
             * Format: int64
             * @description How many are on their way again.
             */
            resent: number;
            /** @description Whether there are more: then call again. */
            more: boolean;
        };
        GetEvidenceResponse: {
            /**
             * Format: int64
             * @description The version of its members and texts.
             */
            format_version: number;
            /** @description The disclaimer. */
            disclaimer: string;
            /** @description When it was made: the only difference between two packs of the same closed period. */
            generated_at: string;
            /** @description Where the period begins. */
            period_start: string;
            /** @description Where it ends; this second is not included. */
            period_end: string;
            /**
             * @description The tenant.
             * @example local
             */
            tenant_id: string;
            /** @description The criterion of each section and what it does not show, by the section's name. */
            controls: {
                [key: string]: components["schemas"]["Control"];
            };
            /** @description Section 1. */
            identity: components["schemas"]["Identity"];
            /** @description Section 2. */
            access_control: components["schemas"]["AccessControl"];
            /** @description Section 3. */
            encryption: components["schemas"]["Encryption"];
            /** @description Section 4: figures. */
            audit_trail: components["schemas"]["AuditTrail"];
            /** @description Section 4: the hashes that the period is bound to. */
            tamper_evidence: components["schemas"]["TamperEvidence"];
            /** @description Section 5. */
            spend_governance: components["schemas"]["SpendGovernance"];
            /** @description Section 6. */
            approvals: components["schemas"]["Approvals"];
            /** @description Section 7. */
            webhooks: components["schemas"]["Alerting"];
            /** @description Section 8. */
            signatures?: components["schemas"]["Signatures"] | null;
        };
        GetEvidenceManifestResponse: {
            /**
             * @description The tenant.
             * @example local
             */
            tenant_id: string;
            /** @description Where the period begins, ISO 8601. */
            period_start: string;
            /** @description Where it ends; not included. */
            period_end: string;
            /** @description The digest and the signature. */
            signatures: components["schemas"]["Signatures"];
        };
        GetComplianceScoreResponse: {
            /**
             * Format: int64
             * @description From 0 to 100: a criterion that passes counts fully, one with a warning half.
             */
            score: number;
            /**
             * Format: int64
             * @description Criteria that pass.
             */
            passing: number;
            /**
             * Format: int64
             * @description Criteria with a warning.
             */
            warning: number;
            /**
             * Format: int64
             * @description Criteria that fail.
             */
            failing: number;
            /**
             * Format: int64
             * @description All of them.
             */
            total: number;
            /**
             * @description When the score was computed, in Unix seconds.
             * @example 1795246557.25
             */
            computed_at: number;
            /** @description The criteria. */
            criteria: components["schemas"]["Criterion"][];
        };
        CreateComplianceScheduleRequest: {
            /** @description A name for people. */
            name: string;
            /** @description How often. */
            cadence: components["schemas"]["Cadence"];
            /**
             * @description `webhook:` and the webhook's number, such as `webhook:1`. Haldir sends no e-mail.
             * @example webhook:1
             */
            delivery: string;
        };
        CreateComplianceScheduleResponse: {
            /** @description Its id. */
            schedule_id: string;
            /** @description Its name. */
            name: string;
            /** @description How often it makes a pack. */
            cadence: components["schemas"]["Cadence"];
            /** @description The destination of its packs. */
            delivery: string;
            /** @description Whether it runs; always true. */
            active: boolean;
            /**
             * @description When it was created.
             * @example 1795246557.25
             */
            created_at: number;
            /**
             * @description When it last ran, successfully or not; 0 is never.
             * @example 1795246557.25
             */
            last_run_at: number;
            /**
             * @description When the next pack is made, or retried.
             * @example 1795246557.25
             */
            next_due: number;
            /**
             * @description Where the period of the next pack begins.
             * @example 1795246557.25
             */
            next_period_start: number;
            /**
             * @description The tenant.
             * @example local
             */
            tenant_id: string;
            /** @description `ok`, `failed`, or empty before the first run. */
            last_status: string;
            /** @description Why the last run failed; empty otherwise. */
            last_error: string;
            /**
             * Format: int64
             * @description Packs that were put into the webhook's outbox.
             */
            run_count: number;
            /**
             * Format: int64
             * @description Runs that failed; each is retried after an hour.
             */
            fail_count: number;
        };
        ListComplianceSchedulesResponse: {
            /**
             * Format: int64
             * @description How many there are; a tenant has at most 32.
             */
            count: number;
            /** @description In the order of their ids. */
            schedules: components["schemas"]["ScheduleDetail"][];
        };
        HealthCheckResponse: {
            /** @constant */
            status: "ok";
            /** @constant */
            service: "haldir";
            version: string;
            alive: boolean;
            /** @description Unix seconds */
            checked_at: number;
        };
        LivenessCheckResponse: {
            alive: boolean;
            /** @constant */
            service: "haldir";
            /** @description Unix seconds */
            checked_at: number;
        };
        ReadinessCheckResponse: {
            ready: boolean;
            /** @constant */
            service: "haldir";
            /** @description Unix seconds */
            checked_at: number;
            checks: {
                name: string;
                ok: boolean;
                message: string;
                duration_ms: number;
            }[];
        };
        ApiIndexResponse: {
            /** @constant */
            service: "haldir";
            version: string;
            /** Format: uri */
            docs: string;
            endpoints: {
                [key: string]: string;
            };
        };
        GetStatusResponse: {
            /** @enum {string} */
            status: "ok" | "degraded" | "down";
            /** @description Unix seconds */
            checked_at: number;
            components: {
                name: string;
                state: string;
                message: string;
                /** @description Unix seconds */
                checked_at: number;
            }[];
            metrics: {
                success_rate: {
                    total: number;
                    errors: number;
                    ratio: number;
                };
                latency_seconds: {
                    p50: number | null;
                    p95: number | null;
                    p99: number | null;
                };
            };
        };
        Error: {
            /** @description For people: what was wrong, and what would be right */
            error: string;
            /** @enum {string} */
            code: "malformed_json" | "invalid_argument" | "invalid_range" | "invalid_format" | "confirmation_required" | "unsafe_url" | "unauthorized" | "session_invalid" | "scope_denied" | "insufficient_scope" | "operator_required" | "ceiling_exceeded" | "exceeds_parent" | "budget_exceeded" | "currency_mismatch" | "inject_only" | "approval_required" | "approval_invalid" | "already_decided" | "approval_expired" | "unknown_tool" | "tool_quarantined" | "policy_denied" | "secret_denied" | "forbidden_origin" | "not_found" | "method_not_allowed" | "request_timeout" | "conflict" | "payload_too_large" | "unsupported_media_type" | "idempotency_mismatch" | "rate_limit_exceeded" | "unavailable" | "internal";
            /** @description The input field that it is about */
            field?: string;
            /** @description Whether the same call may succeed later */
            retryable?: boolean;
            /** @description As in the header X-Request-ID */
            request_id?: string;
        };
        RateLimitError: {
            /** @description For people: what was wrong, and what would be right */
            error: string;
            /** @enum {string} */
            code: "malformed_json" | "invalid_argument" | "invalid_range" | "invalid_format" | "confirmation_required" | "unsafe_url" | "unauthorized" | "session_invalid" | "scope_denied" | "insufficient_scope" | "operator_required" | "ceiling_exceeded" | "exceeds_parent" | "budget_exceeded" | "currency_mismatch" | "inject_only" | "approval_required" | "approval_invalid" | "already_decided" | "approval_expired" | "unknown_tool" | "tool_quarantined" | "policy_denied" | "secret_denied" | "forbidden_origin" | "not_found" | "method_not_allowed" | "request_timeout" | "conflict" | "payload_too_large" | "unsupported_media_type" | "idempotency_mismatch" | "rate_limit_exceeded" | "unavailable" | "internal";
            /** @description The input field that it is about */
            field?: string;
            /** @description Whether the same call may succeed later */
            retryable?: boolean;
            /** @description As in the header X-Request-ID */
            request_id?: string;
            /** @description Calls an hour */
            limit: number;
            /** @description The key's tier */
            tier: string;
            /** @description Seconds until the hour ends */
            retry_after: number;
            /** @description When the hour ends, in Unix seconds */
            reset?: number;
            /** @description What was counted: calls */
            resource?: string;
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export interface operations {
    listSessions: {
        parameters: {
            query?: {
                /** @description Only this agent's. */
                agent_id?: string;
                /** @description Only ids that start with this. */
                id_prefix?: string;
                /** @description How many at most. Default 100. */
                limit?: number;
                /** @description The `next_cursor` of the page before. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of sessions. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ListSessionsResponse"];
                };
            };
        };
    };
    createSession: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CreateSessionRequest"];
            };
        };
        responses: {
            /** @description The new session. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CreateSessionResponse"];
                };
            };
        };
    };
    getSession: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The session's id, as createSession answered it. */
                session_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A session, with what is derived from it at the time of the call. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["GetSessionResponse"];
                };
            };
        };
    };
    revokeSession: {
        parameters: {
            query?: {
                /** @description Accepted for compatibility: descendants always end with their parent. */
                cascade?: "true" | "false";
            };
            header?: never;
            path: {
                /** @description The session to end. */
                session_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The sessions that ended. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RevokeSessionResponse"];
                };
            };
        };
    };
    checkPermission: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The session to check. */
                session_id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CheckPermissionRequest"];
            };
        };
        responses: {
            /** @description The result of the check. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CheckPermissionResponse"];
                };
            };
        };
    };
    stopAgent: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The agent's name, as its sessions have it. */
                agent_id: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["StopAgentRequest"];
            };
        };
        responses: {
            /** @description The sessions that ended, and the keys that were revoked. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["StopAgentResponse"];
                };
            };
        };
    };
    listDescendants: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The session at the top. */
                session_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The sessions below. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ListDescendantsResponse"];
                };
            };
        };
    };
    listSecrets: {
        parameters: {
            query?: {
                /** @description How many at most. Default 1000. */
                limit?: number;
                /** @description The `next_cursor` of the page before. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of names. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ListSecretsResponse"];
                };
            };
        };
    };
    storeSecret: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["StoreSecretRequest"];
            };
        };
        responses: {
            /** @description What was stored. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["StoreSecretResponse"];
                };
            };
        };
    };
    getSecret: {
        parameters: {
            query?: {
                /** @description The session that asks. */
                session_id?: string;
            };
            header?: never;
            path: {
                /** @description The secret's name. */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The secret. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["GetSecretResponse"];
                };
            };
        };
    };
    deleteSecret: {
        parameters: {
            query?: {
                /** @description The session that deletes it. An agent needs one: it must hold the scope that the secret requires. */
                session_id?: string;
            };
            header?: never;
            path: {
                /** @description Its name. */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description What was deleted. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DeleteSecretResponse"];
                };
            };
        };
    };
    authorizePayment: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["AuthorizePaymentRequest"];
            };
        };
        responses: {
            /** @description The decision. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AuthorizePaymentResponse"];
                };
            };
        };
    };
    listPayments: {
        parameters: {
            query?: {
                /** @description Only this agent's. */
                agent_id?: string;
                /** @description Only this session's. */
                session_id?: string;
                /** @description Only those that are neither captured nor voided yet. Default: false. */
                open?: "true" | "false";
                /** @description Only those authorized at this time or later, in Unix seconds. */
                since?: number | string;
                /** @description Only those authorized before this time, in Unix seconds. */
                until?: number | string;
                /** @description How many at most. Default 100. */
                limit?: number;
                /** @description The `next_cursor` of the page before. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of payments. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ListPaymentsResponse"];
                };
            };
        };
    };
    capturePayment: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The authorization. */
                authorization_id: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["CapturePaymentRequest"];
            };
        };
        responses: {
            /** @description How the payment was settled. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CapturePaymentResponse"];
                };
            };
        };
    };
    voidPayment: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The authorization. */
                authorization_id: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["VoidPaymentRequest"];
            };
        };
        responses: {
            /** @description How the payment was settled. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["VoidPaymentResponse"];
                };
            };
        };
    };
    getAuditTrail: {
        parameters: {
            query?: {
                /** @description Only this session's entries. */
                session_id?: string;
                /** @description Only this agent's entries. */
                agent_id?: string;
                /** @description Only entries of this tool; haldir's own decisions bear the tool `haldir`. */
                tool?: string;
                /** @description true: only flagged entries; false: only others. */
                flagged?: "true" | "false";
                /** @description Only entries at this time or later: Unix seconds, a date-time with its offset (RFC 3339), or a date. */
                since?: number | string;
                /** @description Only entries before this time, in the same forms. */
                until?: number | string;
                /** @description How many at most. Default 100. */
                limit?: number;
                /** @description Where the last answer ended: its `next_cursor`. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of the log. */
            200: {
                headers: {
                    /** @description How old the data is at most, in seconds, where a replica of the database has answered; absent where the database itself has. */
                    "Haldir-Data-Age"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["GetAuditTrailResponse"];
                };
            };
        };
    };
    logAction: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["LogActionRequest"];
            };
        };
        responses: {
            /** @description The entry that was made. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["LogActionResponse"];
                };
            };
        };
    };
    getSpend: {
        parameters: {
            query?: {
                /** @description Only this session. */
                session_id?: string;
                /** @description Only this agent. */
                agent_id?: string;
                /** @description Only what was logged and authorized at this time or later, in Unix seconds. */
                since?: number | string;
                /** @description Only what was logged and authorized before this time, in Unix seconds. */
                until?: number | string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description What was spent, in USD. */
            200: {
                headers: {
                    /** @description How old the data is at most, in seconds, where a replica of the database has answered; absent where the database itself has. */
                    "Haldir-Data-Age"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["GetSpendResponse"];
                };
            };
        };
    };
    getAuditEntry: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The entry's id. */
                entry_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description An entry of the audit log. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["GetAuditEntryResponse"];
                };
            };
        };
    };
    getTreeHead: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The head of the log. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["GetTreeHeadResponse"];
                };
            };
        };
    };
    getInclusionProof: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The entry's id. */
                entry_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The proof (RFC 6962 section 2.1.1). */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["GetInclusionProofResponse"];
                };
            };
        };
    };
    getConsistencyProof: {
        parameters: {
            query: {
                /** @description The earlier size, at least 1. */
                first: number;
                /** @description The later size. Default: as many entries as there are. */
                second?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The proof (RFC 6962 section 2.1.2). */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["GetConsistencyProofResponse"];
                };
            };
        };
    };
    listTreeHeads: {
        parameters: {
            query?: {
                /** @description How many at most. Default 100. */
                limit?: number;
                /** @description Only heads of fewer entries: `next_before` of the answer before. */
                before?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Recorded heads. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ListTreeHeadsResponse"];
                };
            };
        };
    };
    verifyTreeHeads: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description What the check found. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["VerifyTreeHeadsResponse"];
                };
            };
        };
    };
    listLogKeys: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The log's name and keys. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ListLogKeysResponse"];
                };
            };
        };
    };
    exportBundle: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Export audit log with proofs */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/x-ndjson": string;
                    "text/plain": string;
                };
            };
        };
    };
    getCheckpoint: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Get checkpoint */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
        };
    };
    getTile: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Such as `0/x001/234`, `1/000.p/17` or `entries/000.p/5`. */
                tile: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Get tile */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/octet-stream": string;
                };
            };
        };
    };
    verifyAuditTrail: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description What the check found. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["VerifyAuditTrailResponse"];
                };
            };
        };
    };
    listApprovalRules: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The rules. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ListApprovalRulesResponse"];
                };
            };
        };
    };
    addApprovalRule: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["AddApprovalRuleRequest"];
            };
        };
        responses: {
            /** @description The rule that was added. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AddApprovalRuleResponse"];
                };
            };
        };
    };
    deleteApprovalRule: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The rule. */
                rule_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The rule that was deleted. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DeleteApprovalRuleResponse"];
                };
            };
        };
    };
    requestApproval: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["RequestApprovalRequest"];
            };
        };
        responses: {
            /** @description The request that was raised. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RequestApprovalResponse"];
                };
            };
        };
    };
    listPendingApprovals: {
        parameters: {
            query?: {
                /** @description Only this agent's. */
                agent_id?: string;
                /** @description How many at most. Default 100. */
                limit?: number;
                /** @description The `next_cursor` of the page before. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of requests. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ListPendingApprovalsResponse"];
                };
            };
        };
    };
    listDecidedApprovals: {
        parameters: {
            query?: {
                /** @description Only this agent's. */
                agent_id?: string;
                /** @description How many at most. Default 100. */
                limit?: number;
                /** @description The `next_cursor` of the page before. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of requests. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ListDecidedApprovalsResponse"];
                };
            };
        };
    };
    getApproval: {
        parameters: {
            query?: {
                /** @description Seconds to wait for a decision. Default: 0. A server on which too many wait already answers at once. */
                wait?: number;
            };
            header?: never;
            path: {
                /** @description The request. */
                request_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A request, and the one like it that was approved last. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["GetApprovalResponse"];
                };
            };
        };
    };
    approveRequest: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The request. */
                request_id: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["ApproveRequestRequest"];
            };
        };
        responses: {
            /** @description The decision. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ApproveRequestResponse"];
                };
            };
        };
    };
    denyRequest: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The request. */
                request_id: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["DenyRequestRequest"];
            };
        };
        responses: {
            /** @description The decision. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DenyRequestResponse"];
                };
            };
        };
    };
    getAuditStats: {
        parameters: {
            query?: {
                /** @description Only this session's entries: the newest 10,000 of them. */
                session_id?: string;
                /** @description Only this agent's entries. */
                agent_id?: string;
                /** @description Only entries at this time or later, in Unix seconds. Exact where at most 1,000 entries lie between it and the end of its UTC day, else from the beginning of that day: `counted_from` says. */
                since?: number | string;
                /** @description Only entries before this time, in Unix seconds. Exact where at most 1,000 entries lie between the beginning of its UTC day and it, else to the end of that day: `counted_until` says. */
                until?: number | string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description What was counted. The counters are not authenticated as the log is: verifyAuditTrail checks the log itself. */
            200: {
                headers: {
                    /** @description How old the data is at most, in seconds, where a replica of the database has answered; absent where the database itself has. */
                    "Haldir-Data-Age"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["GetAuditStatsResponse"];
                };
            };
        };
    };
    exportAudit: {
        parameters: {
            query?: {
                /** @description `jsonl` or `csv`. Default `jsonl`. */
                format?: components["schemas"]["ExportFormat"];
                /** @description Only this session's entries. */
                session_id?: string;
                /** @description Only this agent's entries. */
                agent_id?: string;
                /** @description Only entries of this tool. */
                tool?: string;
                /** @description Only entries at this time or later, in Unix seconds. */
                since?: number | string;
                /** @description Only entries before this time, in Unix seconds. */
                until?: number | string;
                /** @description true: only flagged entries; false: only others. */
                flagged?: "true" | "false";
                /** @description Of JSONL, whether its last line is the manifest: false leaves it out, for programs that read every line as an entry. Default: true. */
                manifest?: "true" | "false";
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Export audit log */
            200: {
                headers: {
                    /** @description How old the data is at most, in seconds, where a replica of the database has answered; absent where the database itself has. */
                    "Haldir-Data-Age"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/x-ndjson": string;
                    "text/csv": string;
                    "text/plain": string;
                };
            };
        };
    };
    getExportManifest: {
        parameters: {
            query?: {
                /** @description Only this session's entries. */
                session_id?: string;
                /** @description Only this agent's entries. */
                agent_id?: string;
                /** @description Only entries of this tool. */
                tool?: string;
                /** @description Only entries at this time or later, in Unix seconds. */
                since?: number | string;
                /** @description Only entries before this time, in Unix seconds. */
                until?: number | string;
                /** @description true: only flagged entries; false: only others. */
                flagged?: "true" | "false";
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description What stands for an export: whoever has both can tell whether the export is whole. */
            200: {
                headers: {
                    /** @description How old the data is at most, in seconds, where a replica of the database has answered; absent where the database itself has. */
                    "Haldir-Data-Age"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["GetExportManifestResponse"];
                };
            };
        };
    };
    getAuditRetention: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description How long details are kept. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["GetAuditRetentionResponse"];
                };
            };
        };
    };
    setAuditRetention: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["SetAuditRetentionRequest"];
            };
        };
        responses: {
            /** @description How long details are kept. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SetAuditRetentionResponse"];
                };
            };
        };
    };
    pruneAuditDetails: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["PruneAuditDetailsRequest"];
            };
        };
        responses: {
            /** @description What was erased. No entry is ever deleted: only details are. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PruneAuditDetailsResponse"];
                };
            };
        };
    };
    listRetentionCheckpoints: {
        parameters: {
            query?: {
                /** @description How many at most. Default 100. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Runs that erased details. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ListRetentionCheckpointsResponse"];
                };
            };
        };
    };
    eraseAgent: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The agent's name, as its sessions have it. */
                agent_id: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["EraseAgentRequest"];
            };
        };
        responses: {
            /** @description What was erased, or with `dry_run` what there is. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["EraseAgentResponse"];
                };
            };
        };
    };
    eraseSession: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The session. */
                session_id: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["EraseSessionRequest"];
            };
        };
        responses: {
            /** @description What was erased, or with `dry_run` what there is. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["EraseSessionResponse"];
                };
            };
        };
    };
    listErasures: {
        parameters: {
            query?: {
                /** @description How many at most. Default 100. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Erasures. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ListErasuresResponse"];
                };
            };
        };
    };
    listUpstreams: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The upstreams. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ListUpstreamsResponse"];
                };
            };
        };
    };
    registerUpstream: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["RegisterUpstreamRequest"];
            };
        };
        responses: {
            /** @description What was registered, and what it answered. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RegisterUpstreamResponse"];
                };
            };
        };
    };
    deleteUpstream: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Its name. */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The upstream that was deleted. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DeleteUpstreamResponse"];
                };
            };
        };
    };
    acceptTools: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The upstream. */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["AcceptToolsRequest"];
            };
        };
        responses: {
            /** @description What was accepted. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AcceptToolsResponse"];
                };
            };
        };
    };
    markTool: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The upstream. */
                name: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["MarkToolRequest"];
            };
        };
        responses: {
            /** @description The tool with its new labels. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["MarkToolResponse"];
                };
            };
        };
    };
    listProxyTools: {
        parameters: {
            query?: {
                /** @description Only those of this upstream. */
                upstream?: string;
                /** @description Only those in this state. */
                state?: components["schemas"]["ToolState"];
                /** @description Only those that policies let be called, and the session if one is named; without those that must be called as a task (execution.taskSupport is required), which only works at /mcp/{upstream}. Default: true for agents, false for operators. */
                callable?: "true" | "false";
                /** @description Only those that this session may call. */
                session_id?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The tools. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ListProxyToolsResponse"];
                };
            };
        };
    };
    proxyCall: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ProxyCallRequest"];
            };
        };
        responses: {
            /** @description What the tool answered, as MCP has it. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProxyCallResponse"];
                };
            };
        };
    };
    listProxyPolicies: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The policies. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ListProxyPoliciesResponse"];
                };
            };
        };
    };
    addProxyPolicy: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["AddProxyPolicyRequest"];
            };
        };
        responses: {
            /** @description The policy that was added. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AddProxyPolicyResponse"];
                };
            };
        };
    };
    testProxyPolicy: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["TestProxyPolicyRequest"];
            };
        };
        responses: {
            /** @description What the policy would have done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TestProxyPolicyResponse"];
                };
            };
        };
    };
    deleteProxyPolicy: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The policy. */
                policy_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The policy that was deleted. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DeleteProxyPolicyResponse"];
                };
            };
        };
    };
    getUsage: {
        parameters: {
            query?: {
                /** @description The month in UTC, as YYYY-MM. Default: this one. */
                month?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The usage of a month. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["GetUsageResponse"];
                };
            };
        };
    };
    getMetrics: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The figures. Amounts are in USD. */
            200: {
                headers: {
                    /** @description How old the data is at most, in seconds, where a replica of the database has answered; absent where the database itself has. */
                    "Haldir-Data-Age"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["GetMetricsResponse"];
                };
            };
        };
    };
    getOverview: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The overview. Amounts are in USD; times named `_at` are ISO 8601 here, others Unix seconds. */
            200: {
                headers: {
                    /** @description How old the data is at most, in seconds, where a replica of the database has answered; absent where the database itself has. */
                    "Haldir-Data-Age"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["GetOverviewResponse"];
                };
            };
        };
    };
    listApiKeys: {
        parameters: {
            query?: {
                /** @description How many at most. Default 1000. */
                limit?: number;
                /** @description The `next_cursor` of the page before. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The keys. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ListApiKeysResponse"];
                };
            };
        };
    };
    createApiKey: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["CreateApiKeyRequest"];
            };
        };
        responses: {
            /** @description The new key. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CreateApiKeyResponse"];
                };
            };
        };
    };
    rotateApiKey: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The old key's first twelve characters. */
                prefix: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["RotateApiKeyRequest"];
            };
        };
        responses: {
            /** @description The new key. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RotateApiKeyResponse"];
                };
            };
        };
    };
    setApiKeyTier: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The key's first twelve characters. */
                prefix: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["SetApiKeyTierRequest"];
            };
        };
        responses: {
            /** @description What was changed. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SetApiKeyTierResponse"];
                };
            };
        };
    };
    revokeApiKey: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The key's first twelve characters. */
                prefix: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description What was revoked. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RevokeApiKeyResponse"];
                };
            };
        };
    };
    listTenants: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["ListTenantsRequest"];
            };
        };
        responses: {
            /** @description Tenants. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ListTenantsResponse"];
                };
            };
        };
    };
    nameTenant: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The tenant. */
                tenant_id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NameTenantRequest"];
            };
        };
        responses: {
            /** @description The tenant has its name. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["NameTenantResponse"];
                };
            };
        };
    };
    listWebhooks: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The webhooks. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ListWebhooksResponse"];
                };
            };
        };
    };
    registerWebhook: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["RegisterWebhookRequest"];
            };
        };
        responses: {
            /** @description What was registered. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RegisterWebhookResponse"];
                };
            };
        };
    };
    listDeliveries: {
        parameters: {
            query?: {
                /** @description Only attempts of this event. */
                event_id?: string;
                /** @description Only attempts before this one, by its `delivery_id`. */
                before?: string;
                /** @description How many, at most 1000. Default: 100. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The attempts. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ListDeliveriesResponse"];
                };
            };
        };
    };
    listDeadLetters: {
        parameters: {
            query?: {
                /** @description Only those of this webhook. */
                webhook_id?: number;
                /** @description How many, at most 1000. Default: 100. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The dead letters. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ListDeadLettersResponse"];
                };
            };
        };
    };
    deleteWebhook: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Its number. */
                webhook_id: number;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description What was deleted. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DeleteWebhookResponse"];
                };
            };
        };
    };
    rotateWebhookSecret: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Its number. */
                webhook_id: number;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["RotateWebhookSecretRequest"];
            };
        };
        responses: {
            /** @description The new secret. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RotateWebhookSecretResponse"];
                };
            };
        };
    };
    pingWebhook: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Its number. */
                webhook_id: number;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["PingWebhookRequest"];
            };
        };
        responses: {
            /** @description What was queued. */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PingWebhookResponse"];
                };
            };
        };
    };
    resendDeadLetters: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The webhook's number. */
                webhook_id: number;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["ResendDeadLettersRequest"];
            };
        };
        responses: {
            /** @description What was queued. */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ResendDeadLettersResponse"];
                };
            };
        };
    };
    getEvidence: {
        parameters: {
            query?: {
                /** @description Where the period begins, cut to whole seconds. Default: 90 days before its end. */
                since?: number | string;
                /** @description Where it ends, cut to whole seconds; not included. Default: now. */
                until?: number | string;
                /** @description `json`, `markdown` (or `md`), or `html`: one self-contained page. Default `json`. */
                format?: components["schemas"]["PackFormat"];
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Evidence about one period. Times are ISO 8601 in UTC; amounts are decimal text, in USD. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["GetEvidenceResponse"];
                    "text/markdown": string;
                    "text/html": string;
                };
            };
        };
    };
    getEvidenceManifest: {
        parameters: {
            query?: {
                /** @description Where the period begins, cut to whole seconds. Default: 90 days before its end. */
                since?: number | string;
                /** @description Where it ends, cut to whole seconds; not included. Default: now. */
                until?: number | string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A pack's digest and signature. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["GetEvidenceManifestResponse"];
                };
            };
        };
    };
    getComplianceScore: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The score. */
            200: {
                headers: {
                    /** @description How old the data is at most, in seconds, where a replica of the database has answered; absent where the database itself has. */
                    "Haldir-Data-Age"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["GetComplianceScoreResponse"];
                };
            };
        };
    };
    listComplianceSchedules: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The schedules. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ListComplianceSchedulesResponse"];
                };
            };
        };
    };
    createComplianceSchedule: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CreateComplianceScheduleRequest"];
            };
        };
        responses: {
            /** @description A schedule. Times are Unix seconds. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CreateComplianceScheduleResponse"];
                };
            };
        };
    };
    deleteComplianceSchedule: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Its id. */
                schedule_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The empty response. */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    healthCheck: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Whether the process runs */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["HealthCheckResponse"];
                };
            };
        };
    };
    livenessCheck: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Whether the process runs, and nothing else */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["LivenessCheckResponse"];
                };
            };
        };
    };
    readinessCheck: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Whether the store answers, and each thing that haldir needs */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ReadinessCheckResponse"];
                };
            };
        };
    };
    apiIndex: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description What there is */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ApiIndexResponse"];
                };
            };
        };
    };
    getStatus: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description How this process is doing, without a figure of any tenant */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["GetStatusResponse"];
                };
            };
        };
    };
}
