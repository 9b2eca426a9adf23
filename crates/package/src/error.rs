//! What can be wrong with a package. The detail is for the operator's log; a client hears AWS's own sentence.

use std::io;

use bojagi_model::{Error, ErrorKind};
use thiserror::Error;

/// Why a .zip archive was refused.
#[derive(Debug, Error)]
pub enum ZipError {
    /// There is nothing in it.
    #[error("the archive has no entries")]
    Empty,
    /// No end of central directory record: not a .zip archive, or one that was cut off.
    #[error("there is no end of central directory record")]
    NotAZip,
    /// A structure or an entry's data reaches beyond what is there.
    #[error("{what} at offset {offset} reaches beyond the end")]
    Truncated {
        /// The structure.
        what: &'static str,
        /// Where it begins, in bytes.
        offset: u64,
    },
    /// A structure contradicts itself or another one.
    #[error("damaged: {what}, at offset {offset}")]
    Malformed {
        /// What is wrong.
        what: &'static str,
        /// Where, in bytes.
        offset: u64,
    },
    /// One part of an archive that spans several files.
    #[error("the archive is one part of several")]
    MultiDisk,
    /// The end record counts other entries than the directory holds.
    #[error("the end record counts {declared} entries, the central directory holds {found}")]
    EntryCount {
        /// The end record's count.
        declared: u64,
        /// Entries found.
        found: u64,
    },
    /// More entries, with the directories that their names imply, than the limit.
    #[error("more than {limit} entries, implied directories included")]
    TooManyEntries {
        /// The limit in force.
        limit: u64,
    },
    /// More bytes unzipped than the limit.
    #[error("{declared} bytes or more unzipped, the limit is {limit}")]
    TooLarge {
        /// The limit in force, in bytes.
        limit: u64,
        /// The sum that broke it, in bytes.
        declared: u64,
    },
    /// One entry cannot be accepted.
    #[error("entry {name:?}: {problem}")]
    Entry {
        /// The entry's name, shortened, with what is not UTF-8 replaced.
        name: String,
        /// What is wrong with it.
        problem: EntryProblem,
    },
    /// The output could not be written or read back. The archive is not to blame.
    #[error("cannot write the output")]
    Output(#[source] io::Error),
}

/// What is wrong with one entry of a .zip archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum EntryProblem {
    /// No name, or nothing left of it but dots and slashes.
    #[error("the name is empty")]
    EmptyName,
    /// A name with a NUL byte.
    #[error("the name contains a NUL byte")]
    NulInName,
    /// A component of more than 255 bytes.
    #[error("a component of the name is longer than 255 bytes")]
    ComponentTooLong,
    /// A path of 4,096 bytes or more.
    #[error("the name is longer than 4095 bytes")]
    PathTooLong,
    /// A name that begins with a slash.
    #[error("the name is absolute")]
    AbsoluteName,
    /// A name with a `..` component.
    #[error("the name has a `..` component")]
    ParentInName,
    /// A device node, FIFO, socket or an unknown type.
    #[error("not a file, directory or symbolic link (mode {0:o})")]
    SpecialFile(u16),
    /// The name was there already, and not both times as a directory.
    #[error("the name appears twice")]
    Duplicate,
    /// The name runs through an entry that is not a directory, or through a symbolic link.
    #[error("the name leads through an entry that is not a directory")]
    BelowNonDirectory,
    /// Encrypted content or names.
    #[error("encrypted")]
    Encrypted,
    /// A compression method other than stored and deflate.
    #[error("compression method {0} is not supported")]
    UnsupportedMethod(u16),
    /// Its header or data shares bytes with another entry or with the central directory.
    #[error("overlaps another entry or the central directory")]
    Overlap,
    /// Local header or data lie beyond the archive.
    #[error("header or data reach beyond the archive")]
    OutOfBounds,
    /// There is no local header where the central directory says.
    #[error("no local header where the central directory says")]
    NoLocalHeader,
    /// The local header tells something else than the central directory.
    #[error("local header and central directory disagree on the {0}")]
    HeadersDisagree(&'static str),
    /// A zip64 extra field is needed and missing or short.
    #[error("zip64 extra field missing or short")]
    Zip64Extra,
    /// A directory with content.
    #[error("a directory with content")]
    DirectoryWithContent,
    /// A declared size that the compressed bytes cannot have, or a stored entry with two sizes.
    #[error("the declared size is impossible")]
    ImpossibleSize,
    /// The data inflates to fewer or more bytes than declared.
    #[error("the data is not as long as declared")]
    WrongSize,
    /// The data is not a deflate stream.
    #[error("the deflate stream is damaged")]
    BadDeflate,
    /// The checksum is wrong.
    #[error("the CRC-32 does not match")]
    WrongChecksum,
    /// A symbolic link whose target is empty, has a NUL byte or is 4,096 bytes or longer.
    #[error("the link target is not a path")]
    BadLinkTarget,
    /// A symbolic link that leads out of the package.
    #[error("the link leads out of the package")]
    LinkEscapes,
}

impl ZipError {
    /// An entry's problem, with a name fit for a log line.
    pub(crate) fn entry(name: &[u8], problem: EntryProblem) -> ZipError {
        const SHOWN: usize = 200;
        let mut shown = String::from_utf8_lossy(&name[..name.len().min(SHOWN)]).into_owned();
        if name.len() > SHOWN {
            shown.push('…');
        }
        ZipError::Entry { name: shown, problem }
    }

    /// What is wrong with an entry, if it is an entry that is wrong.
    pub fn problem(&self) -> Option<EntryProblem> {
        match self {
            ZipError::Entry { problem, .. } => Some(*problem),
            _ => None,
        }
    }
}

/// In AWS's words: the sentences are recorded from AWS. The detail goes along as the source, for the log.
impl From<ZipError> for Error {
    fn from(error: ZipError) -> Error {
        let message = match &error {
            ZipError::Output(_) => return Error::service(error),
            ZipError::TooLarge { limit, .. } => format!("Unzipped size must be smaller than {limit} bytes"),
            ZipError::Empty => "Uploaded file must be a non-empty zip".to_owned(),
            _ => "Could not unzip uploaded file. Please check your file, then try to upload again.".to_owned(),
        };
        Error::new(ErrorKind::InvalidParameterValue, message).with_source(error)
    }
}

/// Why a directory tree could not become an image.
#[derive(Debug, Error)]
pub enum TreeError {
    /// Something in the tree could not be read.
    #[error("cannot {operation} {path}")]
    Read {
        /// What was attempted.
        operation: &'static str,
        /// Where, below the root.
        path: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A file changed while it was read.
    #[error("{path} changed while it was read")]
    Changed {
        /// Which file, below the root.
        path: String,
    },
    /// Something an image cannot hold.
    #[error("{path}: {what}")]
    Unsupported {
        /// Where, below the root.
        path: String,
        /// What it is.
        what: &'static str,
    },
    /// More entries than an image of this writer can hold.
    #[error("more than {limit} entries")]
    TooManyEntries {
        /// The limit.
        limit: u64,
    },
    /// The output could not be written or read back.
    #[error("cannot write the output")]
    Output(#[source] io::Error),
}

impl From<TreeError> for Error {
    fn from(error: TreeError) -> Error {
        Error::service(error)
    }
}

/// Why an image could not be read.
#[derive(Debug, Error)]
pub enum ImageError {
    /// Not an EROFS image, or a damaged one.
    #[error("damaged image: {0}")]
    Damaged(&'static str),
    /// A feature that code images do not use.
    #[error("the image uses an EROFS feature that is not supported: {0}")]
    Unsupported(&'static str),
    /// There is no such entry.
    #[error("no such entry")]
    NotFound,
    /// A path leads through something that is not a directory, or a directory was asked for.
    #[error("not a directory")]
    NotADirectory,
    /// A file was asked for and it is something else.
    #[error("not a file")]
    NotAFile,
    /// More than 40 symbolic links on one path, which is where Linux gives up.
    #[error("too many symbolic links")]
    TooManyLinks,
    /// A symbolic link leads out of the image. What is there is known only where the image is mounted.
    #[error("a symbolic link leads out of the image")]
    LeavesImage,
    /// The file is longer than the caller wants to have.
    #[error("the file has {bytes} bytes, more than {limit}")]
    TooLarge {
        /// Its length.
        bytes: u64,
        /// The caller's limit.
        limit: u64,
    },
    /// The content is not what its digest says.
    #[error("the image's content does not match its digest")]
    WrongDigest,
    /// The image could not be read.
    #[error("cannot read the image")]
    Io(#[from] io::Error),
}

impl From<io::Error> for ZipError {
    fn from(error: io::Error) -> ZipError {
        ZipError::Output(error)
    }
}

impl From<io::Error> for TreeError {
    fn from(error: io::Error) -> TreeError {
        TreeError::Output(error)
    }
}
