//! Time-based one-time passwords (RFC 6238) as authenticator apps make them: SHA-1, six digits,
//! thirty seconds.

use crate::clock::SECOND;
use crate::error::{IdentityError, Result};
use crate::event::{Actor, EventKind, IdentityEvent};
use crate::identity::Identity;
use crate::person;
use crate::random;
use ring::hmac;
use rusqlite::{OptionalExtension as _, params};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// Seconds of a step.
const STEP: i64 = 30;
/// Steps before and after the present one whose codes are taken, for clocks that differ.
const SKEW: i64 = 1;
const SECRET_BYTES: usize = 20;

/// What an authenticator app needs.
#[derive(Debug)]
pub struct TotpEnrolment {
    /// The secret in base 32, to be typed.
    pub secret: Zeroizing<String>,
    /// The same as an address, to be shown as a QR code.
    pub uri: Zeroizing<String>,
}

impl Identity {
    /// Begins to add an authenticator app. It is asked for once a code of it was confirmed.
    ///
    /// # Errors
    /// When the person has one already.
    pub fn begin_totp(&self, person: i64) -> Result<TotpEnrolment> {
        let bytes = Zeroizing::new(random::bytes::<SECRET_BYTES>()?);
        let sealed = self.sealer.seal(&*bytes, &place(person))?;
        let now = self.clock.now();
        let person = self.write(|transaction| {
            let person = person::by_id(transaction, person)?;
            if person.has_totp {
                return Err(IdentityError::Conflict(
                    "there is an authenticator app already; remove it first".into(),
                ));
            }
            transaction.execute(
                "INSERT OR REPLACE INTO totp (person, secret, is_confirmed, last_step, created)
                 VALUES (?1, ?2, 0, 0, ?3)",
                params![person.id, sealed, now],
            )?;
            Ok(person)
        })?;
        let secret = Zeroizing::new(random::base32(&*bytes).to_uppercase());
        let uri = Zeroizing::new(format!(
            "otpauth://totp/Gantry:{}?secret={}&issuer=Gantry&algorithm=SHA1&digits=6&period=30",
            person.login.replace('@', "%40").replace('+', "%2B"),
            secret.as_str()
        ));
        Ok(TotpEnrolment { secret, uri })
    }

    /// Confirms the app with a code of it.
    ///
    /// # Errors
    /// When nothing was begun, or the code is wrong.
    pub fn confirm_totp(&self, person: i64, code: &str, by: &Actor) -> Result<()> {
        if !self.take_code(person, code, false)? {
            return Err(IdentityError::invalid(
                "the code is not right: check that the clock of the device is",
            ));
        }
        let person = self.change(|transaction| {
            transaction.execute(
                "UPDATE totp SET is_confirmed = 1 WHERE person = ?1",
                [person],
            )?;
            person::by_id(transaction, person)
        })?;
        let event =
            IdentityEvent::new(EventKind::TotpAdded, by).about(format!("person {}", person.login));
        self.tell(event);
        Ok(())
    }

    /// Removes the app, and the recovery codes with it.
    ///
    /// # Errors
    /// When there is none.
    pub fn remove_totp(&self, person: i64, by: &Actor) -> Result<()> {
        let person = self.change(|transaction| {
            let person = person::by_id(transaction, person)?;
            let count = transaction.execute("DELETE FROM totp WHERE person = ?1", [person.id])?;
            if count == 0 {
                return Err(IdentityError::NotFound("authenticator app"));
            }
            transaction.execute("DELETE FROM recovery_code WHERE person = ?1", [person.id])?;
            Ok(person)
        })?;
        let event = IdentityEvent::new(EventKind::TotpRemoved, by)
            .about(format!("person {}", person.login));
        self.tell(event);
        Ok(())
    }

    /// Whether it is a code of the person's app that was not used before.
    pub(crate) fn use_totp(&self, person: i64, code: &str) -> Result<bool> {
        self.take_code(person, code, true)
    }

    fn take_code(&self, person: i64, code: &str, is_confirmed: bool) -> Result<bool> {
        let step = self.clock.now() / SECOND / STEP;
        self.write(|transaction| {
            let row: Option<(Vec<u8>, i64)> = transaction
                .prepare_cached(
                    "SELECT secret, last_step FROM totp WHERE person = ?1 AND is_confirmed = ?2",
                )?
                .query_row(params![person, is_confirmed], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })
                .optional()?;
            let Some((sealed, last_step)) = row else {
                return Ok(false);
            };
            let secret = self.sealer.open(&sealed, &place(person))?;
            let Some(found) = matching_step(&secret, code, step, last_step) else {
                return Ok(false);
            };
            transaction.execute(
                "UPDATE totp SET last_step = ?2 WHERE person = ?1",
                [person, found],
            )?;
            Ok(true)
        })
    }
}

fn place(person: i64) -> String {
    format!("totp {person}")
}

/// The step whose code it is, if it comes after the last one used.
fn matching_step(secret: &[u8], code: &str, now: i64, last_used: i64) -> Option<i64> {
    let code: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    let mut found = None;
    for step in now.saturating_sub(SKEW)..=now.saturating_add(SKEW) {
        let expected = format!("{:06}", hotp(secret, step.unsigned_abs()) % 1_000_000);
        let is_equal = bool::from(expected.as_bytes().ct_eq(code.as_bytes()));
        if is_equal && step > last_used {
            found = Some(step);
        }
    }
    found
}

/// RFC 4226 5.3: the truncated HMAC.
fn hotp(secret: &[u8], counter: u64) -> u32 {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &counter.to_be_bytes());
    let bytes = tag.as_ref();
    let offset = usize::from(bytes.last().copied().unwrap_or(0) & 0xF);
    let four = bytes
        .get(offset..)
        .and_then(|rest| rest.first_chunk::<4>())
        .copied()
        .unwrap_or_default();
    u32::from_be_bytes(four) & 0x7FFF_FFFF
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::login::LoginOutcome;
    use crate::person::NewPerson;
    use crate::session::Client;
    use crate::testing::{Bench, GOOD_PASSWORD, bench};

    /// RFC 6238 appendix B, with the last six of its eight digits.
    #[test]
    fn codes_are_those_of_the_rfc() {
        let secret = b"12345678901234567890";
        for (seconds, code) in [
            (59, 94_287_082),
            (1_111_111_109, 7_081_804),
            (1_111_111_111, 14_050_471),
            (1_234_567_890, 89_005_924),
            (2_000_000_000, 69_279_037),
            (20_000_000_000u64, 65_353_130),
        ] {
            assert_eq!(hotp(secret, seconds / 30) % 100_000_000, code);
        }
    }

    fn unbase32(text: &str) -> Vec<u8> {
        let (mut out, mut buffer, mut bits) = (Vec::new(), 0u32, 0);
        for c in text.to_lowercase().bytes() {
            let at = b"abcdefghijklmnopqrstuvwxyz234567"
                .iter()
                .position(|l| *l == c);
            buffer = (buffer << 5) | at.unwrap() as u32;
            bits += 5;
            if bits >= 8 {
                bits -= 8;
                out.push((buffer >> bits) as u8);
                buffer &= (1 << bits) - 1;
            }
        }
        out
    }

    #[test]
    fn a_code_is_asked_for_and_works_once() {
        let Bench {
            identity,
            by,
            clock,
            folder,
            ..
        } = bench();
        let id = identity
            .add_person(&NewPerson::new("p", &[]), &by)
            .unwrap()
            .id;
        identity.set_password(id, GOOD_PASSWORD, &by).unwrap();
        let enrolment = identity.begin_totp(id).unwrap();
        assert!(enrolment.uri.contains(enrolment.secret.as_str()));
        let secret = unbase32(&enrolment.secret);
        let code = || {
            format!(
                "{:06}",
                hotp(&secret, (clock.now() / SECOND / 30) as u64) % 1_000_000
            )
        };
        let client = Client::default();
        // Not confirmed: not asked for.
        assert!(matches!(
            identity.login("p", GOOD_PASSWORD, &client),
            Ok(LoginOutcome::LoggedIn(_))
        ));
        assert!(identity.confirm_totp(id, "000000", &by).is_err());
        identity.confirm_totp(id, &code(), &by).unwrap();
        assert!(identity.begin_totp(id).is_err());

        let ticket = || match identity.login("p", GOOD_PASSWORD, &client) {
            Ok(LoginOutcome::SecondFactor { ticket }) => ticket,
            other => panic!("{other:?}"),
        };
        let first = ticket();
        // The code that confirmed it is used up.
        assert!(
            identity
                .login_second_factor(&first, &code(), &client)
                .is_err()
        );
        clock.advance(30);
        identity
            .login_second_factor(&first, &code(), &client)
            .unwrap();
        assert!(
            identity
                .login_second_factor(&first, &code(), &client)
                .is_err()
        );
        clock.advance(30);
        assert!(identity.login_second_factor("x", &code(), &client).is_err());

        let codes = identity.make_recovery_codes(id, &by).unwrap();
        assert_eq!(codes.len(), 10);
        let typed = codes[0].to_uppercase().replace('-', " ");
        identity
            .login_second_factor(&ticket(), &typed, &client)
            .unwrap();
        assert!(
            identity
                .login_second_factor(&ticket(), &typed, &client)
                .is_err()
        );
        assert_eq!(identity.recovery_codes_left(id).unwrap(), 9);

        // The secret does not stand in the file.
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            assert!(!bytes.windows(20).any(|window| window == secret));
        }
        identity.remove_totp(id, &by).unwrap();
        assert_eq!(identity.recovery_codes_left(id).unwrap(), 0);
        assert!(matches!(
            identity.login("p", GOOD_PASSWORD, &client),
            Ok(LoginOutcome::LoggedIn(_))
        ));
    }

    #[test]
    fn guessing_codes_waits_across_tickets() {
        let Bench {
            identity,
            by,
            clock,
            ..
        } = bench();
        let id = identity
            .add_person(&NewPerson::new("p", &[]), &by)
            .unwrap()
            .id;
        identity.set_password(id, GOOD_PASSWORD, &by).unwrap();
        let enrolment = identity.begin_totp(id).unwrap();
        let secret = unbase32(&enrolment.secret);
        let step = (clock.now() / SECOND / 30) as u64;
        let code = format!("{:06}", hotp(&secret, step) % 1_000_000);
        identity.confirm_totp(id, &code, &by).unwrap();
        let client = Client::default();
        let mut blocked = false;
        for _ in 0..8 {
            let Ok(LoginOutcome::SecondFactor { ticket }) =
                identity.login("p", GOOD_PASSWORD, &client)
            else {
                blocked = true;
                break;
            };
            for _ in 0..3 {
                let outcome = identity.login_second_factor(&ticket, "wrong", &client);
                blocked |= matches!(outcome, Err(IdentityError::Blocked { .. }));
            }
        }
        assert!(blocked);
    }
}
