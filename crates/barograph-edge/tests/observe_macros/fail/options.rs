use barograph_edge::observe::observe;

#[observe(crate = "barograph_edge", colour = "red")]
fn unknown() {}

#[observe(crate = "barograph_edge", kind = "friend")]
fn kind() {}

#[observe(crate = "barograph_edge", level = "loud")]
fn level() {}

#[observe(crate = "barograph_edge", name)]
fn name() {}

#[observe(crate = "barograph_edge", service = "a", service = "b")]
fn twice() {}

#[observe(crate = "barograph_edge", fields(user.id))]
fn no_value() {}

#[observe(crate = "barograph_edge", skip)]
fn skipped() {}

fn main() {}
