//! Recovery codes: for who has lost the second factor. Each works once.

use crate::error::Result;
use crate::event::{Actor, EventKind, IdentityEvent};
use crate::identity::Identity;
use crate::person::{self, Person};
use crate::random;
use rusqlite::params;
use zeroize::Zeroizing;

/// Codes made at once.
const CODES: usize = 10;

impl Identity {
    /// Makes new recovery codes; earlier ones become void. They cannot be shown again.
    ///
    /// # Errors
    /// When there is no such person.
    pub fn make_recovery_codes(&self, person: i64, by: &Actor) -> Result<Vec<Zeroizing<String>>> {
        let mut codes = Vec::with_capacity(CODES);
        for _ in 0..CODES {
            codes.push(code()?);
        }
        let person = self.write(|transaction| {
            let person = person::by_id(transaction, person)?;
            transaction.execute("DELETE FROM recovery_code WHERE person = ?1", [person.id])?;
            for code in &codes {
                transaction.execute(
                    "INSERT INTO recovery_code (person, code_hash) VALUES (?1, ?2)",
                    params![person.id, hash(code)],
                )?;
            }
            Ok(person)
        })?;
        let event = IdentityEvent::new(EventKind::RecoveryCodesMade, by)
            .about(format!("person {}", person.login));
        self.tell(event);
        Ok(codes)
    }

    /// How many are left.
    ///
    /// # Errors
    /// When the database fails.
    pub fn recovery_codes_left(&self, person: i64) -> Result<u32> {
        self.read(|connection| {
            Ok(connection.query_row(
                "SELECT count(*) FROM recovery_code WHERE person = ?1",
                [person],
                |row| row.get(0),
            )?)
        })
    }

    /// Uses up a code. Tells whether it was one.
    pub(crate) fn use_recovery_code(
        &self,
        person: &Person,
        code: &str,
        by: &Actor,
    ) -> Result<bool> {
        let used = self.write(|transaction| {
            Ok(transaction.execute(
                "DELETE FROM recovery_code WHERE person = ?1 AND code_hash = ?2",
                params![person.id, hash(code)],
            )?)
        })?;
        if used > 0 {
            let event = IdentityEvent::new(EventKind::RecoveryCodeUsed, by)
                .about(format!("person {}", person.login));
            self.tell(event);
        }
        Ok(used > 0)
    }
}

/// 80 bits as `abcd-efgh-ijkl-mnop`.
fn code() -> Result<Zeroizing<String>> {
    let text = Zeroizing::new(random::base32(&*Zeroizing::new(random::bytes::<10>()?)));
    let mut code = Zeroizing::new(String::with_capacity(19));
    for (at, letter) in text.chars().enumerate() {
        if at > 0 && at % 4 == 0 {
            code.push('-');
        }
        code.push(letter);
    }
    Ok(code)
}

/// Spaces, dashes and capitals are as people type them.
fn hash(code: &str) -> [u8; 32] {
    let plain: String = code
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    random::hash(&plain)
}
