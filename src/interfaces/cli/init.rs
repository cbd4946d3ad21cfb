//! `haldir init`: a folder with the files that a self-hosted server needs.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::json;
use zeroize::Zeroizing;

use super::{
    CommandError, GlobalOptions,
    files::Unfinished,
    output::{line, note},
};
use crate::{
    config::address::parse_public_url,
    crypto,
    error::{Code, Error, Result},
};

/// Where the service finds haldir, unless this program runs from another system folder.
const PROGRAMS: &str = "/usr/local/bin";
/// System folders: a service without a home directory can start programs from there.
const SYSTEM: [&str; 2] = ["/usr/", "/opt/"];
/// The settings file, without what its first lines say of its place.
const CONFIG: &str = include_str!("../../../examples/haldir.toml");
const CONFIG_HEAD: &str = "\
# The config file of haldir, with every setting at its default. A setting that is left out keeps its default. An unknown one is an
# error, so that a spelling mistake is noticed.

";
/// Where its settings begin.
const CONFIG_BEGINS: &str = "# When an entry of the audit log is flagged";

const CADDYFILE: &str = include_str!("../../../templates/selfhost/Caddyfile");
const NGINX: &str = include_str!("../../../templates/selfhost/nginx.conf");

/// A file: its name, its text, and whether only its owner may read it.
type Template = (&'static str, &'static str, bool);

/// The other files of a server with a store in a file.
const FILES: [Template; 7] = [
    ("haldir.env", include_str!("../../../templates/selfhost/haldir.env"), true),
    ("haldir.service", include_str!("../../../templates/selfhost/haldir.service"), false),
    ("compose.yaml", include_str!("../../../templates/selfhost/compose.yaml"), false),
    ("Caddyfile", CADDYFILE, false),
    ("nginx.conf", NGINX, false),
    ("START.md", include_str!("../../../templates/selfhost/START.md"), false),
    (".gitignore", include_str!("../../../templates/selfhost/gitignore"), false),
];

/// The other files of servers with a store on Postgres.
const POSTGRES_FILES: [Template; 8] = [
    // The name under which compose reads it.
    (".env", include_str!("../../../templates/selfhost/postgres/env"), true),
    ("compose.yaml", include_str!("../../../templates/selfhost/postgres/compose.yaml"), false),
    ("database.sql", include_str!("../../../templates/selfhost/postgres/database.sql"), false),
    ("haproxy.cfg", include_str!("../../../templates/selfhost/postgres/haproxy.cfg"), false),
    ("Caddyfile", CADDYFILE, false),
    ("nginx.conf", NGINX, false),
    ("START.md", include_str!("../../../templates/selfhost/postgres/START.md"), false),
    (".gitignore", include_str!("../../../templates/selfhost/postgres/gitignore"), false),
];

#[derive(Args)]
pub struct InitOptions {
    /// The folder to write; it is made, or is there and empty.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// Where clients will reach the server.
    #[arg(long, value_name = "URL", default_value = "https://localhost", value_parser = parse_public_url)]
    public_url: String,
    /// For several servers with one store on Postgres, run by Docker Compose, with new passwords and keys.
    #[arg(long)]
    postgres: bool,
}

/// Values for the placeholders between at signs.
struct Values {
    folder: String,
    host: String,
    name: String,
    program: String,
    programs: String,
    public_url: String,
    /// New passwords and keys, by their placeholders.
    secrets: [(&'static str, Zeroizing<String>); 4],
}

impl Values {
    fn new(options: &InitOptions, folder: &Path) -> Result<Self> {
        let unusable = |what: &str| Error::invalid("folder", format!("{}: {what}", folder.display()));
        let folder_text = folder.to_str().ok_or_else(|| unusable("choose a path that is UTF-8"))?;
        // In a unit, a blank parts two values and a percent sign begins a specifier.
        let is_plain =
            |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '%' | '"' | '\'' | '\\' | '$' | ':');
        if !options.postgres && !folder_text.chars().all(is_plain) {
            return Err(unusable("choose a path without blanks, quotes, colons, % and $: a unit of systemd names it"));
        }
        let is_safe = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\'' | '\\' | '$' | '{' | '}' | ';' | '`');
        if !options.public_url.chars().all(is_safe) {
            return Err(Error::invalid(
                "public-url",
                "write the address without blanks and quotes: settings hold it as it is",
            ));
        }
        let url: http::Uri = options.public_url.parse().map_err(|_| Error::invalid("public-url", "is no address"))?;
        let name = url.host().unwrap_or_default().to_owned();
        // With its scheme and port, as Caddy has a site's address: http:// keeps it from ending TLS.
        let authority = url.authority().map_or_else(|| name.clone(), ToString::to_string);
        let host = if url.scheme_str() == Some("http") { format!("http://{authority}") } else { authority };
        let own = std::env::current_exe().map_err(Error::internal)?;
        let programs = own
            .parent()
            .and_then(Path::to_str)
            .filter(|folder| SYSTEM.iter().any(|system| folder.starts_with(system)) && folder.chars().all(is_plain));
        let programs = programs.unwrap_or(PROGRAMS).to_owned();
        let random = || crypto::token::<24>("").map(Zeroizing::new).map_err(Error::internal);
        let key = crypto::Key::generate().map_err(Error::internal)?.to_base64();
        Ok(Self {
            folder: folder_text.to_owned(),
            host,
            name,
            program: format!("{programs}/haldir-mcp"),
            programs,
            public_url: options.public_url.clone(),
            secrets: [
                ("@TOKEN@", random()?),
                ("@KEY@", key),
                ("@ADMINISTRATOR@", random()?),
                ("@PASSWORD@", random()?),
            ],
        })
    }

    fn fill(&self, text: &str) -> Zeroizing<String> {
        let plain = text
            .replace("@FOLDER@", &self.folder)
            .replace("@HOST@", &self.host)
            .replace("@NAME@", &self.name)
            .replace("@PROGRAM@", &self.program)
            .replace("@BIN@", &self.programs)
            .replace("@PUBLIC_URL@", &self.public_url);
        let fill =
            |text: Zeroizing<String>, (mark, secret): &(&str, Zeroizing<String>)| text.replace(mark, secret).into();
        self.secrets.iter().fold(plain.into(), fill)
    }
}

pub fn run(options: &InitOptions, global: &GlobalOptions) -> Result<(), CommandError> {
    let given = &options.folder;
    let bad = |error: &io::Error| {
        Error::new(Code::InvalidArgument, format!("{} cannot be written: {error}", given.display())).field("folder")
    };
    let is_new = match fs::read_dir(given).map(|mut entries| entries.next().is_none()) {
        Ok(false) => {
            let message = format!("{} is not empty: name a new folder, or an empty one", given.display());
            return Err(Error::new(Code::Conflict, message).field("folder").into());
        }
        Ok(true) => false,
        Err(error) if error.kind() == io::ErrorKind::NotFound => true,
        Err(error) => return Err(bad(&error).into()),
    };
    // Before anything is made: the path stands in files.
    let absolute = std::path::absolute(given).map_err(|error| bad(&error))?;
    let values = Values::new(options, &absolute)?;
    let mut unfinished = Vec::new();
    if is_new {
        fs::create_dir_all(given).map_err(|error| bad(&error))?;
        unfinished.push(Unfinished::new(given.clone()));
    }
    let config = CONFIG.find(CONFIG_BEGINS).and_then(|begins| CONFIG.get(begins..)).unwrap_or(CONFIG);
    let config = [CONFIG_HEAD, config].concat();
    let templates: &[Template] = if options.postgres { &POSTGRES_FILES } else { &FILES };
    let mut names = Vec::new();
    for (name, text, is_secret) in templates.iter().copied().chain([("haldir.toml", config.as_str(), false)]) {
        let path = given.join(name);
        write(&path, &values.fill(text), is_secret).map_err(|error| bad(&error))?;
        unfinished.push(Unfinished::new(path));
        names.push(name);
    }
    unfinished.into_iter().for_each(Unfinished::keep);
    if global.json {
        let done = json!({"folder": absolute, "public_url": options.public_url, "files": names});
        return line(&done.to_string());
    }
    line(&format!("wrote {} files to {}", names.len(), given.display()))?;
    note(&format!("{} says how to start the server.", given.join("START.md").display()));
    Ok(())
}

/// Writes a file that is not there yet.
fn write(path: &Path, text: &str, is_secret: bool) -> io::Result<()> {
    let mut open = OpenOptions::new();
    open.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut open, if is_secret { 0o600 } else { 0o644 });
    #[cfg(not(unix))]
    let _ = is_secret;
    let mut file = open.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
