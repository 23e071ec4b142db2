//! Instruments and families: what an application records into.

pub mod spec;
pub mod handle;
pub mod number;
pub mod counter;
pub mod updown;
pub mod gauge;
pub mod histogram;
pub mod state_set;
pub mod family;
pub mod info;
pub mod observable;
