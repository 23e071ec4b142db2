//! Instruments and families: what an application records into.

pub(crate) mod spec;
pub(crate) mod handle;
pub(crate) mod number;
pub(crate) mod counter;
pub(crate) mod updown;
pub(crate) mod gauge;
pub(crate) mod histogram;
pub(crate) mod state_set;
pub(crate) mod family;
pub(crate) mod info;
pub(crate) mod observable;
