//! Connection options of one origin from the config file: trusted certificate authorities, a client certificate, and a proxy.
//! They apply to the upstreams of one tenant, which the operator names.

use std::{
    collections::BTreeMap,
    fmt,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

use reqwest::{Certificate, ClientBuilder, Identity, Proxy, Url};
use serde::Deserialize;
use zeroize::Zeroizing;

/// The largest file of certificates that is read, in bytes.
const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;
/// Origins with options.
const MAX_ORIGINS: usize = 64;

/// The options of an origin as the config file has them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectSettings {
    /// Certificate authorities to trust besides the system's, in PEM.
    ca_file: Option<PathBuf>,
    /// The certificate that haldir shows, with those between it and its authority, in PEM.
    certificate_file: Option<PathBuf>,
    /// The certificate's private key, in PEM.
    key_file: Option<PathBuf>,
    /// A proxy that takes HTTP CONNECT.
    proxy: Option<String>,
    /// The tenant that the options apply to. Default: the local tenant.
    #[serde(default = "local")]
    tenant: String,
}

fn local() -> String {
    "local".to_owned()
}

/// The options of an origin, with the files read.
#[derive(Clone)]
pub struct ConnectOptions {
    tenant: String,
    authorities: Vec<Certificate>,
    identity: Option<Identity>,
    proxy: Option<Proxy>,
}

impl fmt::Debug for ConnectOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither the key nor the proxy's address, which may hold a password.
        f.debug_struct("ConnectOptions").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

/// Connection options by origin.
#[derive(Clone, Debug, Default)]
pub struct OptionsByOrigin(Arc<BTreeMap<String, ConnectOptions>>);

impl OptionsByOrigin {
    /// Reads the files that the settings name; the error names the setting, and holds nothing of what is in a file.
    pub fn read(settings: &BTreeMap<String, ConnectSettings>) -> Result<Self, String> {
        if settings.len() > MAX_ORIGINS {
            return Err(format!("connections: there are more than {MAX_ORIGINS}"));
        }
        let mut by_origin = BTreeMap::new();
        for (address, settings) in settings {
            let problem = |problem: String| format!("connections.\"{address}\": {problem}");
            let origin = origin(address).map_err(problem)?;
            let options = ConnectOptions::read(settings).map_err(problem)?;
            if by_origin.insert(origin, options).is_some() {
                return Err(problem("the same address stands there twice".to_owned()));
            }
        }
        Ok(Self(Arc::new(by_origin)))
    }

    /// The options for this address, if there are any.
    pub fn to(&self, url: &Url) -> Option<&ConnectOptions> {
        if self.0.is_empty() {
            return None;
        }
        self.0.get(&url.origin().ascii_serialization())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All origins with their options.
    pub fn all(&self) -> impl Iterator<Item = (&String, &ConnectOptions)> {
        self.0.iter()
    }
}

/// The origin that a setting is for.
fn origin(address: &str) -> Result<String, String> {
    let expected = "expected a scheme, a host and perhaps a port, such as \"https://mcp.example.com\"";
    let url = address.parse::<Url>().ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let is_origin = |url: &Url| {
        matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none() && url.username().is_empty()
    };
    url.filter(is_origin).map(|url| url.origin().ascii_serialization()).ok_or_else(|| expected.to_owned())
}

impl ConnectOptions {
    fn read(settings: &ConnectSettings) -> Result<Self, String> {
        let ConnectSettings { ca_file, certificate_file, key_file, proxy, tenant } = settings;
        if ca_file.is_none() && certificate_file.is_none() && key_file.is_none() && proxy.is_none() {
            return Err("expected ca_file, certificate_file with key_file, or proxy".to_owned());
        }
        let authorities = match ca_file {
            Some(path) => authorities(path).map_err(|problem| format!("ca_file: {}: {problem}", path.display()))?,
            None => Vec::new(),
        };
        let identity = match (certificate_file, key_file) {
            (Some(certificate), Some(key)) => Some(identity(certificate, key)?),
            (None, None) => None,
            _ => return Err("certificate_file and key_file go together".to_owned()),
        };
        let proxy = proxy.as_deref().map(parse_proxy).transpose()?;
        Ok(Self { tenant: tenant.clone(), authorities, identity, proxy })
    }

    /// Whether they apply to upstreams of this tenant.
    pub fn is_of(&self, tenant: &str) -> bool {
        self.tenant == tenant
    }

    /// Whether a proxy looks names up.
    pub fn has_proxy(&self) -> bool {
        self.proxy.is_some()
    }

    /// Applies them to a client.
    pub fn apply(&self, client: ClientBuilder) -> ClientBuilder {
        let client = client.tls_certs_merge(self.authorities.iter().cloned());
        let client = match &self.identity {
            Some(identity) => client.identity(identity.clone()),
            None => client,
        };
        match &self.proxy {
            Some(proxy) => client.proxy(proxy.clone()),
            None => client,
        }
    }
}

fn parse_proxy(text: &str) -> Result<Proxy, String> {
    let expected = "proxy: expected an http or https address, such as \"http://proxy.example.com:3128\"";
    let url = text.parse::<Url>().ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.and_then(|url| Proxy::all(url).ok()).ok_or_else(|| expected.to_owned())
}

fn authorities(path: &Path) -> Result<Vec<Certificate>, String> {
    let certificates = Certificate::from_pem_bundle(&read(path)?).map_err(|_| "holds no certificates in PEM")?;
    if certificates.is_empty() { Err("holds no certificates in PEM".to_owned()) } else { Ok(certificates) }
}

/// A certificate and its key. What was read of the key is overwritten; the TLS library keeps it for its connections.
fn identity(certificate: &Path, key: &Path) -> Result<Identity, String> {
    let problem = |name: &str, path: &Path, problem: &str| format!("{name}: {}: {problem}", path.display());
    require_private(key).map_err(|text| problem("key_file", key, &text))?;
    let certificates = read(certificate).map_err(|text| problem("certificate_file", certificate, &text))?;
    let private = read(key).map_err(|text| problem("key_file", key, &text))?;
    let mut both = Zeroizing::new(Vec::with_capacity(certificates.len() + private.len() + 1));
    both.extend_from_slice(&private);
    both.push(b'\n');
    both.extend_from_slice(&certificates);
    let expected = "expected a certificate, and its private key without a password, in PEM";
    Identity::from_pem(&both).map_err(|_| problem("certificate_file", certificate, expected))
}

/// Refuses a private key that every user of the machine can read. A group may, as a secret that is mounted for one has it.
#[cfg(unix)]
fn require_private(path: &Path) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt;
    let mode = path.metadata().map_err(|error| error.to_string())?.permissions().mode();
    if mode & 0o007 != 0 {
        return Err(format!("every user can reach it: run chmod 600 {}", path.display()));
    }
    Ok(())
}

#[cfg(not(unix))]
fn require_private(_: &Path) -> Result<(), String> {
    Ok(())
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let length = file.metadata().map_err(|error| error.to_string())?.len();
    if length > MAX_FILE_BYTES {
        return Err(format!("has {length} bytes, at most {MAX_FILE_BYTES} are read"));
    }
    // Allocated in full: a vector that grows leaves copies of the key in freed memory.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(length).unwrap_or_default() + 1));
    file.take(length).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(toml: &str) -> String {
        let settings: BTreeMap<String, ConnectSettings> = toml::from_str(toml).unwrap();
        OptionsByOrigin::read(&settings).unwrap_err()
    }

    #[test]
    fn an_origin_is_a_scheme_a_host_and_a_port() {
        for (address, expected) in [
            ("https://mcp.example.com", Some("https://mcp.example.com")),
            ("https://MCP.example.com:443/", Some("https://mcp.example.com")),
            ("http://127.0.0.1:8080", Some("http://127.0.0.1:8080")),
            ("https://mcp.example.com/mcp", None),
            ("mcp.example.com", None),
            ("ftp://example.com", None),
        ] {
            assert_eq!(origin(address).ok().as_deref(), expected, "{address}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let at = |settings: &str| problem(&format!("[\"https://a.example\"]\n{settings}"));
        assert!(at("").contains("connections.\"https://a.example\": expected ca_file"));
        assert!(at("ca_file = \"/none\"").contains("ca_file: /none"));
        assert!(at("ca_file = \"Cargo.toml\"").contains("holds no certificates"));
        assert!(at("key_file = \"k\"").contains("go together"));
        assert!(at("proxy = \"proxy:3128\"").contains("http://proxy.example.com:3128"));
        assert!(problem("[\"a.example\"]\nproxy = \"http://p\"").contains("https://mcp.example.com"));
        let twice = "[\"https://a.example\"]\nproxy = \"http://p\"\n[\"https://a.example/\"]\nproxy = \"http://p\"";
        assert!(problem(twice).contains("twice"));
    }

    #[test]
    fn options_are_for_their_own_address_and_tenant() {
        let settings =
            toml::from_str("[\"https://a.example\"]\nproxy = \"http://u:hidden@p:1\"\ntenant = \"t\"").unwrap();
        let all = OptionsByOrigin::read(&settings).unwrap();
        let options = all.to(&"https://a.example/mcp".parse().unwrap()).unwrap();
        assert!(options.is_of("t") && !options.is_of("local") && options.has_proxy());
        assert!(all.to(&"https://a.example:8443/mcp".parse().unwrap()).is_none());
        assert!(!format!("{all:?}").contains("hidden"));
    }
}
