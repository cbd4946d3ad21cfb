//! `rotateWebhookSecret`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::secret;
use crate::{
    call::{WriteContext, WriteOperation},
    error::{Error, Result},
    model::UnixMicros,
    outbox,
    store::PreviousSecret,
    watch::{self, Draft},
};

/// The shortest, the longest and the usual overlap, in seconds.
const GRACE: std::ops::RangeInclusive<i64> = 60..=604_800;
const DEFAULT_GRACE: i64 = 86_400;

/// Give a webhook a new secret. Until the overlap ends, `webhook-signature` holds a signature with each of the two;
/// X-Haldir-Signature, which holds one signature, uses the new secret from now on.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateWebhookSecret {
    /// Its number.
    webhook_id: i64,
    /// How long the old secret stays valid beside the new one: from 60 to 604800 seconds. Default: 86400.
    #[schemars(extend("minimum" = 60, "maximum" = 604_800, "default" = 86_400))]
    grace_seconds: Option<i64>,
}

/// The new secret.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct WebhookSecretRotated {
    /// Its number.
    pub webhook_id: i64,
    /// The new secret. It is shown this once.
    pub secret: String,
    /// Always empty: the old secret was shown when it was made.
    pub secret_prev: String,
    /// When the old secret ends, in Unix seconds.
    pub secret_prev_expires_at: UnixMicros,
    /// How long it stays valid.
    pub grace_seconds: i64,
    /// What to do.
    pub message: String,
}

impl WriteOperation for RotateWebhookSecret {
    type Output = WebhookSecretRotated;

    fn run(self, cx: &mut WriteContext<'_>) -> Result<WebhookSecretRotated> {
        let grace_seconds = self.grace_seconds.unwrap_or(DEFAULT_GRACE);
        if !GRACE.contains(&grace_seconds) {
            let (least, most) = (GRACE.start(), GRACE.end());
            return Err(Error::invalid("grace_seconds", format!("grace_seconds must be from {least} to {most}")));
        }
        let tenant = &cx.caller.tenant;
        let mut webhook = outbox::require(cx.tx, tenant, self.webhook_id)?;
        let until = cx.now.plus_seconds(grace_seconds);
        let secret = secret::generate()?;
        webhook.secret_version += 1;
        let sealed = secret::seal(&*cx.keys()?, tenant, &webhook, &secret)?;
        let sealed = std::mem::replace(&mut webhook.secret, sealed);
        webhook.previous = Some(PreviousSecret { sealed, until });
        cx.tx.put_webhook(tenant, &webhook)?;
        let details = json!({"webhook_id": webhook.id, "grace_seconds": grace_seconds});
        watch::append(cx, Draft::governance("webhook.rotate_secret", None, &details)?)?;
        Ok(WebhookSecretRotated {
            webhook_id: webhook.id,
            secret: secret.to_string(),
            secret_prev: String::new(),
            secret_prev_expires_at: until,
            grace_seconds,
            message: "Keep the secret: it is not shown again. Have the receiver accept both until the old one ends."
                .to_owned(),
        })
    }
}
