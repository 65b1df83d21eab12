//! Events reach a collector, whatever happens to it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use gantry_audit::export::{Collectors, Source};
use gantry_audit::{Actor, AuditLog, AuditSettings, CollectorSettings, Event, Kind, Transport};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, BufReader};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

fn open(folder: &Path, transport: Transport, port: u16) -> Arc<AuditLog> {
    let collector = CollectorSettings {
        name: "siem".into(),
        host: "127.0.0.1".into(),
        port,
        transport,
        ca_file: Default::default(),
        certificate_file: Default::default(),
        key_file: Default::default(),
        server_name: String::new(),
    };
    let settings = AuditSettings {
        collector: vec![collector],
        ..AuditSettings::default()
    };
    AuditLog::open(folder, None, settings).unwrap()
}

fn start(log: &Arc<AuditLog>) -> Collectors {
    Collectors::start(log, &Source::new(log.settings(), "GANTRY"))
}

async fn record(log: &AuditLog, events: u64) {
    for _ in 0..events {
        let event = Event::by(Kind::Viewed, Actor::default());
        log.record(event).await.unwrap();
    }
}

/// Number of the event of a message.
fn sequence(message: &str) -> u64 {
    let (_, rest) = message.split_once("sequence=\"").unwrap();
    rest.split_once('"').unwrap().0.parse().unwrap()
}

/// Reads so many framed messages.
async fn read(stream: &mut BufReader<TcpStream>, count: usize) -> Vec<u64> {
    let mut numbers = Vec::new();
    while numbers.len() < count {
        let mut length = 0;
        loop {
            let digit = stream.read_u8().await.unwrap();
            if digit == b' ' {
                break;
            }
            length = length * 10 + usize::from(digit - b'0');
        }
        let mut message = vec![0; length];
        stream.read_exact(&mut message).await.unwrap();
        numbers.push(sequence(std::str::from_utf8(&message).unwrap()));
    }
    numbers
}

async fn accept(listener: &TcpListener) -> BufReader<TcpStream> {
    let accepted = tokio::time::timeout(Duration::from_secs(20), listener.accept());
    BufReader::new(accepted.await.unwrap().unwrap().0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_was_down_gets_everything() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let log = open(folder.path(), Transport::Tcp, port);
    record(&log, 10).await;
    let collectors = start(&log);
    let mut stream = accept(&listener).await;
    assert_eq!(read(&mut stream, 10).await, (1..=10).collect::<Vec<_>>());
    record(&log, 5).await;
    assert_eq!(read(&mut stream, 5).await, (11..=15).collect::<Vec<_>>());
    // It goes away. What it may not have taken comes again, and what happens meanwhile too.
    drop(stream);
    drop(listener);
    record(&log, 20).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let mut stream = accept(&listener).await;
    let mut seen = BTreeSet::new();
    while seen.last() != Some(&35) {
        seen.extend(read(&mut stream, 1).await);
    }
    assert!((16..=35).all(|number| seen.contains(&number)), "{seen:?}");
    // An orderly end is remembered: nothing is sent twice.
    let reading = tokio::spawn(async move {
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        rest.len()
    });
    collectors.stop().await;
    assert_eq!(reading.await.unwrap(), 0);
    log.close();
    drop(log);
    let log = open(folder.path(), Transport::Tcp, port);
    assert_eq!(log.reader().position("siem").unwrap(), Some(35));
    record(&log, 1).await;
    let collectors = start(&log);
    let mut stream = accept(&listener).await;
    assert_eq!(read(&mut stream, 1).await, [36]);
    drop(stream);
    collectors.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn datagrams_carry_one_message_each() {
    let folder = tempfile::tempdir().unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = socket.local_addr().unwrap().port();
    let log = open(folder.path(), Transport::Udp, port);
    let collectors = start(&log);
    record(&log, 3).await;
    let mut datagram = vec![0; 65_536];
    for number in 1..=3 {
        let received = tokio::time::timeout(Duration::from_secs(20), socket.recv(&mut datagram));
        let length = received.await.unwrap().unwrap();
        let message = std::str::from_utf8(&datagram[..length]).unwrap();
        assert!(message.starts_with("<85>1 "), "{message}");
        assert_eq!(sequence(message), number);
    }
    collectors.stop().await;
}
