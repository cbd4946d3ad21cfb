//! `deleteUpstream`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    call::{WriteContext, WriteOperation},
    error::{Error, Result},
    model::UpstreamName,
    watch::{self, Draft},
};

/// Delete an upstream server with its tools and their pins: from the next call on none of them is known.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteUpstream {
    /// Its name.
    name: UpstreamName,
}

/// The upstream that was deleted.
#[derive(Debug, Serialize, JsonSchema)]
pub struct UpstreamDeleted {
    /// Always true.
    deleted: bool,
    /// Its name.
    name: UpstreamName,
}

impl WriteOperation for DeleteUpstream {
    type Output = UpstreamDeleted;

    fn run(self, cx: &mut WriteContext<'_>) -> Result<UpstreamDeleted> {
        let tenant = cx.caller.tenant.clone();
        if cx.tx.upstream(&tenant, &self.name)?.is_none() {
            return Err(Error::not_found(format!("the upstream {}", self.name)).field("name"));
        }
        cx.tx.delete_upstream(&tenant, &self.name)?;
        cx.services.upstreams.forget(&tenant, &self.name);
        watch::append(cx, Draft::governance("upstream.delete", None, &json!({"name": self.name}))?)?;
        Ok(UpstreamDeleted { deleted: true, name: self.name })
    }
}
