//! Asking the person at the client about a call of an upstream's tool that waits for a decision.

use std::sync::{Arc, OnceLock};

use rmcp::{
    model::{
        CallToolRequestParams, CallToolResponse, CancelledNotificationParam, ClientResult, ElicitRequest,
        ElicitRequestParams, InputRequiredResult, ProgressNotificationParam, ServerRequest,
    },
    service::PeerRequestOptions,
};
use serde_json::{Value, value::RawValue};
use tokio::sync::Semaphore;

use super::{Context, client_channel, server::is_modern};
use crate::{
    error::{Code, Error, Result},
    interfaces::backend::Backend,
    model::{ApprovalId, Credential, PendingApproval},
    operations::{
        Haldir,
        proxied::{self, ApprovalQuestion, CallClient},
    },
    protocol::Client,
    relay::{
        dialog::MAX_DIALOGS,
        elicitation::{self, ApprovalReply, ApprovalState, AskSettings, ElicitedDecision, UNDECIDED, WAITS, step},
    },
};

/// Asks the person at one connection.
pub struct Elicitor {
    asking: AskSettings,
    places: Semaphore,
}

impl Default for Elicitor {
    fn default() -> Self {
        Self { asking: AskSettings::default(), places: Semaphore::new(MAX_DIALOGS) }
    }
}

/// One call, as far as a person may be asked about it.
pub struct CallElicitor<'a> {
    asks: &'a Elicitor,
    haldir: &'a Haldir,
    credential: &'a Credential,
    context: &'a Context,
}

/// What came of asking.
pub enum Elicited {
    /// The call is made again with this.
    Decided(CallClient),
    /// The client is told this instead.
    Told(String),
    /// The client asks, and calls again (2026-07-28).
    InputRequired(Box<CallToolResponse>),
}

impl Elicitor {
    /// Asks so.
    pub fn new(asking: AskSettings) -> Self {
        Self { asking, ..Self::default() }
    }

    /// For one call; `None` if asking is off, or another haldir decides.
    pub fn about<'a>(
        &'a self,
        backend: &'a Backend,
        credential: &'a Credential,
        context: &'a Context,
    ) -> Option<CallElicitor<'a>> {
        let Backend::Local(haldir) = backend else { return None };
        self.asking.enabled.then_some(CallElicitor { asks: self, haldir, credential, context })
    }
}

impl CallElicitor<'_> {
    /// What the call itself brings of the person's answer (2026-07-28), if it brings any.
    pub async fn brought(&self, params: &CallToolRequestParams) -> Result<Option<CallClient>> {
        let Some(state) = params.request_state.as_deref().and_then(ApprovalState::read) else {
            return Ok(None);
        };
        let state = state.map_err(|problem| Error::invalid("requestState", problem))?;
        let request_id = ApprovalId::parse(state.request_id)
            .map_err(|problem| Error::new(Code::InvalidArgument, format!("requestState: the request {problem}")))?;
        if !proxied::was_asked(&self.haldir.watch_proxy(self.credential)?, &request_id, &state.proof)? {
            return Err(Error::invalid("requestState", "requestState is not what haldir has made"));
        }
        let answer = params.input_responses.as_ref().and_then(|all| all.get(elicitation::INPUT));
        Ok(Some(self.heard(request_id, answer).await?.unwrap_or_default()))
    }

    /// Asks about a call that is held; `brought` is what this very call has brought of an answer.
    pub async fn ask(
        &self,
        held: &PendingApproval,
        brought: Option<&CallClient>,
        params: &CallToolRequestParams,
    ) -> Result<Elicited> {
        if let Some(brought) = brought {
            // A yes that did not let it pass is one to something else, or for an operator to say.
            return Ok(Elicited::Told(held.text_after(if brought.consent.is_some() { "" } else { UNDECIDED })));
        }
        let waits = || Ok(Elicited::Told(held.text()));
        if !self.client().can_ask {
            return waits();
        }
        let cx = self.haldir.watch_proxy(self.credential)?;
        let modern = is_modern(self.context);
        let place = if modern { None } else { self.asks.places.try_acquire().ok() };
        if !modern && place.is_none() {
            return waits();
        }
        let Some(question) = proxied::ask_about(&cx, held).await? else { return waits() };
        if modern {
            let (request_id, proof) = (held.request_id.clone(), question.proof.clone());
            // What the call has for its upstream travels along.
            let again = client_channel::again(params);
            let (input_responses, request_state) =
                again.map(|again| (again.responses, again.state)).unwrap_or_default();
            let state = ApprovalState { request_id, proof, request_state, input_responses };
            let asking = state.asking(&question.message);
            let result = asking.and_then(|json| serde_json::from_str::<InputRequiredResult>(&json).ok());
            return match result {
                Some(result) => Ok(Elicited::InputRequired(Box::new(result.into()))),
                None => waits(),
            };
        }
        let answer = self.elicit(&question).await;
        Ok(match self.heard(question.request_id, answer.as_ref()).await? {
            Some(client) => Elicited::Decided(client),
            None => Elicited::Told(held.text_after(UNDECIDED)),
        })
    }

    /// Shows the dialog; nothing if the client disconnects or cancels the call, or the person does not decide in time.
    async fn elicit(&self, question: &ApprovalQuestion) -> Option<Value> {
        let params: ElicitRequestParams = serde_json::from_value(elicitation::params(&question.message)).ok()?;
        let request = ServerRequest::ElicitRequest(ElicitRequest::new(params));
        let options = PeerRequestOptions::with_timeout(self.asks.asking.within);
        let asked = self.context.peer.send_request_with_option(request, options).await.ok()?;
        let dialog = asked.id.clone();
        let mut answered = std::pin::pin!(asked.await_response());
        let mut times = 0;
        let answered = loop {
            let waited = tokio::select! {
                answered = answered.as_mut() => break answered,
                () = self.context.ct.cancelled() => false,
                () = tokio::time::sleep(self.asks.asking.tell_every) => true,
            };
            if waited {
                times += 1;
                self.tell_that_it_waits(times).await;
            } else {
                let reason = Some("the call was cancelled".to_owned());
                // Fails if the client has left.
                let _ = self.context.peer.notify_cancelled(CancelledNotificationParam::new(Some(dialog), reason)).await;
                return None;
            }
        };
        match answered {
            Ok(ClientResult::ElicitResult(result)) => serde_json::to_value(result).ok(),
            _ => None,
        }
    }

    /// Progress, if the client wants to know of it.
    async fn tell_that_it_waits(&self, times: u32) {
        let Some(token) = self.context.meta.get_progress_token() else { return };
        let mut told = ProgressNotificationParam::new(token, step(times));
        told.message = Some(WAITS.to_owned());
        // Fails if the client has left, which ends the call as well.
        let _ = self.context.peer.notify_progress(told).await;
    }

    /// Takes in an answer: a no is decided at once, a yes with the call. Nothing if it was neither.
    async fn heard(&self, request_id: ApprovalId, answer: Option<&Value>) -> Result<Option<CallClient>> {
        let answer = answer.and_then(|answer| RawValue::from_string(answer.to_string()).ok());
        let Some(ElicitedDecision { response, approved, .. }) =
            ApprovalReply::read(answer.as_deref()).decided(request_id, &self.client().name)
        else {
            return Ok(None);
        };
        if approved {
            return Ok(Some(CallClient { consent: Some(Arc::new(response)), ..CallClient::default() }));
        }
        let cx = self.haldir.watch_proxy(self.credential)?;
        proxied::deny(&cx, response).await?;
        Ok(Some(CallClient::default()))
    }

    fn client(&self) -> Client {
        let (info, capabilities) = (self.context.client_info(), self.context.client_capabilities());
        let capabilities = serde_json::to_value(capabilities).unwrap_or_default();
        info.map_or_else(
            || Client::new("", "", &capabilities),
            |info| Client::new(&info.name, &info.version, &capabilities),
        )
    }
}

/// A place for what a call that is held waits for.
pub fn slot() -> Arc<OnceLock<PendingApproval>> {
    Arc::default()
}
