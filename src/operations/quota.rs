//! Quotas: a bounded number of units for all calls in flight together, per tenant and per caller. No caller takes all units,
//! also not with several keys.

use std::{collections::HashMap, hash::Hash, sync::Arc};

use parking_lot::Mutex;

use crate::model::{Caller, TenantId};

/// The units of a quota.
#[derive(Clone, Copy, Debug)]
pub struct QuotaLimits {
    /// Of all callers together.
    pub all: usize,
    /// Of one tenant.
    pub per_tenant: usize,
    /// Of one caller.
    pub per_caller: usize,
}

/// A quota, and the units in use.
pub struct Quota {
    limits: QuotaLimits,
    // A mutex that blocks its thread: it is held to count, never across an await.
    used: Mutex<Used>,
}

#[derive(Default)]
struct Used {
    all: usize,
    by_tenant: HashMap<TenantId, usize>,
    by_caller: HashMap<CallerKey, usize>,
}

/// A caller's tenant and principal.
type CallerKey = (TenantId, String);

/// Units in use by a caller; dropping the guard returns them.
pub struct QuotaGuard {
    quota: Arc<Quota>,
    caller: CallerKey,
    count: usize,
}

impl Quota {
    /// A quota with all units free.
    pub fn new(limits: QuotaLimits) -> Arc<Self> {
        Arc::new(Self { limits, used: Mutex::default() })
    }

    /// Whether a unit is free for this caller now.
    pub fn has_room(&self, caller: &Caller) -> bool {
        let used = self.used.lock();
        self.with_more(&used, &key(caller), 1).is_some()
    }

    /// The units in use by all, the tenant and the caller after taking `more`; `None` beyond a limit.
    fn with_more(&self, used: &Used, caller: &CallerKey, more: usize) -> Option<(usize, usize, usize)> {
        let add = |now: usize, limit: usize| now.checked_add(more).filter(|count| *count <= limit);
        let per_tenant = used.by_tenant.get(&caller.0).copied().unwrap_or(0);
        let per_caller = used.by_caller.get(caller).copied().unwrap_or(0);
        let QuotaLimits { all, per_tenant: tenant_limit, per_caller: caller_limit } = self.limits;
        Some((add(used.all, all)?, add(per_tenant, tenant_limit)?, add(per_caller, caller_limit)?))
    }

    fn add(&self, caller: &CallerKey, more: usize) -> bool {
        let mut used = self.used.lock();
        let Some((all, per_tenant, per_caller)) = self.with_more(&used, caller, more) else { return false };
        used.all = all;
        used.by_tenant.insert(caller.0.clone(), per_tenant);
        used.by_caller.insert(caller.clone(), per_caller);
        true
    }

    /// A unit for this caller, if one is free.
    pub fn take(self: &Arc<Self>, caller: &Caller) -> Option<QuotaGuard> {
        self.take_several(caller, 1)
    }

    /// `count` units for this caller, if as many are free.
    pub fn take_several(self: &Arc<Self>, caller: &Caller, count: usize) -> Option<QuotaGuard> {
        let caller = key(caller);
        self.add(&caller, count).then(|| QuotaGuard { quota: Arc::clone(self), caller, count })
    }
}

fn key(caller: &Caller) -> CallerKey {
    (caller.tenant.clone(), caller.principal.clone())
}

impl QuotaGuard {
    /// Takes `more` units; `false` if they are not free, and then nothing has changed.
    pub fn grow(&mut self, more: usize) -> bool {
        let grown = self.quota.add(&self.caller, more);
        self.count += if grown { more } else { 0 };
        grown
    }

    /// The units that the guard holds.
    pub fn count(&self) -> usize {
        self.count
    }
}

impl Drop for QuotaGuard {
    fn drop(&mut self) {
        let mut used = self.quota.used.lock();
        used.all -= self.count;
        subtract(&mut used.by_tenant, &self.caller.0, self.count);
        subtract(&mut used.by_caller, &self.caller, self.count);
    }
}

/// Subtracts `less`, and removes the key at zero.
fn subtract<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: &K, less: usize) {
    if let Some(count) = counts.get_mut(key) {
        *count -= less;
        if *count == 0 {
            counts.remove(key);
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
        let quota = Quota::new(QuotaLimits { all: 4, per_tenant: 3, per_caller: 2 });
        let take = |tenant, principal| quota.take(&caller(tenant, principal));
        let (first, second) = (take("local", "a").unwrap(), take("local", "a").unwrap());
        assert!(take("local", "a").is_none(), "one caller");
        let third = take("local", "b").unwrap();
        assert!(take("local", "c").is_none(), "one tenant");
        let fourth = take("ten_other", "a").unwrap();
        assert!(take("ten_third", "a").is_none(), "all callers");
        drop(first);
        let again = take("local", "a").unwrap();
        drop((second, third, fourth, again));
        let mut several = quota.take_several(&caller("local", "a"), 1).unwrap();
        assert!(several.grow(1) && !several.grow(1) && several.count() == 2);
        drop(several);
        let used = quota.used.lock();
        assert!(used.all == 0 && used.by_tenant.is_empty() && used.by_caller.is_empty(), "nothing is kept");
    }
}
