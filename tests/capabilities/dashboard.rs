//! The dashboard, as a browser meets it: cookies, forms, and HTML.

use std::{
    fmt::Write as _,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use crate::{
    proxy::{call, caller, carried_out, register},
    support::{
        Answer, Client, Events, House, Process, Receiver, Server, json, text,
        upstream::{Upstream, tool},
    },
};

/// Every page of the menu.
const PAGES: [&str; 11] = [
    "/dashboard", "/dashboard/approvals", "/dashboard/agents", "/dashboard/trail", "/dashboard/spend",
    "/dashboard/servers", "/dashboard/policies", "/dashboard/webhooks", "/dashboard/keys", "/dashboard/evidence",
    "/dashboard/settings",
];
const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

/// A browser that keeps the dashboard's cookie.
struct Browser {
    client: Client,
    cookie: String,
}

impl Browser {
    fn sign_in(server: &Server, key: &str) -> Self {
        let client = server.anonymous();
        let answer = client.send("POST", "/dashboard/sign-in", &[FORM], &format!("key={key}&_next=/dashboard"));
        assert_eq!((answer.status, answer.header("location")), (303, Some("/dashboard")), "{answer:?}");
        let cookie = answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
        Self { client, cookie }
    }

    fn get(&self, path: &str) -> Answer {
        self.client.send("GET", path, &[("Cookie", &self.cookie)], "")
    }

    fn page(&self, path: &str) -> String {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        answer.text
    }

    /// Sends a form of a page, with that page's token.
    fn submit(&self, operation: &str, fields: &[(&str, &str)]) -> Answer {
        self.submit_to(&format!("/dashboard/do/{operation}"), fields)
    }

    fn submit_to(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let page = self.page("/dashboard/settings");
        let token = page.split("name=\"_token\" value=\"").nth(1).unwrap().split('"').next().unwrap();
        self.post(path, &[], &[&[("_token", token)], fields].concat())
    }

    fn post(&self, path: &str, headers: &[(&str, &str)], fields: &[(&str, &str)]) -> Answer {
        let mut body = String::new();
        for (name, value) in fields {
            let separator = if body.is_empty() { "" } else { "&" };
            let encoded: String = value.bytes().fold(String::new(), |mut all, byte| {
                let _ = write!(all, "%{byte:02x}");
                all
            });
            let _ = write!(body, "{separator}{name}={encoded}");
        }
        let headers = [&[FORM, ("Cookie", self.cookie.as_str())], headers].concat();
        self.client.send("POST", path, &headers, &body)
    }
}

#[test]
fn a_person_signs_in_with_a_key_and_signs_out() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let stranger = server.anonymous();
    assert_eq!(stranger.get("/").header("location"), Some("/dashboard"));
    for page in PAGES {
        let answer = stranger.get(page);
        let to = answer.header("location").unwrap().to_owned();
        assert!(answer.status == 303 && to.starts_with("/dashboard/sign-in?next=%2Fdashboard"), "{answer:?}");
        assert_eq!(stranger.get(&to).status, 200);
    }
    for wrong in ["", "hld_wrong", "hld_0123456789012345678901234567890123456789", "<script>"] {
        let answer = stranger.send("POST", "/dashboard/sign-in", &[FORM], &format!("key={wrong}"));
        assert!(answer.status == 401 && answer.header("set-cookie").is_none(), "{answer:?}");
        assert!(answer.text.contains("There is no such key") && !answer.text.contains("<script>"), "{}", answer.text);
    }
    let signed_in = stranger.send("POST", "/dashboard/sign-in", &[FORM], &format!("key={}", operator.key()));
    let cookie = signed_in.header("set-cookie").unwrap();
    for needed in ["; HttpOnly", "; SameSite=Strict", "; Path=/dashboard", "; Max-Age=43200"] {
        assert!(cookie.contains(needed), "{cookie}");
    }
    assert!(!cookie.contains("Secure"), "this machine speaks no TLS: {cookie}");
    let browser = Browser::sign_in(&server, operator.key());
    let token = browser.page("/dashboard");
    let token = token.split("name=\"_token\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    browser.post("/dashboard/sign-out", &[], &[]).status_is(403);
    assert_eq!(browser.get("/dashboard").status, 200);
    let out = browser.post("/dashboard/sign-out", &[], &[("_token", token)]);
    assert!(out.status == 303 && out.header("set-cookie").unwrap().contains("Max-Age=0"));
    assert_eq!(browser.get("/dashboard").status, 303);
}

trait Status {
    fn status_is(&self, status: u16);
}

impl Status for Answer {
    #[track_caller]
    fn status_is(&self, status: u16) {
        assert_eq!(self.status, status, "{}", self.text);
    }
}

#[test]
fn a_sign_in_leads_nowhere_but_to_the_dashboard() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let stranger = server.anonymous();
    for elsewhere in [
        "https://example.com", "//example.com", "/dashboardx", "/v1/keys", "/dashboard\\@example.com",
        "/dashboard/%0d%0aX: 1",
    ] {
        let body = format!("key={}&_next={elsewhere}", operator.key());
        let answer = stranger.send("POST", "/dashboard/sign-in", &[FORM], &body);
        assert_eq!((answer.status, answer.header("location")), (303, Some("/dashboard")), "{elsewhere}");
    }
    let body = format!("key={}&_next=/dashboard/trail?tool=x", operator.key());
    let answer = stranger.send("POST", "/dashboard/sign-in", &[FORM], &body);
    assert_eq!(answer.header("location"), Some("/dashboard/trail?tool=x"));
}

#[test]
fn forms_of_other_pages_change_nothing() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let browser = Browser::sign_in(&server, operator.key());
    let session = operator.session(&json!({"agent_id": "a"}));
    let fields = [("session_id", session.as_str())];
    browser.post("/dashboard/do/revokeSession", &[], &fields).status_is(403);
    browser.post("/dashboard/do/revokeSession", &[], &[fields[0], ("_token", "wrong")]).status_is(403);
    let page = browser.page("/dashboard");
    let token = page.split("name=\"_token\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let with_token = [fields[0], ("_token", token)];
    browser.post("/dashboard/do/revokeSession", &[("Origin", "https://example.com")], &with_token).status_is(403);
    browser.post("/dashboard/do/revokeSession", &[("Origin", "null")], &with_token).status_is(403);
    // What no form of the dashboard does cannot be done by one, and what is no form is none.
    browser.post("/dashboard/do/eraseAgent", &[], &[("agent_id", "a"), ("_token", token)]).status_is(404);
    let json_body = json!({"session_id": session, "_token": token}).to_string();
    let headers = [("Cookie", browser.cookie.as_str()), ("Content-Type", "application/json")];
    browser.client.send("POST", "/dashboard/do/revokeSession", &headers, &json_body).status_is(415);
    assert_eq!(operator.get(&format!("/v1/sessions/{session}")).ok()["is_valid"], true);
    let own = format!("http://{}", server.address);
    browser.post("/dashboard/do/revokeSession", &[("Origin", &own)], &with_token).status_is(303);
    assert_eq!(operator.get(&format!("/v1/sessions/{session}")).ok()["is_valid"], false);
    let page = browser.page("/dashboard");
    assert!(page.contains("The session is revoked."), "{page}");
    assert!(!browser.page("/dashboard").contains("The session is revoked."), "shown twice");
}

#[test]
fn a_browser_is_signed_out_with_its_key() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let other = operator.mint(&json!({"name": "other", "role": "operator"}));
    let browser = Browser::sign_in(&server, other.key());
    let mut live = Events::listen(&server, "", "/dashboard/live", &[("Cookie", &browser.cookie)]);
    live.begun();
    let before = live.next().as_i64().unwrap();
    operator.session(&json!({"agent_id": "a"}));
    assert_eq!(live.next(), json!(before + 1));
    operator.delete(&format!("/v1/keys/{}", &other.key()[..12])).ok();
    let to = browser.get("/dashboard").header("location").unwrap().to_owned();
    assert!(to.starts_with("/dashboard/sign-in"), "{to}");
    assert!(browser.get(&to).text.contains("You were signed out: the key"), "{to}");
    live.ended();
    // The cookie stands for nothing any more.
    let to = browser.get("/dashboard").header("location").unwrap().to_owned();
    assert!(browser.get(&to).text.contains("You were signed out: this browser"), "{to}");
}

#[test]
fn a_key_sees_what_its_scopes_allow_and_its_pages_leave_no_refusals() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    operator.session(&json!({"agent_id": "seen-by-readers"}));
    let reader = operator.mint(&json!({"name": "reader", "role": "agent", "scopes": ["sessions:read"]}));
    let browser = Browser::sign_in(&server, reader.key());
    let before = operator.log_size();
    for path in PAGES {
        let page = browser.page(path);
        assert!(!page.contains("/dashboard/do/"), "{path} has a form that this key may not send");
    }
    assert!(browser.page("/dashboard/agents").contains("seen-by-readers"));
    assert!(browser.page("/dashboard/trail").contains("it needs the scope audit:read"));
    assert_eq!(operator.log_size(), before, "looking left entries");
    // What is not shown is refused as well.
    browser.submit("createApiKey", &[("name", "x")]).status_is(403);
}

#[test]
fn text_of_agents_is_harmless_and_cut_on_every_page() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let name = "<script>alert(1)</script>\u{202e}\"onx='";
    let session = operator.session(&json!({"agent_id": "<img src=x onerror=alert(1)>", "scopes": ["read", "spend"]}));
    let long = "<b>".repeat(20_000);
    for _ in 0..30 {
        let entry =
            json!({"session_id": session, "tool": name, "action": name, "details": {"a": "\u{1b}[31m", "b": long}});
        operator.post("/v1/audit", &entry).ok();
    }
    let request = json!({"session_id": session, "tool": name, "action": name, "reason": name, "details": {"a": long}});
    let request = text(&operator.post("/v1/approvals/request", &request).ok(), "request_id").clone();
    operator.post("/v1/secrets", &json!({"name": "s", "value": "the-value-of-the-secret"})).ok();
    let trail = operator.get("/v1/audit?limit=1").ok();
    let entry = text(&trail["entries"][0], "entry_id").clone();
    let browser = Browser::sign_in(&server, operator.key());
    let more = [
        format!("/dashboard/approvals/{request}"),
        format!("/dashboard/sessions/{session}"),
        format!("/dashboard/trail/{entry}"),
        "/dashboard/agents/%3Cimg%20src=x%20onerror=alert(1)%3E".to_owned(),
        "/dashboard/trail?tool=%3Cscript%3E&agent_id=%22%3E%3Cb%3E".to_owned(),
    ];
    for path in PAGES.iter().copied().chain(more.iter().map(String::as_str)) {
        let answer = browser.get(path);
        let page = &answer.text;
        assert_eq!(answer.status, 200, "{path}: {page}");
        for hostile in ["<script>alert", "<img", "<b>", "\u{202e}", "\u{1b}", "the-value-of-the-secret"] {
            assert!(!page.contains(hostile), "{path} has {hostile:?}");
        }
        // What is decided is shown whole.
        let is_request = path.starts_with("/dashboard/approvals/");
        assert!(page.len() < 100_000 || is_request, "{path} has {} bytes", page.len());
        assert_eq!(page.contains("approveRequest"), is_request, "{path}: a decision about what is cut");
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert!(!page.contains("style=") && !page.contains("src=\"http") && !page.contains("href=\"http"), "{path}");
        assert_eq!(page.matches("<script").count(), 1, "{path}: a script in the page");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
    }
}

#[test]
fn a_person_decides_and_the_agent_hears_it() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let session = operator.session(&json!({"agent_id": "a"}));
    let ask = |tool: &str| {
        let request = json!({"session_id": session, "tool": tool, "action": "do", "reason": "because"});
        text(&operator.post("/v1/approvals/request", &request).ok(), "request_id").clone()
    };
    let (first, second) = (ask("one.tool"), ask("other.tool"));
    let browser = Browser::sign_in(&server, operator.key());
    let page = browser.page("/dashboard");
    assert!(page.contains("Waiting for a decision (2)") && page.contains("one.tool"), "{page}");
    browser
        .submit("approveRequest", &[("request_id", &first), ("note", "fine"), ("_next", "/dashboard")])
        .status_is(303);
    browser.submit("denyRequest", &[("request_id", &second), ("note", "too dear")]).status_is(303);
    let state = |id: &str| operator.get(&format!("/v1/approvals/{id}")).ok();
    assert_eq!(
        (state(&first)["status"].clone(), state(&first)["decision_note"].clone()),
        (json!("approved"), json!("fine"))
    );
    assert_eq!(
        (state(&second)["status"].clone(), state(&second)["decision_note"].clone()),
        (json!("denied"), json!("too dear"))
    );
    // The second decision is refused, and the page says so.
    let again = browser.submit("approveRequest", &[("request_id", &second)]);
    assert!(again.status >= 400 && again.text.contains("class=\"alert\""), "{}", again.text);
    assert!(browser.page(&format!("/dashboard/approvals/{second}")).contains("too dear"));
}

#[test]
fn a_request_stands_beside_the_one_like_it_that_was_approved_last() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let session = operator.session(&json!({"agent_id": "a"}));
    let ask = |to: &str, amount: i64| {
        let details = json!({"to": to, "text": "hello"});
        let request =
            json!({"session_id": session, "tool": "mail", "action": "send", "amount": amount, "details": details});
        text(&operator.post("/v1/approvals/request", &request).ok(), "request_id").clone()
    };
    let browser = Browser::sign_in(&server, operator.key());
    let first = ask("ann@example.com", 1);
    assert!(!browser.page(&format!("/dashboard/approvals/{first}")).contains("Compared with the last"));
    browser.submit("approveRequest", &[("request_id", &first)]).status_is(303);
    let second = browser.page(&format!("/dashboard/approvals/{}", ask("eve@example.com", 2)));
    assert!(second.contains("<del>&#34;ann@example.com&#34;</del><ins>&#34;eve@example.com&#34;</ins>"), "{second}");
    assert!(
        second.contains("Its amount was 1 USD") && second.contains("Compared with the last approved one"),
        "{second}"
    );
    assert!(second.contains(&format!("/dashboard/approvals/{first}")), "{second}");
    let same = browser.page(&format!("/dashboard/approvals/{}", ask("ann@example.com", 1)));
    assert!(same.contains("Its arguments were the same."), "{same}");
}

#[test]
fn a_policy_is_tried_on_recorded_calls_before_it_is_added() {
    let (house, upstream) = (House::new(), Upstream::new([tool("echo"), tool("erase")]));
    let (server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    let session = caller(&operator);
    carried_out(&call(&operator, &session, "up.erase", &json!({"what": "it"})));
    let browser = Browser::sign_in(&server, operator.key());
    let policy = [("type", "deny_list"), ("tools", "up.erase, up.other")];
    let tried = browser.submit_to("/dashboard/do/testProxyPolicy", &policy);
    tried.status_is(200);
    let says = "1 of the 1 newest recorded calls would have been refused; 1 of these were made.";
    assert!(tried.text.contains(says), "{}", tried.text);
    assert!(tried.text.contains("No server has offered a tool of this name: up.other."), "{}", tried.text);
    assert!(tried.text.contains("value=\"up.erase, up.other\""), "the form is not filled in again: {}", tried.text);
    assert_eq!(operator.get("/v1/proxy/policies").ok()["policies"], json!([]), "a trial changed something");
    let other = browser.submit("testProxyPolicy", &[("type", "deny_list"), ("tools", "up.echo")]);
    assert!(
        other.text.contains("None of the 1 recorded calls would have been refused.")
            && !other.text.contains("No server has"),
        "{}",
        other.text
    );

    let here = ("_next", "/dashboard/policies");
    let added = browser.submit("addProxyPolicy", &[&policy[..], &[here]].concat());
    assert_eq!((added.status, added.header("location")), (303, Some("/dashboard/policies")), "{added:?}");
    assert!(browser.page("/dashboard/policies").contains("refuses calls of up.erase, up.other"));
    for path in ["/dashboard/do/addProxyPolicy", "/dashboard/do/testProxyPolicy"] {
        let wrong = browser.submit_to(path, &[("type", "spend_limit"), ("tool", "up.<i>"), ("max", "-1"), here]);
        assert!(wrong.status == 400 && wrong.text.contains("class=\"alert\""), "{}", wrong.text);
        assert!(wrong.text.contains("value=\"-1\"") && !wrong.text.contains("<i>"), "{}", wrong.text);
        browser.post(path, &[], &policy).status_is(403);
    }
    assert_eq!(operator.get("/v1/proxy/policies").ok()["policies"].as_array().unwrap().len(), 1);
}

#[cfg(feature = "cedar")]
#[test]
fn what_is_wrong_in_cedar_is_shown_by_its_line() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let browser = Browser::sign_in(&server, operator.key());
    let wrong = "permit (principal, action, resource);\nforbid (principal, action resource);\n";
    let shown =
        browser.submit("addProxyPolicy", &[("type", "cedar"), ("cedar", wrong), ("_next", "/dashboard/policies")]);
    shown.status_is(400);
    assert!(shown.text.contains("line 2") && shown.text.contains("   2  forbid (principal"), "{}", shown.text);
}

#[test]
fn a_tool_has_a_page_on_which_it_is_labelled() {
    let (house, upstream) = (House::new(), Upstream::new([tool("echo")]));
    let (server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    let browser = Browser::sign_in(&server, operator.key());
    assert!(browser.page("/dashboard/servers").contains("href=\"/dashboard/servers/up/echo\""));
    let page = browser.page("/dashboard/servers/up/echo");
    assert!(page.contains("does echo") && page.contains("Definition"), "{page}");
    let label = [("name", "up"), ("tool", "echo"), ("source", "true"), ("sink", "false"), ("cost", "0.25")];
    browser.submit("markTool", &label).status_is(303);
    let marks = operator.get("/v1/proxy/tools").ok()["tools"][0]["marks"].clone();
    assert_eq!(
        (&marks["source"], &marks["sink"], &marks["cost"]),
        (&json!(true), &json!(false), &json!(0.25)),
        "{marks}"
    );
    assert!(browser.page("/dashboard/servers/up/echo").contains("value=\"0.25\""));
    assert_eq!(browser.get("/dashboard/servers/up/none").status, 404);
}

#[test]
fn spend_is_shown_by_day_with_payments_budgets_and_ceilings() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let key = operator.mint(&json!({"role": "agent", "name": "bounded", "max_spend": 50, "max_daily_spend": 60}));
    let spender = json!({"agent_id": "ann", "scopes": ["read", "spend"], "spend_limit": 40});
    let session = key.session(&spender);
    let entry = json!({"session_id": session, "tool": "search", "action": "find", "cost_usd": 0.75});
    key.post("/v1/audit", &entry).ok();
    let authorization = text(&key.pay(&session, "10").ok(), "authorization_id");
    let browser = Browser::sign_in(&server, operator.key());
    let page = browser.page("/dashboard/spend");
    for part in ["The last 14 days", "0.75 USD", "10 of 40 USD", "60 USD", "bounded", "authorized", "capturePayment"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let of = |query: &str| browser.page(&format!("/dashboard/spend{query}"));
    let (yesterday, today) = (of("?agent_id=ann&since=yesterday&until=today"), of("?agent_id=ann&since=today"));
    assert!(yesterday.contains("No payment was authorized."), "{yesterday}");
    assert!(today.contains("0.75 USD") && today.contains(&authorization), "{today}");
    browser.submit("capturePayment", &[("authorization_id", &authorization), ("amount", "7.5")]).status_is(303);
    assert!(browser.page("/dashboard/spend").contains("paid 7.5"));
    assert_eq!(operator.get(&format!("/v1/sessions/{session}")).ok()["spent"], json!(7.5));
}

#[test]
fn a_new_key_is_shown_once_and_works() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let browser = Browser::sign_in(&server, operator.key());
    let made = browser.submit(
        "createApiKey",
        &[
            ("name", "from the page"),
            ("role", "agent"),
            ("scopes", "sessions:write, audit:read"),
            ("_next", "/dashboard/keys"),
        ],
    );
    // A reload asks for the page that it leads to, and so makes no second key.
    assert_eq!((made.status, made.header("location")), (303, Some("/dashboard/keys")), "{made:?}");
    let made = browser.get("/dashboard/keys");
    assert!(made.text.contains("You will not see it again."), "{}", made.text);
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    // The first characters of keys stand on pages too.
    let key = made.text.split(|c| !is_part(c)).find(|word| word.starts_with("hld_") && word.len() > 30).unwrap();
    server.with_key(key).session(&json!({"agent_id": "a"}));
    let listed = browser.page("/dashboard/keys");
    assert!(listed.contains("from the page") && !listed.contains(key));
    let count = |page: &str| page.matches(&key[..12]).count();
    assert_eq!(count(&browser.page("/dashboard/keys")), count(&listed));
    let receiver = Receiver::new();
    let url = receiver.url();
    let hook = [("url", url.as_str()), ("_next", "/dashboard/webhooks")];
    browser.submit("registerWebhook", &hook).status_is(303);
    assert!(browser.page("/dashboard/webhooks").contains("whsec_"));
    assert!(!browser.page("/dashboard/webhooks").contains("whsec_"));
    let wrong = browser.submit("createApiKey", &[("max_spend", "ten")]);
    assert!(wrong.status == 400 && wrong.text.contains("max_spend"), "{}", wrong.text);
}

/// The actions of the forms of a page that are sent with POST.
fn forms(page: &str) -> Vec<&str> {
    let starts = page.split("method=\"post\" action=\"").skip(1);
    starts.map(|rest| rest.split('"').next().unwrap()).collect()
}

#[test]
fn a_form_that_fails_stands_on_its_page_again_with_what_was_sent() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let session = operator.session(&json!({"agent_id": "a", "scopes": ["read", "spend"], "spend_limit": 20}));
    let first = text(&operator.pay(&session, "5").ok(), "authorization_id").clone();
    operator.pay(&session, "6").ok();
    let browser = Browser::sign_in(&server, operator.key());
    let failed = |path: &str, operation: &str, fields: &[(&str, &str)]| {
        let answer = browser.submit(operation, &[fields, &[("_next", path)]].concat());
        assert!((400..500).contains(&answer.status), "{answer:?}");
        let page = answer.text;
        assert!(page.contains(&format!("href=\"{path}\" aria-current=\"page\"")), "{operation}: {page}");
        assert!(page.contains("role=\"alert\"") && !page.contains("was not carried out"), "{operation}: {page}");
        assert!(page.contains(&format!("action=\"/dashboard/do/{operation}\"")), "{operation}: {page}");
        page
    };
    let page = failed("/dashboard/webhooks", "registerWebhook", &[("url", "ftp://x"), ("name", "pager\"<i>")]);
    assert!(page.contains("value=\"ftp://x\"") && page.contains("value=\"pager&#34;&#60;i&#62;\""), "{page}");
    let key = [("name", "bot"), ("role", "operator"), ("scopes", "audit:wrong"), ("expires_in", "30d")];
    let page = failed("/dashboard/keys", "createApiKey", &key);
    for kept in ["value=\"bot\"", "value=\"audit:wrong\"", "value=\"30d\"", "value=\"operator\" selected"] {
        assert!(page.contains(kept), "{kept}: {page}");
    }
    // The message names the field as the form does, and the field is marked.
    let page = failed("/dashboard/keys", "createApiKey", &[("name", "bot"), ("max_spend", "ten")]);
    assert!(page.contains("Most a session may spend (USD): expected a number"), "{page}");
    assert!(page.contains("name=\"max_spend\" value=\"ten\"") && page.contains("aria-invalid=\"true\""), "{page}");
    let secret = [("name", "s"), ("value", "the-secret-value"), ("upstreams", "no/name")];
    let page = failed("/dashboard/keys", "storeSecret", &secret);
    assert!(page.contains("value=\"no/name\"") && !page.contains("the-secret-value"), "{page}");
    // Of many forms alike it is the one that was sent, opened.
    let page = failed("/dashboard/spend", "capturePayment", &[("authorization_id", &first), ("amount", "much")]);
    assert_eq!((page.matches("value=\"much\"").count(), page.matches("<details open>").count()), (1, 1), "{page}");
    let form = page.split("value=\"much\"").next().unwrap().rsplit("<form").next().unwrap();
    assert!(form.contains(&first), "{form}");
    assert_eq!(browser.page("/dashboard/keys").matches("value=\"bot\"").count(), 0, "a later page has it too");
}

#[test]
fn a_key_that_may_only_read_is_offered_no_form() {
    let (house, upstream, receiver) = (House::new(), Upstream::new([tool("echo")]), Receiver::new());
    let (server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    let session = operator.session(&json!({"agent_id": "a", "scopes": ["read", "spend"]}));
    operator.pay(&session, "5").ok();
    let request = json!({"session_id": session, "tool": "t", "action": "do"});
    let request = text(&operator.post("/v1/approvals/request", &request).ok(), "request_id").clone();
    operator.post("/v1/approvals/rules", &json!({"type": "destructive"})).ok();
    operator.post("/v1/webhooks", &json!({"url": receiver.url()})).ok();
    operator.post("/v1/secrets", &json!({"name": "s", "value": "v"})).ok();
    operator.post("/v1/proxy/policies", &json!({"type": "deny_list", "tools": ["up.other"]})).ok();
    let resources = ["sessions", "vault", "audit", "payments", "webhooks", "proxy", "approvals", "admin"];
    let scopes: Vec<_> = resources.iter().map(|resource| format!("{resource}:read")).collect();
    let more = [
        format!("/dashboard/approvals/{request}"),
        format!("/dashboard/sessions/{session}"),
        "/dashboard/agents/a".to_owned(),
        "/dashboard/servers/up/echo".to_owned(),
    ];
    let harmless = ["sign-out", "do/testProxyPolicy", "do/verifyAuditTrail"].map(|name| format!("/dashboard/{name}"));
    let all_forms = |browser: &Browser| -> Vec<String> {
        let pages = PAGES.iter().copied().chain(more.iter().map(String::as_str)).map(|path| (path, browser.page(path)));
        pages
            .flat_map(|(path, page)| forms(&page).into_iter().map(|form| format!("{path} {form}")).collect::<Vec<_>>())
            .collect()
    };
    let changes = |form: &&String| !harmless.iter().any(|harmless| form.ends_with(harmless.as_str()));
    for role in ["agent", "operator"] {
        let reader = operator.mint(&json!({"name": "reader", "role": role, "scopes": scopes}));
        let browser = Browser::sign_in(&server, reader.key());
        let found = all_forms(&browser);
        let offered: Vec<_> = found.iter().filter(changes).collect();
        assert!(offered.is_empty(), "{role}: {offered:?}");
        assert!(found.iter().any(|form| form.ends_with("verifyAuditTrail")), "{found:?}");
        let tool = browser.page("/dashboard/servers/up/echo");
        assert!(tool.contains("<dt>Sink</dt>"), "the labels are not shown: {tool}");
    }
    // The same pages have them for those who may.
    let found = all_forms(&Browser::sign_in(&server, operator.key()));
    for operation in
        ["addApprovalRule", "deleteApprovalRule", "registerWebhook", "createApiKey", "revokeApiKey", "markTool"]
    {
        assert!(found.iter().any(|form| form.ends_with(operation)), "{operation}: {found:?}");
    }
}

#[test]
fn the_whole_log_is_verified_from_a_page() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let session = operator.session(&json!({"agent_id": "a"}));
    for action in ["first", "second", "third"] {
        operator.log(&session, action).ok();
    }
    let browser = Browser::sign_in(&server, operator.key());
    for page in ["/dashboard/trail", "/dashboard/settings"] {
        assert!(forms(&browser.page(page)).contains(&"/dashboard/do/verifyAuditTrail"), "{page}");
    }
    let result = || {
        let verify = browser.submit("verifyAuditTrail", &[("_next", "/dashboard/trail")]);
        assert_eq!((verify.status, verify.header("location")), (303, Some("/dashboard/trail")), "{verify:?}");
        browser.page("/dashboard/trail")
    };
    let page = result();
    let says = format!("The whole log is verified: all {} entries", operator.log_size());
    assert!(page.contains(&says) && page.contains("class=\"notice good\""), "{page}");
    let broken = operator.log_size() - 1;
    house.change(&format!("UPDATE audit_entries SET cost = 5000000000 WHERE place = {broken}"));
    let page = result();
    assert!(page.contains(&format!("The log is broken: entry {broken}")), "{page}");
    assert!(page.contains("class=\"notice bad\""), "{page}");
}

#[test]
fn an_agent_is_stopped_with_its_keys() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let agent = operator.mint(&json!({"name": "bot", "role": "agent"}));
    agent.session(&json!({"agent_id": "writer-bot"}));
    let browser = Browser::sign_in(&server, operator.key());
    let page = browser.page("/dashboard/agents/writer-bot");
    assert!(page.contains("open sessions: 1") && page.contains("name=\"revoke_keys\" value=\"true\""), "{page}");
    let fields = [("agent_id", "writer-bot"), ("revoke_keys", "true"), ("_next", "/dashboard/agents/writer-bot")];
    browser.submit("stopAgent", &fields).status_is(303);
    let page = browser.page("/dashboard/agents/writer-bot");
    assert!(page.contains("writer-bot is stopped: 1 session ended, 1 key revoked."), "{page}");
    assert!(page.contains("stopped: no open session") && !page.contains("stopAgent"), "{page}");
    agent.get("/v1/sessions").status_is(401);
}

#[test]
fn an_address_without_a_page_has_a_page_that_says_so() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let answer = Browser::sign_in(&server, operator.key()).get("/dashboard/nowhere/at/all");
    assert_eq!(answer.status, 404);
    assert!(answer.header("content-type").unwrap().starts_with("text/html"), "{answer:?}");
    assert!(answer.text.contains("no page at this address") && answer.text.contains("<nav"), "{}", answer.text);
}

#[test]
fn an_altered_and_a_missing_entry_are_shown_in_their_places() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let session = operator.session(&json!({"agent_id": "a"}));
    for action in ["first", "second", "third", "fourth"] {
        operator.log(&session, action).ok();
    }
    let browser = Browser::sign_in(&server, operator.key());
    let page = browser.page("/dashboard/trail");
    assert!(!page.contains("ALTERED") && !page.contains("missing"), "{page}");
    let size = operator.log_size();
    house.change(&format!("UPDATE audit_entries SET cost = 5000000000 WHERE place = {}", size - 2));
    house.change(&format!("DELETE FROM audit_entries WHERE place = {}", size - 1));
    let page = browser.page("/dashboard/trail");
    assert!(page.contains("ALTERED"), "{page}");
    assert!(
        page.contains(&format!("entry {} of the log were removed", size - 1)) || page.contains("missing"),
        "{page}"
    );
    let entries = operator.get("/v1/audit").ok();
    let altered: Vec<_> =
        entries["entries"].as_array().unwrap().iter().filter(|entry| entry["altered"] == true).collect();
    assert_eq!(altered.len(), 1, "{entries}");
    let entry = browser.page(&format!("/dashboard/trail/{}", text(altered[0], "entry_id")));
    assert!(entry.contains("This entry was altered outside haldir"), "{entry}");
}

#[test]
fn assets_are_kept_by_browsers_for_good() {
    let house = House::new();
    let server = house.serve();
    let client = server.anonymous();
    let page = client.get("/dashboard/sign-in").text;
    for (attribute, kind) in [("rel=\"stylesheet\" href=\"", "text/css"), ("<script src=\"", "text/javascript")] {
        let path = page.split(attribute).nth(1).unwrap().split('"').next().unwrap();
        let answer = client.get(path);
        assert!(answer.status == 200 && answer.header("content-type").unwrap().starts_with(kind), "{answer:?}");
        assert_eq!(answer.header("cache-control"), Some("public, max-age=31536000, immutable"));
    }
    client.get("/dashboard/assets/nothing.js").status_is(404);
}

#[cfg(unix)]
#[test]
fn the_terminal_opens_the_dashboard_of_its_store_signed_in_once() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    operator.session(&json!({"agent_id": "of-the-store"}));
    let mut command = Command::new(env!("CARGO_BIN_EXE_haldir"));
    command.args(["dashboard", "--no-open"]).env_clear();
    crate::support::on_postgres::set_store(&mut command, &house.db());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = Process::spawn(command);
    let mut link = String::new();
    BufReader::new(process.child().stdout.take().unwrap()).read_line(&mut link).unwrap();
    let (address, path) = link.trim().strip_prefix("http://").unwrap().split_once('/').unwrap();
    let client = Client::new(address.parse().unwrap(), None);
    let opened = client.get(&format!("/{path}"));
    let cookie = opened.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    assert_eq!((opened.status, opened.header("location")), (303, Some("/dashboard")));
    let page = client.send("GET", "/dashboard", &[("Cookie", &cookie)], "").text;
    assert!(page.contains("of-the-store") && page.contains("operator (operator)"), "{page}");
    client.get(&format!("/{path}")).status_is(401);
    // Nothing but the dashboard is there.
    client.get("/v1/sessions").status_is(404);
    process.terminate();
    assert!(process.finish().0, "the command did not end well");
}
