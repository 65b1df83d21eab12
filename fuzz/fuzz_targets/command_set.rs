//! Command sets; what is understood of one is written and understood again.
#![no_main]

use bytes::Bytes;
use gantry_dimse::command::Command;
use gantry_dimse::command_set::CommandSet;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(set) = CommandSet::decode(Bytes::copy_from_slice(data)) else { return };
    let again = CommandSet::decode(set.encode().into()).expect("what was written can be read");
    assert_eq!(again.encode(), set.encode());
    match Command::parse(&set) {
        Ok(Command::Request(request)) => {
            let written = request.to_command_set();
            assert_eq!(Command::parse(&written), Ok(Command::Request(request)));
        }
        Ok(Command::Response(response)) => {
            let written = response.to_command_set();
            assert_eq!(Command::parse(&written), Ok(Command::Response(response)));
        }
        Ok(Command::CCancel { .. }) => {}
        Err(error) => {
            if let Some(response) = error.response() {
                assert!(response.error_comment.is_some_and(|comment| comment.len() <= 64));
            }
        }
    }
});
