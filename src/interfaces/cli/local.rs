//! The store of this machine, opened for a command.

use std::path::Path;

use tokio::runtime::{Builder, Runtime};

use super::{GlobalOptions, target::announce_store};
use crate::{
    config::CeilingOptions,
    crypto::PublicKey,
    error::{Code, Error, Result},
    model::Credential,
    operations::{CallOptions, Haldir, Operation, Reply},
};

/// The open store, and the runtime that its calls run on.
pub struct Local {
    pub haldir: Haldir,
    pub credential: Credential,
    runtime: Runtime,
}

/// One thread: a command makes one call.
pub fn runtime() -> Result<Runtime> {
    Builder::new_current_thread().enable_all().build().map_err(Error::internal)
}

impl Local {
    /// Opens the store as its operator; makes it if there is none.
    pub fn open(global: &GlobalOptions) -> Result<Self> {
        announce_store(global, &global.store.place()?);
        let runtime = runtime()?;
        let settings = global.store.settings(&CeilingOptions::default())?;
        let haldir = runtime.block_on(global.store.open(settings))?;
        let local = Self { haldir, credential: Credential::LocalOperator(global.tenant.clone()), runtime };
        if !local.haldir.has_tenant(&global.tenant)? {
            let message = format!("there is no tenant {} in this store: leave --tenant out for its own", global.tenant);
            return Err(Error::new(Code::NotFound, message).field("tenant"));
        }
        Ok(local)
    }

    /// Opens the store as its operator; looking at one that does not exist makes none.
    pub fn open_existing(global: &GlobalOptions) -> Result<Self> {
        if global.store.postgres_url().is_none() {
            require(&global.store.path()?)?;
        }
        Self::open(global)
    }

    /// Runs work of a command that lasts, such as a server, to its end.
    pub fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Calls an operation.
    pub fn call(&self, operation: &'static Operation, input: &str, options: CallOptions) -> Result<Reply> {
        self.runtime.block_on(self.haldir.call(operation, &self.credential, input, options))
    }

    /// Calls an operation whose answer is a stream, and hands over each piece as it is written.
    pub fn stream(
        &self,
        operation: &'static Operation,
        input: &str,
        each: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        self.runtime.block_on(async {
            let entered = self.haldir.admit_call(operation, &self.credential).await?;
            let mut streamed = self.haldir.stream(operation, entered, input, &CallOptions::default()).await?;
            while let Some(piece) = streamed.pieces.next().await {
                each(&piece?)?;
            }
            Ok(())
        })
    }

    /// Puts a new signing key into use.
    pub fn rotate_signing_key(&self, overlap_days: i64) -> Result<PublicKey> {
        self.runtime.block_on(self.haldir.rotate_signing_key(overlap_days))
    }

    /// Whether the store takes writes: one that changes nothing is tried.
    pub fn check_writes(&self) -> Result<()> {
        self.runtime.block_on(self.haldir.try_write())
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        self.haldir.close();
    }
}

/// Refuses a path without a store.
pub fn require(path: &Path) -> Result<()> {
    match path.try_exists() {
        Ok(true) => return Ok(()),
        Ok(false) => {}
        Err(error) => {
            let message =
                format!("{} cannot be opened: {error}: run the command as the user that owns it", path.display());
            return Err(Error::new(Code::Unavailable, message).field("db"));
        }
    }
    let message = format!(
        "there is no store at {}: `haldir keys create` makes it, or name another one with --db or HALDIR_DB",
        path.display()
    );
    Err(Error::new(Code::NotFound, message).field("db"))
}
