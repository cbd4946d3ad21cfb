//! The parameters of a `tools/call`.

use std::borrow::Cow;

use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::{
    elicitation::{self, ApprovalReply, ApprovalState, ElicitedDecision},
    govern::CallAttempt,
};
use crate::{
    model::ApprovalId,
    operations::proxied::ApprovalQuestion,
    protocol::{
        code::INVALID_PARAMS,
        json,
        message::{Message, Refused, quoted, request},
        meta::HALDIR_SESSION,
        request::{RESPONSES, STATE},
    },
};

/// The parameters of a `tools/call`.
pub struct Call<'a> {
    /// The tool.
    pub name: String,
    /// Its arguments, as they were written.
    pub arguments: Option<&'a RawValue>,
    /// The session that the call itself names.
    pub session: Option<String>,
    /// haldir's own question, and the answer with which the client calls again (2026-07-28).
    pub answered: Option<(ApprovalState, ApprovalReply)>,
    params: json::Object<'a>,
    /// Its `_meta`, where that can be read in one way only.
    meta: Option<json::Object<'a>>,
}

impl<'a> Call<'a> {
    /// Reads the parameters, strictly: what is judged must be what the upstream reads.
    pub fn read(params: Option<&'a RawValue>) -> Result<Self, Refused> {
        let bad = |problem: String| (INVALID_PARAMS, format!("the parameters of tools/call: {problem}"));
        let params = params.ok_or_else(|| bad("there are none".to_owned()))?;
        let params = json::object(params).map_err(bad)?;
        for known in ["name", "arguments", "_meta", STATE, RESPONSES] {
            if params.0.iter().any(|(name, _)| name != known && name.eq_ignore_ascii_case(known)) {
                return Err(bad(format!("write `{known}` exactly so")));
            }
        }
        let name = params.get("name").ok_or_else(|| bad("`name` is missing".to_owned()))?;
        let name = serde_json::from_str(name.get()).map_err(|_| bad("`name` must be text".to_owned()))?;
        let arguments = params.get("arguments").filter(|arguments| arguments.get() != "null");
        let mut meta = None;
        for (name, value) in &params.0 {
            match name.as_ref() {
                "arguments" if arguments.is_some() => {
                    json::unambiguous_object(value).and_then(json::Object::distinct).map_err(bad)?;
                }
                "_meta" if value.get().starts_with('{') => {
                    meta = json::unambiguous_object(value).map_err(bad)?.distinct().ok();
                }
                _ => json::unambiguous(value).map_err(bad)?,
            }
        }
        let session =
            match meta.as_ref().and_then(|meta| meta.get(HALDIR_SESSION)).map(|id| serde_json::from_str(id.get())) {
                None => None,
                Some(Ok(id)) => Some(id),
                Some(Err(_)) => return Err(bad(format!("`{HALDIR_SESSION}` must be text"))),
            };
        let state = params.get(STATE).and_then(|state| serde_json::from_str::<String>(state.get()).ok());
        let answered = match state.as_deref().and_then(ApprovalState::read) {
            None => None,
            Some(Ok(state)) => Some((state, elicitation::answer_in(params.get(RESPONSES)))),
            Some(Err(problem)) => return Err(bad(problem.to_owned())),
        };
        Ok(Self { name, arguments, session, answered, params, meta })
    }

    /// The attempt to make the call, which came in `message`; `session` is the one that its request names outside of it,
    /// `decided` what the person at the client has decided. `can_ask` is whether they can be asked, if the call has brought
    /// no answer.
    pub fn attempt(
        &self,
        message: &Message<'_>,
        (session, is_listed): (Option<&str>, Option<bool>),
        (decided, can_ask): (Option<ElicitedDecision>, bool),
    ) -> CallAttempt {
        CallAttempt {
            tool: self.name.clone(),
            arguments: self.arguments.map_or("{}", RawValue::get).to_owned(),
            session: self.session.clone().or_else(|| session.map(str::to_owned)),
            is_listed,
            decided: decided.or_else(|| self.decided(message)),
            asks: can_ask && self.answered.is_none(),
            is_undecided: matches!(self.answered, Some((_, ApprovalReply::None))),
        }
    }

    /// What the person at the client has decided on the call, as it says itself.
    fn decided(&self, message: &Message<'_>) -> Option<ElicitedDecision> {
        let (state, answer) = self.answered.as_ref()?;
        let request = ApprovalId::parse(state.request_id.clone()).ok()?;
        let decided = answer.clone().decided(request, &message.speaker().name)?;
        Some(ElicitedDecision { proof: Some(state.proof.clone()), ..decided })
    }

    /// The result that asks the person at the client, who calls again with the answer (2026-07-28). What the call has
    /// for the upstream travels along.
    pub fn asking(&self, question: &ApprovalQuestion) -> Option<String> {
        let request_state = self.params.get(STATE).map(|state| serde_json::from_str(state.get()));
        let state = ApprovalState {
            request_id: question.request_id.to_string(),
            proof: question.proof.clone(),
            request_state: request_state.transpose().ok()?,
            input_responses: self.params.get(RESPONSES).map(ToOwned::to_owned),
        };
        state.asking(&question.message)
    }

    /// The call as it goes on: with these arguments, and without what was for haldir.
    pub fn forwarded(&self, id: &str, arguments: &str) -> String {
        let mut members: Vec<(&str, Cow<'_, str>)> = Vec::new();
        for (name, value) in &self.params.0 {
            let value = match name.as_ref() {
                "name" => quoted(&self.name).into(),
                "arguments" if self.arguments.is_some() => arguments.into(),
                "_meta" if self.session.is_some() => self.meta_for_upstream().into(),
                STATE | RESPONSES if self.answered.is_some() => continue,
                _ => value.get().into(),
            };
            if !(name == "_meta" && self.session.is_some() && value == "{}") {
                members.push((name, value));
            }
        }
        if self.arguments.is_none() && arguments != "{}" {
            members.push(("arguments", arguments.into()));
        }
        if let Some((state, _)) = &self.answered {
            members.extend(state.request_state.as_deref().map(|theirs| (STATE, quoted(theirs).into())));
            members.extend(state.input_responses.as_deref().map(|theirs| (RESPONSES, theirs.get().into())));
        }
        request(id, "tools/call", &Zeroizing::new(json::written(members)))
    }

    /// Its `_meta` without the session.
    fn meta_for_upstream(&self) -> String {
        let kept = self.meta.iter().flat_map(|meta| &meta.0).filter(|(name, _)| name != HALDIR_SESSION);
        json::written(kept.map(|(name, value)| (name.as_ref(), value.get())))
    }
}

#[cfg(test)]
mod tests;
