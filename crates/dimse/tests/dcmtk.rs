//! dcmtk at the other end.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use bytes::Bytes;
use gantry_dimse::association::error::AssociationError;
use gantry_dimse::association::requestor::Proposal;
use gantry_dimse::command::Priority;
use gantry_dimse::pdu::user_information::{IdentityKind, RoleSelection, UserIdentity};
use gantry_dimse::scu::{Client, StoreRequest};
use gantry_dimse::source::{ChunkSource, ReadSource};
use gantry_dimse::status::Status;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::*;

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a program of dcmtk to its end and gives what it said.
async fn run(program: &str, arguments: &[&str]) -> String {
    run_in(&std::env::temp_dir(), program, arguments).await
}

async fn run_in(folder: &Path, program: &str, arguments: &[&str]) -> String {
    let output = tokio::process::Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .env("TCP_NODELAY", "1")
        .output()
        .await
        .unwrap_or_else(|error| panic!("{program} of dcmtk must be installed: {error}"));
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}\n{said}",
        output.status
    );
    said
}

/// Starts a server of dcmtk and waits until it listens.
fn start(program: &str, arguments: &[&str], port: u16) -> Killed {
    let child = Command::new(program)
        .args(arguments)
        .env("TCP_NODELAY", "1")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("{program} of dcmtk must be installed: {error}"));
    let child = Killed(child);
    let start = Instant::now();
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "{program} does not listen"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    child
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

fn address(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// A CT of 512 by 512 pixels: the data set, and the same as a file with meta information.
async fn ct(folder: &Path) -> (Bytes, PathBuf) {
    let raw: Vec<u8> = (0..512u32 * 512)
        .flat_map(|at| ((at * 7) as u16).to_le_bytes())
        .collect();
    let pixels = folder.join("pixels.raw");
    std::fs::write(&pixels, raw).unwrap();
    let dump = folder.join("ct.dump");
    std::fs::write(
        &dump,
        format!(
            "(0008,0016) UI [{CT}]\n(0008,0018) UI [1.2.3.4.5.6]\n(0010,0010) PN [Phantom^One]\n\
             (0010,0020) LO [P1]\n(0020,000d) UI [1.2.3.4]\n(0020,000e) UI [1.2.3.4.5]\n\
             (0028,0002) US 1\n(0028,0004) CS [MONOCHROME2]\n(0028,0010) US 512\n\
             (0028,0011) US 512\n(0028,0100) US 16\n(0028,0101) US 16\n(0028,0102) US 15\n\
             (0028,0103) US 0\n(7fe0,0010) OW ={}\n",
            pixels.display()
        ),
    )
    .unwrap();
    let file = folder.join("ct.dcm");
    let data_set = folder.join("ct.raw");
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    run("dump2dcm", &["+te", &text(&dump), &text(&file)]).await;
    run("dump2dcm", &["-F", "+te", &text(&dump), &text(&data_set)]).await;
    (std::fs::read(&data_set).unwrap().into(), file)
}

#[tokio::test]
async fn echoscu_is_answered() {
    let port = listen(Arc::default()).await.port().to_string();
    run("echoscu", &["-aec", "GANTRY", "127.0.0.1", &port]).await;
    // 128 presentation contexts and a repeated echo.
    run(
        "echoscu",
        &["-ppc", "128", "--repeat", "20", "127.0.0.1", &port],
    )
    .await;
    run("echoscu", &["--abort", "127.0.0.1", &port]).await;
}

#[tokio::test]
async fn storescu_sends_bit_exactly_in_pdus_of_any_length() {
    let folder = tempfile::tempdir().unwrap();
    let (data_set, file) = ct(folder.path()).await;
    let store = Arc::new(Store::default());
    let port = listen(store.clone()).await.port().to_string();
    let file = file.to_str().unwrap();
    for length in ["4096", "16384", "65536", "131072"] {
        run(
            "storescu",
            &["-xe", "--max-send-pdu", length, "127.0.0.1", &port, file],
        )
        .await;
    }
    run(
        "storescu",
        &[
            "-xe",
            "--user",
            "reader",
            "--pos-response",
            "127.0.0.1",
            &port,
            file,
        ],
    )
    .await;
    let received = store.received.lock().unwrap();
    assert_eq!(received.len(), 5);
    for received in received.iter() {
        assert!(received.data_set == data_set);
        assert_eq!(received.sop_class_uid, uid(CT));
        assert_eq!(received.sop_instance_uid, uid("1.2.3.4.5.6"));
        assert_eq!(received.transfer_syntax, uid(EXPLICIT));
        assert_eq!(received.calling_ae, "STORESCU");
    }
}

#[tokio::test]
async fn findscu_sees_every_match() {
    let store = Arc::new(Store::default());
    let identifier = |number: usize| {
        [
            element(0x0008, 0x0052, "CS", "STUDY"),
            element(0x0010, 0x0020, "LO", &format!("PATIENT{number}")),
            element(0x0020, 0x000d, "UI", &format!("1.2.{}", number + 1)),
        ]
        .concat()
        .into()
    };
    *store.identifiers.lock().unwrap() = (0..50).map(identifier).collect();
    let port = listen(store.clone()).await.port().to_string();
    let said = run(
        "findscu",
        &[
            "-v",
            "-S",
            "-xe",
            "-k",
            "QueryRetrieveLevel=STUDY",
            "127.0.0.1",
            &port,
        ],
    )
    .await;
    for number in 0..50 {
        assert!(said.contains(&format!("PATIENT{number}")), "{said}");
    }
    // Cancel after a few matches: the provider here sends them all, but must see the request.
    run(
        "findscu",
        &[
            "-S",
            "--cancel",
            "3",
            "-k",
            "QueryRetrieveLevel=STUDY",
            "127.0.0.1",
            &port,
        ],
    )
    .await;
    assert_eq!(store.cancelled.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn movescu_and_getscu_receive_bit_exactly() {
    let folder = tempfile::tempdir().unwrap();
    let (data_set, _) = ct(folder.path()).await;
    let store = Arc::new(Store::default());
    store.received.lock().unwrap().push(Received {
        sop_class_uid: uid(CT),
        sop_instance_uid: uid("1.2.3.4.5.6"),
        transfer_syntax: uid(EXPLICIT),
        calling_ae: String::new(),
        originator: None,
        data_set: data_set.clone(),
    });
    let store_port = free_port();
    *store.destination.lock().unwrap() = Some(address(store_port));
    let port = listen(store).await.port().to_string();
    let store_port = store_port.to_string();
    for (program, arguments) in [
        ("getscu", vec!["-S", "+B", "+xe"]),
        (
            "movescu",
            vec!["-S", "+B", "-aem", "MOVESCU", "+P", &store_port],
        ),
    ] {
        let target = folder.path().join(program);
        std::fs::create_dir(&target).unwrap();
        let mut arguments = arguments;
        arguments.extend(["-od", target.to_str().unwrap()]);
        arguments.extend([
            "-k",
            "QueryRetrieveLevel=STUDY",
            "-k",
            "StudyInstanceUID=1.2.3.4",
        ]);
        arguments.extend(["127.0.0.1", &port]);
        arguments.push("-v");
        // With +B, movescu writes where it stands, whatever -od says.
        let said = run_in(&target, program, &arguments).await;
        let files: Vec<_> = std::fs::read_dir(&target).unwrap().collect();
        assert_eq!(files.len(), 1, "{program}: {said}");
        let stored = std::fs::read(files[0].as_ref().unwrap().path()).unwrap();
        assert!(stored.ends_with(&data_set), "{program}");
    }
}

fn store_request() -> StoreRequest {
    StoreRequest {
        sop_class_uid: uid(CT),
        sop_instance_uid: uid("1.2.3.4.5.6"),
        priority: Priority::Medium,
        originator: None,
    }
}

#[tokio::test]
async fn storescp_keeps_what_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let (data_set, _) = ct(folder.path()).await;
    let target = folder.path().join("target");
    std::fs::create_dir(&target).unwrap();
    for length in ["4096", "131072"] {
        let port = free_port();
        let output = target.to_str().unwrap();
        let _storescp = start(
            "storescp",
            &[
                "+xe",
                "+B",
                "--max-pdu",
                length,
                "-od",
                output,
                &port.to_string(),
            ],
            port,
        );
        let client = Client::connect(address(port), &proposal(&[VERIFICATION, CT]), &settings())
            .await
            .unwrap();
        assert_eq!(client.echo().await.unwrap(), Status::SUCCESS);
        let context = client.context(&uid(CT)).unwrap();
        assert_eq!(context.transfer_syntax, uid(EXPLICIT));
        let file = tokio::fs::File::open(folder.path().join("ct.raw"))
            .await
            .unwrap();
        let response = client
            .store(context.id, store_request(), ReadSource::new(file))
            .await
            .unwrap();
        assert_eq!(response.status, Status::SUCCESS);
        client.release().await.unwrap();
        let stored = std::fs::read(target.join("CT.1.2.3.4.5.6")).unwrap();
        assert!(stored.ends_with(&data_set));
        std::fs::remove_file(target.join("CT.1.2.3.4.5.6")).unwrap();
    }
}

#[tokio::test]
async fn a_refusal_of_storescp_is_told() {
    let port = free_port();
    let _storescp = start("storescp", &["--refuse", &port.to_string()], port);
    let result = Client::connect(address(port), &proposal(&[VERIFICATION]), &settings()).await;
    assert!(matches!(result, Err(AssociationError::Rejected(_))));
}

/// dcmqrscp with one storage area `QR`, which may send to `GANTRY` at `move_port`.
fn dcmqrscp(folder: &Path, port: u16, move_port: u16) -> Killed {
    let area = folder.join("area");
    std::fs::create_dir_all(&area).unwrap();
    let config = folder.join("dcmqrscp.cfg");
    std::fs::write(
        &config,
        format!(
            "NetworkTCPPort = {port}\nMaxPDUSize = 16384\nMaxAssociations = 16\n\
             HostTable BEGIN\ngantry = (GANTRY, localhost, {move_port})\nHostTable END\n\
             VendorTable BEGIN\nVendorTable END\n\
             AETable BEGIN\nQR {} RW (200, 1024mb) ANY\nAETable END\n",
            area.display()
        ),
    )
    .unwrap();
    start("dcmqrscp", &["-c", config.to_str().unwrap(), "-xe"], port)
}

#[tokio::test]
async fn dcmqrscp_stores_finds_moves_and_gives() {
    let folder = tempfile::tempdir().unwrap();
    let (data_set, _) = ct(folder.path()).await;
    let destination = Arc::new(Store::default());
    let move_port = listen(destination.clone()).await.port();
    let port = free_port();
    let _dcmqrscp = dcmqrscp(folder.path(), port, move_port);

    let mut proposal = Proposal::new(title("QR"), title("GANTRY"));
    for abstract_syntax in [VERIFICATION, CT, STUDY_FIND, STUDY_MOVE, STUDY_GET] {
        proposal = proposal.with_context(uid(abstract_syntax), vec![uid(EXPLICIT), uid(IMPLICIT)]);
    }
    proposal.roles = vec![RoleSelection {
        sop_class_uid: uid(CT),
        is_scu: true,
        is_scp: true,
    }];
    proposal.identity = Some(UserIdentity {
        kind: IdentityKind::Username,
        is_response_requested: false,
        primary: Bytes::from_static(b"reader"),
        secondary: Bytes::new(),
    });
    let client = Client::connect(address(port), &proposal, &settings())
        .await
        .unwrap();
    let store_context = client.context(&uid(CT)).unwrap();
    let response = client
        .store(store_context.id, store_request(), Some(data_set.clone()))
        .await
        .unwrap();
    assert_eq!(response.status, Status::SUCCESS);

    let find_context = client.context(&uid(STUDY_FIND)).unwrap().clone();
    assert_eq!(find_context.transfer_syntax, uid(EXPLICIT));
    let identifier: Bytes = [
        element(0x0008, 0x0052, "CS", "STUDY"),
        element(0x0010, 0x0020, "LO", "P1"),
        element(0x0020, 0x000d, "UI", ""),
    ]
    .concat()
    .into();
    let mut find = client.find(&find_context, identifier).await.unwrap();
    let reply = find.next().await.unwrap();
    assert_eq!(reply.response.status, Status::PENDING);
    let found = String::from_utf8_lossy(&reply.data_set.unwrap()).into_owned();
    assert!(found.contains("1.2.3.4"), "{found:?}");
    assert_eq!(find.next().await.unwrap().response.status, Status::SUCCESS);
    drop(find);

    let identifier: Bytes = [
        element(0x0008, 0x0052, "CS", "STUDY"),
        element(0x0020, 0x000d, "UI", "1.2.3.4"),
    ]
    .concat()
    .into();
    let move_context = client.context(&uid(STUDY_MOVE)).unwrap().clone();
    let mut operation = client
        .move_to(&move_context, &title("GANTRY"), identifier.clone())
        .await
        .unwrap();
    let last = loop {
        let reply = operation.next().await.unwrap();
        if !reply.response.status.is_pending() {
            break reply;
        }
    };
    assert_eq!(last.response.status, Status::SUCCESS);
    assert_eq!(last.response.sub_operations.unwrap().completed, 1);
    let originator = destination.received.lock().unwrap()[0]
        .originator
        .clone()
        .unwrap();
    assert_eq!(originator.message_id, operation.message_id());
    assert!(destination.received.lock().unwrap()[0].data_set == data_set);
    drop(operation);

    let get_context = client.context(&uid(STUDY_GET)).unwrap().clone();
    let mut get = client.get(&get_context, identifier).await.unwrap();
    let mut arrived = Vec::new();
    let last = loop {
        tokio::select! {
            reply = get.next() => {
                let reply = reply.unwrap();
                if !reply.response.status.is_pending() {
                    break reply;
                }
            }
            Some(mut invocation) = client.next_invocation() => {
                while let Some(chunk) = invocation.next_chunk().await.unwrap() {
                    arrived.extend_from_slice(&chunk);
                }
                let response = invocation.request.response(Status::SUCCESS);
                invocation.respond(&response).await.unwrap();
            }
        }
    };
    assert_eq!(last.response.status, Status::SUCCESS);
    assert!(arrived == data_set);
    drop(get);
    client.release().await.unwrap();
}
