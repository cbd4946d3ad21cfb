//! `registerWebhook`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::secret;
use crate::{
    call::{WriteContext, WriteOperation},
    error::{Code, Error, Result},
    model::text::Text,
    outbound::MAX_URL_CHARS,
    outbox::EventKind,
    store::{Webhook, WebhookState},
    watch::{self, Draft},
};

/// Webhooks of a tenant.
const MAX_WEBHOOKS: usize = 32;

/// Register an address for events. They are sent as signed POST requests, at least once and in order, and retried for up to
/// a day until the receiver answers with a 2xx status. The address must be public, unless the operator allows its host.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterWebhook {
    /// Where to: http or https, without user name or password.
    #[schemars(extend("format" = "uri", "pattern" = "^[Hh][Tt][Tt][Pp][Ss]?://"))]
    url: Text<1, MAX_URL_CHARS>,
    /// A name for people.
    #[schemars(extend("default" = ""))]
    name: Option<Text<0, 128>>,
    /// Which events. Default: all.
    #[schemars(length(min = 1))]
    events: Option<Vec<EventKind>>,
}

/// What was registered.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct WebhookRegistered {
    /// Always true.
    pub registered: bool,
    /// Its number.
    pub webhook_id: i64,
    /// Where events go.
    pub url: String,
    /// Its name.
    pub name: String,
    /// Which events.
    pub events: Vec<String>,
    /// What deliveries are signed with. It is shown this once.
    pub secret: String,
    /// What to do with the secret.
    pub message: String,
}

impl WriteOperation for RegisterWebhook {
    type Output = WebhookRegistered;

    fn run(self, cx: &mut WriteContext<'_>) -> Result<WebhookRegistered> {
        let tenant = &cx.caller.tenant;
        let url = cx.services.settings.outbound.parse(self.url.as_str())?;
        let mut events: Vec<String> = Vec::new();
        for kind in self.events.unwrap_or_else(|| vec![EventKind::All]) {
            if !events.iter().any(|known| known == kind.as_str()) {
                events.push(kind.as_str().to_owned());
            }
        }
        if events.is_empty() {
            return Err(Error::invalid("events", "events must name at least one event; leave it out for all"));
        }
        if cx.tx.webhooks(tenant)?.len() >= MAX_WEBHOOKS {
            let message = format!("there are {MAX_WEBHOOKS} webhooks already: delete one first");
            return Err(Error::new(Code::Conflict, message));
        }
        let secret = secret::generate()?;
        let mut webhook = Webhook {
            id: cx.tx.next_webhook_id(tenant)?,
            url: self.url.into_string(),
            name: self.name.map_or_else(String::new, Text::into_string),
            events,
            state: WebhookState::Active,
            secret: Vec::new(),
            secret_version: 1,
            previous: None,
            delivered: 0,
            failed: 0,
            failures: 0,
            waiting: 0,
            last_seq: 0,
            due_at: None,
            lease: None,
            created_at: cx.now,
        };
        webhook.secret = secret::seal(&*cx.keys()?, tenant, &webhook, &secret)?;
        cx.tx.put_webhook(tenant, &webhook)?;
        // The rest of the address may be a secret of the receiver's; agents read the log.
        let details = json!({"webhook_id": webhook.id, "host": url.host_str(), "events": webhook.events});
        watch::append(cx, Draft::governance("webhook.register", None, &details)?)?;
        Ok(WebhookRegistered {
            registered: true,
            webhook_id: webhook.id,
            url: webhook.url,
            name: webhook.name,
            events: webhook.events,
            secret: secret.to_string(),
            message: "Keep the secret: it is not shown again. Check X-Haldir-Signature or webhook-signature with it."
                .to_owned(),
        })
    }
}
