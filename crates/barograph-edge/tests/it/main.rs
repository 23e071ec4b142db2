//! The layer and the source as their users have them.

mod page;
mod script;

mod bodies;
mod contexts;
mod process;
mod requests;
mod routes;
mod server;
