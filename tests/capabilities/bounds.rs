//! Bounds hold by key, tenant and process, whatever names a caller gives itself, and whatever an upstream says of a call.

mod agents;
mod bodies;
mod calls;
mod load;
