//! The launcher on its own, for tests and benches whose own executable is somebody else's. The server starts itself again instead.

fn main() {
    bojagi_sandbox::run_if_launcher();
}
