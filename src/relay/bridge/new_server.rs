//! A client that shakes hands in front of a server of 2026-07-28, which does not.
//!
//! Each request describes the client. An `input_required` result becomes requests to the client, as earlier revisions have
//! them, and the request is made again with the answers.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Value, json, value::RawValue};

use super::{Ids, OWN, Step};
use crate::protocol::{
    code::{INTERNAL_ERROR, INVALID_PARAMS, INVALID_REQUEST},
    edit, json,
    message::{self, Message},
    meta::{self, SERVER_INFO},
    request::{INPUT_REQUIRED, REQUESTS, RESPONSES, RESULT_TYPE, STATE},
    revision::{FIRST_WITHOUT_HANDSHAKE, NEWEST_WITH_HANDSHAKE, is_without_handshake},
};

/// How often a request is made again with answers.
const MAX_ROUNDS: usize = 10;
/// Resources that a client follows.
const MAX_RESOURCES: usize = 256;
/// What results of 2026-07-28 say beside what was asked for.
const NEW: [&str; 3] = [RESULT_TYPE, "ttlMs", "cacheScope"];

pub(super) struct NewServer {
    /// The description of the client in each request.
    client: Vec<(&'static str, String)>,
    level: Option<String>,
    /// Requests that the server has, by the id that it knows them by.
    in_flight: HashMap<String, InFlightRequest>,
    /// Requests that wait for the client's answers, by the id that the client gave them.
    paused: HashMap<String, PausedCall>,
    /// Lists whose changes the server tells.
    lists: Vec<&'static str>,
    resources: BTreeSet<String>,
    listening: Option<String>,
}

struct InFlightRequest {
    client_id: String,
    method: String,
    params: String,
    rounds: usize,
}

struct PausedCall {
    request: InFlightRequest,
    state: Option<String>,
    /// The keys of what is not answered yet, by the id that the client was asked with.
    missing: BTreeMap<String, String>,
    answers: BTreeMap<String, String>,
}

impl NewServer {
    /// `server/discover`, in the name of a client that began so.
    pub(super) fn discover(id: &str, initialize: &str) -> String {
        message::request(id, "server/discover", &format!("{{\"_meta\":{}}}", meta(&client(initialize), None, None)))
    }

    /// A server that answered so, and the answer to the client's handshake.
    pub(super) fn new(initialize: &str, discovered: &Value) -> (Self, String) {
        let message = Message::read(initialize).ok();
        let id = message.as_ref().and_then(Message::request_id).unwrap_or("null");
        let params = message.as_ref().and_then(|message| message.params).map(edit::value).unwrap_or_default();
        let asked = params["protocolVersion"].as_str().filter(|version| !is_without_handshake(version));
        let unknown = json!({"name": "unknown", "version": "0"});
        let info = discovered["_meta"].get(SERVER_INFO).unwrap_or(&unknown);
        let mut result = json!({
            "protocolVersion": asked.unwrap_or(NEWEST_WITH_HANDSHAKE), "capabilities": discovered["capabilities"], "serverInfo": info,
        });
        if discovered["instructions"].is_string() {
            result["instructions"] = discovered["instructions"].clone();
        }
        let changes = |of: &str| discovered["capabilities"][of]["listChanged"] == true;
        let lists =
            [("tools", "toolsListChanged"), ("prompts", "promptsListChanged"), ("resources", "resourcesListChanged")];
        let this = Self {
            client: client(initialize),
            level: None,
            in_flight: HashMap::new(),
            paused: HashMap::new(),
            lists: lists.into_iter().filter(|(of, _)| changes(of)).map(|(_, list)| list).collect(),
            resources: BTreeSet::new(),
            listening: None,
        };
        (this, message::response(id, &result.to_string()))
    }

    pub(super) fn client_message(&mut self, text: String, ids: &mut Ids) -> Vec<Step> {
        let Ok(message) = Message::read(&text) else { return vec![Step::Upstream(text)] };
        if let Some(id) = message.answers() {
            return self.answered(id, &message, ids);
        }
        let method = message.method.as_deref().unwrap_or_default();
        let Some(id) = message.request_id() else {
            return match method {
                "notifications/initialized" => self.listen(ids),
                "notifications/roots/list_changed" => Vec::new(),
                "notifications/cancelled" => self.cancel(&message),
                _ => vec![Step::Upstream(text)],
            };
        };
        if id.trim_start_matches('"').starts_with(OWN) {
            let problem = format!("the id of a request must not begin with {OWN}");
            return vec![Step::Client(message::error(Some(id), INVALID_REQUEST, &problem))];
        }
        let done = || Step::Client(message::response(id, "{}"));
        match method {
            "ping" => vec![done()],
            "logging/setLevel" => {
                let level = message.param("level").map(edit::value).unwrap_or_default();
                if !edit::is_level(&level) {
                    return vec![Step::Client(message::error(Some(id), INVALID_PARAMS, edit::NO_LEVEL))];
                }
                self.level = level.as_str().map(str::to_owned);
                vec![done()]
            }
            "resources/subscribe" | "resources/unsubscribe" => {
                let uri = message.text_param("uri").unwrap_or_default();
                if method == "resources/unsubscribe" {
                    self.resources.remove(&uri);
                } else if self.resources.len() < MAX_RESOURCES {
                    self.resources.insert(uri);
                }
                let mut steps = vec![done()];
                steps.extend(self.listen(ids));
                steps
            }
            _ => {
                let params = message.params.map_or("{}", RawValue::get).to_owned();
                let open = InFlightRequest { client_id: id.to_owned(), method: method.to_owned(), params, rounds: 0 };
                let id = id.to_owned();
                vec![self.send(id, open, None)]
            }
        }
    }

    /// Makes a request, perhaps again.
    fn send(&mut self, id: String, open: InFlightRequest, more: Option<&(String, Option<String>)>) -> Step {
        let params: Box<RawValue> = RawValue::from_string(open.params.clone()).unwrap_or_default();
        let meta = meta(&self.client, self.level.as_deref(), edit::meta(Some(&params)));
        let mut put = vec![("_meta", meta.as_str())];
        if let Some((answers, state)) = more {
            put.push((RESPONSES, answers));
            put.extend(state.as_ref().map(|state| (STATE, state.as_str())));
        }
        let text = message::request(&id, &open.method, &edit::with(Some(&params), &put));
        self.in_flight.insert(id, open);
        Step::Upstream(text)
    }

    pub(super) fn upstream_message(&mut self, text: String, ids: &mut Ids) -> Vec<Step> {
        let Ok(message) = Message::read(&text) else { return Vec::new() };
        if let Some(id) = message.answers() {
            if self.listening.as_deref() == Some(id) {
                self.listening = None;
            }
            let Some(open) = self.in_flight.remove(id) else { return Vec::new() };
            let kind = edit::member(message.result, RESULT_TYPE).map(edit::value);
            if kind.is_some_and(|kind| kind == INPUT_REQUIRED) {
                return self.ask(open, &message, ids);
            }
            let text = match message.result {
                Some(result) => edit::answer(&open.client_id, Some(result), |name| !NEW.contains(&name), &[]),
                None => message.with_id(&open.client_id).text(),
            };
            return vec![Step::Client(text)];
        }
        match message.method.as_deref() {
            Some("notifications/subscriptions/acknowledged") => Vec::new(),
            _ => vec![Step::Client(text)],
        }
    }

    /// Asks the client what the server needs to know.
    fn ask(&mut self, request: InFlightRequest, message: &Message<'_>, ids: &mut Ids) -> Vec<Step> {
        let asked = edit::member(message.result, REQUESTS);
        let asked: BTreeMap<String, &RawValue> =
            asked.and_then(|asked| serde_json::from_str(asked.get()).ok()).unwrap_or_default();
        let state = edit::member(message.result, STATE).map(|state| state.get().to_owned());
        if request.rounds >= MAX_ROUNDS {
            let problem = "the server asks too much before it answers";
            return vec![Step::Client(message::error(Some(&request.client_id), INTERNAL_ERROR, problem))];
        }
        let (mut steps, mut missing) = (Vec::new(), BTreeMap::new());
        for (key, question) in asked {
            let id = ids.next();
            let method = edit::member(Some(question), "method").map(edit::value).unwrap_or_default();
            let params = edit::member(Some(question), "params").map_or("{}", RawValue::get);
            steps.push(Step::Client(message::request(&id, method.as_str().unwrap_or_default(), params)));
            missing.insert(id, key);
        }
        let paused = PausedCall { request, state, missing, answers: BTreeMap::new() };
        if paused.missing.is_empty() {
            steps.push(self.again(paused, ids));
        } else {
            self.paused.insert(paused.request.client_id.clone(), paused);
        }
        steps
    }

    /// An answer of the client; with the last one the request is made again.
    fn answered(&mut self, id: &str, message: &Message<'_>, ids: &mut Ids) -> Vec<Step> {
        let found = self.paused.iter().find(|(_, paused)| paused.missing.contains_key(id)).map(|(of, _)| of.clone());
        let Some(mut paused) = found.and_then(|of| self.paused.remove(&of)) else { return Vec::new() };
        let Some(result) = message.result else {
            return vec![Step::Client(message.with_id(&paused.request.client_id).text())];
        };
        if let Some(key) = paused.missing.remove(id) {
            paused.answers.insert(key, result.get().to_owned());
        }
        if paused.missing.is_empty() {
            return vec![self.again(paused, ids)];
        }
        self.paused.insert(paused.request.client_id.clone(), paused);
        Vec::new()
    }

    fn again(&mut self, paused: PausedCall, ids: &mut Ids) -> Step {
        let answers = json::written(&paused.answers);
        let request = InFlightRequest { rounds: paused.request.rounds + 1, ..paused.request };
        self.send(ids.next(), request, Some(&(answers, paused.state)))
    }

    /// Has the server tell of what changes, as a connection was told without asking.
    fn listen(&mut self, ids: &mut Ids) -> Vec<Step> {
        let mut steps = Vec::new();
        if let Some(before) = self.listening.take() {
            steps.push(Step::Upstream(message::cancelled(&before, None)));
        }
        let mut filter: BTreeMap<&str, Value> = self.lists.iter().map(|list| (*list, json!(true))).collect();
        if !self.resources.is_empty() {
            filter.insert("resourceSubscriptions", json!(self.resources));
        }
        if !filter.is_empty() {
            let id = ids.next();
            let params = format!(r#"{{"_meta":{},"notifications":{}}}"#, meta(&self.client, None, None), json!(filter));
            steps.push(Step::Upstream(message::request(&id, "subscriptions/listen", &params)));
            self.listening = Some(id);
        }
        steps
    }

    fn cancel(&mut self, message: &Message<'_>) -> Vec<Step> {
        let Some(id) = message.cancelled_id() else { return Vec::new() };
        self.paused.remove(&id);
        let found = self.in_flight.iter().find(|(_, open)| open.client_id == id).map(|(known, _)| known.clone());
        let Some(known) = found else { return Vec::new() };
        self.in_flight.remove(&known);
        let params = edit::with(message.params, &[("requestId", &known)]);
        vec![Step::Upstream(message::notification("notifications/cancelled", &params))]
    }
}

/// The description of the client, from its handshake.
fn client(initialize: &str) -> Vec<(&'static str, String)> {
    let message = Message::read(initialize).ok();
    let params = message.and_then(|message| message.params);
    let of = |name: &str, default: &str| edit::member(params, name).map_or(default, RawValue::get).to_owned();
    vec![
        (meta::PROTOCOL_VERSION, message::quoted(FIRST_WITHOUT_HANDSHAKE)),
        (meta::CLIENT_INFO, of("clientInfo", r#"{"name":"unknown","version":"0"}"#)),
        (meta::CLIENT_CAPABILITIES, of("capabilities", "{}")),
    ]
}

/// The `_meta` of a request, with the description of the client.
fn meta(client: &[(&'static str, String)], level: Option<&str>, given: Option<&RawValue>) -> String {
    let level = level.map(message::quoted);
    let mut put: Vec<_> = client.iter().map(|(name, value)| (*name, value.as_str())).collect();
    put.extend(level.as_deref().map(|level| (meta::LOG_LEVEL, level)));
    edit::edited(given, |name| !name.starts_with(meta::PREFIX), &put)
}
