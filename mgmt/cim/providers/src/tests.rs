//! Everything that is shown, against the schema; and what clients send.

mod fixture;
mod given;
mod paths;
mod schema;
