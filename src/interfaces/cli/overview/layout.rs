//! The overview, laid out: a header, a line for each figure, budgets, and what agents did last.

use super::super::output::{
    amounts::{bar, count, dollars, percent, share, share_of},
    paragraph_lines, state_style,
    styled::{Line, Style, cut},
};
use crate::{
    interfaces::responses::{LogEntry, OpenSession, Overview, Usage},
    model::UnixMicros,
};

/// The column at which figures begin.
const VALUES: usize = 11;
/// The widest page.
const WIDEST: usize = 120;
/// The newest entries of agents that are shown.
const MAX_ENTRIES: usize = 10;
/// The sessions whose budgets are shown: those that have used most of theirs.
const MAX_BUDGETS: usize = 5;
/// Columns of an agent's name, and of an amount.
const NAME: usize = 20;
const AMOUNT: usize = 22;

/// The page, for so many columns.
pub fn page(overview: &Overview, columns: usize) -> Vec<Line> {
    let width = columns.min(WIDEST);
    let mut lines = vec![
        Line::of(Style::Strong, "Haldir tenant overview"),
        Line::of(Style::Faint, &format!("{} · tier {} · {}", overview.tenant_id, overview.tier, overview.generated_at)),
        Line::default(),
    ];
    lines.extend(health(overview, width));
    lines.extend(figures(overview));
    lines.extend(budgets(&overview.sessions.open));
    lines.extend(newest(overview, width));
    lines.into_iter().map(|line| line.within(width)).collect()
}

fn label(name: &str) -> Line {
    Line::of(Style::Strong, name).to(VALUES)
}

/// The figures of a line, with dots between them.
fn dotted(line: Line, figures: &[(Style, String)]) -> Line {
    figures.iter().enumerate().fold(line, |line, (place, (style, text))| {
        let line = if place > 0 { line.and(Style::Faint, " · ") } else { line };
        line.and(*style, text)
    })
}

/// The state of the whole, and of each part that is not as it should be.
fn health(overview: &Overview, width: usize) -> Vec<Line> {
    let health = &overview.health;
    let mut lines = vec![label("Status").and(state_style(&health.status), &format!("● {}", health.status))];
    let parts = health.components.iter().filter(|part| !matches!(part.state.as_str(), "ok" | "off"));
    for part in parts {
        let text = format!("{}: {}", part.name, part.message);
        let broken = paragraph_lines(&text, width.saturating_sub(VALUES + 2));
        for (place, text) in broken.iter().enumerate() {
            let pill = if place == 0 { "● " } else { "  " };
            lines.push(Line::default().to(VALUES).and(state_style(&part.state), pill).and(Style::Plain, text));
        }
    }
    lines
}

fn figures(overview: &Overview) -> Vec<Line> {
    let Overview { usage, sessions, vault, audit, webhooks, approvals, .. } = overview;
    let plain = |text: String| (Style::Plain, text);
    let agents = match sessions.agents_limit() {
        None => plural(sessions.agents_active, "agent", "agents"),
        Some(limit) => format!("{}/{} agents", count(sessions.agents_active), count(limit)),
    };
    let flagged = if audit.flagged_7d > 0 { Style::Warn } else { Style::Plain };
    let chain = if audit.chain_verified { (Style::Good, "chain ✓") } else { (Style::Bad, "chain ✗ altered") };
    let rate = webhooks.delivery_success_rate_24h;
    let success = if rate < 1.0 { Style::Warn } else { Style::Plain };
    let waiting = if approvals.pending_count > 0 { Style::Warn } else { Style::Plain };
    let mut webhook_figures = vec![plain(format!("{} registered", count(webhooks.registered_count)))];
    if webhooks.registered_count > 0 || webhooks.deliveries_24h > 0 {
        let deliveries = plural(webhooks.deliveries_24h, "delivery", "deliveries");
        webhook_figures.push(plain(format!("{deliveries} (24h)")));
    }
    if webhooks.deliveries_24h > 0 {
        webhook_figures.push((success, format!("{:.2}% success", (rate * 10_000.0).floor() / 100.0)));
    }
    let mut lines = vec![
        actions(usage),
        label("Spend").and(Style::Plain, &format!("{} this month", dollars(usage.spend_usd_this_month))),
        dotted(label("Sessions"), &[plain(format!("{} active", count(sessions.active_count))), plain(agents)]),
        dotted(
            label("Vault"),
            &[
                plain(plural(vault.secrets_count, "secret", "secrets")),
                plain(format!("{} this month", plural(vault.secret_access_count, "access", "accesses"))),
            ],
        ),
        dotted(
            label("Audit"),
            &[
                plain(plural(audit.total_entries, "entry", "entries")),
                (flagged, format!("{} flagged (7d)", count(audit.flagged_7d))),
                (chain.0, chain.1.to_owned()),
            ],
        ),
        dotted(label("Webhooks"), &webhook_figures),
        label("Approvals").and(waiting, &format!("{} pending", count(approvals.pending_count))),
    ];
    lines.extend(evidence(overview));
    lines
}

/// Calls of this month, with the share of the limit if there is one, and the actions that agents have logged.
fn actions(usage: &Usage) -> Line {
    let logged = usage.logged_actions_this_month.map(|logged| format!(" · {} logged", count(logged)));
    let logged = logged.unwrap_or_default();
    let Some(limit) = usage.limit() else {
        let calls = plural(usage.calls(), "call", "calls");
        return label("Actions").and(Style::Plain, &format!("{calls} this month{logged}"));
    };
    let used = share(usage.calls(), limit);
    let (style, bar) = bar(used);
    label("Actions")
        .and(Style::Plain, &format!("{} / {}  ", count(usage.calls()), count(limit)))
        .and(style, &bar)
        .and(Style::Plain, &format!(" {}{logged}", percent(used)))
}

/// Evidence that is made on a schedule, if any is.
fn evidence(overview: &Overview) -> Option<Line> {
    let compliance = &overview.compliance;
    if compliance.schedules_count == 0 {
        return None;
    }
    let mut figures = vec![(Style::Plain, plural(compliance.schedules_count, "schedule", "schedules"))];
    if let Some(next) = &compliance.next_due_at {
        figures.push((Style::Plain, format!("next {next}")));
    }
    if compliance.last_run_status == "failed" {
        figures.push((Style::Bad, "the last run failed".to_owned()));
    }
    Some(dotted(label("Evidence"), &figures))
}

fn plural(number: i64, one: &str, more: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { more })
}

/// The sessions with a budget, those first that have used most of it.
fn budgets(sessions: &[OpenSession]) -> Vec<Line> {
    let limited = |session: &OpenSession| {
        let limit = session.spend_limit?;
        Some((share_of(session.spent, limit), session.agent_id.clone(), session.spent, limit))
    };
    let mut budgets: Vec<_> = sessions.iter().filter_map(limited).collect();
    if budgets.is_empty() {
        return Vec::new();
    }
    budgets.sort_by(|left, right| right.0.total_cmp(&left.0).then_with(|| left.1.cmp(&right.1)));
    let more = budgets.len().saturating_sub(MAX_BUDGETS);
    let mut lines = vec![Line::default(), Line::of(Style::Strong, "Budgets of sessions")];
    for (used, agent, spent, limit) in budgets.into_iter().take(MAX_BUDGETS) {
        let (style, bar) = bar(used);
        let amount = format!("{} / {}", dollars(spent), dollars(limit));
        let line = Line::plain("").cell(Style::Plain, &agent, NAME).to(NAME + 2).cell(Style::Plain, &amount, AMOUNT);
        lines.push(line.and(Style::Plain, "  ").and(style, &bar).and(Style::Plain, &format!(" {}", percent(used))));
    }
    if more > 0 {
        lines.push(Line::of(Style::Faint, &format!("and {more} more: haldir sessions list")));
    }
    lines
}

/// What agents did last.
fn newest(overview: &Overview, width: usize) -> Vec<Line> {
    let entries: Vec<_> =
        overview.audit.recent.iter().filter(|entry| !entry.agent_id.is_empty()).take(MAX_ENTRIES).collect();
    if entries.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![Line::default(), Line::of(Style::Strong, "Newest").and(Style::Faint, "  (UTC)")];
    lines.extend(entries.into_iter().map(|entry| row(entry, &overview.generated_at, width)));
    lines
}

fn row(entry: &LogEntry, now: &str, width: usize) -> Line {
    let rest = width.saturating_sub(VALUES + NAME + 2);
    let what = [entry.tool.as_str(), entry.action.as_str()];
    let what: Vec<_> = what.into_iter().filter(|text| !text.is_empty()).collect();
    let style = if entry.flagged { Style::Warn } else { Style::Plain };
    let line =
        Line::of(Style::Faint, &short_time(entry.timestamp, now)).to(VALUES).cell(Style::Plain, &entry.agent_id, NAME);
    line.and(Style::Plain, "  ").and(style, &cut(&what.join(" "), rest))
}

/// The time of a day; of another day than today its date.
fn short_time(at: UnixMicros, now: &str) -> String {
    let time = at.to_rfc3339();
    let is_today = time.get(..10).is_some() && time.get(..10) == now.get(..10);
    let part = if is_today { time.get(11..19) } else { time.get(..10) };
    part.unwrap_or(&time).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(text: &str) -> String {
        actions(&serde_json::from_str(text).unwrap()).written(false)
    }

    #[test]
    fn a_bar_stands_where_there_is_a_limit_and_nowhere_else() {
        let here = r#"{"actions_this_month": 17, "calls_this_month": 17, "logged_actions_this_month": 4,
            "actions_limit": 999999999, "has_actions_limit": false, "spend_usd_this_month": 0}"#;
        assert_eq!(usage(here), "Actions    17 calls this month · 4 logged");
        let limited = here.replace("999999999", "50").replace("false", "true");
        assert_eq!(usage(&limited), "Actions    17 / 50  ██████░░░░░░░░░░░░░░ 34.0% · 4 logged");
        // Servers that do not say whether there is a limit.
        for (number, shown) in
            [("999999999", "1 call this month"), ("0", "1 call this month"), ("4", "1 / 4  █████░░░░░░░░░░░░░░░ 25.0%")]
        {
            let text = format!(r#"{{"actions_this_month": 1, "actions_limit": {number}, "spend_usd_this_month": 0}}"#);
            assert_eq!(usage(&text), format!("Actions    {shown}"));
        }
    }
}
