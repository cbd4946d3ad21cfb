//! Places that calls take for as long as they last. Nobody takes the places of all others, be it with many keys.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

use crate::model::{Caller, TenantId};

/// How many calls there may be at a time.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Of everybody.
    pub all: usize,
    /// Of one tenant.
    pub of_tenant: usize,
    /// Of one caller.
    pub of_caller: usize,
}

/// The places, and who has them.
pub struct Places {
    bounds: Bounds,
    // A std mutex: it is held to count, never across a wait.
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    by_tenant: HashMap<TenantId, usize>,
    by_caller: HashMap<Who, usize>,
}

/// A caller, by tenant and principal.
type Who = (TenantId, String);

/// One place; dropping it gives it back.
pub struct Place {
    places: Arc<Places>,
    who: Who,
}

impl Places {
    /// So many places, all free.
    pub fn new(bounds: Bounds) -> Arc<Self> {
        Arc::new(Self { bounds, taken: Mutex::default() })
    }

    /// Whether there is a place for this caller now.
    pub fn has_room(&self, caller: &Caller) -> bool {
        let who = (caller.tenant.clone(), caller.principal.clone());
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        self.room(&taken, &who).is_some()
    }

    /// What the tenant and the caller have now, if there is room for one more.
    fn room(&self, taken: &Taken, who: &Who) -> Option<(usize, usize)> {
        let of_tenant = taken.by_tenant.get(&who.0).copied().unwrap_or(0);
        let of_caller = taken.by_caller.get(who).copied().unwrap_or(0);
        let Bounds { all, of_tenant: most_of_tenant, of_caller: most_of_caller } = self.bounds;
        (taken.all < all && of_tenant < most_of_tenant && of_caller < most_of_caller).then_some((of_tenant, of_caller))
    }

    /// A place for this caller, if there is one.
    pub fn take(self: &Arc<Self>, caller: &Caller) -> Option<Place> {
        let who = (caller.tenant.clone(), caller.principal.clone());
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let (of_tenant, of_caller) = self.room(&taken, &who)?;
        taken.all += 1;
        taken.by_tenant.insert(who.0.clone(), of_tenant + 1);
        taken.by_caller.insert(who.clone(), of_caller + 1);
        Some(Place { places: Arc::clone(self), who })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all -= 1;
        give_back(&mut taken.by_tenant, &self.who.0);
        give_back(&mut taken.by_caller, &self.who);
    }
}

/// One less; who has none is forgotten.
fn give_back<K: Eq + Hash>(counts: &mut HashMap<K, usize>, who: &K) {
    if let Some(count) = counts.get_mut(who) {
        *count -= 1;
        if *count == 0 {
            counts.remove(who);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(tenant: &str, principal: &str) -> Caller {
        let tenant = TenantId::parse(tenant).unwrap();
        Caller { tenant, principal: principal.to_owned(), ..Caller::anonymous() }
    }

    #[test]
    fn neither_a_caller_nor_a_tenant_takes_the_places_of_others_and_what_is_given_back_is_there_again() {
        let places = Places::new(Bounds { all: 4, of_tenant: 3, of_caller: 2 });
        let take = |tenant, principal| places.take(&caller(tenant, principal));
        let (first, second) = (take("local", "a").unwrap(), take("local", "a").unwrap());
        assert!(take("local", "a").is_none(), "one caller");
        let third = take("local", "b").unwrap();
        assert!(take("local", "c").is_none(), "one tenant");
        let fourth = take("ten_other", "a").unwrap();
        assert!(take("ten_third", "a").is_none(), "everybody");
        drop(first);
        let again = take("local", "a").unwrap();
        drop((second, third, fourth, again));
        let taken = places.taken.lock().unwrap();
        assert!(taken.all == 0 && taken.by_tenant.is_empty() && taken.by_caller.is_empty(), "somebody is remembered");
    }
}
