//! Associations that a peer opens to tell a result (PS3.4 J.3.3.1.2).

use super::exchange::{PUSH_MODEL, answer, read};
use crate::commands::scu;
use bytes::Bytes;
use gantry_archive::commitment::report::CommitmentReport;
use gantry_core::uid::Uid;
use gantry_dicom::uids;
use gantry_dimse::association::error::AssociationError;
use gantry_dimse::association::negotiation::{Choice, Policy};
use gantry_dimse::association::settings::Settings;
use gantry_dimse::association::{Association, Incoming, acceptor};
use gantry_dimse::command::{Arguments, Command};
use gantry_dimse::message::Message;
use gantry_dimse::pdu::presentation_context::ContextResult;
use gantry_dimse::pdu::user_information::AsynchronousOperationsWindow;
use gantry_dimse::source::ChunkSource;
use gantry_dimse::status::Status;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};

/// Connections at once.
const CONNECTIONS_MAX: usize = 16;
/// How long a connection may last.
const CONNECTION: Duration = Duration::from_secs(120);

/// Takes results until nobody wants them any more.
pub async fn serve(
    listener: TcpListener,
    settings: Settings,
    reports: mpsc::Sender<CommitmentReport>,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    while let Ok(place) = places.clone().acquire_owned().await {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, perhaps: others may end.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let (settings, reports) = (settings.clone(), reports.clone());
        tokio::spawn(async move {
            let work = take_reports(stream, &settings, &reports);
            if let Ok(Err(error)) = tokio::time::timeout(CONNECTION, work).await {
                tracing::warn!("association of a peer: {error}");
            }
            drop(place);
        });
    }
}

fn choose(abstract_syntax: &Uid, proposed: &[Uid]) -> Choice {
    if ![PUSH_MODEL, uids::VERIFICATION].contains(&abstract_syntax.as_str()) {
        return Choice::Refuse(ContextResult::AbstractSyntaxNotSupported);
    }
    let is_plain = |uid: &&Uid| scu::PLAIN_SYNTAXES.contains(&uid.as_str());
    match proposed.iter().find(is_plain) {
        Some(uid) => Choice::Accept(uid.clone()),
        None => Choice::Refuse(ContextResult::TransferSyntaxesNotSupported),
    }
}

async fn take_reports(
    stream: TcpStream,
    settings: &Settings,
    reports: &mpsc::Sender<CommitmentReport>,
) -> Result<(), AssociationError> {
    let (reader, writer) = stream.into_split();
    let requested = acceptor::receive(reader, writer, settings).await?;
    let policy = Policy {
        choose: &choose,
        roles: &|role| (role.is_scu, role.is_scp),
        extended: &|_| None,
        window_max: AsynchronousOperationsWindow {
            invoked: 1,
            performed: 1,
        },
        identity_response: Some(Bytes::new()),
    };
    let mut association = requested.accept(&policy).await?;
    loop {
        match association.next_message().await? {
            Incoming::Release => return association.accept_release().await,
            Incoming::Message(message) => take(&mut association, message, reports).await?,
        }
    }
}

/// The data set of the message that was read last.
struct DataSetOf<'a>(&'a mut Association<OwnedReadHalf, OwnedWriteHalf>);

impl ChunkSource for DataSetOf<'_> {
    async fn next_chunk(&mut self) -> std::io::Result<Option<Bytes>> {
        self.0.data_chunk().await.map_err(std::io::Error::other)
    }
}

async fn take(
    association: &mut Association<OwnedReadHalf, OwnedWriteHalf>,
    message: Message,
    reports: &mpsc::Sender<CommitmentReport>,
) -> Result<(), AssociationError> {
    let request = match Command::parse(&message.command) {
        Ok(Command::Request(request)) => request,
        Ok(Command::Response(_) | Command::CCancel { .. }) => return Ok(()),
        Err(error) => {
            return match error.response() {
                Some(response) => {
                    let command = response.to_command_set();
                    association
                        .writer()
                        .send(message.context_id, &command)
                        .await
                }
                None => Err(AssociationError::Over),
            };
        }
    };
    let Some(context) = association
        .negotiated()
        .context(message.context_id)
        .cloned()
    else {
        return Err(AssociationError::Over);
    };
    let information = match message.command.has_data_set() {
        true => read(&mut DataSetOf(association))
            .await
            .map_err(AssociationError::Io)?,
        false => None,
    };
    let (response, report) = match request.arguments {
        Arguments::CEcho => (request.response(Status::SUCCESS), None),
        _ => answer(&request, &context, information),
    };
    let command = response.to_command_set();
    association.writer().send(context.id, &command).await?;
    if let Some(report) = report {
        // Whoever waited may have all there is.
        let _ = reports.send(report).await;
    }
    Ok(())
}
