use barograph_tracing::observe::observe;

#[observe(crate = "barograph_tracing", colour = "red")]
fn unknown() {}

#[observe(crate = "barograph_tracing", kind = "friend")]
fn kind() {}

#[observe(crate = "barograph_tracing", level = "loud")]
fn level() {}

#[observe(crate = "barograph_tracing", name)]
fn name() {}

#[observe(crate = "barograph_tracing", service = "a", service = "b")]
fn twice() {}

#[observe(crate = "barograph_tracing", fields(user.id))]
fn no_value() {}

#[observe(crate = "barograph_tracing", skip)]
fn skipped() {}

fn main() {}
