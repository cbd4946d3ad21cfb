//! A client of 2026-07-28 in front of a server that shakes hands.
//!
//! What the server asks in the middle of a call becomes the call's result "input required"; the client then repeats the call
//! with its answers, and is given what became of the one that is still under way.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json, value::RawValue};

use super::{super::mid_call, Ids, Step};
use crate::{
    crypto,
    protocol::{
        code::{INTERNAL_ERROR, INVALID_PARAMS, METHOD_NOT_FOUND},
        edit,
        message::{self, Message},
        meta::{self, HALDIR_SESSION, LOG_LEVEL, SERVER_INFO, SUBSCRIPTION_ID},
        request::{RESPONSES, STATE, ServerRequest, input_required},
        revision::{FIRST_WITHOUT_HANDSHAKE, NEWEST_WITH_HANDSHAKE},
    },
    relay::elsewhere::{self, Named, UNKNOWN_CALL},
};

/// Calls that wait for their client's answers, and subscriptions.
const MAX_PAUSED: usize = 64;
const MAX_SUBSCRIPTIONS: usize = 64;
/// What is kept for all of them together: further requests of the server, and bytes of these, of ids and of answers.
const MAX_KEPT: usize = 32;
const MAX_KEPT_BYTES: usize = 4 * 1024 * 1024;
/// Resources of one subscription.
const MAX_RESOURCES: usize = 256;
/// The requests of a client during which a server may make requests of its own.
const MAY_ASK: [&str; 3] = ["tools/call", "prompts/get", "resources/read"];
/// Why a question is refused that could be about the call of another client.
const WHOSE: &str = "haldir cannot tell which call this belongs to: calls of several clients are under way on this \
    connection";
/// Requests whose results say how long they hold.
const CACHEABLE: [&str; 5] =
    ["tools/list", "prompts/list", "resources/list", "resources/templates/list", "resources/read"];

pub(super) struct OldServer {
    welcome: Value,
    /// Requests that the server has, oldest first, each with the id that the server knows it by.
    in_flight: Vec<InFlightRequest>,
    paused: VecDeque<PausedCall>,
    /// Subscriptions: their ids, and what they are for.
    listening: Vec<(String, Value)>,
    /// The least log level that the server was asked for.
    level: Option<String>,
    /// Whether several clients share the server.
    shared: bool,
}

struct InFlightRequest {
    id: String,
    /// The id that its client waits for.
    client_id: String,
    method: String,
    /// The digest of what it asks for, as a repetition has to.
    asks: [u8; 32],
    /// Whether its client wants log messages.
    logs: bool,
    /// The session that it names.
    session: Option<String>,
}

impl InFlightRequest {
    fn may_ask(&self) -> bool {
        MAY_ASK.contains(&self.method.as_str())
    }
}

struct PausedCall {
    state: String,
    request: InFlightRequest,
    /// Requests of the server by the key that the client answers under.
    questions: BTreeMap<String, String>,
    /// What came since: further requests of the server, and its answer.
    since: Vec<MidCallRequest>,
    answer: Option<String>,
}

/// A request of the server.
struct MidCallRequest {
    id: String,
    method: String,
    params: String,
}

impl MidCallRequest {
    fn bytes(&self) -> usize {
        self.id.len() + self.method.len() + self.params.len()
    }
}

impl PausedCall {
    /// The bytes of the server that it keeps.
    fn bytes(&self) -> usize {
        let since = self.since.iter().map(MidCallRequest::bytes).sum::<usize>();
        let ids = self.questions.values().map(String::len).sum::<usize>();
        since + ids + self.answer.as_ref().map_or(0, String::len)
    }
}

impl OldServer {
    /// The handshake, in the name of a client that began so.
    pub(super) fn initialize(id: &str, first: &str) -> String {
        let message = Message::read(first).ok();
        let meta = message.and_then(|message| edit::meta(message.params)).map(edit::value).unwrap_or_default();
        let of = |name: &str, default: Value| match &meta[format!("{}{name}", meta::PREFIX)] {
            Value::Null => default,
            value => value.clone(),
        };
        let params = json!({
            "protocolVersion": NEWEST_WITH_HANDSHAKE,
            "capabilities": of("clientCapabilities", json!({})),
            "clientInfo": of("clientInfo", json!({"name": "unknown", "version": "0"})),
        });
        message::request(id, "initialize", &params.to_string())
    }

    /// A server that answered the handshake so; `shared` is whether several clients share it.
    pub(super) fn new(welcome: Value, shared: bool) -> Self {
        Self { welcome, in_flight: Vec::new(), paused: VecDeque::new(), listening: Vec::new(), level: None, shared }
    }

    /// The answer to `server/discover`.
    pub(super) fn discovered(&self, id: &str) -> String {
        let mut result = json!({
            "resultType": "complete", "supportedVersions": [FIRST_WITHOUT_HANDSHAKE],
            "capabilities": self.welcome["capabilities"], "ttlMs": 0, "cacheScope": "private",
            "_meta": {SERVER_INFO: self.welcome["serverInfo"]},
        });
        if self.welcome["instructions"].is_string() {
            result["instructions"] = self.welcome["instructions"].clone();
        }
        message::response(id, &result.to_string())
    }

    pub(super) fn client_message(&mut self, text: String, ids: &mut Ids) -> Vec<Step> {
        let Ok(message) = Message::read(&text) else { return vec![Step::Upstream(text)] };
        let Some(id) = message.request_id().map(str::to_owned) else { return self.told(&message) };
        let meta = edit::meta(message.params).map(edit::value).unwrap_or_default();
        match message.method.as_deref().unwrap_or_default() {
            "server/discover" => return vec![Step::Client(self.discovered(&id))],
            "subscriptions/listen" => return self.listen(id, &message, ids),
            _ => {}
        }
        if let Some(state) = message.text_param(STATE) {
            return self.resume(id, &state, &message);
        }
        let mut steps = Vec::new();
        let level = &meta[LOG_LEVEL];
        if !level.is_null() && !edit::is_level(level) {
            return vec![Step::Client(message::error(Some(&id), INVALID_PARAMS, edit::NO_LEVEL))];
        }
        let level = level.as_str();
        if let Some(level) = level.filter(|level| self.level.as_deref() != Some(level)) {
            self.level = Some(level.to_owned());
            let params = json!({"level": level}).to_string();
            steps.push(Step::Upstream(message::request(&ids.next(), "logging/setLevel", &params)));
        }
        let method = message.method.as_deref().unwrap_or_default().to_owned();
        let (asks, logs) = (asks(&message), level.is_some());
        let session = meta[HALDIR_SESSION].as_str().map(str::to_owned);
        self.in_flight.push(InFlightRequest {
            id: id.clone(),
            client_id: id.clone(),
            method: method.clone(),
            asks,
            logs,
            session,
        });
        let text = match message.params {
            None => message.text(),
            Some(params) => message::request(&id, &method, &without_context(params)),
        };
        steps.push(Step::Upstream(text));
        steps
    }

    /// A notification, or an answer to no request.
    fn told(&mut self, message: &Message<'_>) -> Vec<Step> {
        if !message.is("notifications/cancelled") {
            // The handshake is ours, and was finished.
            let passes = message.method.is_some() && !message.is("notifications/initialized");
            return passes.then(|| Step::Upstream(message.text())).into_iter().collect();
        }
        let Some(id) = message.cancelled_id() else { return Vec::new() };
        self.listening.retain(|(listening, _)| *listening != id);
        let Some(at) = self.in_flight.iter().position(|open| open.client_id == id) else { return Vec::new() };
        let open = self.in_flight.remove(at);
        let params = edit::with(message.params, &[("requestId", &open.id)]);
        vec![Step::Upstream(message::notification("notifications/cancelled", &params))]
    }

    pub(super) fn upstream_message(&mut self, text: String) -> Vec<Step> {
        let Ok(message) = Message::read(&text) else { return Vec::new() };
        if let Some(id) = message.answers() {
            let has_room = self.has_room(text.len());
            if let Some(paused) = self.paused.iter_mut().find(|paused| paused.request.id == id) {
                let too_large = || message::error(Some(id), INTERNAL_ERROR, "the answer is too large to wait");
                paused.answer = Some(if has_room { text } else { too_large() });
                return Vec::new();
            }
            // What is not found here was asked by ourselves.
            let Some(at) = self.in_flight.iter().position(|open| open.id == id) else { return Vec::new() };
            let open = self.in_flight.remove(at);
            return vec![Step::Client(finished(&open, &message))];
        }
        let method = message.method.as_deref().unwrap_or_default();
        if let Some(id) = message.request_id() {
            return self.asked(id, method, &message);
        }
        if method.ends_with("/list_changed") || method == "notifications/resources/updated" {
            return self.changed(method, &message);
        }
        let wanted = method != "notifications/message" || self.in_flight.iter().any(|open| open.logs);
        if wanted { vec![Step::Client(text)] } else { Vec::new() }
    }

    /// A request of the server.
    fn asked(&mut self, id: &str, method: &str, message: &Message<'_>) -> Vec<Step> {
        if method == "ping" {
            return vec![Step::Upstream(message::response(id, "{}"))];
        }
        let question = MidCallRequest {
            id: id.to_owned(),
            method: method.to_owned(),
            params: message.params.map_or("{}", RawValue::get).to_owned(),
        };
        if ServerRequest::of(method).is_some() {
            if !self.are_one_clients() {
                return vec![Step::Upstream(message::error(Some(id), INTERNAL_ERROR, WHOSE))];
            }
            if !self.has_room(id.len()) {
                return too_many(id);
            }
            if let Some(at) = self.in_flight.iter().rposition(InFlightRequest::may_ask) {
                let request = self.in_flight.remove(at);
                return self.pause(request, vec![question]);
            }
            let kept = self.paused.iter().map(|paused| paused.since.len()).sum::<usize>();
            let has_room = kept < MAX_KEPT && self.has_room(question.bytes());
            if let Some(paused) = self.paused.back_mut() {
                if !has_room {
                    return too_many(id);
                }
                paused.since.push(question);
                return Vec::new();
            }
        }
        let problem = "the client can be asked this only while it waits for a tool, a prompt or a resource";
        vec![Step::Upstream(message::error(Some(id), METHOD_NOT_FOUND, problem))]
    }

    /// Whether all requests that the server may ask in are of one client, as far as that can be told: a question names none
    /// of them, and only their session tells their client.
    fn are_one_clients(&self) -> bool {
        let paused = self.paused.iter().map(|paused| &paused.request);
        let all = self.in_flight.iter().filter(|open| open.may_ask()).chain(paused);
        !self.shared || mid_call::are_one_clients(all.map(|open| &open.session))
    }

    /// Whether so many bytes may be kept besides.
    fn has_room(&self, bytes: usize) -> bool {
        self.paused.iter().map(PausedCall::bytes).sum::<usize>() + bytes <= MAX_KEPT_BYTES
    }

    /// Answers a request with what the server wants to know before it goes on.
    fn pause(&mut self, request: InFlightRequest, asked: Vec<MidCallRequest>) -> Vec<Step> {
        let mut steps = Vec::new();
        if self.paused.len() >= MAX_PAUSED
            && let Some(oldest) = self.paused.pop_front()
        {
            // Its client does not come back.
            let refuse =
                |id: &String| Step::Upstream(message::error(Some(id), INTERNAL_ERROR, "the client has not answered"));
            steps.extend(oldest.questions.values().map(refuse));
        }
        // Random: from one state no other can be guessed, and no two calls have the same.
        let Ok(state) = crypto::token::<24>("") else {
            let refuse = |question: &MidCallRequest| {
                Step::Upstream(message::error(Some(&question.id), INTERNAL_ERROR, "the client cannot be asked"))
            };
            steps.extend(asked.iter().map(refuse));
            let problem = "the client could not be asked";
            steps.push(Step::Client(message::error(Some(&request.client_id), INTERNAL_ERROR, problem)));
            return steps;
        };
        let asked: BTreeMap<_, _> =
            asked.into_iter().enumerate().map(|(at, question)| (format!("q{at}"), question)).collect();
        let shown = asked.iter().map(|(key, one)| (key.as_str(), one.method.as_str(), one.params.as_str()));
        let result = input_required(shown, &state);
        let questions = asked.into_iter().map(|(key, question)| (key, question.id)).collect();
        steps.push(Step::Client(message::response(&request.client_id, &result)));
        self.paused.push_back(PausedCall { state, request, questions, since: Vec::new(), answer: None });
        steps
    }

    /// A request that is repeated with answers: it goes on where it was.
    fn resume(&mut self, id: String, state: &str, message: &Message<'_>) -> Vec<Step> {
        let found = self.paused.iter().position(|paused| paused.state == state);
        // The answers belong to what was asked for, and to nothing else.
        let Some(at) = found.filter(|at| self.paused[*at].request.asks == asks(message)) else {
            elsewhere::note(Named::PausedCall);
            return vec![Step::Client(message::error(Some(&id), INVALID_PARAMS, UNKNOWN_CALL))];
        };
        let Some(paused) = self.paused.remove(at) else { return Vec::new() };
        let PausedCall { mut request, questions, since, answer, .. } = paused;
        let answers = message.param(RESPONSES);
        let mut steps: Vec<_> = questions
            .into_iter()
            .map(|(key, question)| match edit::member(answers, &key) {
                Some(answer) => Step::Upstream(message::response(&question, answer.get())),
                None => {
                    Step::Upstream(message::error(Some(&question), INTERNAL_ERROR, "the client has not answered this"))
                }
            })
            .collect();
        request.client_id = id;
        if let Some(answer) = answer {
            let answered = Message::read(&answer).map(|answer| Step::Client(finished(&request, &answer)));
            steps.extend(answered);
        } else if since.is_empty() {
            self.in_flight.push(request);
        } else {
            steps.extend(self.pause(request, since));
        }
        steps
    }

    fn listen(&mut self, id: String, message: &Message<'_>, ids: &mut Ids) -> Vec<Step> {
        if self.listening.len() >= MAX_SUBSCRIPTIONS {
            let problem = format!("{MAX_SUBSCRIPTIONS} subscriptions are open already");
            return vec![Step::Client(message::error(Some(&id), INVALID_PARAMS, &problem))];
        }
        let filter = message.param("notifications").map_or_else(|| json!({}), edit::value);
        let uris = filter["resourceSubscriptions"].as_array().map(Vec::as_slice).unwrap_or_default();
        let subscribe =
            |uri: &Value| message::request(&ids.next(), "resources/subscribe", &json!({"uri": uri}).to_string());
        let mut steps: Vec<_> = uris.iter().take(MAX_RESOURCES).map(subscribe).map(Step::Upstream).collect();
        let meta = format!("{{\"{SUBSCRIPTION_ID}\":{id}}}");
        let params = format!("{{\"_meta\":{meta},\"notifications\":{filter}}}");
        steps.push(Step::Client(message::notification("notifications/subscriptions/acknowledged", &params)));
        self.listening.push((id, filter));
        steps
    }

    /// A notification, to every subscription that is for it.
    fn changed(&self, method: &str, message: &Message<'_>) -> Vec<Step> {
        let uri = message.param("uri").map(edit::value);
        let wants = |filter: &Value| match method {
            "notifications/tools/list_changed" => filter["toolsListChanged"] == true,
            "notifications/prompts/list_changed" => filter["promptsListChanged"] == true,
            "notifications/resources/list_changed" => filter["resourcesListChanged"] == true,
            _ => filter["resourceSubscriptions"].as_array().is_some_and(|all| uri.iter().any(|uri| all.contains(uri))),
        };
        let wanting = self.listening.iter().filter(|(_, filter)| wants(filter));
        let told = wanting.map(|(id, _)| {
            let meta = edit::with(edit::meta(message.params), &[(SUBSCRIPTION_ID, id)]);
            Step::Client(message::notification(method, &edit::with(message.params, &[("_meta", &meta)])))
        });
        told.collect()
    }
}

/// Answers the server that its request is one too many.
fn too_many(id: &str) -> Vec<Step> {
    let problem = "too many requests wait for the client's answers already";
    vec![Step::Upstream(message::error(Some(id), INTERNAL_ERROR, problem))]
}

/// What a request asks for: without the description of its client, and without answers.
fn asks(message: &Message<'_>) -> [u8; 32] {
    let kept = |name: &str| !["_meta", RESPONSES, STATE].contains(&name);
    let method = message.method.as_deref().unwrap_or_default();
    crypto::digest(&[format!("{method} {}", edit::edited(message.params, kept, &[])).as_bytes()])
}

/// Parameters without what only 2026-07-28 knows.
fn without_context(params: &RawValue) -> String {
    let known = |name: &str| ![RESPONSES, STATE].contains(&name);
    let meta = edit::edited(edit::meta(Some(params)), |name| !name.starts_with(meta::PREFIX), &[]);
    match meta.as_str() {
        "{}" => edit::edited(Some(params), |name| known(name) && name != "_meta", &[]),
        meta => edit::edited(Some(params), known, &[("_meta", meta)]),
    }
}

/// The server's answer, as a client of 2026-07-28 has it.
fn finished(open: &InFlightRequest, message: &Message<'_>) -> String {
    let Some(result) = message.result else {
        return message.with_id(&open.client_id).text();
    };
    let complete = ("resultType", "\"complete\"");
    let cacheable = [complete, ("ttlMs", "0"), ("cacheScope", "\"private\"")];
    let more = if CACHEABLE.contains(&open.method.as_str()) { &cacheable[..] } else { &[complete] };
    edit::answer(&open.client_id, Some(result), |_| true, more)
}
