//! The worker's side.

use super::protocol::{self, FrameHead, PREFIX, Request, Response};
use crate::error::{Error, Result};
use crate::frame::StoredFrame;
use crate::image::{ImageDescription, Limits};
use crate::render::Rendered;
use bytes::Bytes;
use std::io::{self, Read, Write};
use std::sync::Arc;

/// Serves requests until the parent closes the pipe. The main function of a worker process: it
/// takes over standard input and output and limits what the process may do.
///
/// # Errors
/// When the pipes break or the first message is not the parent's.
pub fn run_stdio() -> io::Result<()> {
    let mut input = io::stdin().lock();
    let mut output = private_stdout()?;
    let Some((Request::Start { memory, limits }, _)) = read(&mut input, 0)? else {
        return Err(io::Error::other("not started by a codec pool"));
    };
    confine(memory)?;
    write(&mut output, &Response::Started, &[])?;
    while let Some((request, bytes)) = read(&mut input, limits.max_frame_bytes)? {
        match serve(request, bytes, &limits) {
            Ok((response, bytes)) => write(&mut output, &response, &bytes)?,
            Err(error) => write(&mut output, &Response::Failed(error), &[])?,
        }
    }
    Ok(())
}

fn serve(request: Request, bytes: Bytes, limits: &Limits) -> Result<(Response, Bytes)> {
    match request {
        Request::Start { .. } => Err(Error::Worker("started twice".into())),
        Request::Decode { frame } => {
            let frame = crate::decode::decode(&stored(frame, bytes), limits)?;
            Ok((Response::Decoded(frame.image), frame.bytes))
        }
        Request::Transcode { frame, target } => {
            let done = crate::transcode::transcode(&stored(frame, bytes), &target, limits)?;
            Ok((Response::Transcoded(done.relabel), done.bytes))
        }
        Request::Render { frame, request } => {
            let frame = crate::decode::decode(&stored(frame, bytes), limits)?;
            Ok(rendered(crate::render::render(&frame, &request)?))
        }
        Request::Animate {
            image,
            syntax,
            frames,
            request,
        } => {
            let image: Arc<ImageDescription> = Arc::new(image);
            let mut rest = bytes;
            let mut moving = crate::render::Animation::new(&request);
            for frame in frames {
                let length = usize::try_from(frame.length).unwrap_or(usize::MAX);
                if length > rest.len() {
                    return Err(Error::Worker("frames do not add up".into()));
                }
                let bytes = rest.split_to(length);
                let stored = StoredFrame {
                    image: image.clone(),
                    syntax,
                    bytes,
                    first_bit: frame.first_bit,
                };
                moving.push(&crate::decode::decode(&stored, limits)?, frame.delay)?;
            }
            Ok(rendered(moving.finish()?))
        }
    }
}

fn stored(frame: FrameHead, bytes: Bytes) -> StoredFrame {
    StoredFrame {
        image: Arc::new(frame.image),
        syntax: frame.syntax,
        bytes,
        first_bit: frame.first_bit,
    }
}

fn rendered(picture: Rendered) -> (Response, Bytes) {
    let Rendered {
        bytes,
        format,
        width,
        height,
    } = picture;
    (
        Response::Rendered {
            format,
            width,
            height,
        },
        bytes,
    )
}

/// One message; nothing at the end of the pipe.
fn read(input: &mut impl Read, max: u64) -> io::Result<Option<(Request, Bytes)>> {
    let mut prefix = [0; PREFIX];
    match input.read_exact(&mut prefix) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let (head, bytes) = protocol::lengths(prefix, max).map_err(io::Error::other)?;
    let mut message = vec![0; head];
    input.read_exact(&mut message)?;
    let request = protocol::parse(&message).map_err(io::Error::other)?;
    let mut body = Vec::new();
    body.try_reserve_exact(bytes).map_err(io::Error::other)?;
    input.take(bytes as u64).read_to_end(&mut body)?;
    if body.len() != bytes {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some((request, Bytes::from(body))))
}

fn write(output: &mut impl Write, response: &Response, bytes: &[u8]) -> io::Result<()> {
    let head = protocol::head(response, bytes.len()).map_err(io::Error::other)?;
    output.write_all(&head)?;
    output.write_all(bytes)?;
    output.flush()
}

/// Standard output for this crate alone: what a library prints goes to standard error.
fn private_stdout() -> io::Result<std::fs::File> {
    let own = rustix::io::dup(rustix::stdio::stdout())?;
    rustix::stdio::dup2_stdout(rustix::stdio::stderr())?;
    Ok(std::fs::File::from(own))
}

/// Bounds the address space, and forbids core files (they would hold a patient's pixels), files
/// written, and further file descriptors.
fn confine(memory: u64) -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let at_most = |bound| Rlimit {
        current: Some(bound),
        maximum: Some(bound),
    };
    setrlimit(Resource::Core, at_most(0))?;
    setrlimit(Resource::Fsize, at_most(0))?;
    setrlimit(Resource::Nofile, at_most(16))?;
    #[cfg(not(target_os = "macos"))]
    setrlimit(Resource::As, at_most(memory))?;
    #[cfg(target_os = "macos")]
    let _ = memory;
    #[cfg(target_os = "linux")]
    rustix::thread::set_no_new_privs(true)?;
    Ok(())
}
