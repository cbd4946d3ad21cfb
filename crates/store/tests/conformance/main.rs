//! What every backend of the store does, seen through the seam alone: the tests open a database and know nothing else of the
//! backend. Two handles on one database stand for two processes.

mod caches;
mod calls;
mod exact;
mod jobs;
mod sessions;
mod support;
mod transactions;
mod webhooks;
