//! The floor under a cold start: starts a command and waits for its end, over and over, and prints each time in microseconds.
//!
//!     spawn COUNT COMMAND ARGUMENT …
//!
//! Small and static, so that what is measured is fork, exec and the command itself, and it can be put into any root.

use std::process::{Command, Stdio};
use std::time::Instant;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let count: u32 = arguments.next().and_then(|text| text.parse().ok()).expect("a count");
    let program = arguments.next().expect("a command");
    let arguments: Vec<String> = arguments.collect();
    for _ in 0..count {
        let began = Instant::now();
        let status = Command::new(&program)
            .args(&arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .expect("the command starts");
        let elapsed = began.elapsed();
        assert!(status.success(), "{program} ended with {status}");
        println!("{}", elapsed.as_micros());
    }
}
