//! A codec worker and nothing else, for tests.

fn main() -> std::io::Result<()> {
    gantry_codec::worker::run_stdio()
}
