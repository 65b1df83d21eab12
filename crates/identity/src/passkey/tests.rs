//! A small authenticator of our own, with real signatures.

use super::*;
use crate::person::{NewPerson, PersonChange};
use crate::testing::{Bench, bench};
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};

struct Authenticator {
    key: EcdsaKeyPair,
    count: u32,
    flags: u8,
    origin: &'static str,
}

fn party() -> RelyingParty {
    RelyingParty::of("https://pacs.example").unwrap()
}

impl Authenticator {
    fn new() -> Self {
        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self {
            key: EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap(),
            count: 0,
            flags: 0x05,
            origin: "https://pacs.example",
        }
    }

    fn client_data(&self, kind: &str, challenge: &str) -> String {
        json!({ "type": kind, "challenge": challenge, "origin": self.origin }).to_string()
    }

    fn data(&mut self, flags: u8) -> Vec<u8> {
        self.count += 1;
        let mut data = digest(&SHA256, b"pacs.example").as_ref().to_vec();
        data.push(flags);
        data.extend_from_slice(&self.count.to_be_bytes());
        data
    }

    fn make(&mut self, options: &Value) -> Attestation {
        let mut data = self.data(self.flags | 0x40);
        data.extend_from_slice(&[0; 16]);
        data.extend_from_slice(&[0, 4]);
        data.extend_from_slice(b"cred");
        let point = self.key.public_key().as_ref();
        // {1: 2, 3: -7, -1: 1, -2: x, -3: y}
        data.extend_from_slice(&[0xA5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 32]);
        data.extend_from_slice(&point[1..33]);
        data.extend_from_slice(&[0x22, 0x58, 32]);
        data.extend_from_slice(&point[33..65]);
        // {"fmt": "none", "attStmt": {}, "authData": data}
        let mut object = vec![0xA3, 0x63];
        object.extend_from_slice(b"fmt\x64none\x67attStmt\xA0\x68authData\x59");
        object.extend_from_slice(&u16::try_from(data.len()).unwrap().to_be_bytes());
        object.extend_from_slice(&data);
        let challenge = options["challenge"].as_str().unwrap();
        serde_json::from_value(json!({
            "id": BASE64URL.encode(b"cred"),
            "type": "public-key",
            "response": {
                "clientDataJSON": BASE64URL.encode(self.client_data("webauthn.create", challenge)),
                "attestationObject": BASE64URL.encode(object),
            },
        }))
        .unwrap()
    }

    fn log_in(&mut self, options: &Value) -> Assertion {
        let data = self.data(self.flags);
        let challenge = options["challenge"].as_str().unwrap();
        let client_data = self.client_data("webauthn.get", challenge);
        let mut signed = data.clone();
        signed.extend_from_slice(digest(&SHA256, client_data.as_bytes()).as_ref());
        let signature = self.key.sign(&SystemRandom::new(), &signed).unwrap();
        serde_json::from_value(json!({
            "id": BASE64URL.encode(b"cred"),
            "response": {
                "clientDataJSON": BASE64URL.encode(client_data),
                "authenticatorData": BASE64URL.encode(data),
                "signature": BASE64URL.encode(signature.as_ref()),
            },
        }))
        .unwrap()
    }
}

#[test]
fn a_passkey_is_made_and_logs_in() {
    let Bench { identity, by, .. } = bench();
    let person = identity
        .add_person(&NewPerson::new("p", &["radiologist"]), &by)
        .unwrap()
        .id;
    let mut device = Authenticator::new();
    let options = identity.begin_passkey(person, &party()).unwrap();
    let made = device.make(&options);
    // Not for somebody else, and not twice.
    assert!(identity.add_passkey(99, "", &made, &party(), &by).is_err());
    assert!(
        identity
            .add_passkey(person, "", &made, &party(), &by)
            .is_err()
    );
    let made = device.make(&identity.begin_passkey(person, &party()).unwrap());
    let passkey = identity
        .add_passkey(person, "Phone", &made, &party(), &by)
        .unwrap();
    assert_eq!(identity.passkeys(person).unwrap()[0].name, "Phone");
    assert_eq!(identity.person(person).unwrap().passkeys, 1);

    let client = Client::default();
    let log_in = |answer: &Assertion| identity.login_with_passkey(answer, &party(), &client);
    let begin = || identity.begin_passkey_login(&party()).unwrap();
    let answer = device.log_in(&begin());
    let session = log_in(&answer).unwrap();
    assert_eq!(session.person.id, person);
    assert_eq!(session.session.method, "passkey");
    assert!(log_in(&answer).is_err(), "a challenge is used once");

    // A signature count that does not rise.
    device.count -= 1;
    assert!(log_in(&device.log_in(&begin())).is_err());
    device.count += 5;
    log_in(&device.log_in(&begin())).unwrap();
    // Nobody was verified; another site; another key.
    device.flags = 0x01;
    assert!(log_in(&device.log_in(&begin())).is_err());
    device.flags = 0x05;
    device.origin = "https://evil.example";
    assert!(log_in(&device.log_in(&begin())).is_err());
    device.origin = "https://pacs.example";
    let mut other = Authenticator::new();
    other.count = 1000;
    assert!(log_in(&other.log_in(&begin())).is_err());
    log_in(&device.log_in(&begin())).unwrap();

    let disable = PersonChange {
        is_active: Some(false),
        ..PersonChange::default()
    };
    identity.change_person(person, &disable, &by).unwrap();
    assert!(log_in(&device.log_in(&begin())).is_err());
    identity.remove_passkey(person, passkey.id, &by).unwrap();
    assert!(identity.remove_passkey(person, passkey.id, &by).is_err());
}
