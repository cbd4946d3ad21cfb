//! Places that calls take for as long as they last, one or several each. No caller takes the places of all others, be it
//! with many keys.

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

/// What a caller has taken, one place or several; dropping it gives them back.
pub struct Place {
    places: Arc<Places>,
    who: Who,
    count: usize,
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
        self.room(&taken, &who, 1).is_some()
    }

    /// What all, the tenant and the caller would have with so many more, if there is room for them.
    fn room(&self, taken: &Taken, who: &Who, more: usize) -> Option<(usize, usize, usize)> {
        let with_more = |now: usize, most: usize| now.checked_add(more).filter(|count| *count <= most);
        let of_tenant = taken.by_tenant.get(&who.0).copied().unwrap_or(0);
        let of_caller = taken.by_caller.get(who).copied().unwrap_or(0);
        let Bounds { all, of_tenant: most_of_tenant, of_caller: most_of_caller } = self.bounds;
        let all = with_more(taken.all, all)?;
        Some((all, with_more(of_tenant, most_of_tenant)?, with_more(of_caller, most_of_caller)?))
    }

    fn add(&self, who: &Who, more: usize) -> bool {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((all, of_tenant, of_caller)) = self.room(&taken, who, more) else { return false };
        taken.all = all;
        taken.by_tenant.insert(who.0.clone(), of_tenant);
        taken.by_caller.insert(who.clone(), of_caller);
        true
    }

    /// A place for this caller, if there is one.
    pub fn take(self: &Arc<Self>, caller: &Caller) -> Option<Place> {
        self.take_several(caller, 1)
    }

    /// So many places for this caller, if there are as many.
    pub fn take_several(self: &Arc<Self>, caller: &Caller, count: usize) -> Option<Place> {
        let who = (caller.tenant.clone(), caller.principal.clone());
        self.add(&who, count).then(|| Place { places: Arc::clone(self), who, count })
    }
}

impl Place {
    /// Takes so many more; `false` if there are not as many, and then nothing has changed.
    pub fn grow(&mut self, more: usize) -> bool {
        let grown = self.places.add(&self.who, more);
        self.count += if grown { more } else { 0 };
        grown
    }

    /// How many places it is.
    pub fn count(&self) -> usize {
        self.count
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all -= self.count;
        give_back(&mut taken.by_tenant, &self.who.0, self.count);
        give_back(&mut taken.by_caller, &self.who, self.count);
    }
}

/// So many less; who has none is forgotten.
fn give_back<K: Eq + Hash>(counts: &mut HashMap<K, usize>, who: &K, less: usize) {
    if let Some(count) = counts.get_mut(who) {
        *count -= less;
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
        let mut several = places.take_several(&caller("local", "a"), 1).unwrap();
        assert!(several.grow(1) && !several.grow(1) && several.count() == 2);
        drop(several);
        let taken = places.taken.lock().unwrap();
        assert!(taken.all == 0 && taken.by_tenant.is_empty() && taken.by_caller.is_empty(), "somebody is remembered");
    }
}
