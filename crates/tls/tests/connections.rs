//! Connections between our own two ends: who is let in, what is handed on, and what happens when
//! the files change.

#![allow(clippy::unwrap_used, reason = "test support fails by panicking")]

use gantry_core::certificate::CertificateRule;
use gantry_tls::authority::{Authority, Folder, Founding, KeyKind, write};
use gantry_tls::{
    Acceptor, ClientCertificates, ConnectError, Connector, HandshakeError, Profile, Secured, Tls,
    TlsConfig,
};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

type Ends = (
    Result<Secured<DuplexStream>, HandshakeError>,
    Result<gantry_tls::ClientStream<DuplexStream>, ConnectError>,
);

struct Site {
    data: tempfile::TempDir,
    folder: Folder,
    authority: Authority,
}

impl Site {
    fn new() -> Self {
        Self::with(KeyKind::P256)
    }

    fn with(keys: KeyKind) -> Self {
        let data = tempfile::tempdir().unwrap();
        let folder = Folder::of(data.path());
        let authority = Authority::found(
            &folder,
            &Founding {
                name: "Test CA",
                server_names: &["pacs.example".to_owned(), "127.0.0.1".to_owned()],
                keys,
                crl_url: None,
            },
        )
        .unwrap();
        Self {
            data,
            folder,
            authority,
        }
    }

    fn tls(&self, config: &TlsConfig) -> Tls {
        Tls::open(config, self.data.path()).unwrap().unwrap()
    }

    /// A peer with a certificate of this site, or of `other`'s authority.
    fn peer(&self, name: &str) -> Connector {
        self.peer_of(self, name)
    }

    fn peer_of(&self, other: &Self, name: &str) -> Connector {
        let issued = other.authority.issue(name, &[], 30).unwrap();
        let certificate = self.data.path().join(format!("{name}.pem"));
        let key = self.data.path().join(format!("{name}.key"));
        write(&certificate, &issued.certificate, 0o644).unwrap();
        write(&key, &issued.key, 0o600).unwrap();
        self.connector(Some((&certificate, &key)))
    }

    fn connector(&self, own: Option<(&Path, &Path)>) -> Connector {
        let ca = self.folder.ca_certificate();
        Connector::from_files(&TlsConfig::default(), [ca.as_path()], own).unwrap()
    }
}

fn rule(text: &str) -> CertificateRule {
    text.parse().unwrap()
}

async fn shake(
    acceptor: &Acceptor,
    connector: &Connector,
    host: &str,
    rule: Option<&CertificateRule>,
) -> Ends {
    let (ours, theirs) = duplex(16 << 10);
    let connecting = async {
        let mut stream = connector.connect(theirs, host, rule).await?;
        // In TLS 1.3 a client learns only by reading that its certificate is not taken.
        let mut word = [0; 2];
        stream.read_exact(&mut word).await?;
        Ok(stream)
    };
    let accepting = async {
        let mut secured = acceptor.accept(ours, ADDRESS).await?;
        secured.stream.write_all(b"ok").await?;
        secured.stream.flush().await?;
        Ok(secured)
    };
    tokio::join!(accepting, connecting)
}

#[tokio::test]
async fn a_peer_with_a_certificate_is_let_in_and_known() {
    for keys in [KeyKind::P256, KeyKind::Rsa] {
        let site = Site::with(keys);
        let tls = site.tls(&TlsConfig::default());
        let (accepted, connected) =
            shake(&tls.dicom(), &site.peer("CT1"), "pacs.example", None).await;
        connected.unwrap();
        let certificate = accepted.unwrap().certificate.unwrap();
        assert_eq!(certificate.common_name.as_deref(), Some("CT1"));
        assert_eq!(certificate.subject, "CN=CT1");
        let by_address = shake(&tls.dicom(), &site.peer("CT1"), "127.0.0.1", None).await;
        assert!(by_address.0.is_ok() && by_address.1.is_ok());
    }
}

#[tokio::test]
async fn without_a_certificate_only_those_who_need_none_come_in() {
    let site = Site::new();
    let nobody = site.connector(None);
    let config = |dicom_client_certificates| TlsConfig {
        dicom_client_certificates,
        ..TlsConfig::default()
    };
    let required = site.tls(&config(ClientCertificates::Required));
    let (accepted, connected) = shake(&required.dicom(), &nobody, "pacs.example", None).await;
    assert!(accepted.is_err() && connected.is_err());
    let (accepted, _) = shake(&required.https(), &nobody, "pacs.example", None).await;
    assert!(accepted.unwrap().certificate.is_none());

    let optional = site.tls(&config(ClientCertificates::Optional));
    let (accepted, _) = shake(&optional.dicom(), &nobody, "pacs.example", None).await;
    assert!(accepted.unwrap().certificate.is_none());
    let (accepted, _) = shake(&optional.dicom(), &site.peer("CT1"), "pacs.example", None).await;
    assert!(accepted.unwrap().certificate.is_some());
    // One that is shown is verified all the same.
    let foreign = site.peer_of(&Site::new(), "CT1");
    let (accepted, _) = shake(&optional.dicom(), &foreign, "pacs.example", None).await;
    assert!(accepted.is_err());
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_not_taken_by_either_end() {
    let (site, other) = (Site::new(), Site::new());
    let tls = site.tls(&TlsConfig::default());
    let foreign = site.peer_of(&other, "CT1");
    let (accepted, connected) = shake(&tls.dicom(), &foreign, "pacs.example", None).await;
    assert!(accepted.is_err() && connected.is_err());
    let unaware = other.peer("CT1");
    let (accepted, connected) = shake(&tls.https(), &unaware, "pacs.example", None).await;
    assert!(accepted.is_err() && connected.is_err());
    let wrong_host = shake(&tls.dicom(), &site.peer("CT1"), "other.example", None).await;
    assert!(wrong_host.1.is_err());
}

#[tokio::test]
async fn a_rule_stands_for_the_host_s_name() {
    let (site, other) = (Site::new(), Site::new());
    let tls = site.tls(&TlsConfig::default());
    let peer = site.peer("CT1");
    for (text, is_taken) in [
        ("pacs.example", true),
        ("CN=pacs.example", true),
        ("CN=other", false),
        ("other.example", false),
    ] {
        let (_, connected) = shake(&tls.dicom(), &peer, "10.0.0.1", Some(&rule(text))).await;
        assert_eq!(connected.is_ok(), is_taken, "{text}");
    }
    // A fingerprint needs no authority.
    let own = gantry_tls::expiry::summaries(&site.folder.server_certificate()).unwrap();
    let fingerprint = rule(&own[0].fingerprint);
    let stranger = other.connector(None);
    let (_, connected) = shake(&tls.https(), &stranger, "10.0.0.1", Some(&fingerprint)).await;
    assert!(connected.is_ok());
    let wrong = rule(&format!("sha256:{}", "00".repeat(32)));
    let (_, connected) = shake(&tls.https(), &stranger, "10.0.0.1", Some(&wrong)).await;
    assert!(connected.is_err());
}

#[tokio::test]
async fn new_files_are_for_new_connections_and_broken_ones_for_none() {
    let site = Site::new();
    let tls = site.tls(&TlsConfig::default());
    let peer = site.peer("CT1");
    let (accepted, connected) = shake(&tls.dicom(), &peer, "pacs.example", None).await;
    let (mut server, mut client) = (accepted.unwrap().stream, connected.unwrap());
    let before = client.get_ref().1.peer_certificates().unwrap()[0].to_vec();

    site.authority.renew_server().unwrap();
    tls.reload().unwrap();
    let (accepted, connected) = shake(&tls.dicom(), &peer, "pacs.example", None).await;
    assert!(accepted.is_ok());
    let renewed = connected.unwrap();
    let after = renewed.get_ref().1.peer_certificates().unwrap()[0].to_vec();
    assert_ne!(before, after);

    // The connection from before goes on.
    client.write_all(b"still here").await.unwrap();
    client.flush().await.unwrap();
    let mut text = [0; 10];
    server.read_exact(&mut text).await.unwrap();
    assert_eq!(&text, b"still here");

    std::fs::write(site.folder.server_certificate(), "nonsense").unwrap();
    assert!(tls.reload().is_err());
    let (accepted, _) = shake(&tls.dicom(), &peer, "pacs.example", None).await;
    assert!(accepted.is_ok());
}

#[tokio::test]
async fn a_key_of_another_certificate_is_not_put_in_force() {
    let (site, other) = (Site::new(), Site::new());
    std::fs::copy(other.folder.server_key(), site.folder.server_key()).unwrap();
    let error = Tls::open(&TlsConfig::default(), site.data.path()).unwrap_err();
    assert!(error.to_string().contains("certificate and key"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn changed_files_are_noticed() {
    let site = Site::new();
    let tls = std::sync::Arc::new(site.tls(&TlsConfig::default()));
    let watching = tokio::spawn({
        let tls = tls.clone();
        async move { tls.watch().await }
    });
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    site.authority.renew_server().unwrap();
    let new = gantry_tls::expiry::summaries(&site.folder.server_certificate()).unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    let pinned = rule(&new[0].fingerprint);
    let peer = site.peer("CT1");
    let (_, connected) = shake(&tls.dicom(), &peer, "x.example", Some(&pinned)).await;
    assert!(connected.is_ok());
    watching.abort();
}

#[tokio::test]
async fn what_is_revoked_does_not_come_in_not_even_by_a_ticket_of_before() {
    let site = Site::new();
    let tls = site.tls(&TlsConfig::default());
    let (lost, other) = (site.peer("LOST"), site.peer("CT1"));
    let (accepted, _) = shake(&tls.dicom(), &lost, "pacs.example", None).await;
    assert!(accepted.is_ok());
    site.authority.revoke("LOST").unwrap();
    tls.reload().unwrap();
    let (accepted, connected) = shake(&tls.dicom(), &lost, "pacs.example", None).await;
    assert!(accepted.is_err() && connected.is_err());
    let (accepted, _) = shake(&tls.dicom(), &other, "pacs.example", None).await;
    assert!(accepted.is_ok());
}

#[tokio::test]
async fn sessions_are_resumed_and_the_peer_is_known_all_the_same() {
    let site = Site::new();
    let tls = site.tls(&TlsConfig::default());
    let peer = site.peer("CT1");
    let mut kinds = Vec::new();
    for _ in 0..2 {
        let (accepted, connected) = shake(&tls.dicom(), &peer, "pacs.example", None).await;
        let secured = accepted.unwrap();
        assert_eq!(
            secured.certificate.unwrap().common_name.as_deref(),
            Some("CT1")
        );
        kinds.push(format!(
            "{:?}",
            connected.unwrap().get_ref().1.handshake_kind()
        ));
    }
    assert!(kinds[0].contains("Full"), "{kinds:?}");
    assert!(kinds[1].contains("Resumed"), "{kinds:?}");
}

#[tokio::test(start_paused = true)]
async fn one_who_says_nothing_is_dropped() {
    let site = Site::new();
    let tls = site.tls(&TlsConfig::default());
    let (ours, _theirs) = duplex(1024);
    let error = tls.dicom().accept(ours, ADDRESS).await.unwrap_err();
    assert!(matches!(error, HandshakeError::Timeout));
}

#[tokio::test]
async fn many_who_say_nothing_do_not_keep_others_out() {
    let site = Site::new();
    let tls = site.tls(&TlsConfig {
        handshakes_max: 20,
        handshakes_per_address_max: 10,
        ..TlsConfig::default()
    });
    let mut silent = Vec::new();
    let mut waiting = Vec::new();
    for _ in 0..50 {
        let (ours, theirs) = duplex(1024);
        silent.push(theirs);
        let acceptor = tls.dicom();
        waiting.push(tokio::spawn(async move {
            acceptor.accept(ours, ADDRESS).await.map(|_| ())
        }));
    }
    tokio::task::yield_now().await;
    let (accepted, connected) = shake(&tls.dicom(), &site.peer("CT1"), "pacs.example", None).await;
    assert!(accepted.is_ok() && connected.is_ok());
    let displaced = waiting.iter().filter(|task| task.is_finished()).count();
    assert!(displaced >= 40, "{displaced}");
    for task in waiting {
        task.abort();
    }
}

#[tokio::test]
async fn http_2_is_agreed_on_where_http_is_spoken() {
    let site = Site::new();
    let tls = site.tls(&TlsConfig::default());
    let mut config = (*site.connector(None).client_config()).clone();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let (ours, theirs) = duplex(16 << 10);
    let name = "pacs.example".try_into().unwrap();
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    let acceptor = tls.https();
    let (secured, connected) = tokio::join!(
        acceptor.accept(ours, ADDRESS),
        connector.connect(name, theirs)
    );
    assert!(connected.is_ok());
    assert_eq!(
        secured.unwrap().stream.get_ref().1.alpn_protocol(),
        Some(&b"h2"[..])
    );
}

#[tokio::test]
async fn both_profiles_work_with_each_other() {
    let site = Site::new();
    let tls = site.tls(&TlsConfig {
        profile: Profile::Bcp195Modified,
        ..TlsConfig::default()
    });
    let (accepted, connected) = shake(&tls.dicom(), &site.peer("CT1"), "pacs.example", None).await;
    assert!(accepted.is_ok() && connected.is_ok());
}

#[test]
fn without_files_there_is_no_tls_and_without_an_authority_no_mutual_one() {
    let empty = tempfile::tempdir().unwrap();
    assert!(
        Tls::open(&TlsConfig::default(), empty.path())
            .unwrap()
            .is_none()
    );
    let site = Site::new();
    let config = TlsConfig {
        certificate: Some(site.folder.server_certificate()),
        key: Some(site.folder.server_key()),
        ..TlsConfig::default()
    };
    let error = Tls::open(&config, empty.path()).unwrap_err();
    assert!(error.to_string().contains("CA"), "{error}");
    let config = TlsConfig {
        dicom_client_certificates: ClientCertificates::None,
        ..config
    };
    assert!(Tls::open(&config, empty.path()).unwrap().is_some());
}
