//! haldir's own decisions, as the relay asks for them.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use futures::{FutureExt, future::BoxFuture};
use serde_json::value::RawValue;
use tokio::sync::watch;

use super::{
    bound_session::BoundSession,
    govern::{Admitted, CallAttempt, Decision, Govern, HeldCall, Report},
};
use crate::{
    error::{Code, Error, Result},
    jobs::tool_changes::ToolChanges,
    model::{Credential, SessionId, UpstreamName},
    operations::{
        Haldir,
        proxied::{
            self, AllowedCall, Audience, CallRequest, MidCallRequests, OutwardContext, PendingApproval, Uncounted,
            Verdict,
        },
    },
    relay::elicitation::{AskSettings, ElicitedDecision, UNDECIDED},
    upstream::Link,
};

/// How the upstream's tools become known.
pub enum Tools {
    /// The relay lists them over the client's own connection, which is the only one.
    Observed,
    /// The relay lists them over one of several connections; haldir also lists them itself.
    Beside,
    /// haldir, over this connection of its own, when they were not looked at for a while.
    Asked(Arc<Link>),
}

/// Decides for one caller on the calls of one upstream.
pub struct Governor {
    haldir: Haldir,
    credential: Credential,
    upstream: UpstreamName,
    /// The session of calls that name none.
    session: Option<Arc<BoundSession>>,
    tools: Tools,
    asking: AskSettings,
    /// Where changes of what may be called are looked for.
    changes: ToolChanges,
    /// Whether it was said what the budget does not count.
    warned: AtomicBool,
}

impl Governor {
    /// Decides for the holder of `credential`.
    pub fn new(
        haldir: Haldir,
        credential: Credential,
        upstream: UpstreamName,
        session: Option<Arc<BoundSession>>,
        tools: Tools,
        (asking, changes): (AskSettings, ToolChanges),
    ) -> Self {
        let warned = AtomicBool::new(false);
        Self { haldir, credential, upstream, session, tools, asking, changes, warned }
    }

    async fn decide(&self, asked: CallAttempt) -> Result<Decision> {
        // The person at the client was asked in the middle of this very call, which was counted before.
        let goes_on = asked.decided.as_ref().is_some_and(|decided| decided.proof.is_none());
        let mut cx = if goes_on {
            self.haldir.watch_proxy(&self.credential)?
        } else {
            self.haldir.enter_proxy(&self.credential, false).await?
        };
        let session_id = self.session(asked.session.clone()).await?;
        self.haldir.know_secrets(&cx, &self.upstream)?;
        let not_listed = match &self.tools {
            Tools::Asked(link) => self.look_at_tools(&cx, link).await?,
            Tools::Observed | Tools::Beside => None,
        };
        let CallAttempt { tool, arguments, is_listed, decided, asks, is_undecided, .. } = asked;
        if let Some(ElicitedDecision { response, approved, proof }) = decided.filter(|_| self.asking.enabled) {
            let was_asked = |proof: String| proxied::was_asked(&cx, &response.request_id, &proof);
            if !proof.map_or(Ok(true), was_asked)? {
                return Err(Error::invalid("requestState", "requestState is not what haldir has made"));
            }
            if approved {
                cx.client.consent = Some(Arc::new(response));
            } else {
                // From then on it is what any call is that was denied.
                proxied::deny(&cx, response).await?;
            }
        }
        let attempt = CallRequest { session_id, tool, upstream: Some(self.upstream.clone()), is_listed, arguments };
        Ok(match proxied::begin(&cx, attempt).await? {
            Verdict::Allowed(going) => Decision::Go(admitted(*going)),
            Verdict::Pending(held) => self.held(&cx, held, (asks, is_undecided)).await?,
            Verdict::Refused(error) if error.code == Code::UnknownTool => match not_listed {
                // It may have that tool.
                Some(failure) => Decision::Told(failure),
                None => Decision::Unknown(error.message),
            },
            Verdict::Refused(error) if error.code == Code::SessionInvalid && self.session.is_some() => {
                // The agent cannot make another one: only its operator can.
                let message = "the session that this agent was started with has ended: it was revoked, or has expired. \
                               Tell the user that no further call is made until they start it anew";
                Decision::of(&Error::new(Code::SessionInvalid, message).field("session_id"))
            }
            Verdict::Refused(error) => Decision::of(&error),
        })
    }

    /// Says once that a budget counts nothing, or not all that looks like an amount.
    fn warn_of_uncounted(&self, cx: &OutwardContext) -> Result<()> {
        let has_budget = self.session.as_ref().is_some_and(|session| session.has_budget());
        if !has_budget || self.warned.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        let Uncounted { any_counted, amounts } = proxied::uncounted(cx, &self.upstream)?;
        let upstream = &self.upstream;
        if !any_counted {
            tracing::warn!(
                %upstream,
                "a budget is set, but no tool of this server has a marked cost: nothing counts against it. Mark costs with \
                 `haldir call mark-tool`"
            );
        }
        if !amounts.is_empty() {
            let amounts = amounts.join(", ");
            tracing::warn!(%upstream, %amounts, "arguments that look like amounts, and count against no budget");
        }
        Ok(())
    }

    async fn held(
        &self,
        cx: &OutwardContext,
        held: PendingApproval,
        (asks, is_undecided): (bool, bool),
    ) -> Result<Decision> {
        let asking = self.asking;
        if asks && asking.enabled {
            return Ok(match proxied::ask_about(cx, &held).await? {
                Some(question) => Decision::Ask(HeldCall { question, held, asking }),
                None => Decision::Told(held.text()),
            });
        }
        let is_undecided = is_undecided && asking.enabled && proxied::question_about(cx, &held)?.is_some();
        Ok(Decision::Told(held.text_after(if is_undecided { UNDECIDED } else { "" })))
    }

    async fn session(&self, named: Option<String>) -> Result<SessionId> {
        match (named, &self.session) {
            // What the operator has bound is all there is: an agent with another session's id gains nothing by it.
            (_, Some(bound)) => bound.id().await,
            (Some(named), None) => SessionId::parse(named)
                .map_err(|problem| Error::invalid("session_id", format!("the session {problem}"))),
            (None, None) => Err(Error::new(
                Code::SessionInvalid,
                "the call names no session: make one with createSession, and send its id as X-Session-ID with every \
                 request, or as io.haldir/session_id in the call's _meta",
            )),
        }
    }

    /// A tool that has changed is found out before it is called. Answers why the tools could not be listed, if so.
    async fn look_at_tools(&self, cx: &OutwardContext, link: &Link) -> Result<Option<String>> {
        if !link.must_list().await {
            return Ok(None);
        }
        let Ok(reach) = proxied::reach(cx, &self.upstream) else { return Ok(None) };
        if !reach.link.must_list().await {
            return Ok(None);
        }
        // If it cannot be listed, its tools are called as they were accepted: the store decides.
        let listing = proxied::refresh(cx, &self.upstream, &reach).await?;
        Ok(listing.err().map(|failure| {
            let problem = reach.known.text(&failure.message);
            format!("The call failed: the tools of {} are not known yet: {problem}", self.upstream)
        }))
    }
}

fn admitted(going: AllowedCall) -> Admitted {
    let arguments = going.arguments().clone();
    let (edited, requests) = (going.edited().cloned(), Arc::new(going.mid_call_requests()));
    // If it is never reported, the call is settled as unknown when `going` is dropped.
    Admitted { arguments, report: Report::new(move |outcome| going.close(&outcome), edited, Some(requests)) }
}

impl Govern for Governor {
    fn observe(&self, tools: Vec<Box<RawValue>>) -> BoxFuture<'_, Result<()>> {
        async move {
            let cx = self.haldir.watch_proxy(&self.credential)?;
            let audience = if matches!(self.tools, Tools::Observed) { Audience::Everyone } else { Audience::One };
            self.haldir.observe_tools(&cx, &self.upstream, tools, audience).await?;
            self.warn_of_uncounted(&cx)
        }
        .boxed()
    }

    fn visible(&self, tools: &[&RawValue]) -> Result<Vec<bool>> {
        let cx = self.haldir.watch_proxy(&self.credential)?;
        if let Tools::Asked(link) = &self.tools
            && !self.haldir.knows_tools(&cx, &self.upstream, tools)?
        {
            // The client may call what it sees here.
            link.list_is_old();
        }
        let scopes = self.session.as_ref().and_then(|session| session.scopes());
        self.haldir.visible_tools(&cx, &self.upstream, tools, scopes)
    }

    fn admit(&self, asked: CallAttempt) -> BoxFuture<'_, Result<Decision>> {
        self.decide(asked).boxed()
    }

    fn recorded(&self) -> BoxFuture<'_, ()> {
        self.haldir.caught_up().boxed()
    }

    fn requests_outside_calls(&self) -> Result<MidCallRequests> {
        let cx = self.haldir.watch_proxy(&self.credential)?;
        Ok(MidCallRequests::outside_calls(cx, self.upstream.clone()))
    }

    fn changes(&self) -> BoxFuture<'_, Option<watch::Receiver<u64>>> {
        async move {
            let changes = self.changes.follow(&self.credential).await;
            // Without them the client goes on with the list that it has.
            changes.inspect_err(|error| tracing::warn!(%error, "changes of the tools are not followed")).ok()
        }
        .boxed()
    }
}
