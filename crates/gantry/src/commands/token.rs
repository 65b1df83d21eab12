//! `gantry token`: API tokens.

use super::people::People;
use super::reach::DataOptions;
use super::usage::usage;
use anyhow::Context;
use gantry_core::access::{Right, Rights, Scope};
use gantry_identity::{Actor, NewToken};
use std::process::ExitCode;

/// Make, list and revoke API tokens of people and service accounts.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gantry token make worklist-robot --name ris --right store --right view
  gantry token make anna --name script --right view --days 30 --scope '{\"modalities\": [\"CT\"]}'
  gantry token list
  gantry token revoke 7

A token has at most the rights of its account. It goes as `Authorization: Bearer TOKEN`, or as the
password of HTTP Basic. Commands with --to and --from take it from GANTRY_TOKEN.")]
pub struct Token {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Make a token and print it; it cannot be shown again.
    Make(Make),
    /// List tokens.
    List {
        #[command(flatten)]
        data: DataOptions,
        /// Only those of this account.
        login: Option<String>,
        /// Print one JSON array.
        #[arg(long)]
        json: bool,
    },
    /// Revoke a token.
    Revoke {
        #[command(flatten)]
        data: DataOptions,
        /// The number that `gantry token list` shows.
        number: i64,
    },
}

#[derive(Debug, clap::Args)]
struct Make {
    #[command(flatten)]
    data: DataOptions,
    /// The account.
    login: String,
    /// What it is for.
    #[arg(long)]
    name: String,
    /// A right; may be repeated: view, download, store, modify, delete, export, share,
    /// de-identify, report, sign, administer, audit.
    #[arg(long = "right", value_name = "RIGHT", required = true)]
    rights: Vec<String>,
    /// The studies, as JSON: sites, departments, modalities, patients, labels, studies.
    #[arg(long, value_name = "JSON")]
    scope: Option<String>,
    /// Days until it ends [default: as long as the site allows].
    #[arg(long)]
    days: Option<u32>,
}

/// Does it.
pub fn run(token: &Token) -> anyhow::Result<ExitCode> {
    match &token.action {
        Action::Make(new) => make(new)?,
        Action::List { data, login, json } => list(data, login.as_deref(), *json)?,
        Action::Revoke { data, number } => {
            let people = People::open(data)?;
            people
                .identity
                .revoke_token(*number, None, &Actor::command())?;
            println!("token {number} is revoked");
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn make(new: &Make) -> anyhow::Result<()> {
    let rights = new
        .rights
        .iter()
        .map(|word| Right::parse(word).ok_or_else(|| usage(format!("there is no right {word:?}"))))
        .collect::<anyhow::Result<Rights>>()?;
    let scope = match &new.scope {
        Some(text) => serde_json::from_str(text)
            .context("--scope cannot be read")
            .map_err(usage)?,
        None => Scope::everything(),
    };
    let people = People::open(&new.data)?;
    let owner = people.find(&new.login)?;
    let wanted = NewToken {
        name: new.name.clone(),
        rights,
        scope,
        days: new.days,
    };
    let (text, token) = people
        .identity
        .make_token(owner.id, &wanted, &Actor::command())?;
    eprintln!(
        "token {} of {}; it is not shown again:",
        token.id, token.login
    );
    println!("{}", text.as_str());
    Ok(())
}

fn list(data: &DataOptions, login: Option<&str>, json: bool) -> anyhow::Result<()> {
    let people = People::open(data)?;
    let owner = match login {
        Some(login) => Some(people.find(login)?.id),
        None => None,
    };
    let tokens = people.identity.tokens(owner)?;
    if json {
        println!("{}", serde_json::to_string_pretty(&tokens)?);
        return Ok(());
    }
    for token in tokens {
        let rights: Vec<&str> = token.rights.iter().map(|right| right.as_str()).collect();
        let state = match token.revoked {
            Some(_) => "revoked",
            None if token.ends.is_some_and(|ends| ends <= people.identity.now()) => "ended",
            None => "",
        };
        println!(
            "{:>5} {:<24} {:<24} {:<40} {state}",
            token.id,
            token.login,
            token.name,
            rights.join(",")
        );
    }
    Ok(())
}
