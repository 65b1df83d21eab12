//! `gantry move`: Retrieve by C-MOVE (PS3.4 C.4.2) as SCU.

use super::scu::{self, RetrieveKeys};
use crate::peer_address::PeerOptions;
use crate::progress::{Progress, Unit};
use gantry_core::ae_title::AeTitle;
use gantry_dimse::command::Response;
use gantry_dimse::status::Status;
use std::process::ExitCode;

/// Ask a peer to send to another AE (C-MOVE).
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gantry move PACS@127.0.0.1:11112 --to WORKSTATION --study 1.2.3
  gantry move PACS@127.0.0.1:11112 --to WORKSTATION --study 1.2.3 --series 1.2.3.4 --series 1.2.3.5
  gantry move PACS@127.0.0.1:11112 --to WORKSTATION --patient 4711

The peer must know the AE title of the destination and where it listens.

Exit code: 0 when everything was sent, 1 when some or all was not, 2 for a wrong call.")]
pub struct Move {
    #[command(flatten)]
    peer: PeerOptions,
    /// AE title of the destination.
    #[arg(long, value_name = "AE")]
    to: AeTitle,
    #[command(flatten)]
    keys: RetrieveKeys,
    /// Print one JSON object with the counts.
    #[arg(long)]
    json: bool,
}

/// Asks, and follows the counts.
pub fn run(command: &Move) -> anyhow::Result<ExitCode> {
    scu::block_on(ask(command))
}

async fn ask(command: &Move) -> anyhow::Result<ExitCode> {
    let (model, identifier) = command.keys.identifier()?;
    let sop_class = model.move_();
    let client = scu::connect(&command.peer, vec![scu::plain_context(sop_class)?], |_| {}).await?;
    let context = client.context(&scu::uid(sop_class)?)?.clone();
    let encoded = scu::encoded(&identifier, &context.transfer_syntax);
    let mut operation = client.move_to(&context, &command.to, encoded).await?;
    let progress = Progress::start("moving", "instances", Unit::Count);
    let mut counts = Counts::default();
    let last = loop {
        let reply = operation.next().await?;
        counts.follow(&reply.response, &progress);
        if !reply.response.status.is_pending() {
            break reply.response;
        }
    };
    let summary = progress.finish();
    drop(operation);
    client.release().await?;
    counts.print(&last, &summary, command.json);
    Ok(counts.exit_code(&last))
}

/// Counts of sub-operations (PS3.7 9.1.4), as the last response tells them.
#[derive(Debug, Default, Clone, Copy)]
pub struct Counts {
    completed: u64,
    failed: u64,
    warning: u64,
    expected: u64,
}

impl Counts {
    /// Takes the counts of a response, and shows them.
    pub fn follow(&mut self, response: &Response, progress: &Progress) {
        let Some(sub_operations) = &response.sub_operations else {
            return;
        };
        let done_before = self.done();
        self.completed = u64::from(sub_operations.completed);
        self.failed = u64::from(sub_operations.failed);
        self.warning = u64::from(sub_operations.warning);
        let expected = self.done() + u64::from(sub_operations.remaining.unwrap_or(0));
        progress.expect(expected.saturating_sub(self.expected), 0);
        self.expected = self.expected.max(expected);
        progress.advance(self.done().saturating_sub(done_before), 0);
    }

    fn done(&self) -> u64 {
        self.completed + self.failed + self.warning
    }

    /// Prints the outcome.
    pub fn print(&self, last: &Response, summary: &str, is_json: bool) {
        let Self {
            completed,
            failed,
            warning,
            ..
        } = self;
        if is_json {
            let object = serde_json::json!({
                "status": format!("{}", last.status),
                "status_text": scu::status_text(last),
                "completed": completed,
                "failed": failed,
                "warning": warning,
            });
            println!("{object}");
        } else {
            println!(
                "{summary}: {completed} completed, {failed} failed, {warning} with warnings; {}",
                scu::status_text(last)
            );
        }
    }

    /// 0 when the peer says that all was sent.
    pub fn exit_code(&self, last: &Response) -> ExitCode {
        match last.status == Status::SUCCESS && self.failed == 0 {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        }
    }
}
