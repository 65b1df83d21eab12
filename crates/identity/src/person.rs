//! People and service accounts.

use crate::error::{IdentityError, Result};
use crate::stored;
use rusqlite::{Connection, OptionalExtension as _, Row};
use serde::{Deserialize, Serialize};

/// A person, or a program that acts in its own name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Person {
    /// The number.
    pub id: i64,
    /// The login.
    pub login: String,
    /// Person or program.
    pub kind: Kind,
    /// The name to show.
    pub name: String,
    /// E-mail address; may be empty.
    pub email: String,
    /// PN values as which they refer, request or perform: what makes a study their own.
    pub dicom_names: Vec<String>,
    /// Whether they may log in.
    pub is_active: bool,
    /// Roles given here.
    pub roles: Vec<String>,
    /// Roles from groups of an identity provider or directory.
    pub external_roles: Vec<String>,
    /// Since when, in microseconds since 1970.
    pub created: i64,
    /// When they last did something.
    pub last_seen: Option<i64>,
    /// Whether there is a password.
    pub has_password: bool,
    /// Whether a second factor is asked for after the password.
    pub has_totp: bool,
    /// Number of passkeys.
    pub passkeys: u32,
    /// Who vouches for them: an issuer's URL or `ldap`; none: nobody but us.
    pub issuer: Option<String>,
}

/// Person or program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Somebody.
    Person,
    /// A service account: it has tokens only.
    Service,
}

impl Kind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Service => "service",
        }
    }
}

/// What is said of a new person.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewPerson {
    /// The login.
    pub login: String,
    /// Person or program.
    #[serde(default = "a_person")]
    pub kind: Kind,
    /// The name to show; empty: the login.
    #[serde(default)]
    pub name: String,
    /// E-mail address.
    #[serde(default)]
    pub email: String,
    /// See [`Person::dicom_names`].
    #[serde(default)]
    pub dicom_names: Vec<String>,
    /// Roles.
    #[serde(default)]
    pub roles: Vec<String>,
}

fn a_person() -> Kind {
    Kind::Person
}

impl NewPerson {
    /// A person with this login and these roles.
    pub fn new(login: &str, roles: &[&str]) -> Self {
        Self {
            login: login.into(),
            kind: Kind::Person,
            name: String::new(),
            email: String::new(),
            dicom_names: Vec::new(),
            roles: roles.iter().map(|&role| role.to_owned()).collect(),
        }
    }
}

/// What is changed of a person; nothing where nothing is said.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PersonChange {
    /// The name to show.
    pub name: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
    /// See [`Person::dicom_names`].
    pub dicom_names: Option<Vec<String>>,
    /// Whether they may log in.
    pub is_active: Option<bool>,
    /// The roles given here.
    pub roles: Option<Vec<String>>,
}

/// The login as it is kept and compared: without spaces around it, in lower case.
pub(crate) fn fold_login(login: &str) -> String {
    login.trim().to_lowercase()
}

/// Logins stand in logs, URLs and DICOM's User Identity.
pub(crate) fn check_login(login: &str) -> Result<()> {
    let fits = |c: char| c.is_alphanumeric() || "-_.@+".contains(c);
    if (1..=64).contains(&login.chars().count()) && login.chars().all(fits) {
        return Ok(());
    }
    Err(IdentityError::invalid(
        "a login is made of letters, digits and -_.@+, 64 characters at most",
    ))
}

/// Names and addresses are one line of bounded length.
pub(crate) fn check_text(text: &str, what: &str) -> Result<()> {
    if text.chars().count() > 200 || text.chars().any(char::is_control) {
        return Err(IdentityError::invalid(format!(
            "{what} is one line of 200 characters at most"
        )));
    }
    Ok(())
}

const COLUMNS: &str = "id, login, kind, name, email, dicom_names, is_active, created, last_seen,
     password IS NOT NULL, issuer,
     EXISTS (SELECT 1 FROM totp WHERE totp.person = person.id AND is_confirmed),
     (SELECT count(*) FROM passkey WHERE passkey.person = person.id)";

/// Everybody.
pub(crate) fn all(connection: &Connection) -> Result<Vec<Person>> {
    let mut statement =
        connection.prepare_cached(&format!("SELECT {COLUMNS} FROM person ORDER BY login"))?;
    let rows = statement.query_map([], from_row)?;
    let mut people = Vec::new();
    for row in rows {
        people.push(with_roles(connection, row??)?);
    }
    Ok(people)
}

/// The person of a number.
pub(crate) fn by_id(connection: &Connection, id: i64) -> Result<Person> {
    let row = connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM person WHERE id = ?1"))?
        .query_row([id], from_row)
        .optional()?;
    match row {
        Some(person) => with_roles(connection, person?),
        None => Err(IdentityError::NotFound("person")),
    }
}

/// The person of a login.
pub(crate) fn by_login(connection: &Connection, login: &str) -> Result<Option<Person>> {
    let row = connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM person WHERE login = ?1"))?
        .query_row([fold_login(login)], from_row)
        .optional()?;
    row.map(|person| with_roles(connection, person?))
        .transpose()
}

fn with_roles(connection: &Connection, person: Person) -> Result<Person> {
    let mut statement = connection.prepare_cached(
        "SELECT role, is_external FROM person_role WHERE person = ?1 ORDER BY role",
    )?;
    let mut person = person;
    let rows = statement.query_map([person.id], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, bool>(1)?))
    })?;
    for row in rows {
        match row? {
            (role, true) => person.external_roles.push(role),
            (role, false) => person.roles.push(role),
        }
    }
    Ok(person)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Result<Person>> {
    let dicom_names: String = row.get(5)?;
    let kind: String = row.get(2)?;
    let person = Person {
        id: row.get(0)?,
        login: row.get(1)?,
        kind: if kind == Kind::Service.as_str() {
            Kind::Service
        } else {
            Kind::Person
        },
        name: row.get(3)?,
        email: row.get(4)?,
        dicom_names: Vec::new(),
        is_active: row.get(6)?,
        roles: Vec::new(),
        external_roles: Vec::new(),
        created: row.get(7)?,
        last_seen: row.get(8)?,
        has_password: row.get(9)?,
        issuer: row.get(10)?,
        has_totp: row.get(11)?,
        passkeys: row.get(12)?,
    };
    Ok(
        stored::read(&dicom_names, "a person").map(|dicom_names| Person {
            dicom_names,
            ..person
        }),
    )
}
