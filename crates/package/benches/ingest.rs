//! A large archive: `zip::ingest` and fsync, against `unzip -q` and sync, side by side.
//!
//! The goal is a ratio of at most 0.5, and a peak of memory below 64 MB beside the archive. Takes the archive to use as
//! an argument; without one, makes it first.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use bojagi_model::limits::Limits;
use bojagi_package::zip::{self, ZipLimits};

const ROUNDS: usize = 5;

fn main() -> io::Result<()> {
    let work = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let archive = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).map(PathBuf::from);
    let archive = archive.unwrap_or_else(|| work.join("large.zip"));
    if !archive.exists() {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/make_zip.py");
        must(Command::new("python3").arg(script).arg(&archive))?;
    }
    let bytes = fs::read(&archive)?;
    let limits = ZipLimits::from(&Limits::default());
    let (unzipped, entries) = zip::check(&bytes, &limits).map_err(io::Error::other)?;

    let (mut ours, mut theirs, mut peak) = (Vec::new(), Vec::new(), 0);
    for _ in 0..ROUNDS {
        let tree = work.join("unzipped");
        theirs.push(timed(|| {
            must(Command::new("unzip").arg("-q").arg(&archive).arg("-d").arg(&tree))?;
            must(&mut Command::new("sync"))
        })?);
        fs::remove_dir_all(&tree)?;
        must(&mut Command::new("sync"))?;

        let image = work.join("image");
        fs::write("/proc/self/clear_refs", "5")?;
        let before = memory("VmHWM:")?;
        ours.push(timed(|| {
            let file = File::options().read(true).write(true).create_new(true).open(&image)?;
            zip::ingest(&bytes, &file, &limits).map_err(io::Error::other)?;
            file.sync_all()
        })?);
        peak = peak.max(memory("VmHWM:")?.saturating_sub(before));
        fs::remove_file(&image)?;
        must(&mut Command::new("sync"))?;
    }

    let (ours, theirs) = (median(ours), median(theirs));
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "archive                  {} MB, {entries} entries, {} MB unzipped",
        bytes.len() / 1_000_000,
        unzipped / 1_000_000
    )?;
    writeln!(out, "unzip -q + sync          {:.3} s", theirs.as_secs_f64())?;
    writeln!(out, "ingest + fsync           {:.3} s", ours.as_secs_f64())?;
    writeln!(out, "ratio                    {:.3} (goal: at most 0.5)", ours.as_secs_f64() / theirs.as_secs_f64())?;
    writeln!(out, "peak beside the archive  {} MB (goal: below 64)", peak / 1024)
}

fn timed(work: impl FnOnce() -> io::Result<()>) -> io::Result<Duration> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// A figure of this process, in KiB.
fn memory(field: &str) -> io::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().map_err(io::Error::other)
}

fn must(command: &mut Command) -> io::Result<()> {
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("{command:?}: {status}"))) }
}
