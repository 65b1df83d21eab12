//! Taking connections, and ending them when the server stops.

use crate::admission::{self, Admitted};
use crate::commitment;
use crate::config::DimseConfig;
use crate::places::Places;
use crate::session::Session;
use crate::user_identity;
use gantry_archive::Archive;
use gantry_core::certificate::PeerCertificate;
use gantry_dimse::association::acceptor::{self, Requested};
use gantry_dimse::association::error::AssociationError;
use gantry_dimse::association::negotiation;
use gantry_dimse::association::settings::Settings;
use gantry_dimse::association::transport::{self, ReadHalf, WriteHalf};
use gantry_dimse::pdu::reject::Reject;
use gantry_identity::Identity;
use gantry_tls::{Acceptor, Connector};
use std::future::pending;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

/// Pause after a connection could not be taken, for want of file descriptors for example.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Where associations come in, and how those are secured that go out.
#[derive(Debug, Default)]
pub struct Listeners {
    /// For plain TCP.
    pub plain: Option<TcpListener>,
    /// For TLS (PS3.15 B).
    pub secure: Option<(TcpListener, Acceptor)>,
    /// For peers that are reached over TLS.
    pub connector: Option<Connector>,
}

/// Plain TCP alone.
impl From<TcpListener> for Listeners {
    fn from(plain: TcpListener) -> Self {
        Self {
            plain: Some(plain),
            ..Self::default()
        }
    }
}

/// What all associations share.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) archive: Arc<Archive>,
    /// The people of the archive; nothing where nobody has to log in.
    pub(crate) identity: Option<Arc<Identity>>,
    pub(crate) config: DimseConfig,
    pub(crate) settings: Settings,
    pub(crate) connector: Option<Connector>,
    pub(crate) places: Places,
    pub(crate) commitments: commitment::Waiting,
    pub(crate) stop: watch::Receiver<bool>,
}

impl Server {
    /// Waits until no new work is to be taken.
    pub(crate) async fn stopped(&self) {
        let mut stop = self.stop.clone();
        // An error means that the sender is gone: the server has stopped.
        let _ = stop.wait_for(|stop| *stop).await;
    }

    /// Whether no new work is taken.
    pub(crate) fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }
}

/// Serves associations until `stop` completes. The proofs of user identities are checked in
/// `identity`; without it nobody has to prove anything. When it stops, operations that are open get some time to
/// end.
///
/// # Errors
/// When a listener has no address.
pub async fn serve(
    listeners: impl Into<Listeners> + Send,
    archive: Arc<Archive>,
    identity: Option<Arc<Identity>>,
    config: DimseConfig,
    stop: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let Listeners {
        plain,
        secure,
        connector,
    } = listeners.into();
    if let Some(listener) = &plain {
        tracing::info!(address = %listener.local_addr()?, "DICOM door open");
    }
    if let Some((listener, _)) = &secure {
        tracing::info!(address = %listener.local_addr()?, "DICOM door with TLS open");
    }
    let (secure, acceptor) = secure.unzip();
    let (stop_sender, stop_receiver) = watch::channel(false);
    let drain = config.drain();
    let connections = Arc::new(Semaphore::new(config.connections_max.max(1)));
    let server = Arc::new(Server {
        archive,
        identity,
        settings: config.settings(),
        config,
        connector,
        places: Places::default(),
        commitments: commitment::Waiting::default(),
        stop: stop_receiver,
    });
    let mut tasks = JoinSet::new();
    tasks.spawn(commitment::deliver_results(server.clone()));
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            accepted = accept(plain.as_ref()) => {
                take(&server, &connections, &mut tasks, accepted, None).await;
            }
            accepted = accept(secure.as_ref()) => {
                take(&server, &connections, &mut tasks, accepted, acceptor.as_ref()).await;
            }
            Some(ended) = tasks.join_next() => report(ended),
        }
    }
    drop((plain, secure));
    tracing::info!(associations = server.places.taken(), "DICOM door closes");
    // There is a receiver: the server.
    let _ = stop_sender.send(true);
    let ending = async {
        while let Some(ended) = tasks.join_next().await {
            report(ended);
        }
    };
    // Sessions end by themselves in `drain`; those that hang in a write are cut off after it.
    if tokio::time::timeout(drain.saturating_add(Duration::from_secs(3)), ending)
        .await
        .is_err()
    {
        tracing::warn!("associations cut off");
    }
    Ok(())
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!("an association's task panicked");
    }
}

/// The next connection; none will ever come where nobody listens.
async fn accept(listener: Option<&TcpListener>) -> io::Result<(TcpStream, SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => pending().await,
    }
}

/// Starts the task of a connection. Those beyond the limit have not said that they speak DICOM:
/// there is no answer that they would surely understand.
async fn take(
    server: &Arc<Server>,
    connections: &Arc<Semaphore>,
    tasks: &mut JoinSet<()>,
    accepted: io::Result<(TcpStream, SocketAddr)>,
    acceptor: Option<&Acceptor>,
) {
    let (stream, address) = match accepted {
        Ok(accepted) => accepted,
        Err(error) => {
            tracing::warn!(%error, "connection not taken");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            return;
        }
    };
    let address = address.ip().to_canonical();
    let Ok(permit) = connections.clone().try_acquire_owned() else {
        tracing::warn!(peer.address = %address, "too many connections without association");
        return;
    };
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "connection lost at once");
        return;
    }
    let server = server.clone();
    match acceptor {
        None => {
            let halves = transport::plain(stream);
            tasks.spawn(connection(server, permit, halves, address, None));
        }
        Some(acceptor) => {
            tasks.spawn(secure(server, permit, stream, address, acceptor.clone()));
        }
    }
}

async fn secure(
    server: Arc<Server>,
    permit: OwnedSemaphorePermit,
    stream: TcpStream,
    address: IpAddr,
    acceptor: Acceptor,
) {
    let secured = tokio::select! {
        secured = acceptor.accept(stream, address) => secured,
        () = server.stopped() => return,
    };
    match secured {
        Ok(secured) => {
            let halves = transport::secure(secured.stream);
            connection(server, permit, halves, address, secured.certificate).await;
        }
        Err(error) => tracing::info!(peer.address = %address, "no TLS: {error}"),
    }
}

async fn connection(
    server: Arc<Server>,
    permit: OwnedSemaphorePermit,
    (reader, writer): (ReadHalf, WriteHalf),
    address: IpAddr,
    certificate: Option<Arc<PeerCertificate>>,
) {
    let requested = tokio::select! {
        requested = acceptor::receive(reader, writer, &server.settings) => requested,
        () = server.stopped() => return,
    };
    drop(permit);
    let result = match requested {
        Ok(requested) => associate(server, requested, address, certificate).await,
        Err(error) => Err(error),
    };
    match result {
        Ok(()) => {}
        Err(error @ (AssociationError::Closed | AssociationError::Io(_))) => {
            tracing::debug!(peer.address = %address, %error, "no association");
        }
        Err(error) => tracing::info!(peer.address = %address, %error, "no association"),
    }
}

async fn associate(
    server: Arc<Server>,
    requested: Requested<ReadHalf, WriteHalf>,
    address: IpAddr,
    certificate: Option<Arc<PeerCertificate>>,
) -> Result<(), AssociationError> {
    let request = requested.request();
    let admitted = match user_identity::of(&server, request, address).await {
        Ok(user) => admission::admit(&server, request, address, certificate, user),
        Err(reject) => Err(reject),
    };
    let Admitted { principal, place } = match admitted {
        Ok(admitted) => admitted,
        Err(reject) => return refuse(requested, reject, address).await,
    };
    let acceptance = admission::with_policy(&server, request, |policy| {
        negotiation::accept(request, policy, &server.settings)
    });
    let association = requested.accept_with(acceptance).await?;
    Session::run(server, association, principal).await;
    drop(place);
    Ok(())
}

async fn refuse(
    requested: Requested<ReadHalf, WriteHalf>,
    reject: Reject,
    address: IpAddr,
) -> Result<(), AssociationError> {
    tracing::warn!(
        peer.ae = %requested.request().calling_ae,
        called.ae = %requested.request().called_ae,
        peer.address = %address,
        "association rejected: {reject}"
    );
    requested.reject(reject).await
}
