//! `registerUpstream`.

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::json;

use super::target;
use crate::{
    call::{OutwardContext, OutwardOperation, WriteContext},
    error::{Code, Error, Result},
    model::{MAX_UPSTREAMS, Upstream, UpstreamName, UpstreamSettings, secret_placeholder, text::Text},
    outbound::MAX_URL_CHARS,
    upstream::FailureKind,
    watch::{self, Draft},
};

/// Headers of one.
const MAX_HEADERS: usize = 16;
/// The longest value of a header.
const MAX_HEADER_CHARS: usize = 1_024;
/// Headers that the connection itself sets.
const RESERVED: &[&str] = &[
    "accept", "connection", "content-length", "content-type", "expect", "host", "keep-alive", "last-event-id", "te",
    "trailer", "transfer-encoding", "upgrade", "user-agent",
];
/// Headers that carry a credential, which belongs in the vault.
const CREDENTIALS: &[&str] =
    &["authorization", "cookie", "proxy-authorization", "x-api-key", "api-key", "x-auth-token"];

/// Register an MCP server behind haldir, over streamable HTTP. Its tools are listed at once, and pinned as they are then:
/// one that changes later is not called until an operator accepts the change. Registering a name again replaces the
/// address. A server that does not answer is registered as unhealthy, and is asked again when one of its tools is called.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterUpstream {
    /// Stands in front of its tools' names.
    name: UpstreamName,
    /// Its address: http or https, and public unless the operator allows the host.
    #[schemars(extend("format" = "uri"))]
    url: Text<1, MAX_URL_CHARS>,
    /// Headers of every request to it. A credential is written as `Bearer {{secret:NAME}}`, and the secret must allow
    /// this upstream.
    #[serde(default)]
    #[schemars(extend(
        "maxProperties" = MAX_HEADERS,
        "propertyNames" = {"pattern": "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"},
        "additionalProperties" = {"type": "string", "maxLength": MAX_HEADER_CHARS, "pattern": "^[\t -~]*$"},
    ))]
    headers: Option<BTreeMap<String, String>>,
    /// Limits that hold for it alone. Default: those of the server.
    #[serde(default, deserialize_with = "as_object")]
    limits: Option<UpstreamSettings>,
}

/// Reads settings from an object only: serde also reads a struct from an array, which the schema does not allow.
fn as_object<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<UpstreamSettings>, D::Error> {
    struct Object;
    impl<'de> Visitor<'de> for Object {
        type Value = Option<UpstreamSettings>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }

        fn visit_unit<E>(self) -> std::result::Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> std::result::Result<Self::Value, A::Error> {
            UpstreamSettings::deserialize(MapAccessDeserializer::new(map)).map(Some)
        }
    }
    deserializer.deserialize_any(Object)
}

/// A name that no upstream may have: `/mcp/{name}` is a document of haldir's own (SEP-2127).
pub const RESERVED_NAME: &str = "server-card";

/// What was registered, and what it answered.
#[derive(Debug, Serialize, JsonSchema)]
pub struct UpstreamRegistered {
    /// Always true.
    #[schemars(extend("const" = true))]
    registered: bool,
    /// Its name.
    name: UpstreamName,
    /// Its address.
    url: String,
    /// Whether it answered with a list of tools.
    healthy: bool,
    /// How many tools can be called.
    tools_discovered: usize,
    /// Their names.
    tool_names: Vec<String>,
    /// How many tools are in quarantine, since they differ from what was accepted.
    quarantined: usize,
    /// Why it is not healthy.
    #[serde(skip_serializing_if = "String::is_empty")]
    error: String,
    /// The HTTP status that it answered with instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64")]
    upstream_status: Option<i64>,
    /// What it said with that status.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    upstream_body: Option<String>,
}

impl OutwardOperation for RegisterUpstream {
    type Output = UpstreamRegistered;

    async fn run(self, cx: OutwardContext) -> Result<UpstreamRegistered> {
        let url = cx.services.settings.outbound.parse(self.url.as_str())?;
        cx.services.settings.outbound.require_tenant(self.url.as_str(), cx.caller.tenant.as_str())?;
        let headers = self.headers.unwrap_or_default();
        check_headers(&headers)?;
        let limits = self.limits.unwrap_or_default();
        if let Some((field, problem)) = limits.problem() {
            return Err(Error::invalid("limits", format!("limits.{field} {problem}")));
        }
        if self.name.as_str().eq_ignore_ascii_case(RESERVED_NAME) {
            let message = format!("name: {RESERVED_NAME} is the place of haldir's own card: choose another name");
            return Err(Error::invalid("name", message));
        }
        let (name, address) = (self.name, self.url.into_string());
        let host = url.host_str().unwrap_or_default().to_owned();
        let (known, put) = (name.clone(), address.clone());
        cx.write(move |cx| {
            let upstream = registered(cx, &known, &put, (&headers, limits))?;
            // The rest of the address may be a secret, and agents read the log.
            let names: Vec<_> = upstream.headers.keys().collect();
            let mut details = json!({"name": upstream.name, "host": host, "headers": names});
            if limits != UpstreamSettings::default() {
                details["limits"] = json!(limits);
            }
            watch::append(cx, Draft::governance("upstream.register", None, &details)?)?;
            Ok(())
        })
        .await?;
        let mut answer = UpstreamRegistered {
            registered: true,
            name: name.clone(),
            url: address,
            healthy: false,
            tools_discovered: 0,
            tool_names: Vec::new(),
            quarantined: 0,
            error: String::new(),
            upstream_status: None,
            upstream_body: None,
        };
        let reach = match target::reach(&cx, &name) {
            Ok(reach) => reach,
            Err(error) => return Ok(UpstreamRegistered { error: error.message, ..answer }),
        };
        match target::refresh(&cx, &name, &reach).await? {
            Ok(observed) => {
                answer.healthy = true;
                answer.tools_discovered = observed.names.len();
                answer.tool_names = observed.names.iter().map(|tool| format!("{name}.{tool}")).collect();
                answer.quarantined = observed.quarantined;
            }
            Err(failure) => {
                if let FailureKind::Status(status, said) = &failure.kind {
                    answer.upstream_status = Some(i64::from(*status));
                    answer.upstream_body = Some(reach.known.text(said));
                }
                answer.error = reach.known.text(&failure.message);
            }
        }
        Ok(answer)
    }
}

fn registered(
    cx: &mut WriteContext<'_>,
    name: &UpstreamName,
    url: &str,
    (headers, limits): (&BTreeMap<String, String>, UpstreamSettings),
) -> Result<Upstream> {
    let tenant = cx.caller.tenant.clone();
    if cx.services.settings.children.get(&tenant, name).is_some() {
        let message = format!("{name} is a child process, from the configuration of this server: name it otherwise");
        return Err(Error::new(Code::Conflict, message).field("name"));
    }
    let before = cx.tx.upstream_alike(&tenant, name)?;
    if let Some(other) = before.as_ref().filter(|other| other.name != *name) {
        let message = format!("there is an upstream {} already, which people would take for {name}", other.name);
        return Err(Error::new(Code::Conflict, message).field("name"));
    }
    if before.is_none() && cx.tx.upstreams(&tenant, MAX_UPSTREAMS)?.len() >= MAX_UPSTREAMS {
        let message = format!("there are {MAX_UPSTREAMS} upstreams already: delete one first");
        return Err(Error::new(Code::Conflict, message));
    }
    let upstream = Upstream {
        name: name.clone(),
        url: url.to_owned(),
        headers: headers.clone(),
        limits,
        // Connections of an earlier registration do not serve this one, even if it was deleted in between.
        generation: before.as_ref().map_or(cx.now.0, |before| before.generation.max(cx.now.0 - 1) + 1),
        healthy: false,
        problem: "it was not asked yet".to_owned(),
        checked_at: None,
        calls: before.as_ref().map_or(0, |before| before.calls),
        errors: before.as_ref().map_or(0, |before| before.errors),
        latency: before.as_ref().map_or(0, |before| before.latency),
        created_at: before.as_ref().map_or(cx.now, |before| before.created_at),
        created_by: cx.caller.principal.clone(),
    };
    cx.tx.put_upstream(&tenant, &upstream)?;
    Ok(upstream)
}

fn check_headers(headers: &BTreeMap<String, String>) -> Result<()> {
    let refused = |message: String| Err(Error::invalid("headers", message));
    if headers.len() > MAX_HEADERS {
        return refused(format!("headers must have at most {MAX_HEADERS} members, this has {}", headers.len()));
    }
    for (name, value) in headers {
        let Ok(parsed) = name.parse::<HeaderName>() else { return refused("headers: a name is no header name".into()) };
        let lower = parsed.as_str();
        if RESERVED.contains(&lower) || lower.starts_with("mcp-") {
            return refused(format!("headers: {lower} is set by the connection itself"));
        }
        if value.chars().count() > MAX_HEADER_CHARS || value.parse::<HeaderValue>().is_err() {
            return refused(format!("headers: {lower} must be a line of at most {MAX_HEADER_CHARS} characters"));
        }
        if CREDENTIALS.contains(&lower) && !secret_placeholder::has_any(value) {
            return refused(format!(
                "headers: put the credential of {lower} into the vault, and write {{{{secret:NAME}}}} in its place"
            ));
        }
    }
    Ok(())
}
