//! What receiving costs: sends CT-sized instances (525,614 bytes) over loopback to a receiver
//! that discards them, and prints the CPU time of the receiving thread, kernel included.
//!
//! `cargo run --release -p gantry-dimse --example receive_cost [INSTANCES] [MAXIMUM_LENGTH]`
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a measurement"
)]

use bytes::Bytes;
use gantry_core::ae_title::AeTitle;
use gantry_core::uid::Uid;
use gantry_dimse::association::negotiation::{Choice, Policy};
use gantry_dimse::association::requestor::Proposal;
use gantry_dimse::association::settings::Settings;
use gantry_dimse::association::{Incoming, acceptor};
use gantry_dimse::command::{Command, Priority};
use gantry_dimse::pdu::user_information::AsynchronousOperationsWindow;
use gantry_dimse::scu::{Client, StoreRequest};
use gantry_dimse::status::Status;
use std::time::{Duration, Instant};

const LENGTH: usize = 525_614;
const CT: &str = "1.2.840.10008.5.1.4.1.1.2";

fn main() {
    let argument = |at, default: u32| {
        std::env::args()
            .nth(at)
            .map_or(default, |text| text.parse().unwrap())
    };
    let (count, maximum_length) = (argument(1, 4000), argument(2, 256 << 10));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let receiver = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(receive(listener, maximum_length));
        thread_cpu()
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let elapsed = runtime.block_on(send(address, count));
    let cpu = receiver.join().unwrap();
    println!(
        "{count} instances of {LENGTH} bytes, PDUs of {maximum_length}: {:.0}/s, {:.0} MB/s, \
         receiver {:.3} ms CPU per instance",
        f64::from(count) / elapsed.as_secs_f64(),
        f64::from(count) * LENGTH as f64 / elapsed.as_secs_f64() / 1e6,
        cpu.as_secs_f64() * 1e3 / f64::from(count),
    );
}

fn settings() -> Settings {
    Settings::new(Uid::parse("1.2.3").unwrap(), "MEASURE")
}

/// Time that this thread has spent on a processor.
fn thread_cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

async fn receive(listener: std::net::TcpListener, maximum_length: u32) {
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (reader, writer) = stream.into_split();
    let mut settings = settings();
    settings.maximum_length = maximum_length;
    let policy = Policy {
        choose: &|_, syntaxes| Choice::Accept(syntaxes[0].clone()),
        roles: &|role| (role.is_scu, role.is_scp),
        extended: &|_| None,
        window_max: AsynchronousOperationsWindow {
            invoked: 1,
            performed: 1,
        },
        identity_response: None,
    };
    let requested = acceptor::receive(reader, writer, &settings).await.unwrap();
    let mut association = requested.accept(&policy).await.unwrap();
    let writer = association.writer();
    while let Incoming::Message(message) = association.next_message().await.unwrap() {
        let Command::Request(request) = Command::parse(&message.command).unwrap() else {
            panic!()
        };
        let mut length = 0;
        while let Some(chunk) = association.data_chunk().await.unwrap() {
            length += chunk.len();
        }
        assert_eq!(length, LENGTH);
        let response = request.response(Status::SUCCESS).to_command_set();
        writer.send(message.context_id, &response).await.unwrap();
    }
    association.accept_release().await.unwrap();
}

async fn send(address: std::net::SocketAddr, count: u32) -> Duration {
    let ct = Uid::parse(CT).unwrap();
    let title = |text| AeTitle::parse(text).unwrap();
    let explicit = Uid::parse("1.2.840.10008.1.2.1").unwrap();
    let proposal =
        Proposal::new(title("RECEIVER"), title("SENDER")).with_context(ct.clone(), vec![explicit]);
    let client = Client::connect(address, &proposal, &settings())
        .await
        .unwrap();
    let data = Bytes::from(vec![7; LENGTH]);
    let start = Instant::now();
    for _ in 0..count {
        let request = StoreRequest {
            sop_class_uid: ct.clone(),
            sop_instance_uid: ct.clone(),
            priority: Priority::Medium,
            originator: None,
        };
        client.store(1, request, Some(data.clone())).await.unwrap();
    }
    let elapsed = start.elapsed();
    client.release().await.unwrap();
    elapsed
}
