//! The parameters of a `tools/call`.

use serde_json::value::RawValue;

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
        message::{Message, Refused, quoted},
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
        let mut text = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"#);
        let mut member = |name: &str, value: &str| {
            if !text.ends_with('{') {
                text.push(',');
            }
            text.push_str(&quoted(name));
            text.push(':');
            text.push_str(value);
        };
        for (name, value) in &self.params.0 {
            match name.as_ref() {
                "name" => member(name, &quoted(&self.name)),
                "arguments" if self.arguments.is_some() => member(name, arguments),
                "_meta" if self.session.is_some() => match self.meta_for_upstream().as_str() {
                    "{}" => {}
                    meta => member(name, meta),
                },
                STATE | RESPONSES if self.answered.is_some() => {}
                _ => member(name, value.get()),
            }
        }
        if self.arguments.is_none() && arguments != "{}" {
            member("arguments", arguments);
        }
        if let Some((state, _)) = &self.answered {
            if let Some(theirs) = &state.request_state {
                member(STATE, &quoted(theirs));
            }
            if let Some(theirs) = &state.input_responses {
                member(RESPONSES, theirs.get());
            }
        }
        text.push_str("}}");
        text
    }

    /// Its `_meta` without the session.
    fn meta_for_upstream(&self) -> String {
        let kept = self.meta.iter().flat_map(|meta| &meta.0).filter(|(name, _)| name != HALDIR_SESSION);
        let members: Vec<_> = kept.map(|(name, value)| format!("{}:{}", quoted(name), value.get())).collect();
        format!("{{{}}}", members.join(","))
    }
}

#[cfg(test)]
mod tests;
