//! The listeners: connections, their limits and time-outs, and a clean stop.

use crate::api::peers::EchoPeer;
use crate::config::HttpConfig;
use crate::connection::{Peer, TimedStream};
use crate::router;
use axum::Router;
use axum::extract::Request;
use gantry_archive::Archive;
use gantry_identity::Identity;
use gantry_tls::Acceptor;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use std::future::{Future, pending};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tower::ServiceExt as _;

/// Streams that one HTTP/2 connection may have open.
const H2_STREAMS_MAX: u32 = 256;
/// Bytes that a peer may have in flight on one HTTP/2 stream; uploads need a wide window.
const H2_STREAM_WINDOW: u32 = 2 << 20;
/// Bytes that a peer may have in flight on one HTTP/2 connection.
const H2_CONNECTION_WINDOW: u32 = 8 << 20;
/// Most bytes of header fields of one request.
const HEADER_BYTES_MAX: u32 = 64 << 10;
/// How long to wait when the system has no file descriptor left for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where requests come in.
#[derive(Debug, Default)]
pub struct Listeners {
    /// For plain HTTP.
    pub plain: Option<TcpListener>,
    /// For HTTPS.
    pub secure: Option<(TcpListener, Acceptor)>,
    /// Asks peers whether they answer.
    pub echo: Option<EchoPeer>,
}

/// Plain HTTP alone.
impl From<TcpListener> for Listeners {
    fn from(plain: TcpListener) -> Self {
        Self {
            plain: Some(plain),
            ..Self::default()
        }
    }
}

impl Listeners {
    /// What the server calls itself when a request does not say by which name it came.
    fn address(&self) -> Option<io::Result<SocketAddr>> {
        let secure = self.secure.as_ref().map(|(listener, _)| listener);
        let listener = self.plain.as_ref().or(secure);
        listener.map(TcpListener::local_addr)
    }
}

/// Serves HTTP/1.1 and HTTP/2 (with prior knowledge, or agreed on with TLS) until `shutdown` is
/// ready, then lets open requests finish. Without `identity` nobody has to log in, and everybody
/// may do everything.
///
/// # Errors
/// When a listener breaks.
pub async fn serve(
    listeners: impl Into<Listeners>,
    archive: Arc<Archive>,
    identity: Option<Arc<Identity>>,
    config: HttpConfig,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let listeners = listeners.into();
    let config = Arc::new(config);
    let Some(address) = listeners.address().transpose()? else {
        shutdown.await;
        return Ok(());
    };
    let Listeners {
        plain,
        secure,
        echo,
    } = listeners;
    let (secure, acceptor) = secure.unzip();
    let connections = Arc::new(Semaphore::new(config.connections_max.max(1)));
    let graceful = GracefulShutdown::new();
    // Those who are still shaking hands have not asked for anything: they are not waited for.
    let (open, closing) = watch::channel(());
    let door = Door {
        builder: Arc::new(connection_builder(&config)),
        router: router::build(archive, identity, Arc::clone(&config), address, echo),
        config,
        closing,
    };
    tokio::pin!(shutdown);
    loop {
        let permit = tokio::select! {
            permit = Arc::clone(&connections).acquire_owned() => permit,
            () = &mut shutdown => break,
        };
        let Ok(permit) = permit else { break };
        let (accepted, acceptor) = tokio::select! {
            accepted = accept(plain.as_ref()) => (accepted, None),
            accepted = accept(secure.as_ref()) => (accepted, acceptor.clone()),
            () = &mut shutdown => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                door.open(stream, peer, acceptor, graceful.watcher(), permit);
            }
            Err(error) => {
                tracing::warn!(%error, "no connection could be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop((plain, secure, open));
    graceful.shutdown().await;
    Ok(())
}

/// The next connection; none will ever come where nobody listens.
async fn accept(listener: Option<&TcpListener>) -> io::Result<(TcpStream, SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => pending().await,
    }
}

fn connection_builder(config: &HttpConfig) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(config.header_timeout())
        .half_close(false);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(config.header_timeout())
        .keep_alive_timeout(config.header_timeout())
        .max_concurrent_streams(H2_STREAMS_MAX)
        .initial_stream_window_size(H2_STREAM_WINDOW)
        .initial_connection_window_size(H2_CONNECTION_WINDOW)
        .max_header_list_size(HEADER_BYTES_MAX);
    builder
}

/// What all connections share.
struct Door {
    builder: Arc<auto::Builder<TokioExecutor>>,
    router: Router,
    config: Arc<HttpConfig>,
    closing: watch::Receiver<()>,
}

impl Door {
    fn open(
        &self,
        stream: TcpStream,
        address: SocketAddr,
        acceptor: Option<Acceptor>,
        watcher: Watcher,
        permit: OwnedSemaphorePermit,
    ) {
        // Small answers must not wait for more bytes to go with them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "connection refused TCP_NODELAY");
        }
        let builder = self.builder.clone();
        let router = self.router.clone();
        let (first_byte, write) = (self.config.header_timeout(), self.config.write_timeout());
        let mut closing = self.closing.clone();
        tokio::spawn(async move {
            let peer = Peer::plain(address);
            match acceptor {
                None => {
                    let stream = TimedStream::new(stream, first_byte, write);
                    converse(&builder, router, stream, peer, watcher).await;
                }
                Some(acceptor) => {
                    let secured = tokio::select! {
                        secured = acceptor.accept(stream, peer.address.ip()) => secured,
                        // The other end never sends anything but its absence.
                        _ = closing.changed() => return,
                    };
                    match secured {
                        Ok(secured) => {
                            let stream = TimedStream::new(secured.stream, first_byte, write);
                            let peer = peer.secured(secured.certificate);
                            converse(&builder, router, stream, peer, watcher).await;
                        }
                        Err(error) => {
                            tracing::debug!(peer.address = %address.ip(), "no TLS: {error}");
                        }
                    }
                }
            }
            drop(permit);
        });
    }
}

/// Answers the requests of a connection until it ends.
async fn converse<S>(
    builder: &auto::Builder<TokioExecutor>,
    router: Router,
    stream: TimedStream<S>,
    peer: Peer,
    watcher: Watcher,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let address = peer.address;
    let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
        let extensions = request.extensions_mut();
        extensions.insert(peer.address);
        extensions.insert(peer.clone());
        router
            .clone()
            .oneshot(Request::from(request.map(axum::body::Body::new)))
    });
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(connection.into_owned()).await {
        tracing::debug!(peer.address = %address.ip(), %error, "connection ended early");
    }
}
