//! HTTP/1.1 on a kept-alive connection.

use crate::measure;
use anyhow::{Context, bail};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Options of `http`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// HOST:PORT.
    #[arg(long)]
    server: String,
    /// Paths with their query, asked in turn.
    #[arg(long = "path")]
    paths: Vec<String>,
    /// A file with more paths, one a line.
    #[arg(long)]
    paths_file: Option<std::path::PathBuf>,
    /// Header lines to send.
    #[arg(long = "header")]
    headers: Vec<String>,
    /// How many requests.
    #[arg(long, default_value_t = 1)]
    repeat: usize,
    /// Write the last body here.
    #[arg(long)]
    save: Option<std::path::PathBuf>,
}

/// A connection that is used again.
pub(crate) struct Connection {
    host: String,
    reader: BufReader<TcpStream>,
    /// Whether long bodies of successful answers are kept; reading is fastest without.
    keeps_bodies: bool,
}

/// Bodies up to this length are always kept.
const KEPT_BYTES: u64 = 65_536;

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    /// Length of the body as it came.
    pub(crate) length: u64,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<Value> {
    let mut paths = options.paths.clone();
    if let Some(file) = &options.paths_file {
        paths.extend(std::fs::read_to_string(file)?.lines().map(str::to_owned));
    }
    if paths.is_empty() {
        bail!("nothing to ask for");
    }
    let mut connection = Connection::open(&options.server)?;
    let (mut bytes, mut latencies, mut answer) = (0, Vec::new(), None);
    let started = Instant::now();
    for path in paths.iter().cycle().take(options.repeat.max(1)) {
        let one = Instant::now();
        connection.keeps_bodies = options.save.is_some();
        let got = connection.request("GET", path, &options.headers, &[])?;
        latencies.push(one.elapsed());
        if got.status != 200 {
            bail!(
                "{path}: status {} {}",
                got.status,
                String::from_utf8_lossy(&got.body)
                    .chars()
                    .take(300)
                    .collect::<String>()
            );
        }
        bytes += got.length;
        answer = Some(got);
    }
    let mut value = measure::summary_with_first(started.elapsed(), bytes, latencies);
    value["last_length"] = json!(answer.as_ref().map(|answer| answer.length));
    if let (Some(file), Some(answer)) = (&options.save, &answer) {
        std::fs::write(file, &answer.body)?;
    }
    Ok(value)
}

impl Connection {
    pub(crate) fn open(server: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(server).with_context(|| server.to_owned())?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(300)))?;
        Ok(Self {
            host: server.to_owned(),
            reader: BufReader::with_capacity(1 << 18, stream),
            keeps_bodies: false,
        })
    }

    pub(crate) fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[String],
        body: &[u8],
    ) -> anyhow::Result<Answer> {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.host);
        for header in headers {
            head.push_str(header);
            head.push_str("\r\n");
        }
        if !body.is_empty() {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        let stream = self.reader.get_mut();
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        self.answer()
    }

    fn answer(&mut self) -> anyhow::Result<Answer> {
        let status_line = self.line()?;
        let status = status_line
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .with_context(|| status_line.clone())?;
        let (mut length, mut is_chunked, mut is_closing) = (None, false, false);
        loop {
            let line = self.line()?.to_ascii_lowercase();
            match line.split_once(':') {
                None => break,
                Some(("content-length", value)) => length = Some(value.trim().parse::<u64>()?),
                Some(("transfer-encoding", value)) => is_chunked = value.contains("chunked"),
                Some(("connection", value)) => is_closing = value.contains("close"),
                Some(_) => {}
            }
        }
        let mut body = Body::new(self.keeps_bodies);
        match length {
            _ if is_chunked => self.read_chunks(&mut body)?,
            Some(length) => body.take(&mut self.reader, length)?,
            None if matches!(status, 204 | 304) => {}
            None => {
                self.reader.read_to_end(&mut body.kept)?;
                body.length = body.kept.len() as u64;
                is_closing = true;
            }
        }
        if is_closing {
            *self = Self::open(&self.host.clone())?;
        }
        Ok(Answer {
            status,
            length: body.length,
            body: body.kept,
        })
    }

    fn read_chunks(&mut self, body: &mut Body) -> anyhow::Result<()> {
        loop {
            let line = self.line()?;
            let digits = line.split(';').next().unwrap_or("").trim();
            let length = u64::from_str_radix(digits, 16).with_context(|| line.clone())?;
            body.take(&mut self.reader, length)?;
            self.line()?;
            if length == 0 {
                return Ok(());
            }
        }
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        if self.reader.read_line(&mut line)? == 0 {
            bail!("connection closed by the server");
        }
        Ok(line.trim_end().to_owned())
    }
}

/// A body as it comes in: counted, and kept as far as it is wanted.
struct Body {
    kept: Vec<u8>,
    length: u64,
    keeps_all: bool,
}

impl Body {
    fn new(keeps_all: bool) -> Self {
        Self {
            kept: Vec::new(),
            length: 0,
            keeps_all,
        }
    }

    fn take(&mut self, reader: &mut BufReader<TcpStream>, length: u64) -> anyhow::Result<()> {
        let mut rest = length;
        while rest > 0 {
            let buffer = reader.fill_buf()?;
            if buffer.is_empty() {
                bail!("connection closed inside a body");
            }
            let count = buffer
                .len()
                .min(usize::try_from(rest).unwrap_or(usize::MAX));
            if self.keeps_all || self.length < KEPT_BYTES {
                self.kept.extend_from_slice(&buffer[..count]);
            }
            reader.consume(count);
            self.length += count as u64;
            rest -= count as u64;
        }
        Ok(())
    }
}
