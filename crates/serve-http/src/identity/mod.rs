//! Logging in, and the API for people, roles, tokens, shares and break-glass.

mod access;
mod answer;
mod cookie;
mod credential;
pub mod gate;
mod login;
mod me;
mod origin;
mod passkeys;
mod people;
mod provider;
mod roles;
pub mod routes;
mod second_factor;
mod shares;
mod tokens;
mod visitor;
