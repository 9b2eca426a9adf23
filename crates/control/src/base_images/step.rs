//! The steps of a build: one shell process in namespaces of its own, what it says, and how it ends.

use std::collections::VecDeque;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

/// Lines of output that an error shows.
const TAIL_LINES: usize = 20;
/// What is kept of one line, in bytes.
const LINE_BYTES: usize = 400;
const STEP: &str = "::step ";

/// What a build is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The runtime that is being built.
    pub runtime: String,
    /// The step, such as `downloading Debian packages (trixie)`.
    pub step: String,
}

/// How a recipe ended.
pub(super) enum Outcome {
    /// All its steps were done.
    Done,
    /// A step failed.
    Failed {
        /// Which.
        step: String,
        /// How its process ended.
        status: ExitStatus,
        /// The last lines it wrote.
        output: String,
    },
    /// It was told to stop, and nothing of it runs any more.
    Cancelled,
}

/// Runs `files/run.sh` with this environment beside that of this process.
pub(super) async fn run(
    files: &Path,
    environment: &[(String, String)],
    cancelled: &CancellationToken,
    mut report: impl FnMut(String),
) -> std::io::Result<Outcome> {
    let mut child = Command::new("bash")
        .arg(files.join("run.sh"))
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .env("LC_ALL", "C.UTF-8")
        .current_dir(files)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut lifeline = child.stdin.take();
    let stdout = child.stdout.take().ok_or_else(|| std::io::Error::other("the recipe has no output"))?;
    let mut output = Output::new(stdout);
    let mut stopped = false;
    loop {
        tokio::select! {
            () = cancelled.cancelled(), if !stopped => {
                // The script ends everything when its input ends; the end of its output says that everything has ended.
                drop(lifeline.take());
                stopped = true;
            }
            more = output.next(&mut report) => if !more? { break },
        }
    }
    drop(lifeline);
    let status = child.wait().await?;
    Ok(match (stopped, status.success()) {
        (true, _) => Outcome::Cancelled,
        (false, true) => Outcome::Done,
        (false, false) => Outcome::Failed { step: output.step, status, output: Vec::from(output.tail).join("\n") },
    })
}

/// What the recipe writes: steps, and lines for the case that one fails.
struct Output<R> {
    reader: BufReader<R>,
    line: Vec<u8>,
    step: String,
    tail: VecDeque<String>,
}

impl<R: AsyncRead + Unpin> Output<R> {
    fn new(reader: R) -> Output<R> {
        Output { reader: BufReader::new(reader), line: Vec::new(), step: "starting".to_owned(), tail: VecDeque::new() }
    }

    /// Takes one more line; false at the end. Cancel safe: an unfinished line is kept for the next call.
    async fn next(&mut self, report: &mut impl FnMut(String)) -> std::io::Result<bool> {
        if self.reader.read_until(b'\n', &mut self.line).await? == 0 {
            return Ok(false);
        }
        // A progress bar rewrites its line; the last state of it is what matters.
        let text = self.line.trim_ascii_end().rsplit(|&byte| byte == b'\r').next().unwrap_or_default();
        let text = String::from_utf8_lossy(&text[..text.len().min(LINE_BYTES)]).into_owned();
        self.line.clear();
        if let Some(step) = text.strip_prefix(STEP) {
            self.step = step.to_owned();
            self.tail.clear();
            report(step.to_owned());
        } else if !text.is_empty() {
            tracing::debug!(step = %self.step, "{text}");
            if self.tail.len() == TAIL_LINES {
                self.tail.pop_front();
            }
            self.tail.push_back(text);
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(directory: &Path, text: &str) {
        std::fs::write(directory.join("run.sh"), text).expect("write");
    }

    #[tokio::test]
    async fn a_failing_step_is_named_with_its_last_lines() {
        let directory = tempfile::tempdir().expect("a directory");
        script(
            directory.path(),
            "echo ::step one; echo lost; echo ::step two; for i in {1..30}; do echo $i; done; exit 7",
        );
        let mut steps = Vec::new();
        let outcome =
            run(directory.path(), &[], &CancellationToken::new(), |step| steps.push(step)).await.expect("it ran");
        assert_eq!(steps, ["one", "two"]);
        let Outcome::Failed { step, status, output } = outcome else { panic!("it failed") };
        assert_eq!((step.as_str(), status.code()), ("two", Some(7)));
        assert_eq!(output.lines().next(), Some("11"));
        assert_eq!(output.lines().last(), Some("30"));
    }

    #[tokio::test]
    async fn privileged_cancelling_ends_everything_it_started() {
        let directory = tempfile::tempdir().expect("a directory");
        script(directory.path(), include_str!("recipes/run.sh"));
        // Grandchildren that ignore what can be ignored.
        let recipe = "trap '' TERM INT HUP; (trap '' TERM; exec sleep 4021) & echo ::step sleeping; setsid sleep 4022";
        std::fs::write(directory.path().join("recipe.sh"), recipe).expect("write");
        let cancelled = CancellationToken::new();
        let files = vec![("FILES".to_owned(), directory.path().display().to_string())];
        let outcome =
            run(directory.path(), &files, &cancelled.clone(), move |_| cancelled.cancel()).await.expect("it ran");
        assert!(matches!(outcome, Outcome::Cancelled));
        let sleeping = std::fs::read_dir("/proc").expect("proc").filter_map(Result::ok).any(|process| {
            std::fs::read(process.path().join("cmdline")).is_ok_and(|line| line.starts_with(b"sleep\x00402"))
        });
        assert!(!sleeping, "a process of the recipe is left");
    }
}
