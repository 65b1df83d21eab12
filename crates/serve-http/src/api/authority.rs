//! The local certificate authority, for those who shall trust it: its certificate and its list of
//! revoked ones. Both are public.

use crate::context::Context;
use crate::problem::Problem;
use crate::reply;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use gantry_tls::TlsError;
use gantry_tls::authority::Folder;

/// `GET /tls/ca.pem`: the authority's certificate.
pub async fn certificate(State(context): State<Context>) -> Result<Response, Problem> {
    let certificate = read(&context, Folder::ca_text).await?;
    Ok(reply::with_body(
        "application/x-pem-file",
        certificate.into(),
    ))
}

/// `GET /tls/ca.crl`: the revocation list (RFC 5280 4.2.1.13: DER).
pub async fn revocation_list(State(context): State<Context>) -> Result<Response, Problem> {
    let list = read(&context, Folder::crl_der).await?;
    Ok(reply::with_body("application/pkix-crl", Body::from(list)))
}

async fn read<T: Send + 'static>(
    context: &Context,
    read: fn(&Folder) -> Result<T, TlsError>,
) -> Result<T, Problem> {
    let none = || Problem::not_found("there is no certificate authority here");
    let folder = context.config.authority.clone().ok_or_else(none)?;
    let read = tokio::task::spawn_blocking(move || read(&folder)).await;
    match read {
        Ok(Ok(read)) => Ok(read),
        Ok(Err(error)) => {
            tracing::warn!("what is public of the authority cannot be read: {error}");
            Err(none())
        }
        Err(_) => Err(none()),
    }
}
