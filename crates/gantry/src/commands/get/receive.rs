//! Taking one instance that the peer sends, into a file.

use crate::commands::files;
use anyhow::Context;
use gantry_dicom::part10::{self, NewFileMeta};
use gantry_dicom::scan::{ScanLimits, Scanner};
use gantry_dicom::tags;
use gantry_dicom::transfer_syntax::TransferSyntax;
use gantry_dimse::association::transport::WriteHalf;
use gantry_dimse::command::Arguments;
use gantry_dimse::scu::invocation::Invocation;
use gantry_dimse::source::ChunkSource;
use gantry_dimse::status::Status;
use std::path::Path;
use tokio::io::AsyncWriteExt;

/// Receives an instance below `out` and answers. An error says what was not written.
pub async fn receive(mut invocation: Invocation<WriteHalf>, out: &Path) -> anyhow::Result<()> {
    let Arguments::CStore {
        sop_instance_uid, ..
    } = invocation.request.arguments.clone()
    else {
        let refusal = invocation.request.response(Status::UNRECOGNIZED_OPERATION);
        return Ok(invocation.respond(&refusal).await?);
    };
    let written = write(&mut invocation, sop_instance_uid.as_str(), out).await;
    let status = match &written {
        Ok(()) => Status::SUCCESS,
        Err(_) => Status::OUT_OF_RESOURCES,
    };
    let response = invocation.request.response(status);
    invocation.respond(&response).await?;
    written.with_context(|| format!("instance {sop_instance_uid} was not written"))
}

async fn write(
    invocation: &mut Invocation<WriteHalf>,
    sop_instance: &str,
    out: &Path,
) -> anyhow::Result<()> {
    let transfer_syntax = invocation.context.transfer_syntax.as_str().to_owned();
    let meta = part10::write_meta(&NewFileMeta {
        sop_class: invocation.request.sop_class_uid.as_str(),
        sop_instance,
        transfer_syntax: &transfer_syntax,
        ..NewFileMeta::default()
    });
    let partial = files::Partial::create(out, sop_instance)?;
    let mut file = tokio::fs::File::create(partial.path()).await?;
    file.write_all(&meta).await?;
    let syntax = TransferSyntax::of(&transfer_syntax);
    let mut scanner = Scanner::new(&syntax, ScanLimits::default());
    while let Some(chunk) = invocation.next_chunk().await? {
        scanner.feed(&chunk)?;
        file.write_all(&chunk).await?;
    }
    file.flush().await?;
    let header = scanner.finish()?.header.parse()?;
    let uid = |tag| {
        header
            .uid(tag)
            .map(|uid| uid.as_str().to_owned())
            .unwrap_or_default()
    };
    partial.keep(&files::instance_path(
        &uid(tags::STUDY_INSTANCE_UID),
        &uid(tags::SERIES_INSTANCE_UID),
        sop_instance,
    ))?;
    Ok(())
}
