//! The commands, one file each.

mod audit;
mod audit_trail;
mod cat;
mod cert;
mod check_config;
mod codec_worker;
mod commit;
mod conformance;
mod demo;
mod dicomweb;
mod echo;
mod export;
mod files;
mod find;
mod get;
mod header;
mod identity_trail;
mod import;
mod keys;
mod r#move;
mod people;
mod random;
mod reach;
mod reindex;
mod report;
mod scu;
mod send;
mod serve;
mod source;
mod stats;
mod token;
pub mod usage;
mod user;
mod verify;

use std::process::ExitCode;
use usage::Usage;

/// What to do.
#[derive(Debug, clap::Subcommand)]
#[command(rename_all = "kebab-case")]
pub enum Command {
    Serve(serve::Serve),
    Import(import::Import),
    Export(export::Export),
    Cat(cat::Cat),
    Cert(cert::Cert),
    Demo(demo::Demo),
    Stats(stats::Stats),
    Verify(verify::Verify),
    Reindex(reindex::Reindex),
    Keys(keys::Keys),
    CheckConfig(check_config::CheckConfig),
    Echo(echo::Echo),
    Send(send::Send),
    Commit(commit::Commit),
    Find(find::Find),
    Get(get::Get),
    Move(r#move::Move),
    Conformance(conformance::Conformance),
    Audit(audit::Audit),
    User(user::User),
    Token(token::Token),
    #[command(hide = true)]
    CodecWorker(codec_worker::CodecWorker),
}

/// Does it. A command that was called wrongly ends with exit code 2.
pub fn run(command: Command) -> anyhow::Result<ExitCode> {
    match dispatch(command) {
        Err(error) if error.is::<Usage>() => {
            eprintln!("gantry: {error:#}");
            Ok(ExitCode::from(2))
        }
        outcome => outcome,
    }
}

fn dispatch(command: Command) -> anyhow::Result<ExitCode> {
    if !matches!(command, Command::Serve(_) | Command::CodecWorker(_)) {
        log_errors();
    }
    match command {
        Command::Serve(serve) => serve::run(serve),
        Command::CodecWorker(_) => codec_worker::run(),
        Command::Import(import) => import::run(import),
        Command::Export(export) => export::run(&export),
        Command::Cat(cat) => cat::run(&cat),
        Command::Cert(cert) => cert::run(&cert),
        Command::Demo(demo) => demo::run(demo),
        Command::Stats(stats) => stats::run(&stats),
        Command::Verify(verify) => verify::run(&verify),
        Command::Reindex(reindex) => reindex::run(&reindex),
        Command::Keys(keys) => keys::run(&keys),
        Command::CheckConfig(check) => check_config::run(&check),
        Command::Echo(echo) => echo::run(&echo),
        Command::Send(send) => send::run(send),
        Command::Commit(commit) => commit::run(&commit),
        Command::Find(find) => find::run(&find),
        Command::Get(get) => get::run(&get),
        Command::Move(command) => r#move::run(&command),
        Command::Conformance(conformance) => conformance::run(&conformance),
        Command::Audit(audit) => audit::run(&audit),
        Command::User(user) => user::run(&user),
        Command::Token(token) => token::run(&token),
    }
}

/// Commands answer in words and report what happened: the log is for defects, or for `RUST_LOG`.
fn log_errors() {
    crate::logging::start(crate::logging::LogFormat::Text, "error");
}
