//! Browsers that are signed in at the dashboard. A browser holds a random cookie; this process keeps its credential under the
//! cookie's digest. It keeps the digest of the API key, not the key, and looks it up with each request, so that a browser is
//! signed out when its key is revoked.

use std::collections::HashMap;

use parking_lot::Mutex;
use zeroize::Zeroizing;

use super::view::Tone;
use crate::{
    crypto,
    error::{Error, Result},
    model::{Credential, UnixMicros},
    operations::Operation,
};

/// Browsers that are signed in at a time. The one that has been idle longest makes room for one more.
const MAX_SIGNED_IN: usize = 1_024;
/// Seconds within which a one-time link has to be opened.
const LINK_SECONDS: i64 = 120;
/// One-time links that are open at a time; the oldest makes room for one more.
const MAX_LINKS: usize = 16;

/// Seconds for which a new key waits for the page that shows it.
const ONCE_SECONDS: i64 = 60;

type Digest = [u8; 32];

/// How long a browser stays signed in.
#[derive(Clone, Copy, Debug)]
pub struct Lifetimes {
    /// Seconds without a request of the person after which it is signed out.
    pub idle: i64,
    /// Seconds after which it is signed out in any case.
    pub longest: i64,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self { idle: 60 * 60, longest: 12 * 60 * 60 }
    }
}

/// Browsers that are signed in, and one-time links.
#[derive(Default)]
pub struct SignedIn {
    lifetimes: Lifetimes,
    // A mutex that blocks its thread: it is held for a look-up, never across a wait.
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    browsers: HashMap<Digest, Browser>,
    links: HashMap<Digest, (Credential, UnixMicros)>,
    /// At most one for each browser.
    once: HashMap<Digest, OneTimeSecret>,
}

/// The result of a form, in a sentence.
#[derive(Clone)]
pub struct Notice {
    /// Bad if a check found the log broken.
    pub tone: Tone,
    /// The sentence.
    pub text: String,
}

/// A response with a key or a secret, for the next page of the browser only.
pub struct OneTimeSecret {
    /// The operation that answered it.
    pub operation: &'static Operation,
    /// The answer.
    pub answer: Zeroizing<String>,
    left_at: UnixMicros,
}

/// A browser that is signed in.
#[derive(Clone)]
pub struct Browser {
    /// The key or the operator that it acts for.
    pub credential: Credential,
    /// The token that its forms must carry, so that no other site can send them.
    pub form_token: String,
    /// The result of the last form, shown once.
    notice: Option<Notice>,
    signed_in_at: UnixMicros,
    used_at: UnixMicros,
}

impl SignedIn {
    /// No browser is signed in yet.
    pub fn new(lifetimes: Lifetimes) -> Self {
        Self { lifetimes, ..Self::default() }
    }

    /// Seconds for which a browser keeps its cookie.
    pub fn longest(&self) -> i64 {
        self.lifetimes.longest
    }

    /// Signs a browser in; returns its cookie's value.
    pub fn add(&self, credential: Credential, now: UnixMicros) -> Result<Zeroizing<String>> {
        let cookie = Zeroizing::new(crypto::token::<32>("").map_err(Error::internal)?);
        let form_token = crypto::token::<24>("").map_err(Error::internal)?;
        let browser = Browser { credential, form_token, notice: None, signed_in_at: now, used_at: now };
        let mut inner = self.inner.lock();
        inner.browsers.retain(|_, browser| browser.is_live(self.lifetimes, now));
        make_room(&mut inner.browsers, MAX_SIGNED_IN, |browser| browser.used_at);
        inner.browsers.insert(digest(&cookie), browser);
        Ok(cookie)
    }

    /// The browser with this cookie. A request of a person keeps it signed in; one of the page itself does not.
    pub fn find(&self, cookie: &str, by_person: bool, now: UnixMicros) -> Option<Browser> {
        let (mut inner, digest) = (self.inner.lock(), digest(cookie));
        let browser = inner.browsers.get_mut(&digest)?;
        if !browser.is_live(self.lifetimes, now) {
            inner.browsers.remove(&digest);
            inner.once.remove(&digest);
            return None;
        }
        if by_person {
            browser.used_at = now;
        }
        let browser = browser.clone();
        inner.once.retain(|_, once| once.is_fresh(now));
        Some(browser)
    }

    /// Keeps a sentence for the next page of this browser.
    pub fn leave_notice(&self, cookie: &str, notice: Notice) {
        if let Some(browser) = self.inner.lock().browsers.get_mut(&digest(cookie)) {
            browser.notice = Some(notice);
        }
    }

    /// The sentence that was kept for this page, once.
    pub fn take_notice(&self, cookie: &str) -> Option<Notice> {
        self.inner.lock().browsers.get_mut(&digest(cookie))?.notice.take()
    }

    /// Keeps a response with a secret for the next page of this browser, for a minute.
    pub fn leave_once(&self, cookie: &str, operation: &'static Operation, answer: Zeroizing<String>, now: UnixMicros) {
        let (mut inner, digest) = (self.inner.lock(), digest(cookie));
        if inner.browsers.contains_key(&digest) {
            inner.once.insert(digest, OneTimeSecret { operation, answer, left_at: now });
        }
    }

    /// The response that was kept for this page, once.
    pub fn take_once(&self, cookie: &str, now: UnixMicros) -> Option<OneTimeSecret> {
        self.inner.lock().once.remove(&digest(cookie)).filter(|once| once.is_fresh(now))
    }

    /// Signs a browser out.
    pub fn remove(&self, cookie: &str) {
        let (mut inner, digest) = (self.inner.lock(), digest(cookie));
        inner.browsers.remove(&digest);
        inner.once.remove(&digest);
    }

    /// The token of a one-time link, which signs one browser in within two minutes.
    pub fn link(&self, credential: Credential, now: UnixMicros) -> Result<Zeroizing<String>> {
        let token = Zeroizing::new(crypto::token::<32>("").map_err(Error::internal)?);
        let mut inner = self.inner.lock();
        make_room(&mut inner.links, MAX_LINKS, |(_, made_at)| *made_at);
        inner.links.insert(digest(&token), (credential, now));
        Ok(token)
    }

    /// The credential of a one-time link, which is used up.
    pub fn open_link(&self, token: &str, now: UnixMicros) -> Option<Credential> {
        let (credential, made_at) = self.inner.lock().links.remove(&digest(token))?;
        (now.seconds_since(made_at) < LINK_SECONDS).then_some(credential)
    }
}

impl OneTimeSecret {
    fn is_fresh(&self, now: UnixMicros) -> bool {
        now.seconds_since(self.left_at) < ONCE_SECONDS
    }
}

impl Browser {
    fn is_live(&self, lifetimes: Lifetimes, now: UnixMicros) -> bool {
        now.seconds_since(self.used_at) < lifetimes.idle && now.seconds_since(self.signed_in_at) < lifetimes.longest
    }
}

/// Removes the oldest until there is room for one more.
fn make_room<V>(all: &mut HashMap<Digest, V>, most: usize, age: impl Fn(&V) -> UnixMicros) {
    while all.len() >= most {
        let oldest = all.iter().min_by_key(|(_, value)| age(value)).map(|(digest, _)| *digest);
        let Some(oldest) = oldest else { return };
        all.remove(&oldest);
    }
}

/// Cookies and links are looked up by their digests, so that the time of a look-up says nothing about how much of a guess is
/// right.
fn digest(token: &str) -> Digest {
    crypto::digest(&[token.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TenantId;

    fn at(seconds: i64) -> UnixMicros {
        UnixMicros(0).plus_seconds(1_000_000 + seconds)
    }

    fn operator() -> Credential {
        Credential::LocalOperator(TenantId::local())
    }

    #[test]
    fn a_browser_is_signed_out_when_it_is_idle_and_in_any_case_at_the_end() {
        let Lifetimes { idle, longest } = Lifetimes::default();
        let signed_in = SignedIn::default();
        let cookie = signed_in.add(operator(), at(0)).unwrap();
        assert!(signed_in.find(&cookie, true, at(idle - 1)).is_some());
        // The page asks by itself: that keeps nothing alive.
        assert!(signed_in.find(&cookie, false, at(2 * idle - 2)).is_some());
        assert!(signed_in.find(&cookie, true, at(2 * idle - 1)).is_none());
        assert!(signed_in.find(&cookie, true, at(0)).is_none(), "it came back");
        let cookie = signed_in.add(operator(), at(0)).unwrap();
        let used = (0..longest).step_by(1_800).all(|now| signed_in.find(&cookie, true, at(now)).is_some());
        assert!(used && signed_in.find(&cookie, true, at(longest)).is_none());
    }

    #[test]
    fn a_link_serves_once_and_soon() {
        let signed_in = SignedIn::default();
        let link = signed_in.link(operator(), at(0)).unwrap();
        assert!(signed_in.open_link(&link, at(LINK_SECONDS - 1)).is_some());
        assert!(signed_in.open_link(&link, at(LINK_SECONDS - 1)).is_none());
        let late = signed_in.link(operator(), at(0)).unwrap();
        assert!(signed_in.open_link(&late, at(LINK_SECONDS)).is_none());
    }

    #[test]
    fn a_secret_is_shown_once_and_soon_and_to_its_browser() {
        let signed_in = SignedIn::default();
        let operation = crate::operations::named("createApiKey").unwrap();
        let [mine, other] = [(); 2].map(|()| signed_in.add(operator(), at(0)).unwrap());
        let leave = || signed_in.leave_once(&mine, operation, Zeroizing::new("{}".to_owned()), at(0));
        leave();
        assert!(signed_in.take_once(&other, at(1)).is_none());
        assert!(signed_in.take_once(&mine, at(ONCE_SECONDS - 1)).is_some());
        assert!(signed_in.take_once(&mine, at(1)).is_none(), "twice");
        leave();
        // A request of any browser clears away what was not fetched.
        signed_in.find(&other, true, at(ONCE_SECONDS)).unwrap();
        assert!(signed_in.inner.lock().once.is_empty());
        leave();
        signed_in.remove(&mine);
        assert!(signed_in.inner.lock().once.is_empty());
    }

    #[test]
    fn the_browser_that_has_been_idle_longest_makes_room() {
        let signed_in = SignedIn::default();
        let first = signed_in.add(operator(), at(0)).unwrap();
        let second = signed_in.add(operator(), at(1)).unwrap();
        signed_in.find(&first, true, at(2)).unwrap();
        for _ in 2..=MAX_SIGNED_IN {
            signed_in.add(operator(), at(3)).unwrap();
        }
        assert!(signed_in.find(&second, true, at(3)).is_none());
        assert!(signed_in.find(&first, true, at(3)).is_some());
    }
}
