//! Sending events to collectors. The log itself is the spool: what a collector has not got yet is
//! read from it when the collector is there again, so nothing is lost while it is down, and after
//! a crash some events are sent twice.

use super::Source;
use super::syslog::{frame, syslog_message};
use crate::log::AuditLog;
use crate::settings::{CollectorSettings, Transport};
use gantry_tls::{Connector, TlsConfig};
use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Events read at a time.
const BATCH: usize = 256;
/// How long a connection has to live on after a message until that counts as taken: syslog has
/// no acknowledgement, so a connection that breaks sooner may have swallowed it.
const TAKEN_AFTER: Duration = Duration::from_secs(3);
const CONNECT_MAX: Duration = Duration::from_secs(15);
const WRITE_MAX: Duration = Duration::from_secs(30);
/// First and longest pause after a failure.
const PAUSE_MIN: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// How long open work may take when the server stops.
const STOP_MAX: Duration = Duration::from_secs(5);

/// The tasks that send, one a collector.
#[derive(Debug)]
pub struct Collectors {
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
}

impl Collectors {
    /// Begins to send to the collectors of the settings. Has to be called in a tokio runtime.
    pub fn start(log: &Arc<AuditLog>, source: &Source) -> Self {
        let mut tasks = JoinSet::new();
        let (stop, stopped) = watch::channel(false);
        for settings in log.settings().collector.clone() {
            let sender = Sender {
                log: Arc::clone(log),
                source: source.clone(),
                settings,
                stopped: stopped.clone(),
                sent: 0,
                underway: VecDeque::new(),
            };
            tasks.spawn(sender.run());
        }
        Self { tasks, stop }
    }

    /// Sends what is there, as far as the collectors take it soon, and ends. Before the log is
    /// closed.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_MAX, all).await.is_err() {
            tracing::warn!("a collector did not take everything; it gets the rest later");
        }
    }
}

/// What sends to one collector.
struct Sender {
    log: Arc<AuditLog>,
    source: Source,
    settings: CollectorSettings,
    stopped: watch::Receiver<bool>,
    /// Number of the last event sent.
    sent: u64,
    /// Sent, but not yet counted as taken: until when, and the number of the last event.
    underway: VecDeque<(Instant, u64)>,
}

/// A way to a collector.
enum Connection {
    Datagrams(UdpSocket),
    Stream(Box<dyn Duplex>),
}

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

impl Sender {
    async fn run(mut self) {
        let name = self.settings.name.clone();
        let mut pause = PAUSE_MIN;
        loop {
            let begun = Instant::now();
            match self.send_until_broken().await {
                Ok(()) => return,
                Err(error) => tracing::warn!(
                    collector = name,
                    %error,
                    retry_ms = pause.as_millis() as u64,
                    "audit messages wait for the collector"
                ),
            }
            if begun.elapsed() > PAUSE_MAX {
                pause = PAUSE_MIN;
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = self.stopped.wait_for(|stop| *stop) => return,
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Sends as long as the connection lives; returns when the server stops.
    async fn send_until_broken(&mut self) -> io::Result<()> {
        self.underway.clear();
        self.sent = self.position().await?;
        let mut newest = self.log.newest();
        let mut connection: Option<Connection> = None;
        loop {
            let events = self.next_events().await?;
            if events.is_empty() {
                if *self.stopped.borrow() {
                    return self.finish(connection).await;
                }
                self.wait(&mut newest, &mut connection).await?;
                continue;
            }
            let open = match connection.take() {
                Some(open) => open,
                None => connect(&self.settings).await?,
            };
            connection = Some(self.send(open, events).await?);
        }
    }

    async fn position(&self) -> io::Result<u64> {
        let (log, name) = (Arc::clone(&self.log), self.settings.name.clone());
        let found = tokio::task::spawn_blocking(move || log.reader().position(&name)).await?;
        Ok(found.map_err(io::Error::other)?.unwrap_or(0))
    }

    /// The next events as messages, with their numbers.
    async fn next_events(&self) -> io::Result<Vec<(u64, Vec<u8>)>> {
        let (log, after) = (Arc::clone(&self.log), self.sent);
        if *log.newest().borrow() <= after {
            return Ok(Vec::new());
        }
        let source = self.source.clone();
        let read = move || {
            let events = log.reader().after(after, BATCH)?;
            Ok::<_, crate::AuditError>(
                events
                    .iter()
                    .map(|it| (it.sequence, syslog_message(it, &source)))
                    .collect(),
            )
        };
        tokio::task::spawn_blocking(read)
            .await?
            .map_err(io::Error::other)
    }

    async fn send(
        &mut self,
        mut connection: Connection,
        events: Vec<(u64, Vec<u8>)>,
    ) -> io::Result<Connection> {
        let last = events.last().map_or(self.sent, |(sequence, _)| *sequence);
        let write = async {
            for (_, message) in &events {
                match &mut connection {
                    Connection::Datagrams(socket) => {
                        socket.send(message).await?;
                    }
                    Connection::Stream(stream) => stream.write_all(&frame(message)).await?,
                }
            }
            if let Connection::Stream(stream) = &mut connection {
                stream.flush().await?;
            }
            Ok::<_, io::Error>(())
        };
        within(WRITE_MAX, write).await?;
        self.sent = last;
        let taken = match &connection {
            Connection::Datagrams(_) => Instant::now(),
            Connection::Stream(_) => Instant::now() + TAKEN_AFTER,
        };
        self.underway.push_back((taken, last));
        self.note_taken();
        Ok(connection)
    }

    /// Writes down what counts as taken by now.
    fn note_taken(&mut self) {
        let now = Instant::now();
        let mut position = None;
        while let Some((_, last)) = self.underway.pop_front_if(|(taken, _)| *taken <= now) {
            position = Some(last);
        }
        if let Some(position) = position {
            self.log.set_position(&self.settings.name, position);
        }
    }

    /// Waits for more events, the end of the server, or the end of the connection.
    async fn wait(
        &mut self,
        newest: &mut watch::Receiver<u64>,
        connection: &mut Option<Connection>,
    ) -> io::Result<()> {
        let next_taken = self.underway.front().map(|(taken, _)| *taken);
        let taken = async {
            match next_taken {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let broken = async {
            match connection {
                Some(Connection::Stream(stream)) => broken(stream).await,
                Some(Connection::Datagrams(_)) | None => std::future::pending().await,
            }
        };
        let sent = self.sent;
        tokio::select! {
            () = taken => {}
            error = broken => return Err(error),
            changed = newest.wait_for(|newest| *newest > sent) => {
                changed.map_err(|_| io::Error::other("audit trail is closed"))?;
            }
            _ = self.stopped.wait_for(|stop| *stop) => {}
        }
        self.note_taken();
        Ok(())
    }

    /// Ends a connection in an orderly way: when the other side closes too, it has read all.
    async fn finish(&mut self, connection: Option<Connection>) -> io::Result<()> {
        if let Some(Connection::Stream(mut stream)) = connection {
            let close = async {
                stream.shutdown().await?;
                let mut rest = [0; 256];
                while stream.read(&mut rest).await? > 0 {}
                Ok::<_, io::Error>(())
            };
            if within(TAKEN_AFTER, close).await.is_err() {
                // Those underway are sent again after the next start.
                return Ok(());
            }
        }
        if let Some((_, last)) = self.underway.pop_back() {
            self.log.set_position(&self.settings.name, last);
        }
        Ok(())
    }
}

/// Waits until the other side closes the connection. A collector has nothing to say.
async fn broken(stream: &mut Box<dyn Duplex>) -> io::Error {
    let mut said = [0; 256];
    loop {
        match stream.read(&mut said).await {
            Ok(0) => return io::Error::new(io::ErrorKind::ConnectionAborted, "collector hung up"),
            Ok(_) => {}
            Err(error) => return error,
        }
    }
}

async fn connect(settings: &CollectorSettings) -> io::Result<Connection> {
    let address = (settings.host.as_str(), settings.port);
    let connect = async {
        if settings.transport == Transport::Udp {
            let socket = bind_for(address).await?;
            return Ok(Connection::Datagrams(socket));
        }
        let stream = TcpStream::connect(address).await?;
        if settings.transport == Transport::Tcp {
            return Ok(Connection::Stream(Box::new(stream)));
        }
        let connector = connector(settings)?;
        let name = match settings.server_name.as_str() {
            "" => &settings.host,
            name => name,
        };
        let stream = connector.connect(stream, name, None).await?;
        Ok(Connection::Stream(Box::new(stream)))
    };
    within(CONNECT_MAX, connect).await
}

/// A socket that sends to the first address that can be reached.
async fn bind_for(address: (&str, u16)) -> io::Result<UdpSocket> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "collector has no address");
    for address in tokio::net::lookup_host(address).await? {
        let any = if address.is_ipv4() {
            "0.0.0.0:0"
        } else {
            "[::]:0"
        };
        let socket = UdpSocket::bind(any).await?;
        match socket.connect(address).await {
            Ok(()) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Made for each connection, so that files that were replaced are in force.
fn connector(settings: &CollectorSettings) -> io::Result<Connector> {
    fn given(path: &Path) -> Option<&Path> {
        (!path.as_os_str().is_empty()).then_some(path)
    }
    let own = given(&settings.certificate_file).zip(given(&settings.key_file));
    Connector::from_files(&TlsConfig::default(), given(&settings.ca_file), own)
        .map_err(io::Error::other)
}

async fn within<T>(time: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(time, work)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
