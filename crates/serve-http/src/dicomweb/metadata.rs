//! Retrieve metadata (PS3.18 10.4.1.2): headers without bulk values, from the index alone.

use crate::conditional::EntityTag;
use crate::context::{Asked, Context, Resource, instance_url};
use crate::model::{self, ListWriter};
use crate::problem::{Problem, Purpose};
use crate::reply::{self, Freshness};
use crate::series_window::{self, SeriesWindows};
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use gantry_archive::Error;
use gantry_archive::retrieve::InstanceRef;
use gantry_dicom::data_set::DataSet;
use gantry_dicom::element_path::ElementPath;
use gantry_dicom::model::ModelOptions;
use gantry_dicom::tags;

/// Changes when the same header is written otherwise than before, so that caches ask again.
const REVISION: &[u8] = b"1";
/// Longest binary value that is written into the metadata.
const INLINE_BYTES_MAX: usize = 1024;

/// `GET …/metadata` of a study, a series or an instance.
pub async fn retrieve(
    State(context): State<Context>,
    resource: Resource,
    asked: Asked,
) -> Result<Response, Problem> {
    let acceptable = asked.acceptable(model::OFFERS)?;
    let offer = acceptable
        .first()
        .and_then(|entry| model::OFFERS.get(entry.offer));
    let offer = offer.copied().unwrap_or(model::JSON);
    let instances = resource.instances(&context, &asked.principal).await?;
    let url = asked.dicom_web_url();
    let tag = entity_tag(&instances, &url, offer.describe().as_bytes());
    if let Some(response) = reply::precondition(&asked, &tag, Freshness::Revalidate) {
        return Ok(response);
    }
    let windows = series_window::of_instances(&context, &instances).await;
    let mut list = ListWriter::new(offer, tag.as_str().as_bytes());
    let content_type = list.content_type();
    let mut ending = Vec::new();
    list.clone().finish_after_some(&mut ending);
    let failed = |error: Error| Problem::from_archive(&error, Purpose::Retrieve);
    let mut headers = context
        .archive
        .encode_headers(
            &asked.principal,
            &resource.selection(),
            move |instance, header, out| {
                write(&mut list, instance, header, &windows, &url, out);
            },
        )
        .await
        .map_err(failed)?;
    // A failure of the first headers can still be told by the status.
    let first = headers.next().await.transpose().map_err(failed)?;
    let body = stream::iter(first.map(Ok))
        .chain(headers)
        .chain(stream::iter([Ok::<_, Error>(Bytes::from(ending))]));
    let response = reply::with_stream(&content_type, None, body);
    Ok(reply::tagged(response, &tag, Freshness::Revalidate))
}

fn write(
    list: &mut ListWriter,
    instance: &InstanceRef,
    header: &DataSet,
    windows: &SeriesWindows,
    dicom_web_url: &str,
    out: &mut Vec<u8>,
) {
    let mut header = header.clone();
    header.put_uid(
        tags::AVAILABLE_TRANSFER_SYNTAX_UID,
        &*instance.transfer_syntax_uid,
    );
    windows.fill_in(instance, &mut header);
    let bulk_url = format!("{}/bulkdata/", instance_url(dicom_web_url, instance));
    let uri = |path: &ElementPath| format!("{bulk_url}{path}");
    let options = ModelOptions {
        bulk_data_uri: Some(&uri),
        inline_max: INLINE_BYTES_MAX,
        ..ModelOptions::default()
    };
    list.add(&header, out, &options);
}

fn entity_tag(instances: &[InstanceRef], url: &str, form: &[u8]) -> EntityTag {
    let mut parts: Vec<&[u8]> = vec![b"metadata", REVISION, form, url.as_bytes()];
    for instance in instances {
        parts.push(instance.sop_instance_uid.as_bytes());
        parts.push(&instance.digest);
    }
    EntityTag::of(&parts)
}
