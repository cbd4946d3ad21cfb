//! Gate: authentication and authorization. API keys, sessions with scopes, budget and lifetime, delegation, hourly limits.

pub mod authenticate;
pub mod check_permission;
pub mod create_api_key;
pub mod create_session;
mod ending;
pub mod get_session;
pub mod get_usage;
pub mod last_use;
pub mod list_api_keys;
pub mod list_descendants;
pub mod list_sessions;
pub mod list_tenants;
pub mod name_tenant;
pub mod rate_limit;
pub mod revoke_api_key;
pub mod revoke_session;
pub mod rotate_api_key;
pub mod session_detail;
pub mod set_api_key_tier;
pub mod stop_agent;
mod tenants;
