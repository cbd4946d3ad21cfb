//! Anomaly rules: each looks at a few counters of the agent and answers with a reason that a person understands.

use crate::{
    call::AnomalyThresholds,
    model::{Money, Session, UnixMicros},
    store::AgentStats,
    watch::append::{Draft, Event},
};

/// Counts `draft` into `stats` and answers every reason why it is an anomaly.
pub fn judge(
    thresholds: &AnomalyThresholds,
    stats: &mut AgentStats,
    draft: &Draft<'_>,
    session: &Session,
    tool_uses: i64,
    now: UnixMicros,
) -> Vec<String> {
    let mut reasons = Vec::new();
    match draft.event {
        Event::Action => {
            burst(thresholds, stats, now, &mut reasons);
            cost(thresholds, stats, draft.cost, &mut reasons);
            over_budget(session, draft.cost, &mut reasons);
            new_tool(thresholds, stats, draft.tool, tool_uses, &mut reasons);
            stats.actions += 1;
            stats.cost = stats.cost.saturating_add(draft.cost);
        }
        // What it costs, it costs the budget; how many there are is counted together with what agents log.
        Event::Call => burst(thresholds, stats, now, &mut reasons),
        Event::Refusal => {
            let AgentStats { refusal_start, refusal_count, .. } = stats;
            let count = window(refusal_start, refusal_count, thresholds.refusal_seconds, now);
            if count >= thresholds.refusals {
                reasons.push(format!(
                    "repeated refusals: {count} within {} s (threshold {})",
                    thresholds.refusal_seconds, thresholds.refusals
                ));
            }
        }
        Event::SecretRead => {
            let AgentStats { secret_start, secret_count, .. } = stats;
            let count = window(secret_start, secret_count, thresholds.secret_read_seconds, now);
            if count > thresholds.secret_reads {
                reasons.push(format!(
                    "burst of secret reads: {count} within {} s (threshold {})",
                    thresholds.secret_read_seconds, thresholds.secret_reads
                ));
            }
        }
        Event::Governance => {}
    }
    reasons
}

/// Counts one more into a window that starts with its first event; answers the count.
fn window(start: &mut UnixMicros, count: &mut i64, seconds: i64, now: UnixMicros) -> i64 {
    if now.seconds_since(*start) >= seconds {
        *start = now;
        *count = 0;
    }
    *count += 1;
    *count
}

fn burst(thresholds: &AnomalyThresholds, stats: &mut AgentStats, now: UnixMicros, reasons: &mut Vec<String>) {
    let AgentStats { burst_start, burst_count, .. } = stats;
    let count = window(burst_start, burst_count, thresholds.burst_seconds, now);
    // The action that makes it a burst is flagged, and again each time as many more have followed: thousands of
    // flags about one burst would hide every other.
    if count > thresholds.burst_actions && (count - 1) % thresholds.burst_actions.max(1) == 0 {
        reasons.push(format!(
            "burst of actions: {count} within {} s (threshold {})",
            thresholds.burst_seconds, thresholds.burst_actions
        ));
    }
}

fn cost(thresholds: &AnomalyThresholds, stats: &AgentStats, cost: Money, reasons: &mut Vec<String>) {
    if cost > thresholds.cost_usd {
        reasons.push(format!("high cost: {cost} USD in one action (threshold {} USD)", thresholds.cost_usd));
    }
    if stats.actions >= thresholds.cost_min_history && cost >= thresholds.cost_min_usd {
        let mean = Money::from_nanos(stats.cost.nanos() / stats.actions.max(1));
        if cost.nanos() > mean.nanos().saturating_mul(thresholds.cost_times_mean) {
            reasons.push(format!(
                "unusual cost: {cost} USD, more than {} times this agent's mean of {mean} USD",
                thresholds.cost_times_mean
            ));
        }
    }
}

fn over_budget(session: &Session, cost: Money, reasons: &mut Vec<String>) {
    let total = session.logged_cost.saturating_add(cost);
    if let Some(limit) = session.spend_limit.filter(|limit| total > *limit && cost > Money::ZERO) {
        reasons.push(format!("over budget: {total} USD logged in a session with a budget of {limit} USD"));
    }
}

fn new_tool(thresholds: &AnomalyThresholds, stats: &AgentStats, tool: &str, tool_uses: i64, reasons: &mut Vec<String>) {
    if tool_uses == 1 && stats.actions >= thresholds.new_tool_min_history {
        reasons.push(format!("new tool: first use of \"{tool}\" after {} actions without it", stats.actions));
    }
}
