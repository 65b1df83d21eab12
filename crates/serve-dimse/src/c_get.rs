//! C-GET (PS3.4 C.4.3): instances go to the requestor as C-STORE on the same association.

use crate::operations::Cancel;
use crate::session::{Asked, Session};
use crate::status;
use crate::sub_operations::{self, Feed, Planned, Progress, Run, Sent, StreamSource};
use gantry_archive::query::Model;
use gantry_archive::retrieve::{ByteStream, InstanceRef};
use gantry_dicom::data_set::DataSet;
use gantry_dimse::association::error::AssociationError;
use gantry_dimse::association::negotiation::PresentationContext;
use gantry_dimse::command::{Arguments, Priority};
use std::collections::HashMap;
use std::time::Duration;

/// Answers a C-GET.
pub(crate) async fn c_get(
    session: &Session,
    asked: &Asked,
    model: Model,
    identifier: &DataSet,
    cancel: Cancel,
) -> Result<(), AssociationError> {
    let instances = match sub_operations::select(session, asked, model, identifier, None).await {
        Ok(instances) => instances,
        Err(error) => {
            let response = status::failure(&asked.request, &error, status::of_retrieve);
            return session.respond(asked, &response).await;
        }
    };
    let mut progress = Progress::new(session, asked, instances.len());
    let mut feed = Feed::new(&session.server.archive, plan(session, instances));
    let window = session
        .negotiated
        .invoked_here()
        .unwrap_or(session.server.config.operations_max)
        .min(session.server.config.operations_max);
    let send = |planned, context, stream| store(session, asked, planned, context, stream);
    match sub_operations::run(&mut feed, window.into(), &cancel, &mut progress, send).await? {
        Run::Lost => {
            session.abort().await;
            Err(AssociationError::Over)
        }
        run => progress.finish(run == Run::Cancelled, None).await,
    }
}

/// Instances with the contexts in which the requestor wants to be their SCP.
fn plan(session: &Session, instances: Vec<InstanceRef>) -> Vec<Planned> {
    let mut by_sop_class: HashMap<&str, Vec<&PresentationContext>> = HashMap::new();
    for context in &session.negotiated.contexts {
        let is_assumed = session.server.config.assume_roles && !context.roles.is_negotiated;
        if session.negotiated.is_scu(context) || is_assumed {
            by_sop_class
                .entry(context.abstract_syntax.as_str())
                .or_default()
                .push(context);
        }
    }
    let plan = |instance: InstanceRef| {
        let contexts = by_sop_class
            .get(&*instance.sop_class_uid)
            .map_or(&[][..], Vec::as_slice);
        let archive = &session.server.archive;
        let context = sub_operations::choose_context(archive, &instance, contexts, &[]).cloned();
        Planned { instance, context }
    };
    instances.into_iter().map(plan).collect()
}

async fn store(
    session: &Session,
    asked: &Asked,
    planned: Planned,
    context: PresentationContext,
    stream: ByteStream,
) -> (InstanceRef, Sent) {
    let priority = match asked.request.arguments {
        Arguments::CGet { priority } => priority,
        _ => Priority::Medium,
    };
    let limit = Duration::from_secs(session.server.config.response_timeout_s);
    let sent = async {
        let arguments = Arguments::CStore {
            sop_instance_uid: sub_operations::uid(&planned.instance.sop_instance_uid)?,
            priority,
            originator: None,
        };
        let sop_class_uid = context.abstract_syntax.clone();
        session
            .invoke(
                context.id,
                sop_class_uid,
                arguments,
                StreamSource(stream),
                limit,
            )
            .await
    };
    let sent = sent.await.map_or_else(Sent::from, Sent::Answered);
    (planned.instance, sent)
}
