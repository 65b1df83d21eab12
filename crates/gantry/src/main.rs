//! The Gantry server and its commands.
fn main() {}
