//! A haldir inside the test, with a clock that stands still until it is moved.

use std::{path::Path, sync::Arc};

use haldir::{
    call::{AnomalyThresholds, Settings},
    crypto::Key,
    error::Error,
    model::{Ceilings, Credential, TenantId, UnixMicros, time::ManualClock},
    operations::{self, CallOptions, Haldir},
    store::Store,
};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use zeroize::Zeroizing;

use super::text;

/// What the clock shows at first.
pub fn start_of_time() -> UnixMicros {
    UnixMicros(1_800_000_000_000_000)
}

/// The bootstrap token.
const TOKEN: &str = "the operator's word";

/// The store that is the file at `path`, or stands for it.
pub fn open_store(path: &Path) -> Result<Store, Error> {
    #[cfg(feature = "postgres")]
    if let Some(url) = super::on_postgres::url(path) {
        return Store::open_postgres(haldir::store::postgres::PostgresSettings::parse(&url)?);
    }
    Store::open(path)
}

/// A haldir on that store.
pub async fn open(path: &Path, key: &Key, settings: Settings, clock: Arc<ManualClock>) -> Result<Haldir, Error> {
    let file = (!super::on_postgres::is_used()).then(|| path.to_owned());
    Haldir::open_store(open_store(path)?, file, key, settings, clock).await
}

pub struct InProcess {
    pub haldir: Haldir,
    pub clock: Arc<ManualClock>,
    pub runtime: Runtime,
    /// The default caller: an operator of the local tenant.
    pub operator: Credential,
}

impl InProcess {
    /// Opens the store at `path` with no bounds for the local agent.
    pub fn open(path: &Path) -> Self {
        Self::open_with(path, &Key::generate().unwrap(), AnomalyThresholds::default())
    }

    pub fn open_with(path: &Path, key: &Key, anomalies: AnomalyThresholds) -> Self {
        let settings = Settings {
            local_ceilings: Ceilings::NONE,
            key_ceilings: Ceilings::NONE,
            key_defaults: Ceilings::NONE,
            anomalies,
            rate_limits: None,
            bootstrap_token: Some(Zeroizing::new(TOKEN.to_owned())),
            open_bootstrap: true,
            outbound: haldir::outbound::Outbound::default(),
            webhooks: haldir::call::WebhookPace::default(),
            upstreams: haldir::upstream::UpstreamLimits::default(),
            children: haldir::upstream::child::Children::default(),
            tool_names: haldir::call::ToolNames::default(),
        };
        let clock = Arc::new(ManualClock::new(start_of_time()));
        let runtime = Runtime::new().unwrap();
        let haldir = runtime.block_on(open(path, key, settings, clock.clone())).unwrap();
        Self { haldir, clock, runtime, operator: Credential::LocalOperator(TenantId::local()) }
    }

    /// Calls an operation with this credential.
    pub fn call_as(&self, who: &Credential, name: &str, input: &Value) -> Result<Value, Error> {
        self.call_with(who, name, input, CallOptions::default())
    }

    /// Calls an operation as the operator, once for each idempotency key.
    pub fn call_once(&self, key: &str, name: &str, input: &Value) -> Result<Value, Error> {
        let options = CallOptions { idempotency_key: Some(key.to_owned()), ..CallOptions::default() };
        self.call_with(&self.operator, name, input, options)
    }

    fn call_with(&self, who: &Credential, name: &str, input: &Value, options: CallOptions) -> Result<Value, Error> {
        let operation = operations::named(name).unwrap();
        let input = input.to_string();
        let call = self.haldir.call(operation, who, &input, options);
        self.runtime.block_on(call).map(|reply| serde_json::from_str(&reply.body).unwrap())
    }

    /// The whole answer of an operation that answers with a stream.
    pub fn streamed_bytes(&self, name: &str, input: &Value) -> Result<Vec<u8>, Error> {
        let operation = operations::named(name).unwrap();
        self.runtime.block_on(async {
            let entered = self.haldir.admit_call(operation, &self.operator).await?;
            let mut streamed =
                self.haldir.stream(operation, entered, &input.to_string(), &CallOptions::default()).await?;
            let mut whole = Vec::new();
            while let Some(piece) = streamed.pieces.next().await {
                whole.extend_from_slice(&piece?);
            }
            Ok(whole)
        })
    }

    /// The same, as text.
    pub fn streamed(&self, name: &str, input: &Value) -> Result<String, Error> {
        self.streamed_bytes(name, input).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    /// Calls an operation as the operator.
    pub fn call(&self, name: &str, input: &Value) -> Result<Value, Error> {
        self.call_as(&self.operator, name, input)
    }

    #[track_caller]
    pub fn ok(&self, name: &str, input: &Value) -> Value {
        self.call(name, input).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The code of a refusal.
    #[track_caller]
    pub fn refused(&self, name: &str, input: &Value) -> Error {
        match self.call(name, input) {
            Ok(answer) => panic!("{name} should have been refused: {answer}"),
            Err(error) => error,
        }
    }

    /// Makes a second tenant, as the bearer of the bootstrap token can.
    pub fn another_tenant(&self) -> TenantId {
        let make = || self.call_as(&Credential::Anonymous, "createApiKey", &json!({"bootstrap_token": TOKEN})).unwrap();
        // The store's first key is the local tenant's.
        make();
        TenantId::parse(text(&make(), "tenant_id")).unwrap()
    }

    #[track_caller]
    pub fn session(&self, fields: &Value) -> String {
        let mut input = json!({"agent_id": "tester"});
        input.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        text(&self.ok("createSession", &input), "session_id")
    }

    pub fn log(&self, session: &str, action: &str) -> Value {
        self.ok("logAction", &json!({"session_id": session, "action": action, "tool": "t"}))
    }

    pub fn verify(&self) -> Value {
        self.ok("verifyAuditTrail", &json!({}))
    }
}

impl Drop for InProcess {
    fn drop(&mut self) {
        self.haldir.close();
    }
}
