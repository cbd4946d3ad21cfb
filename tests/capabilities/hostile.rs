//! Upstreams and agents that try to get around haldir, or to bring it down, on every way in.

mod floods;
mod front;
mod listeners;
mod names;
mod turns;
