//! From a registered upstream to where it is called, with the secrets in its headers.

use std::{collections::BTreeMap, sync::Arc};

use super::{catalogue, secret, secret::Sent};
use crate::{
    call::OutwardContext,
    error::{Code, Error, Result},
    model::{Upstream, UpstreamName},
    upstream::{Failure, Link, Target},
};

/// An upstream that can be called, and what must not come back from it.
pub struct Reach {
    /// Its connection.
    pub link: Arc<Link>,
    /// Secrets in its headers.
    pub sent: Vec<Sent>,
}

/// The upstream's connection, as it is registered now.
pub fn reach(cx: &OutwardContext, name: &UpstreamName) -> Result<Reach> {
    let (target, sent) = target(cx, name)?;
    Ok(Reach { link: cx.services.upstreams.link(target), sent })
}

/// Where the upstream is, as it is registered now, and the secrets in its headers.
pub fn target(cx: &OutwardContext, name: &UpstreamName) -> Result<(Target, Vec<Sent>)> {
    cx.read(|cx| {
        let upstream = cx.tx.upstream(&cx.caller.tenant, name)?;
        let upstream = upstream.ok_or_else(|| Error::not_found(format!("the upstream {name}")).field("name"))?;
        if upstream.url.is_empty() {
            let message = format!("the upstream {name} is a child process of another haldir, which alone can call it");
            return Err(Error::new(Code::Conflict, message));
        }
        let keys = cx.services.keyring.tenant(cx.tx, &cx.caller.tenant)?;
        let (mut headers, mut all) = (BTreeMap::new(), Vec::new());
        for (header, value) in &upstream.headers {
            let (value, sent) = secret::fill_header(cx, &keys, name, value)?;
            headers.insert(header.clone(), value);
            all.extend(sent);
        }
        let Upstream { name, url, generation, .. } = upstream;
        Ok((Target { tenant: cx.caller.tenant.clone(), name, generation, url, headers }, all))
    })
}

/// Lists the upstream's tools anew, and holds them against their pins.
pub async fn refresh(cx: &OutwardContext, name: &UpstreamName, reach: &Reach) -> Result<Listing> {
    let listing = reach.link.list_tools().await;
    let name = name.clone();
    match listing {
        Ok(tools) => {
            let observed = cx.write(move |cx| {
                let observed = catalogue::observe(cx, &name, &tools)?;
                cx.tx.set_health(&cx.caller.tenant.clone(), &name, None, cx.now)?;
                Ok(observed)
            });
            Ok(Ok(observed.await?))
        }
        Err(failure) => {
            let problem = super::redact::redact_text(&failure.message, &reach.sent);
            cx.write(move |cx| cx.tx.set_health(&cx.caller.tenant.clone(), &name, Some(&problem), cx.now)).await?;
            Ok(Err(failure))
        }
    }
}

/// What came of listing: the tools, or why there are none to be had.
pub type Listing = Result<catalogue::Observed, Failure>;
