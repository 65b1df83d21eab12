//! Reading a request's body piece by piece, with a limit and a time-out.

use axum::body::{Body, BodyDataStream};
use axum::http::StatusCode;
use bytes::Bytes;
use futures_util::StreamExt;
use std::time::Duration;

use crate::problem::Problem;

/// A body on its way in.
#[derive(Debug)]
pub struct RequestBody {
    stream: BodyDataStream,
    timeout: Duration,
    bytes_left: u64,
}

/// Why a body cannot be read to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// The connection broke, or the body is not as long as announced.
    #[error("request body was cut off")]
    Cut,
    /// Nothing came for too long.
    #[error("request body did not go on in time")]
    Timeout,
    /// More than is allowed.
    #[error("request body is larger than this server takes")]
    TooLarge,
}

impl RequestBody {
    /// Reads `body`; `bytes_max` of 0 means no limit.
    pub fn new(body: Body, timeout: Duration, bytes_max: u64) -> Self {
        let bytes_left = if bytes_max == 0 { u64::MAX } else { bytes_max };
        Self {
            stream: body.into_data_stream(),
            timeout,
            bytes_left,
        }
    }

    /// The next piece; nothing at the end.
    ///
    /// # Errors
    /// See [`BodyError`].
    pub async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        let piece = tokio::time::timeout(self.timeout, self.stream.next()).await;
        match piece {
            Err(_) => Err(BodyError::Timeout),
            Ok(None) => Ok(None),
            Ok(Some(Err(_))) => Err(BodyError::Cut),
            Ok(Some(Ok(bytes))) => {
                let length = bytes.len() as u64;
                self.bytes_left = self
                    .bytes_left
                    .checked_sub(length)
                    .ok_or(BodyError::TooLarge)?;
                Ok(Some(bytes))
            }
        }
    }
}

impl From<BodyError> for Problem {
    fn from(error: BodyError) -> Self {
        let status = match error {
            BodyError::Cut => StatusCode::BAD_REQUEST,
            BodyError::Timeout => StatusCode::REQUEST_TIMEOUT,
            BodyError::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        };
        Self::new(status, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn a_body_is_read_to_its_end_within_the_limit() {
        let mut body = RequestBody::new(Body::from("12345"), SECOND, 5);
        assert_eq!(body.next().await.unwrap().unwrap(), "12345");
        assert_eq!(body.next().await, Ok(None));
        let mut body = RequestBody::new(Body::from("123456"), SECOND, 5);
        assert_eq!(body.next().await, Err(BodyError::TooLarge));
        let mut body = RequestBody::new(Body::from("123456"), SECOND, 0);
        assert!(body.next().await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stops_is_given_up() {
        let pending = stream::pending::<Result<Bytes, std::io::Error>>();
        let mut body = RequestBody::new(Body::from_stream(pending), SECOND, 0);
        assert_eq!(body.next().await, Err(BodyError::Timeout));
    }

    #[tokio::test]
    async fn a_broken_body_is_told() {
        let broken = stream::iter([Err::<Bytes, _>(std::io::Error::other("reset"))]);
        let mut body = RequestBody::new(Body::from_stream(broken), SECOND, 0);
        let error = body.next().await.unwrap_err();
        assert_eq!(Problem::from(error).status(), 400);
    }
}
