//! Upstreams with a certificate authority of their own, that ask for a certificate, or that stand behind a proxy.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

use super::call;
use crate::support::{
    Client, House, Server, json, refuses_to_start, text,
    upstream::{Upstream, tool},
};

const NAME: &str = "localhost";

/// An authority that no system knows, with the files of a client.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap() }
    }

    /// The files of a client: authority, certificate and key.
    fn client_files(&self, folder: &Path) -> [PathBuf; 3] {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["haldir".to_owned()]).unwrap();
        let certificate = certificate.signed_by(&key, &*self.issuer).unwrap();
        let files = ["ca.pem", "client.pem", "client.key"].map(|name| folder.join(name));
        for (path, text) in files.iter().zip([self.issuer.pem(), certificate.pem(), key.serialize_pem()]) {
            fs::write(path, text).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        files
    }

    fn server(&self) -> ServerConfig {
        self.named(NAME)
    }

    /// How a server of this name takes clients that show a certificate of this authority, and no others.
    fn named(&self, name: &str) -> ServerConfig {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = certificate.signed_by(&key, &*self.issuer).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder().with_client_cert_verifier(verifier);
        config.with_single_cert(vec![certificate.der().clone()], key).unwrap()
    }
}

/// Serves connections on a thread of its own, until the test ends.
fn serve<F: Future<Output = ()> + 'static>(each: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr {
    let listener = std::net::TcpListener::bind((NAME, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let tasks = tokio::task::LocalSet::new();
        tasks.block_on(&runtime, async {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                tokio::task::spawn_local(each(stream));
            }
        });
    });
    address
}

/// TLS in front of a server.
fn terminate(config: ServerConfig, to: SocketAddr) -> SocketAddr {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    serve(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let mut server = TcpStream::connect(to).await.unwrap();
            let _ = copy_bidirectional(&mut stream, &mut server).await;
        }
    })
}

/// A proxy that knows the names of hosts, each of which is at `to`; it counts what it was asked for.
fn proxy(to: SocketAddr, asked: Arc<AtomicUsize>) -> SocketAddr {
    serve(move |mut stream| {
        let asked = Arc::clone(&asked);
        async move {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let Ok(byte) = stream.read_u8().await else { return };
                head.push(byte);
            }
            assert!(head.starts_with(b"CONNECT hidden.invalid:443 "), "{}", String::from_utf8_lossy(&head));
            asked.fetch_add(1, Ordering::Relaxed);
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            let mut server = TcpStream::connect(to).await.unwrap();
            let _ = copy_bidirectional(&mut stream, &mut server).await;
        }
    })
}

fn start(house: &House, config: &str) -> (Server, Client) {
    let path = house.folder().join("haldir.toml");
    fs::write(&path, config).unwrap();
    let mut command = house.serving();
    command.args(["--allow-private", NAME, "--config"]).arg(&path).env("HALDIR_BOOTSTRAP_TOKEN", "the token");
    let server = Server::start(command);
    let first = json!({"name": "first", "tier": "enterprise", "bootstrap_token": "the token"});
    let made = server.anonymous().post("/v1/keys", &first).ok();
    let operator = server.with_key(&text(&made, "key"));
    (server, operator)
}

fn register(operator: &Client, url: &str) -> serde_json::Value {
    operator.post("/v1/proxy/upstreams", &json!({"name": "up", "url": url})).json()
}

#[test]
fn an_upstream_with_its_own_authority_that_asks_for_a_certificate_is_called_on_every_way() {
    let house = House::new();
    let (authority, upstream) = (Authority::new(), Upstream::new([tool("echo")]));
    let address = terminate(authority.server(), upstream.address);
    let url = format!("https://{NAME}:{}/mcp", address.port());
    let [ca, certificate, key] = authority.client_files(house.folder());
    // Without its authority it is not trusted; without a certificate it does not answer.
    let (server, operator) = start(&house, "");
    let registered = register(&operator, &url);
    assert_eq!(registered["healthy"], false, "{registered}");
    drop(server);
    let origin = format!("[connections.\"https://{NAME}:{}\"]", address.port());
    let trusting = format!("{origin}\nca_file = {:?}\n", ca.display().to_string());
    let restart = |config: &str| {
        fs::write(house.folder().join("haldir.toml"), config).unwrap();
        let mut command = house.serving();
        command.args(["--allow-private", NAME, "--config"]).arg(house.folder().join("haldir.toml"));
        command.env("HALDIR_BOOTSTRAP_TOKEN", "the token");
        Server::start(command)
    };
    let server = restart(&trusting);
    let registered = register(&server.with_key(operator.key()), &url);
    assert_eq!(registered["healthy"], false, "{registered}");
    assert!(upstream.asked().is_empty());
    drop(server);
    let shown = |path: &Path| format!("{:?}", path.display().to_string());
    let whole = format!("{trusting}certificate_file = {}\nkey_file = {}\n", shown(&certificate), shown(&key));
    let server = restart(&whole);
    let operator = server.with_key(operator.key());
    let registered = register(&operator, &url);
    assert_eq!((&registered["healthy"], &registered["tools_discovered"]), (&json!(true), &json!(1)), "{registered}");
    let session = operator.session(&json!({"scopes": ["execute"]}));
    assert_eq!(call(&operator, &session, "up.echo")["isError"], false);
    // As MCP of the upstream's own.
    let message =
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "echo", "arguments": {}}});
    let headers = [super::BOTH, ("X-Session-ID", &session)];
    let answer = operator.send("POST", "/mcp/up", &headers, &message.to_string());
    assert!(answer.status == 200 && answer.text.contains("\"content\""), "{} {}", answer.status, answer.text);
    // Another tenant would be taken there with this one's certificate.
    let other = json!({"name": "other", "bootstrap_token": "the token"});
    let other = server.with_key(&text(&server.anonymous().post("/v1/keys", &other).ok(), "key"));
    let refused = other.post("/v1/proxy/upstreams", &json!({"name": "up", "url": url}));
    assert!(refused.status == 400 && refused.text.contains("another tenant"), "{} {}", refused.status, refused.text);
}

#[test]
fn an_upstream_behind_a_proxy_is_called_through_it_by_the_name_that_the_proxy_knows() {
    let house = House::new();
    let (authority, upstream) = (Authority::new(), Upstream::new([tool("echo")]));
    let asked = Arc::new(AtomicUsize::new(0));
    let proxy = proxy(terminate(authority.named("hidden.invalid"), upstream.address), Arc::clone(&asked));
    let [ca, certificate, key] = authority.client_files(house.folder()).map(|path| path.display().to_string());
    let config = format!(
        "[connections.\"https://hidden.invalid\"]\nca_file = {ca:?}\ncertificate_file = {certificate:?}\nkey_file = \
         {key:?}\nproxy = \"http://{NAME}:{}\"\n",
        proxy.port()
    );
    let (server, operator) = start(&house, &config);
    let registered = register(&operator, "https://hidden.invalid/mcp");
    assert_eq!(registered["healthy"], true, "{registered}");
    let session = operator.session(&json!({"scopes": ["execute"]}));
    assert_eq!(call(&operator, &session, "up.echo")["isError"], false);
    assert!(asked.load(Ordering::Relaxed) > 0);
    drop(server);
}

#[test]
fn a_connection_that_cannot_be_used_ends_the_program_with_its_place() {
    let house = House::new();
    let [ca, certificate, key] = Authority::new().client_files(house.folder()).map(|path| path.display().to_string());
    let refused = |settings: &str| {
        let path = house.folder().join("haldir.toml");
        fs::write(&path, format!("[connections.\"https://a.example\"]\n{settings}\n")).unwrap();
        let mut command = house.serving();
        command.arg("--config").arg(&path);
        refuses_to_start(command)
    };
    for (settings, says) in [
        (format!("ca_file = {key:?}"), "holds no certificates in PEM"),
        (format!("ca_file = \"{ca}.none\""), "ca_file: "),
        (format!("certificate_file = {certificate:?}"), "go together"),
        (format!("certificate_file = {certificate:?}\nkey_file = {ca:?}"), "private key"),
        ("proxy = \"proxy\"".to_owned(), "http://proxy.example.com:3128"),
        ("ca = \"x\"".to_owned(), "unknown field"),
    ] {
        let errors = refused(&settings);
        assert!(errors.contains("HALDIR_CONFIG") && errors.contains(says), "{settings}: {errors}");
    }
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let errors = refused(&format!("certificate_file = {certificate:?}\nkey_file = {key:?}"));
    assert!(errors.contains("chmod 600"), "{errors}");
}
