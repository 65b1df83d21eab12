//! `gantry user`: people and service accounts.

use super::people::People;
use super::reach::DataOptions;
use super::usage::usage;
use gantry_identity::{Actor, Kind, NewPerson, Person, PersonChange, describe};
use std::io::{BufRead, IsTerminal};
use std::process::ExitCode;

/// Add, list and change people and service accounts.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gantry user add anna --role administrator             prints a link that sets the password
  gantry user add anna --role radiologist --password-stdin < password.txt
  gantry user add worklist-robot --service --role technologist
  gantry user list
  gantry user show anna                                 what she may do, and why
  gantry user reset anna                                prints a link that sets a new password
  gantry user role anna --add auditor --remove radiologist
  gantry user disable anna

The server may run meanwhile.")]
pub struct User {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Add a person or a service account.
    Add(Add),
    /// List everybody.
    List {
        #[command(flatten)]
        data: DataOptions,
        /// Print one JSON array.
        #[arg(long)]
        json: bool,
    },
    /// What somebody may do, and why.
    Show(Login),
    /// Make a link that sets a new password once.
    Reset(Login),
    /// End all sessions, and allow no further login.
    Disable(Login),
    /// Allow logins again.
    Enable(Login),
    /// Delete an account with its tokens and shares.
    Delete(Login),
    /// Remove somebody's authenticator app and recovery codes.
    RemoveTotp(Login),
    /// Give and take roles, or list all roles.
    Role(Role),
}

#[derive(Debug, clap::Args)]
struct Add {
    #[command(flatten)]
    data: DataOptions,
    /// The login.
    login: String,
    /// The name to show [default: the login].
    #[arg(long, default_value = "")]
    name: String,
    /// E-mail address.
    #[arg(long, default_value = "")]
    email: String,
    /// A role; may be repeated.
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// A name (PN) as which they refer, request or perform; may be repeated.
    #[arg(long = "dicom-name", value_name = "NAME")]
    dicom_names: Vec<String>,
    /// A program, not a person: it has tokens, no password.
    #[arg(long)]
    service: bool,
    /// Read the password from standard input instead of printing a link.
    #[arg(long, conflicts_with = "service")]
    password_stdin: bool,
}

#[derive(Debug, clap::Args)]
struct Login {
    #[command(flatten)]
    data: DataOptions,
    /// The login.
    login: String,
}

#[derive(Debug, clap::Args)]
struct Role {
    #[command(flatten)]
    data: DataOptions,
    /// The login; without one all roles are listed.
    login: Option<String>,
    /// A role to give; may be repeated.
    #[arg(long, value_name = "ROLE", requires = "login")]
    add: Vec<String>,
    /// A role to take away; may be repeated.
    #[arg(long, value_name = "ROLE", requires = "login")]
    remove: Vec<String>,
}

/// Does it.
pub fn run(user: &User) -> anyhow::Result<ExitCode> {
    let by = Actor::command();
    match &user.action {
        Action::Add(new) => add(new, &by)?,
        Action::List { data, json } => list(&People::open(data)?, *json)?,
        Action::Show(who) => show(who)?,
        Action::Reset(who) => {
            let (people, person) = open(who)?;
            print_link(&people, &person, &by)?;
        }
        Action::Disable(who) => set_active(who, false, &by)?,
        Action::Enable(who) => set_active(who, true, &by)?,
        Action::Delete(who) => {
            let (people, person) = open(who)?;
            people.identity.delete_person(person.id, &by)?;
            println!("{} is deleted", person.login);
        }
        Action::RemoveTotp(who) => {
            let (people, person) = open(who)?;
            people.identity.remove_totp(person.id, &by)?;
            println!("{} logs in without a code", person.login);
        }
        Action::Role(role) => change_roles(role, &by)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn open(who: &Login) -> anyhow::Result<(People, Person)> {
    let people = People::open(&who.data)?;
    let person = people.find(&who.login)?;
    Ok((people, person))
}

fn add(new: &Add, by: &Actor) -> anyhow::Result<()> {
    let people = People::open(&new.data)?;
    let password = if new.password_stdin {
        Some(read_password()?)
    } else {
        None
    };
    let person = NewPerson {
        kind: if new.service {
            Kind::Service
        } else {
            Kind::Person
        },
        login: new.login.clone(),
        name: new.name.clone(),
        email: new.email.clone(),
        dicom_names: new.dicom_names.clone(),
        roles: new.roles.clone(),
    };
    let person = people.identity.add_person(&person, by)?;
    match password {
        Some(password) => {
            if let Err(error) = people.identity.set_password(person.id, &password, by) {
                // An account that was not wanted like this.
                people.identity.delete_person(person.id, by)?;
                return Err(error.into());
            }
            println!("{} can log in", person.login);
        }
        None if new.service => {
            let login = &person.login;
            println!("{login} is there; `gantry token make {login} …` makes a token");
        }
        None => print_link(&people, &person, by)?,
    }
    Ok(())
}

fn read_password() -> anyhow::Result<String> {
    if std::io::stdin().is_terminal() {
        eprintln!("password (it will show):");
    }
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err(usage("standard input has no password"));
    }
    Ok(password.to_owned())
}

fn print_link(people: &People, person: &Person, by: &Actor) -> anyhow::Result<()> {
    let secret = people.identity.make_password_link(person.id, by)?;
    let hours = people.identity.settings().reset_link_hours;
    println!(
        "{} sets a password, once, within {hours} h, at\n{}",
        person.login,
        people.link("password", &secret)
    );
    Ok(())
}

fn list(people: &People, json: bool) -> anyhow::Result<()> {
    let everybody = people.identity.people()?;
    if json {
        println!("{}", serde_json::to_string_pretty(&everybody)?);
        return Ok(());
    }
    for person in everybody {
        let mut notes = Vec::new();
        if !person.is_active {
            notes.push("disabled".to_owned());
        }
        if person.kind == Kind::Service {
            notes.push("service account".to_owned());
        } else if let Some(issuer) = &person.issuer {
            notes.push(format!("of {issuer}"));
        } else if !person.has_password {
            notes.push("no password".to_owned());
        }
        if person.has_totp {
            notes.push("second factor".to_owned());
        }
        let roles: Vec<&str> = person
            .roles
            .iter()
            .chain(&person.external_roles)
            .map(String::as_str)
            .collect();
        println!(
            "{:<24} {:<28} {:<32} {}",
            person.login,
            person.name,
            roles.join(","),
            notes.join(", ")
        );
    }
    Ok(())
}

fn show(who: &Login) -> anyhow::Result<()> {
    let (people, person) = open(who)?;
    let access = people.identity.access_of(person.id)?;
    println!("{} ({})", person.login, person.name);
    if access.grants.is_empty() {
        println!("  may do nothing");
    }
    for grant in &access.grants {
        println!("  {}", describe(grant));
    }
    Ok(())
}

fn set_active(who: &Login, is_active: bool, by: &Actor) -> anyhow::Result<()> {
    let (people, person) = open(who)?;
    let change = PersonChange {
        is_active: Some(is_active),
        ..PersonChange::default()
    };
    people.identity.change_person(person.id, &change, by)?;
    let word = if is_active { "enabled" } else { "disabled" };
    println!("{} is {word}", person.login);
    Ok(())
}

fn change_roles(role: &Role, by: &Actor) -> anyhow::Result<()> {
    let people = People::open(&role.data)?;
    let Some(login) = &role.login else {
        for role in people.identity.roles()? {
            let rights: Vec<&str> = role.rights.iter().map(|right| right.as_str()).collect();
            println!(
                "{:<16} {:<48} {}",
                role.name,
                rights.join(","),
                role.description
            );
        }
        return Ok(());
    };
    let person = people.find(login)?;
    let mut roles = person.roles.clone();
    for name in &role.remove {
        if !roles.contains(name) {
            return Err(usage(format!("{} has not the role {name}", person.login)));
        }
        roles.retain(|one| one != name);
    }
    roles.extend(role.add.iter().cloned());
    let change = PersonChange {
        roles: Some(roles),
        ..PersonChange::default()
    };
    let person = people.identity.change_person(person.id, &change, by)?;
    println!("{}: {}", person.login, person.roles.join(", "));
    Ok(())
}
