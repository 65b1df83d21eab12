//! The listener: connections, their limits and time-outs, and a clean stop.

use crate::config::HttpConfig;
use crate::connection::TimedStream;
use crate::router;
use axum::Router;
use axum::extract::Request;
use gantry_archive::Archive;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
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

/// Serves HTTP/1.1 and HTTP/2 (with prior knowledge) until `shutdown` is ready, then lets open
/// requests finish.
///
/// # Errors
/// When the listener breaks.
pub async fn serve(
    listener: TcpListener,
    archive: Arc<Archive>,
    config: HttpConfig,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let config = Arc::new(config);
    let address = listener.local_addr()?;
    let router = router::build(archive, Arc::clone(&config), address);
    let connections = Arc::new(Semaphore::new(config.connections_max.max(1)));
    let graceful = GracefulShutdown::new();
    let builder = connection_builder(&config);
    tokio::pin!(shutdown);
    loop {
        let permit = tokio::select! {
            permit = Arc::clone(&connections).acquire_owned() => permit,
            () = &mut shutdown => break,
        };
        let Ok(permit) = permit else { break };
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "no connection could be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
            () = &mut shutdown => break,
        };
        spawn_connection(
            &builder,
            &graceful,
            stream,
            peer,
            router.clone(),
            &config,
            permit,
        );
    }
    drop(listener);
    graceful.shutdown().await;
    Ok(())
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

fn spawn_connection(
    builder: &auto::Builder<TokioExecutor>,
    graceful: &GracefulShutdown,
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    config: &HttpConfig,
    permit: OwnedSemaphorePermit,
) {
    // Small answers must not wait for more bytes to go with them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "connection refused TCP_NODELAY");
    }
    let stream = TimedStream::new(stream, config.header_timeout(), config.write_timeout());
    let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(peer);
        router
            .clone()
            .oneshot(Request::from(request.map(axum::body::Body::new)))
    });
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    let connection = graceful.watch(connection.into_owned());
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(peer.address = %peer.ip(), %error, "connection ended early");
        }
        drop(permit);
    });
}
