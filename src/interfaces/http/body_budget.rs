//! Bounds the memory of request bodies that are being received. A client can send half of a body and stop, on many connections
//! at once, so these bytes are bounded for all clients together, per tenant, per key, and for clients without a key.

use std::sync::Arc;

use super::App;
use crate::{
    error::{Code, Error, Result},
    model::{Caller, Credential},
    operations::quota::{Quota, QuotaGuard, QuotaLimits},
};

/// Bytes of all clients with a key, of a tenant, and of a key.
const KNOWN: QuotaLimits = QuotaLimits { all: 192 * MIB, per_tenant: 64 * MIB, per_caller: 32 * MIB };
/// Bytes of all bodies from clients that are not authenticated yet.
const STRANGERS_BYTES: usize = 8 * MIB;
/// One key may always send this many bodies of the largest size at a time, whatever that size is set to.
const MIN_BODIES_OF_CALLER: usize = 2;
const MIB: usize = 1024 * 1024;

/// The bytes that are held now.
pub struct BodyBudget {
    known: Arc<Quota>,
    bounds: QuotaLimits,
    strangers: Arc<Quota>,
}

/// The client that a body counts against.
#[derive(Clone, Copy)]
pub enum Payer<'a> {
    /// A client without a key.
    Stranger(&'a App),
    /// A client with this credential. Small bodies are read before the credential is checked.
    Sender(&'a App, &'a Credential),
}

/// The bytes held for one body.
pub(super) struct Charge<'a> {
    receiving: &'a BodyBudget,
    place: Option<QuotaGuard>,
    /// Whether its sender has been looked at.
    known: bool,
}

impl BodyBudget {
    /// `largest` is the largest size of a body, in bytes.
    pub fn new(largest: usize) -> Self {
        let per_caller = KNOWN.per_caller.max(largest.saturating_mul(MIN_BODIES_OF_CALLER));
        let per_tenant = KNOWN.per_tenant.max(per_caller);
        let bounds = QuotaLimits { all: KNOWN.all.max(per_tenant), per_tenant, per_caller };
        let strangers = QuotaLimits { all: STRANGERS_BYTES, per_tenant: STRANGERS_BYTES, per_caller: STRANGERS_BYTES };
        Self { known: Quota::new(bounds), bounds, strangers: Quota::new(strangers) }
    }

    fn full(&self) -> Error {
        let QuotaLimits { all, per_tenant, per_caller } = self.bounds;
        let message = format!(
            "too many bytes of request bodies are on their way already: {per_caller} of one caller, {per_tenant} of a \
             tenant or {all} together; send this one again later"
        );
        Error::new(Code::Unavailable, message)
    }
}

impl<'a> Payer<'a> {
    pub(super) fn charge(self) -> Charge<'a> {
        let (Self::Stranger(app) | Self::Sender(app, _)) = self;
        Charge { receiving: &app.shared.receiving, place: None, known: false }
    }

    /// The caller of a credential; an error if the credential is unknown.
    pub(super) fn caller(self) -> Result<Caller> {
        match self {
            Self::Stranger(app) => Err(app.shared.receiving.full()),
            Self::Sender(app, credential) => app.shared.haldir.caller_of(credential),
        }
    }
}

impl Charge<'_> {
    /// Charges more bytes. A small body is charged to clients without a key while they have room; otherwise, like every large
    /// body, to its sender, so that clients without a key cannot lock out clients with one.
    pub(super) fn hold(&mut self, bytes: usize, small: bool, caller: impl FnOnce() -> Result<Caller>) -> Result<()> {
        if let Some(place) = &mut self.place
            && place.grow(bytes)
        {
            return Ok(());
        }
        if self.known {
            return Err(self.receiving.full());
        }
        if small && self.place.is_none() {
            self.place = self.receiving.strangers.take_several(&Caller::anonymous(), bytes);
            if self.place.is_some() {
                return Ok(());
            }
        }
        let before = self.place.as_ref().map_or(0, QuotaGuard::count);
        self.place = self.receiving.known.take_several(&caller()?, before + bytes);
        self.known = true;
        self.place.is_some().then_some(()).ok_or_else(|| self.receiving.full())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: usize = 16 * 1024;

    fn of(principal: &str) -> impl Fn() -> Result<Caller> {
        let caller = Caller { principal: principal.to_owned(), ..Caller::anonymous() };
        move || Ok(caller.clone())
    }

    fn unknown() -> Result<Caller> {
        Err(Error::new(Code::Unauthorized, "no key"))
    }

    fn charge(receiving: &BodyBudget) -> Charge<'_> {
        Charge { receiving, place: None, known: false }
    }

    #[test]
    fn clients_without_a_key_hold_a_small_share_and_lock_no_key_out() {
        let receiving = BodyBudget::new(4 * MIB);
        let mut held = Vec::new();
        for _ in 0..STRANGERS_BYTES / SMALL {
            let mut one = charge(&receiving);
            one.hold(SMALL, true, unknown).unwrap();
            held.push(one);
        }
        assert_eq!(charge(&receiving).hold(1, true, unknown).unwrap_err().code, Code::Unauthorized);
        // One that is half sent already goes on as its sender's.
        assert!(held[0].hold(SMALL, true, of("a")).is_ok());
        assert!(charge(&receiving).hold(SMALL, true, of("b")).is_ok());
        drop(held);
        assert!(charge(&receiving).hold(SMALL, true, unknown).is_ok());
    }

    #[test]
    fn a_key_and_a_tenant_leave_room_for_others() {
        let receiving = BodyBudget::new(4 * MIB);
        let fill = |principal: &str| {
            let mut held = Vec::new();
            loop {
                let mut one = charge(&receiving);
                match one.hold(4 * MIB, false, of(principal)) {
                    Ok(()) => held.push(one),
                    Err(error) => {
                        assert_eq!((error.code, error.code.status()), (Code::Unavailable, 503));
                        return held;
                    }
                }
            }
        };
        let (a, b) = (fill("a"), fill("b"));
        assert_eq!((a.len(), b.len(), fill("c").len()), (8, 8, 0));
        drop(a);
        assert_eq!(fill("c").len(), 8);
        // Whatever a message may have, two of a key fit.
        let large = BodyBudget::new(400 * MIB);
        let (mut first, mut second) = (charge(&large), charge(&large));
        assert!(first.hold(400 * MIB, false, of("a")).is_ok() && second.hold(400 * MIB, false, of("a")).is_ok());
    }
}
