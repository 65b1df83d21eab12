//! Keeping the site's own roles.

use crate::error::{IdentityError, Result};
use crate::event::{Actor, EventKind, IdentityEvent};
use crate::identity::Identity;
use crate::role::{self, Role, built_in};
use crate::stored;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

/// Own roles of one archive.
const ROLES_MAX: i64 = 500;

impl Identity {
    /// All roles, the built-in ones first.
    ///
    /// # Errors
    /// When the database fails.
    pub fn roles(&self) -> Result<Vec<Role>> {
        self.read(all)
    }

    /// Adds an own role.
    ///
    /// # Errors
    /// When there is one of that name, or the name is none.
    pub fn add_role(&self, role: &Role, by: &Actor) -> Result<()> {
        role::check_name(&role.name)?;
        self.change(|transaction| {
            if find(transaction, &role.name)?.is_some() {
                let name = &role.name;
                return Err(IdentityError::Conflict(format!(
                    "there is a role {name} already"
                )));
            }
            let count: i64 =
                transaction.query_row("SELECT count(*) FROM role", [], |row| row.get(0))?;
            if count >= ROLES_MAX {
                return Err(IdentityError::Conflict("there are too many roles".into()));
            }
            transaction.execute(
                "INSERT INTO role (name, description, rights, scope, only_own_studies)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
                params![
                    role.name,
                    role.description,
                    stored::write(&role.rights)?,
                    stored::write(&role.scope)?,
                    role.only_own_studies,
                ],
            )?;
            Ok(())
        })?;
        let event = IdentityEvent::new(EventKind::RoleAdded, by)
            .about(format!("role {}", role.name))
            .changed(None, stored::value(role));
        self.tell(event);
        Ok(())
    }

    /// Changes an own role to `role`, which has its name.
    ///
    /// # Errors
    /// When there is no such own role.
    pub fn change_role(&self, role: &Role, by: &Actor) -> Result<()> {
        let before = self.change(|transaction| {
            let before = own(transaction, &role.name)?;
            transaction.execute(
                "UPDATE role SET description = ?2, rights = ?3, scope = ?4, only_own_studies = ?5
                 WHERE name = ?1",
                params![
                    role.name,
                    role.description,
                    stored::write(&role.rights)?,
                    stored::write(&role.scope)?,
                    role.only_own_studies,
                ],
            )?;
            Ok(before)
        })?;
        let event = IdentityEvent::new(EventKind::RoleChanged, by)
            .about(format!("role {}", role.name))
            .changed(stored::value(&before), stored::value(role));
        self.tell(event);
        Ok(())
    }

    /// Deletes an own role that nobody has.
    ///
    /// # Errors
    /// When there is no such own role, or somebody has it.
    pub fn delete_role(&self, name: &str, by: &Actor) -> Result<()> {
        let before = self.change(|transaction| {
            let before = own(transaction, name)?;
            let holders: i64 = transaction.query_row(
                "SELECT count(DISTINCT person) FROM person_role WHERE role = ?1",
                [name],
                |row| row.get(0),
            )?;
            if holders > 0 {
                return Err(IdentityError::Conflict(format!(
                    "{holders} people have the role {name}"
                )));
            }
            transaction.execute("DELETE FROM role WHERE name = ?1", [name])?;
            Ok(before)
        })?;
        let event = IdentityEvent::new(EventKind::RoleDeleted, by)
            .about(format!("role {name}"))
            .changed(stored::value(&before), None);
        self.tell(event);
        Ok(())
    }
}

/// All roles, the built-in ones first.
pub(crate) fn all(connection: &Connection) -> Result<Vec<Role>> {
    let mut statement = connection.prepare_cached(
        "SELECT name, description, rights, scope, only_own_studies FROM role ORDER BY name",
    )?;
    let mut roles = built_in();
    for row in statement.query_map([], from_row)? {
        roles.push(row??);
    }
    Ok(roles)
}

/// The role of a name.
pub(crate) fn find(connection: &Connection, name: &str) -> Result<Option<Role>> {
    if let Some(role) = built_in().into_iter().find(|role| role.name == name) {
        return Ok(Some(role));
    }
    connection
        .prepare_cached(
            "SELECT name, description, rights, scope, only_own_studies FROM role WHERE name = ?1",
        )?
        .query_row([name], from_row)
        .optional()?
        .transpose()
}

fn own(connection: &Connection, name: &str) -> Result<Role> {
    match find(connection, name)? {
        None => Err(IdentityError::NotFound("role")),
        Some(role) if role.is_built_in => Err(IdentityError::Conflict(format!(
            "the role {name} is part of every archive and stays as it is; make one of your own"
        ))),
        Some(role) => Ok(role),
    }
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Result<Role>> {
    let (rights, scope): (String, String) = (row.get(2)?, row.get(3)?);
    let (name, description, only_own_studies) = (row.get(0)?, row.get(1)?, row.get(4)?);
    Ok((|| {
        Ok(Role {
            name,
            description,
            rights: stored::read(&rights, "a role")?,
            scope: stored::read(&scope, "a role")?,
            only_own_studies,
            is_built_in: false,
        })
    })())
}
