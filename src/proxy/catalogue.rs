//! Compares the tools that upstreams offer with their pinned definitions. A changed tool is in quarantine until an operator
//! accepts the new definition.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::suspicion;
use crate::{
    call::WriteContext,
    crypto,
    error::{Code, Error, Result},
    model::{PinnedTool, TenantId, ToolMarks, UpstreamName, text},
    store::ReadTx,
    watch::{self, Draft},
};

/// Tools of an upstream.
pub const MAX_TOOLS: usize = 1_000;
/// Pins of an upstream, including those of tools that it no longer offers.
pub const MAX_PINS: usize = 2 * MAX_TOOLS;
/// The largest definition of a tool, in bytes.
const MAX_DEFINITION_BYTES: usize = 65_536;
/// The part of a larger one that is kept, in bytes.
const MAX_SHOWN_BYTES: usize = 4_096;
/// The most names that are read from one definition.
const MAX_NAMES: usize = 16;
/// The longest name of a tool.
const MAX_NAME_CHARS: usize = 128;

/// The members that older pins cover; today a pin covers every member.
const PINNED_BEFORE: &[&str] = &["name", "title", "description", "inputSchema", "outputSchema", "annotations"];

/// The name of an offered tool.
#[derive(Deserialize)]
struct Named {
    name: String,
}

/// A tool as it is offered.
struct Offer {
    definition: String,
    /// `None` if it cannot be read: then it never matches a pin.
    digest: Option<[u8; 32]>,
    /// Why it cannot be read.
    problem: Option<&'static str>,
}

impl Offer {
    /// An unreadable definition, cut to what an operator is shown.
    fn unreadable(definition: &str, problem: &'static str) -> Self {
        let mut end = definition.len();
        if end > MAX_DEFINITION_BYTES {
            end = MAX_SHOWN_BYTES;
        }
        while !definition.is_char_boundary(end) {
            end -= 1;
        }
        Self { definition: definition[..end].to_owned(), digest: None, problem: Some(problem) }
    }
}

/// The result of a listing.
#[derive(Debug, Default)]
pub struct Observed {
    /// The names of all tools that may be called, in order.
    pub names: Vec<String>,
    /// How many are in quarantine.
    pub quarantined: usize,
}

/// The client that a list of tools is for. Servers offer more to clients with more capabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// All clients: a tool that is not in the list is no longer offered.
    Everyone,
    /// One client over its own connection: a changed tool is in quarantine for all, but a missing one may still be offered to
    /// others, and a new one is not.
    One,
}

/// Takes in a list of tools, each as the upstream wrote it.
pub fn observe(
    cx: &mut WriteContext<'_>,
    upstream: &UpstreamName,
    listing: &[Box<RawValue>],
    audience: Audience,
) -> Result<Observed> {
    let tenant = cx.caller.tenant.clone();
    let mut offers: BTreeMap<String, Vec<Offer>> = BTreeMap::new();
    let mut left_out = LeftOut::default();
    let mut unreadable = Vec::new();
    for tool in listing {
        // What cannot be read as a tool cannot be called as one.
        match read(tool) {
            Ok((name, offer)) => offers.entry(name).or_default().push(offer),
            Err(problem) => {
                left_out.count(tool, problem);
                unreadable.push((tool, problem));
            }
        }
    }
    let known = cx.tx.tools_of(&tenant, upstream, "", MAX_PINS)?;
    for (tool, problem) in unreadable {
        for name in names(tool.get()) {
            // Other readers may accept it and call the tool: so it counts as a changed definition of the known tool.
            if offers.contains_key(&name) || known.iter().any(|known| known.name == name) {
                offers.entry(name).or_default().push(Offer::unreadable(tool.get(), problem));
            }
        }
    }
    let pins = known.len();
    let mut observed = Observed::default();
    let mut look_alikes = suspicion::LookAlikes::default();
    for tool in known {
        look_alikes.take(&tool.name);
        let offered = offers.remove(&tool.name);
        let now = compared(cx, &tool, offered, audience)?;
        observed.take(&now);
    }
    // Pins are never evicted: otherwise a server could drop them by renaming its tools again and again.
    let room = MAX_PINS.saturating_sub(pins);
    if offers.len() > room {
        tracing::warn!(%upstream, "tools are left out: an upstream has at most {MAX_PINS}, those of before included");
    }
    left_out.tell(upstream);
    for (name, offered) in offers.into_iter().take(room) {
        let looks_like = look_alikes.take(&name);
        let tool = first_seen(cx, upstream, (name, looks_like), offered, audience)?;
        observed.take(&tool);
    }
    observed.names.sort();
    Ok(observed)
}

/// Tools of a listing that cannot be pinned, for the operator's log.
#[derive(Default)]
struct LeftOut {
    count: usize,
    first: Option<(String, &'static str)>,
}

impl LeftOut {
    fn count(&mut self, tool: &RawValue, problem: &'static str) {
        self.count += 1;
        self.first.get_or_insert_with(|| {
            let named = serde_json::from_str::<Named>(tool.get());
            // The start of a name that is too long identifies the tool.
            (named.map(|named| named.name.chars().take(MAX_NAME_CHARS).collect()).unwrap_or_default(), problem)
        });
    }

    /// One line for all of them, so that an upstream cannot fill the log.
    fn tell(self, upstream: &UpstreamName) {
        if let Some((tool, problem)) = self.first {
            tracing::warn!(%upstream, left_out = self.count, tool, problem, "tools of an upstream are not listed");
        }
    }
}

impl Observed {
    fn take(&mut self, tool: &PinnedTool) {
        if tool.is_callable() {
            self.names.push(tool.name.clone());
        } else if tool.listed {
            self.quarantined += 1;
        }
    }
}

/// Whether a tool matches its pin, or has none yet; not if it cannot be read.
pub fn is_as_accepted(tx: &ReadTx, tenant: &TenantId, upstream: &UpstreamName, tool: &RawValue) -> Result<bool> {
    let Ok((name, offer)) = read(tool) else { return Ok(false) };
    let known = tx.pinned_tool(tenant, upstream, &name)?;
    Ok(known.is_none_or(|known| known.offered.is_none() && is_pinned(&known, &offer)))
}

/// Whether the offer matches the pin. The digest of an older pin covers some members only; its definition has all.
fn is_pinned(known: &PinnedTool, offer: &Offer) -> bool {
    let Some(offered) = offer.digest else { return false };
    known.digest == offered
        || digest_before(&known.definition).is_ok_and(|before| before == known.digest)
            && digest(&known.definition).is_ok_and(|now| now == offered)
}

/// Whether a tool of this name is known. For an unreadable one: whether each name that it can be read to have is unknown or in
/// quarantine already.
pub fn is_known(tx: &ReadTx, tenant: &TenantId, upstream: &UpstreamName, tool: &RawValue) -> Result<bool> {
    if let Ok((name, _)) = read(tool) {
        return Ok(tx.pinned_tool(tenant, upstream, &name)?.is_some());
    }
    for name in names(tool.get()) {
        if tx.pinned_tool(tenant, upstream, &name)?.is_some_and(|known| known.is_callable()) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Every name that a lenient reader can find in a definition: members called `name` in any case, however often, whatever else is
/// wrong with the definition.
fn names(definition: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let (mut depth, mut at) = (0_usize, 0);
    let mut member: Option<String> = None;
    let bytes = definition.as_bytes();
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' if depth == 1 => member = None,
            b'"' => {
                let start = at;
                at += 1;
                while bytes.get(at).is_some_and(|byte| *byte != b'"') {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                let text = definition.get(start..=at).and_then(|text| serde_json::from_str::<String>(text).ok());
                let rest = bytes.get(at + 1..).unwrap_or_default();
                let is_member = || rest.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b':');
                match (text, &member) {
                    (Some(text), None) if depth == 1 && is_member() => member = Some(text),
                    (Some(text), Some(member)) if depth == 1 && member.to_lowercase() == "name" => {
                        found.insert(text);
                    }
                    _ => {}
                }
            }
            _ => {}
        }
        if found.len() >= MAX_NAMES {
            break;
        }
        at += 1;
    }
    found
}

/// A tool with its name, or what is wrong with it.
fn read(tool: &RawValue) -> std::result::Result<(String, Offer), &'static str> {
    let definition = tool.get();
    if definition.len() > MAX_DEFINITION_BYTES {
        return Err("its definition has more than 65,536 bytes");
    }
    let Named { name } = serde_json::from_str(definition).map_err(|_| "it is no object with a name")?;
    if text::problem(&name, 1, MAX_NAME_CHARS, false).is_some() {
        return Err("its name is empty, longer than 128 characters, or has characters that cannot be seen");
    }
    // Some readers ignore the case of member names, and would show other values than the rest.
    let members: BTreeMap<String, &RawValue> =
        serde_json::from_str(definition).map_err(|_| "its definition is no object")?;
    let folded: BTreeSet<String> = members.keys().map(|name| text::folded(name)).collect();
    if folded.len() < members.len() {
        return Err("two members of its definition differ in the case of their names only");
    }
    let digest = digest(definition).map_err(|_| "its definition cannot be brought into the form that is pinned")?;
    Ok((name, Offer { definition: definition.to_owned(), digest: Some(digest), problem: None }))
}

/// BLAKE3 of a whole definition, with icons, metadata and members that MCP does not know yet, in a form that does not depend on
/// white space and order.
fn digest(definition: &str) -> Result<[u8; 32]> {
    let canonical = haldir_verify::json::canonical(definition, "definition")?;
    Ok(crypto::digest(&[b"haldir 2026-11-29 pin of a whole tool", canonical.as_bytes()]))
}

fn digest_before(definition: &str) -> Result<[u8; 32]> {
    let canonical = haldir_verify::json::canonical(definition, "definition")?;
    let members: BTreeMap<String, &RawValue> = serde_json::from_str(&canonical).map_err(Error::internal)?;
    let told: BTreeMap<_, _> = members.iter().filter(|(name, _)| PINNED_BEFORE.contains(&name.as_str())).collect();
    Ok(crypto::digest(&[&serde_json::to_vec(&told).map_err(Error::internal)?]))
}

/// Compares a known tool with what is offered now.
fn compared(
    cx: &mut WriteContext<'_>,
    tool: &PinnedTool,
    offered: Option<Vec<Offer>>,
    audience: Audience,
) -> Result<PinnedTool> {
    let is_offered = offered.is_some();
    let listed = if audience == Audience::Everyone { is_offered } else { tool.listed };
    let mut now = PinnedTool { listed, ..tool.clone() };
    // Offered twice under one name: one different definition is enough.
    let other = offered.into_iter().flatten().find(|offer| !is_pinned(tool, offer));
    let problem = other.as_ref().and_then(|offer| offer.problem);
    if is_offered {
        now.offered = other.map(|offer| offer.definition);
    }
    let is_new_change = now.offered.is_some() && now.offered != tool.offered;
    if is_new_change {
        now.changed_at = Some(cx.now);
    }
    if now.offered != tool.offered || now.listed != tool.listed {
        cx.tx.put_tool(&cx.caller.tenant, &now)?;
    }
    if is_new_change {
        let details = json!({
            "tool": now.qualified(), "accepted": raw(&now.definition), "offered": now.offered.as_deref().map(raw),
            "problem": problem,
        });
        let why = problem.map(|problem| format!(": {problem}")).unwrap_or_default();
        let alert = format!("the tool {} is not as it was accepted, and is in quarantine{why}", now.qualified());
        alert_entry(cx, "upstream.tool_changed", &now.qualified(), alert, &details)?;
    }
    Ok(now)
}

fn first_seen(
    cx: &mut WriteContext<'_>,
    upstream: &UpstreamName,
    (name, looks_like): (String, Option<String>),
    offered: Vec<Offer>,
    audience: Audience,
) -> Result<PinnedTool> {
    let mut offered = offered.into_iter();
    // Unreadable definitions come after readable ones.
    let Some(Offer { definition, digest: Some(digest), .. }) = offered.next() else {
        return Err(Error::internal("nothing is offered"));
    };
    let tool = PinnedTool {
        upstream: upstream.clone(),
        name,
        warnings: suspicion::warnings(&definition).into_iter().chain(looks_like).collect(),
        definition,
        digest,
        // Offered twice under one name: it is open which of the two a call would reach.
        offered: offered.find(|other| other.digest != Some(digest)).map(|other| other.definition),
        listed: audience == Audience::Everyone,
        marks: ToolMarks::default(),
        first_seen: cx.now,
        changed_at: None,
        accepted_by: String::new(),
    };
    cx.tx.put_tool(&cx.caller.tenant, &tool)?;
    if !tool.warnings.is_empty() {
        let alert = format!("the definition of {} is suspicious: {}", tool.qualified(), tool.warnings.join("; "));
        alert_entry(cx, "upstream.tool_suspicious", &tool.qualified(), alert, &json!({"warnings": tool.warnings}))?;
    }
    Ok(tool)
}

fn alert_entry(cx: &mut WriteContext<'_>, action: &str, tool: &str, alert: String, details: &Value) -> Result<()> {
    let draft = Draft::governance(action, None, details)?;
    watch::append(cx, Draft { tool, alert, ..draft })?;
    Ok(())
}

/// JSON text as JSON.
pub(super) fn raw(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_default()
}

/// Accepts a tool as it is offered now.
pub(super) fn accept(tool: PinnedTool, by: &str) -> Result<PinnedTool> {
    let Some(offered) = tool.offered else { return Ok(tool) };
    let unreadable = |problem| {
        let message = format!(
            "what the upstream offers as {}.{} cannot be accepted: {problem}. It has to offer a definition that can be read \
             in one way",
            tool.upstream, tool.name
        );
        Err(Error::new(Code::Conflict, message).field("tool"))
    };
    let text = RawValue::from_string(offered.clone());
    if let Err(problem) = text.as_deref().map_err(|_| "it is larger than 65,536 bytes").and_then(read) {
        return unreadable(problem);
    }
    Ok(PinnedTool {
        digest: digest(&offered)?,
        warnings: suspicion::warnings_after(&tool.warnings, &offered),
        definition: offered,
        offered: None,
        accepted_by: by.to_owned(),
        ..tool
    })
}
