//! The connection to a registered upstream, with the secrets in its headers.

use std::{collections::BTreeMap, sync::Arc};

use super::{catalogue, secret};
use crate::{
    call::{OutwardContext, ReadContext, TenantKeys},
    error::{Code, Error, Result},
    model::{Upstream, UpstreamName, UpstreamSettings},
    redact::{Audience, Known},
    upstream::{Failure, Link, Place, Target, child::ChildCommand},
};

/// An upstream's connection, and the secrets to redact from its responses.
pub struct Reach {
    /// Its connection.
    pub link: Arc<Link>,
    /// The secrets that it can have received.
    pub known: Arc<Known>,
}

/// The upstream's connection, as it is registered now.
pub fn reach(cx: &OutwardContext, name: &UpstreamName) -> Result<Reach> {
    let (target, known) = target(cx, name)?;
    Ok(Reach { link: cx.services.upstreams.link(target), known })
}

/// Where the upstream is, as it is registered now, and the secrets that it can have received.
pub fn target(cx: &OutwardContext, name: &UpstreamName) -> Result<(Target, Arc<Known>)> {
    cx.read(|cx| target_in(cx, name))
}

/// The same on an existing snapshot.
pub fn target_in(cx: &ReadContext<'_>, name: &UpstreamName) -> Result<(Target, Arc<Known>)> {
    let upstream = cx.tx.upstream(&cx.caller.tenant, name)?;
    let upstream = upstream.ok_or_else(|| Error::not_found(format!("the upstream {name}")).field("name"))?;
    let keys = cx.services.keyring.tenant(cx.tx, &cx.caller.tenant)?;
    let known = secret::known(cx, name)?;
    if upstream.url.is_empty() {
        let (command, limits) = child(cx, &keys, name, &known)?;
        let (tenant, generation) = (cx.caller.tenant.clone(), upstream.generation);
        let place = Place::Child(command);
        return Ok((Target { tenant, name: upstream.name.clone(), generation, place, limits }, known));
    }
    cx.services.settings.outbound.require_tenant(&upstream.url, cx.caller.tenant.as_str())?;
    let mut headers = BTreeMap::new();
    for (header, value) in &upstream.headers {
        headers.insert(header.clone(), secret::fill_header(cx, &keys, name, value)?);
    }
    let Upstream { name, url, generation, limits, .. } = &*upstream;
    let place = Place::Http { url: url.clone(), headers };
    let (tenant, name) = (cx.caller.tenant.clone(), name.clone());
    Ok((Target { tenant, name, generation: *generation, place, limits: *limits }, known))
}

/// How a child of the configuration is started, with the secrets in its environment, and its limits.
fn child(
    cx: &ReadContext<'_>,
    keys: &TenantKeys,
    name: &UpstreamName,
    known: &Arc<Known>,
) -> Result<(ChildCommand, UpstreamSettings)> {
    let children = &cx.services.settings.children;
    let Some(child) = children.get(&cx.caller.tenant, name) else {
        let message = format!("the upstream {name} is a child process of another haldir, which alone can call it");
        return Err(Error::new(Code::Conflict, message));
    };
    let mut environment = Vec::new();
    for (variable, value) in &child.env {
        environment.push((variable.into(), secret::fill_header(cx, keys, name, value)?));
    }
    Ok((children.command(name, child, environment, Arc::new(known.to(Audience::Log))), child.limits))
}

/// Lists the upstream's tools again, and compares them with their pins.
pub async fn refresh(cx: &OutwardContext, name: &UpstreamName, reach: &Reach) -> Result<Listing> {
    let listing = reach.link.list_tools().await;
    let name = name.clone();
    match listing {
        Ok(listed) => {
            // A description can repeat a secret too. Secrets that agents stored are not redacted from definitions.
            let definitions = reach.known.to(Audience::Definitions);
            let mut tools = Vec::with_capacity(listed.len());
            for tool in listed {
                tools.push(definitions.json(tool).await);
            }
            let observed = cx.write(move |cx| {
                let observed = catalogue::observe(cx, &name, &tools, catalogue::Audience::Everyone)?;
                cx.tx.set_health(&cx.caller.tenant.clone(), &name, None, cx.now)?;
                Ok(observed)
            });
            Ok(Ok(observed.await?))
        }
        Err(failure) => {
            let problem = reach.known.text(&failure.message);
            cx.write(move |cx| Ok(cx.tx.set_health(&cx.caller.tenant.clone(), &name, Some(&problem), cx.now)?)).await?;
            Ok(Err(failure))
        }
    }
}

/// The tools, or why they could not be listed.
pub type Listing = Result<catalogue::Observed, Failure>;
