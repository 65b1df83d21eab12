//! A scripted service class provider, and what tests say about themselves.
#![allow(dead_code, reason = "each test binary uses a part")]

use bytes::{Bytes, BytesMut};
use gantry_core::ae_title::AeTitle;
use gantry_core::uid::Uid;
use gantry_dimse::association::error::AssociationError;
use gantry_dimse::association::negotiation::{Choice, Policy};
use gantry_dimse::association::requestor::Proposal;
use gantry_dimse::association::settings::Settings;
use gantry_dimse::association::{Association, Incoming, acceptor};
use gantry_dimse::command::{
    Arguments, Command, MoveOriginator, Priority, Request, Response, SubOperations,
};
use gantry_dimse::pdu::user_information::AsynchronousOperationsWindow;
use gantry_dimse::scu::{Client, StoreRequest};
use gantry_dimse::status::Status;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;

pub const IMPLICIT: &str = "1.2.840.10008.1.2";
pub const EXPLICIT: &str = "1.2.840.10008.1.2.1";
pub const VERIFICATION: &str = "1.2.840.10008.1.1";
pub const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
pub const STUDY_FIND: &str = "1.2.840.10008.5.1.4.1.2.2.1";
pub const STUDY_MOVE: &str = "1.2.840.10008.5.1.4.1.2.2.2";
pub const STUDY_GET: &str = "1.2.840.10008.5.1.4.1.2.2.3";

pub fn uid(text: &str) -> Uid {
    Uid::parse(text).unwrap()
}

pub fn title(text: &str) -> AeTitle {
    AeTitle::parse(text).unwrap()
}

pub fn settings() -> Settings {
    let mut settings = Settings::new(uid("1.2.3.4.5"), "GANTRY_TEST");
    settings.timeouts.linger = Duration::from_millis(500);
    settings.timeouts.response = Duration::from_secs(20);
    settings
}

pub fn proposal(abstract_syntaxes: &[&str]) -> Proposal {
    abstract_syntaxes.iter().fold(
        Proposal::new(title("GANTRY"), title("TEST")),
        |proposal, abstract_syntax| {
            proposal.with_context(uid(abstract_syntax), vec![uid(EXPLICIT), uid(IMPLICIT)])
        },
    )
}

/// Accepts every SOP class, every role, explicit before implicit before anything else.
pub fn policy() -> Policy<'static> {
    Policy {
        choose: &|_, transfer_syntaxes| {
            let find = |wanted: &str| transfer_syntaxes.iter().find(|uid| uid.as_str() == wanted);
            let chosen = find(EXPLICIT)
                .or(find(IMPLICIT))
                .or(transfer_syntaxes.first());
            Choice::Accept(chosen.unwrap().clone())
        },
        roles: &|role| (role.is_scu, role.is_scp),
        extended: &|extended| Some(extended.information.clone()),
        window_max: AsynchronousOperationsWindow {
            invoked: 16,
            performed: 16,
        },
        identity_response: Some(Bytes::new()),
    }
}

/// An instance that a provider has received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    pub sop_class_uid: Uid,
    pub sop_instance_uid: Uid,
    pub transfer_syntax: Uid,
    pub calling_ae: String,
    pub originator: Option<MoveOriginator>,
    pub data_set: Bytes,
}

/// What a provider has, and where a C-MOVE goes.
#[derive(Debug, Default)]
pub struct Store {
    pub received: Mutex<Vec<Received>>,
    pub identifiers: Mutex<Vec<Bytes>>,
    pub destination: Mutex<Option<std::net::SocketAddr>>,
    pub cancelled: Mutex<Vec<u16>>,
}

/// A provider on an ephemeral port.
pub async fn listen(store: Arc<Store>) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let store = store.clone();
            tokio::spawn(async move {
                let (reader, writer) = stream.into_split();
                let requested = acceptor::receive(reader, writer, &settings()).await?;
                let association = requested.accept(&policy()).await?;
                serve(association, store).await
            });
        }
    });
    address
}

/// Answers an association until it ends.
pub async fn serve<R, W>(
    mut association: Association<R, W>,
    store: Arc<Store>,
) -> Result<(), AssociationError>
where
    R: AsyncRead + Unpin + Send,
    W: AsyncWrite + Unpin + Send,
{
    loop {
        let message = match association.next_message().await? {
            Incoming::Message(message) => message,
            Incoming::Release => return association.accept_release().await,
        };
        let context = association
            .negotiated()
            .context(message.context_id)
            .unwrap()
            .clone();
        let request = match Command::parse(&message.command).unwrap() {
            Command::Request(request) => request,
            Command::CCancel { message_id } => {
                store.cancelled.lock().unwrap().push(message_id);
                continue;
            }
            Command::Response(_) => panic!("response to nothing"),
        };
        let mut data_set = BytesMut::new();
        while let Some(chunk) = association.data_chunk().await? {
            data_set.extend_from_slice(&chunk);
        }
        let writer = association.writer();
        let respond = |response: Response| {
            let writer = writer.clone();
            async move {
                writer
                    .send(message.context_id, &response.to_command_set())
                    .await
            }
        };
        match &request.arguments {
            Arguments::CEcho => respond(request.response(Status::SUCCESS)).await?,
            Arguments::CStore {
                sop_instance_uid,
                originator,
                ..
            } => {
                store.received.lock().unwrap().push(Received {
                    sop_class_uid: request.sop_class_uid.clone(),
                    sop_instance_uid: sop_instance_uid.clone(),
                    transfer_syntax: context.transfer_syntax.clone(),
                    calling_ae: association.negotiated().calling_ae.to_string(),
                    originator: originator.clone(),
                    data_set: data_set.freeze(),
                });
                respond(request.response(Status::SUCCESS)).await?;
            }
            Arguments::CFind { .. } => {
                let identifiers = store.identifiers.lock().unwrap().clone();
                let pending = request.response(Status::PENDING).to_command_set();
                for identifier in identifiers {
                    writer
                        .feed(message.context_id, &pending, identifier)
                        .await?;
                }
                respond(request.response(Status::SUCCESS)).await?;
            }
            Arguments::CGet { .. } => {
                let counters = get(&mut association, &request, &store).await?;
                let response = request
                    .response(Status::SUCCESS)
                    .with_sub_operations(counters);
                respond(response).await?;
            }
            Arguments::CMove { destination, .. } => {
                let counters = move_to(destination, &request, &store).await;
                let response = request
                    .response(Status::SUCCESS)
                    .with_sub_operations(counters);
                respond(response).await?;
            }
            _ => respond(request.response(Status::SUCCESS)).await?,
        }
    }
}

/// Sends everything on the same association, responses read in between.
async fn get<R, W>(
    association: &mut Association<R, W>,
    get: &Request,
    store: &Store,
) -> Result<SubOperations, AssociationError>
where
    R: AsyncRead + Unpin + Send,
    W: AsyncWrite + Unpin + Send,
{
    let mut queue: VecDeque<Received> = store.received.lock().unwrap().clone().into();
    let mut counters = SubOperations::default();
    let mut message_id = 1000;
    while let Some(instance) = queue.pop_front() {
        let negotiated = association.negotiated().clone();
        let context = negotiated
            .contexts_of(instance.sop_class_uid.as_str())
            .find(|context| negotiated.is_scu(context))
            .cloned();
        let Some(context) = context else {
            counters.failed += 1;
            continue;
        };
        message_id += 1;
        let request = Request {
            message_id,
            sop_class_uid: instance.sop_class_uid,
            arguments: Arguments::CStore {
                sop_instance_uid: instance.sop_instance_uid,
                priority: Priority::Medium,
                originator: None,
            },
        };
        let command = request.to_command_set();
        association
            .writer()
            .send_data_set(context.id, &command, Some(instance.data_set))
            .await?;
        let Incoming::Message(message) = association.next_message().await? else {
            panic!()
        };
        let Command::Response(response) = Command::parse(&message.command).unwrap() else {
            panic!("no response");
        };
        assert_eq!(response.message_id, message_id);
        if response.status.is_done() {
            counters.completed += 1;
        } else {
            counters.failed += 1;
        }
        let progress = SubOperations {
            remaining: Some(queue.len() as u16),
            ..counters
        };
        let pending = get.response(Status::PENDING).with_sub_operations(progress);
        let get_context = association
            .negotiated()
            .contexts_of(get.sop_class_uid.as_str())
            .next()
            .unwrap()
            .id;
        association
            .writer()
            .send(get_context, &pending.to_command_set())
            .await?;
    }
    Ok(counters)
}

async fn move_to(destination: &str, request: &Request, store: &Store) -> SubOperations {
    let address = store.destination.lock().unwrap().unwrap();
    let instances = store.received.lock().unwrap().clone();
    let mut proposal = Proposal::new(title(destination), title("GANTRY"));
    for instance in &instances {
        let wanted = (
            instance.sop_class_uid.clone(),
            vec![instance.transfer_syntax.clone()],
        );
        if !proposal.contexts.contains(&wanted) {
            proposal.contexts.push(wanted);
        }
    }
    let client = Client::connect(address, &proposal, &settings())
        .await
        .unwrap();
    let mut counters = SubOperations::default();
    for instance in instances {
        let context = client.context(&instance.sop_class_uid).unwrap().id;
        let store = StoreRequest {
            sop_class_uid: instance.sop_class_uid,
            sop_instance_uid: instance.sop_instance_uid,
            priority: Priority::Medium,
            originator: Some(MoveOriginator {
                ae_title: title("ASKER"),
                message_id: request.message_id,
            }),
        };
        let response = client
            .store(context, store, Some(instance.data_set))
            .await
            .unwrap();
        if response.status.is_done() {
            counters.completed += 1;
        } else {
            counters.failed += 1;
        }
    }
    client.release().await.unwrap();
    counters
}

/// An element in Explicit VR Little Endian with a short VR.
pub fn element(group: u16, number: u16, vr: &str, value: &str) -> Vec<u8> {
    let padding = if value.len() % 2 == 1 {
        if vr == "UI" { "\0" } else { " " }
    } else {
        ""
    };
    let value = format!("{value}{padding}");
    let mut out = group.to_le_bytes().to_vec();
    out.extend_from_slice(&number.to_le_bytes());
    out.extend_from_slice(vr.as_bytes());
    out.extend_from_slice(&(value.len() as u16).to_le_bytes());
    out.extend_from_slice(value.as_bytes());
    out
}
