//! `haldir login`, `logout` and `whoami`: the servers that commands go to, each with its key.

use clap::Args;
use reqwest::Url;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{
    CommandError, GlobalOptions,
    local::Local,
    output::{facts, line, note, printable, table_or, word},
    profile::{self, Profile, Profiles},
    prompt,
    stdin::StandardInput,
    target::{Destination, KEY_VARIABLE, SERVER_VARIABLE, Target},
};
use crate::{
    error::{Code, Error},
    gate::list_api_keys::ApiKeyList,
};

/// Characters of a key that its list shows.
const SHOWN: usize = 12;
/// Keys that are looked through for the caller's own.
const MAX_KEYS: i64 = 1_000;

#[derive(Args)]
pub struct LoginOptions {
    /// The server's address. Default: `HALDIR_BASE_URL`, or what you answer.
    #[arg(value_name = "URL")]
    url: Option<String>,
}

#[derive(Args)]
pub struct LogoutOptions {
    /// Forget all profiles.
    #[arg(long, conflicts_with = "profile")]
    all: bool,
}

#[derive(Args)]
pub struct WhoamiOptions {
    /// List the profiles instead; no server is asked.
    #[arg(long)]
    all: bool,
}

/// What the server or the store knows about the caller's key; fields that the key may not read are `None`.
#[derive(Default)]
struct Caller {
    tenant: Option<String>,
    tier: Option<String>,
    prefix: Option<String>,
    name: Option<String>,
    role: Option<String>,
    scopes: Option<Vec<String>>,
}

impl Caller {
    /// Asks the server what this key is; an error if the key is unknown, or the server does not answer.
    fn ask(target: &Target, key: Option<&str>) -> Result<Self, Error> {
        let mut caller = Self { prefix: key.map(|key| key.chars().take(SHOWN).collect()), ..Self::default() };
        // A refusal for lack of a scope means that the key is valid.
        let is_withheld =
            |error: &Error| (400..=404).contains(&error.code.status()) && error.code != Code::Unauthorized;
        match target.call("getOverview", "{}") {
            Ok(reply) => {
                let overview: Value = serde_json::from_str(&reply.body).map_err(|_| no_haldir())?;
                let text = |name: &str| overview[name].as_str().map(str::to_owned).ok_or_else(no_haldir);
                (caller.tenant, caller.tier) = (Some(text("tenant_id")?), Some(text("tier")?));
            }
            // The operation is for operators: so the key is valid, and an agent's.
            Err(error) if error.code == Code::OperatorRequired => {
                caller.role = Some("agent".to_owned());
                return Ok(caller);
            }
            Err(error) if error.code == Code::InsufficientScope => {}
            Err(error) => return Err(error),
        }
        let Some(key) = key else { return Ok(caller) };
        match target.call("listApiKeys", &json!({"limit": MAX_KEYS}).to_string()) {
            Ok(reply) => {
                let listed: ApiKeyList = serde_json::from_str(&reply.body).map_err(|_| no_haldir())?;
                if let Some(own) = listed.keys.into_iter().find(|listed| key.starts_with(&listed.prefix)) {
                    (caller.prefix, caller.name) = (Some(own.prefix), Some(own.name));
                    (caller.role, caller.scopes) = (Some(word(own.role)), Some(own.scopes));
                }
            }
            Err(error) if error.code == Code::OperatorRequired => caller.role = Some("agent".to_owned()),
            Err(error) if is_withheld(&error) => {}
            Err(error) => return Err(error),
        }
        Ok(caller)
    }

    fn rows(&self) -> Vec<(&'static str, String)> {
        let scopes = self.scopes.as_ref().map(|scopes| scopes.join(" "));
        let texts = [
            ("tenant", &self.tenant),
            ("key", &self.prefix),
            ("name", &self.name),
            ("role", &self.role),
            ("tier", &self.tier),
            ("scopes", &scopes),
        ];
        texts.into_iter().filter_map(|(title, text)| Some((title, text.clone()?))).collect()
    }

    fn json(&self) -> Value {
        let Self { tenant, tier, prefix, name, role, scopes } = self;
        json!({"tenant_id": tenant, "key_prefix": prefix, "name": name, "role": role, "tier": tier, "scopes": scopes})
    }
}

fn no_haldir() -> Error {
    Error::new(Code::Unavailable, "what answers at this address is no haldir: is the address that of its server?")
}

/// The server's address without a slash at its end; refuses user, password, query and fragment.
fn address(text: &str) -> Result<String, Error> {
    let expected = || Error::invalid("url", "expected the server's address, such as https://haldir.example.com");
    let text = text.trim().trim_end_matches('/');
    let url: Url = text.parse().map_err(|_| expected())?;
    let is_sound =
        matches!(url.scheme(), "http" | "https") && url.has_host() && url.query().is_none() && url.fragment().is_none();
    if !is_sound {
        return Err(expected());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Error::invalid(
            "url",
            "the address must not hold a name or a password: the key is asked for by itself",
        ));
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// Warns about an address over which the key would be sent unencrypted.
fn warn_of_plain_text(url: &str) {
    let Ok(parsed) = url.parse::<Url>() else { return };
    let is_near = matches!(parsed.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    if parsed.scheme() == "http" && !is_near {
        note("haldir: warning: over http:// others on the way can read the key: use https:// if the server has it");
    }
}

pub fn login(options: &LoginOptions, global: &GlobalOptions) -> Result<(), CommandError> {
    if global.server.key.as_deref().is_some_and(|key| key != "-") {
        let message = "a key among the arguments is seen by other users of the machine: leave --key out, and it is asked for, or \
                       write it to standard input";
        return Err(Error::invalid("key", message).into());
    }
    let name = match (&global.profile, profile::of_environment()?) {
        (Some(name), _) => name.clone(),
        (None, name) => name.unwrap_or_else(|| profile::DEFAULT.to_owned()),
    };
    let path = profile::file()?;
    // First: writing a file that could not be read would lose its profiles.
    let mut profiles = Profiles::read(&path)?;
    let variable = || std::env::var(SERVER_VARIABLE).ok().filter(|url| !url.is_empty());
    let url = match options.url.clone().or_else(|| global.server.url.clone()).or_else(variable) {
        Some(url) => url,
        None if prompt::can_ask() => {
            prompt::ask("url", "Address of the server, such as https://haldir.example.com")?.to_string()
        }
        None => return Err(Error::invalid("url", "name the server: haldir login https://haldir.example.com").into()),
    };
    let url = address(&url)?;
    warn_of_plain_text(&url);
    let key = prompt::secret("key", "API key (it is not shown)")?;
    let key = Zeroizing::new(key.trim().to_owned());
    profile::check_key(&key)?;
    let target = Target::at_server(&url, Some(key.clone()))?;
    let caller = Caller::ask(&target, Some(&key)).map_err(|error| match error.code {
        Code::Unauthorized => Error::new(
            error.code,
            format!("{url} does not accept this key; nothing was stored. `haldir keys create` makes one there"),
        ),
        _ => Error { message: format!("{}; nothing was stored", error.message), ..error },
    })?;
    profiles.put(&name, Profile { url: url.clone(), key })?;
    profiles.write(&path)?;
    if global.json {
        let mut answer = caller.json();
        (answer["profile"], answer["url"], answer["file"]) = (json!(name), json!(url), json!(path));
        return line(&answer.to_string());
    }
    let role = caller.role.as_deref().map_or_else(String::new, |role| format!(", role {role}"));
    line(&printable(&format!("logged in to {url} as profile {name}{role}")))?;
    note(&format!("The key is in {}. {}", path.display(), use_of(&name)));
    Ok(())
}

fn use_of(name: &str) -> String {
    if name == profile::DEFAULT {
        "Commands go to this server unless --db, --url or --profile says otherwise.".to_owned()
    } else {
        format!("Commands go there with --profile {name}, or with {}={name} in the environment.", profile::VARIABLE)
    }
}

pub fn logout(options: &LogoutOptions, global: &GlobalOptions) -> Result<(), CommandError> {
    let path = profile::file()?;
    let mut profiles = Profiles::read(&path)?;
    let given = match &global.profile {
        Some(name) => Some(name.clone()),
        None => profile::of_environment()?,
    };
    let names = if options.all {
        profiles.all().map(|(name, _)| name.to_owned()).collect()
    } else {
        vec![given.unwrap_or_else(|| profile::DEFAULT.to_owned())]
    };
    let mut removed = Vec::new();
    for name in names {
        let Some(profile) = profiles.remove(&name) else {
            let message = format!("there is no profile {name}: `haldir whoami --all` lists those that there are");
            return Err(Error::new(Code::NotFound, message).field("profile").into());
        };
        removed.push((name, profile));
    }
    profiles.write(&path)?;
    if global.json {
        let lines: Vec<_> = removed.iter().map(|(name, profile)| listed(name, profile)).collect();
        return line(&json!({"removed": lines}).to_string());
    }
    if removed.is_empty() {
        return line("there is no profile");
    }
    removed.iter().try_for_each(|(name, Profile { url, key })| {
        let prefix: String = key.chars().take(SHOWN).collect();
        line(&printable(&format!("forgot profile {name} of {url}; its key {prefix}… stays valid there")))
    })
}

fn listed(name: &str, Profile { url, key }: &Profile) -> Value {
    json!({"profile": name, "url": url, "key_prefix": key.chars().take(SHOWN).collect::<String>()})
}

pub fn whoami(options: &WhoamiOptions, global: &GlobalOptions) -> Result<(), CommandError> {
    if options.all {
        return all(global);
    }
    let place = Destination::find(global, &global.server, &mut StandardInput::default())?;
    let (rows, mut answer, key) = match &place {
        Destination::Server { url, key, profile } => {
            let from = key_source(global, profile.as_deref(), key.is_some());
            let mut rows = vec![("server", url.clone())];
            rows.extend(profile.clone().map(|name| ("profile", name)));
            rows.push(("key from", from.to_owned()));
            let answer = json!({"where": "server", "url": url, "db": null, "profile": profile, "key_from": from});
            (rows, answer, key.clone())
        }
        Destination::Store(key) => {
            let place = global.store.place()?;
            let from = key.as_ref().map(|_| "flag");
            let answer = json!({"where": "store", "url": null, "db": place, "profile": null, "key_from": from});
            (vec![("store", place)], answer, key.clone())
        }
    };
    let target = Target::open_destination(global, place, Local::open_existing)?;
    let mut caller = Caller::ask(&target, key.as_deref().map(String::as_str))?;
    if key.is_none() && matches!(target, Target::Store(_)) {
        caller.role = Some("operator".to_owned());
        caller.tier = None;
    }
    if global.json {
        for (name, value) in caller.json().as_object().into_iter().flatten() {
            answer[name] = value.clone();
        }
        return line(&answer.to_string());
    }
    facts(["YOU ARE", ""], rows.into_iter().chain(caller.rows()))
}

/// Where the key that is used comes from.
fn key_source(global: &GlobalOptions, profile: Option<&str>, is_there: bool) -> &'static str {
    let has_variable = std::env::var(KEY_VARIABLE).is_ok_and(|key| !key.is_empty());
    match profile {
        _ if !is_there => "none",
        _ if global.server.key.is_some() => "flag",
        Some(_) if global.profile.is_some() || !has_variable => "profile",
        _ => "environment",
    }
}

fn all(global: &GlobalOptions) -> Result<(), CommandError> {
    let profiles = Profiles::read(&profile::file()?)?;
    let listed: Vec<_> = profiles.all().map(|(name, profile)| listed(name, profile)).collect();
    if global.json {
        return line(&json!({"profiles": listed}).to_string());
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let row = |one: &Value| vec![text(&one["profile"]), text(&one["url"]), format!("{}…", text(&one["key_prefix"]))];
    let none = "there is no profile: `haldir login` makes one";
    table_or(none, &["PROFILE", "SERVER", "KEY"], listed.iter().map(row))
}
