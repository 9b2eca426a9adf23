//! The segment files of all groups, and the budget they share.

use std::collections::{HashMap, VecDeque};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use ring::digest::{SHA256, digest};

use super::{LogGroup, LogRecord, LogSettings, record};
use crate::{Result, StoreError, files};

/// Segments held open at once; a group that is quiet while this many others write begins a new one.
const OPEN_SEGMENTS: usize = 128;

struct Segment {
    path: PathBuf,
    bytes: u64,
}

struct Open {
    file: File,
    path: PathBuf,
    bytes: u64,
    dirty: bool,
}

pub(super) struct Segments {
    settings: LogSettings,
    /// Ended segments, oldest first.
    ended: VecDeque<Segment>,
    open: HashMap<PathBuf, Open>,
    total_bytes: u64,
    counter: u64,
}

impl Segments {
    pub(super) fn open(settings: LogSettings) -> Result<Segments> {
        let mut found = Vec::new();
        find(&settings.directory, &mut found).map_err(StoreError::io("read", &settings.directory))?;
        // The file's name begins with the time.
        found.sort_by(|a, b| a.path.file_name().cmp(&b.path.file_name()));
        let total_bytes = found.iter().map(|segment| segment.bytes).sum();
        Ok(Segments { settings, ended: found.into(), open: HashMap::new(), total_bytes, counter: 0 })
    }

    pub(super) fn append(&mut self, group: &LogGroup, records: &[LogRecord]) -> Result<()> {
        let mut lines = Vec::new();
        for record in records {
            record::write(record, &mut lines);
        }
        let home = self.home(group);
        if !self.open.contains_key(&home) {
            self.begin(&home)?;
        }
        let Some(open) = self.open.get_mut(&home) else { return Ok(()) };
        let written = open.file.write_all(&lines).map_err(StoreError::io("write", &open.path));
        (open.bytes, open.dirty) = (open.bytes + lines.len() as u64, true);
        self.total_bytes += lines.len() as u64;
        // After a failed write the segment may end in a torn line: nothing is appended to that.
        if written.is_err() || open.bytes >= self.settings.segment_bytes {
            self.end(&home);
        }
        self.keep_to_budget();
        written
    }

    fn begin(&mut self, home: &Path) -> Result<()> {
        while self.open.len() >= OPEN_SEGMENTS {
            let Some(any) = self.open.keys().next().cloned() else { break };
            self.end(&any);
        }
        files::make_directories(&self.settings.directory, home).map_err(StoreError::io("make", home))?;
        let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        loop {
            let path = home.join(format!("{now_ms:020}-{:04}.log", self.counter));
            self.counter += 1;
            match File::options().append(true).create_new(true).open(&path) {
                Ok(file) => {
                    self.open.insert(home.to_owned(), Open { file, path, bytes: 0, dirty: true });
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(StoreError::io("make", &path)(error)),
            }
        }
    }

    fn end(&mut self, home: &Path) {
        if let Some(mut open) = self.open.remove(home) {
            sync(home, &mut open);
            self.ended.push_back(Segment { path: open.path, bytes: open.bytes });
        }
    }

    fn keep_to_budget(&mut self) {
        while self.total_bytes > self.settings.budget_bytes {
            let Some(oldest) = self.ended.pop_front() else { return };
            self.total_bytes = self.total_bytes.saturating_sub(oldest.bytes);
            if let Err(error) = files::remove_any(&oldest.path) {
                tracing::warn!(path = %oldest.path.display(), %error, "an old log segment stays");
            }
        }
    }

    /// Makes everything written so far durable.
    pub(super) fn sync(&mut self) {
        for (home, open) in &mut self.open {
            sync(home, open);
        }
    }

    pub(super) fn tail(&self, group: &LogGroup, stream: Option<&str>, lines: usize) -> Result<Vec<LogRecord>> {
        let home = self.home(group);
        let mut paths: Vec<PathBuf> = match fs::read_dir(&home) {
            Ok(entries) => entries.filter_map(|entry| Some(entry.ok()?.path())).collect(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(StoreError::io("read", &home)(error)),
        };
        paths.sort_unstable();
        let mut found = VecDeque::new();
        for path in paths.iter().rev() {
            let bytes = fs::read(path).map_err(StoreError::io("read", path))?;
            let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(&[][..], |end| &bytes[..end]);
            for line in whole.rsplit(|&byte| byte == b'\n') {
                if found.len() >= lines {
                    return Ok(found.into());
                }
                let parsed = record::parse(line).filter(|record| stream.is_none_or(|name| record.stream == name));
                if let Some(parsed) = parsed {
                    found.push_front(parsed);
                }
            }
        }
        Ok(found.into())
    }

    pub(super) fn reset(&mut self) -> Result<()> {
        self.open.clear();
        self.ended.clear();
        self.total_bytes = 0;
        let directory = &self.settings.directory;
        files::clear_directory(directory).map_err(StoreError::io("empty", directory))
    }

    /// The directory of a group. A name too long for a directory is cut and told apart by its digest.
    fn home(&self, group: &LogGroup) -> PathBuf {
        const LONGEST: usize = 200;
        let mut name = String::new();
        for byte in group.name.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'#' => name.push(char::from(byte)),
                other => name.push_str(&format!("%{other:02X}")),
            }
        }
        if name.len() > LONGEST {
            name.truncate(LONGEST - 33);
            let digest = digest(&SHA256, group.name.as_bytes());
            name.push('-');
            name.push_str(&hex::encode(&digest.as_ref()[..16]));
        }
        self.settings.directory.join(group.account.as_str()).join(group.region.as_str()).join(name)
    }
}

fn sync(home: &Path, open: &mut Open) {
    if !open.dirty {
        return;
    }
    match open.file.sync_data().and_then(|()| files::sync_directory(home)) {
        Ok(()) => open.dirty = false,
        Err(error) => tracing::error!(path = %open.path.display(), %error, "logs may be lost in a crash"),
    }
}

/// All segments below a directory.
fn find(directory: &Path, found: &mut Vec<Segment>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            find(&entry.path(), found)?;
        } else {
            found.push(Segment { path: entry.path(), bytes: metadata.len() });
        }
    }
    Ok(())
}
