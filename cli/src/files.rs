//! Reads the files of a user: as UTF-8, never more than a bound, and never from a pipe that nobody may be writing.

use std::{
    fmt,
    fs::{self, File},
    io::{self, Read as _},
    path::Path,
    sync::Arc,
};

use plan::SourceText;

/// The longest text that a person wrote, in bytes; codegen's own limits are lower and tell more. It bounds what a file
/// that never ends can make us read.
pub(crate) const MAX_WRITTEN_BYTES: u64 = 16 << 20;

/// The longest schema, in bytes: some twenty times the largest introspection that is public.
pub(crate) const MAX_SCHEMA_BYTES: u64 = 256 << 20;

/// The longest text that stands for a value: a token, or the lines of `--env-file`.
pub(crate) const MAX_VALUE_BYTES: u64 = 1 << 20;

/// What to do where a pipe is refused.
pub(crate) const PIPES: &str = "write it into a file, or hand it over as /dev/stdin or `<(command)`";

/// Why a file has no text for us.
#[derive(Debug)]
pub(crate) enum Unreadable {
    /// What the system says.
    System(io::Error),
    /// It is something else than UTF-8 from this byte on, counted from 1.
    NotText { byte: usize },
    /// It has more bytes than this.
    TooLarge { limit: u64 },
    /// It is a pipe or a device: opening one waits for whoever is at its other end.
    NoFile,
}

impl Unreadable {
    /// How to mend it; `None` where only its user can know.
    pub(crate) fn mend(&self) -> Option<&'static str> {
        match self {
            Self::System(_) => None,
            Self::NotText { .. } => Some("write it in UTF-8; is this the file that was meant?"),
            Self::TooLarge { .. } => Some(
                "is this the file that was meant? a schema has at most 256 MiB, other texts 16 MiB or less",
            ),
            Self::NoFile => Some(PIPES),
        }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System(error) if error.kind() == io::ErrorKind::NotFound => {
                f.write_str("it does not exist")
            }
            Self::System(error) if error.kind() == io::ErrorKind::IsADirectory => {
                f.write_str("it is a folder")
            }
            Self::System(error) => error.fmt(f),
            Self::NotText { byte } => write!(f, "byte {byte} is not UTF-8 text"),
            Self::TooLarge { limit } => write!(f, "it has more than {} MiB", limit >> 20),
            Self::NoFile => f.write_str("it is a pipe or a device"),
        }
    }
}

/// Reads a file of at most `limit` bytes. Its length is asked first; what tells none is watched, too.
///
/// A pipe is read where its path is one of ours (`/dev/stdin`, and `/dev/fd/63` of a shell's `<(command)`): somebody
/// writes it. A named pipe may have nobody, and opening it would wait for ever.
pub(crate) fn read_text(path: &Path, limit: u64) -> Result<Arc<SourceText>, Unreadable> {
    let metadata = fs::metadata(path).map_err(Unreadable::System)?;
    let is_ours = ["/dev", "/proc"].iter().any(|folder| path.starts_with(folder));
    if !(metadata.is_file() || metadata.is_dir() || is_ours) {
        return Err(Unreadable::NoFile);
    }
    if metadata.len() > limit {
        return Err(Unreadable::TooLarge { limit });
    }
    let file = File::open(path).map_err(Unreadable::System)?;
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
    file.take(limit + 1).read_to_end(&mut bytes).map_err(Unreadable::System)?;
    if bytes.len() as u64 > limit {
        return Err(Unreadable::TooLarge { limit });
    }
    let text = String::from_utf8(bytes);
    let text = text.map_err(|error| Unreadable::NotText { byte: error.utf8_error().valid_up_to() + 1 })?;
    Ok(Arc::new(SourceText { name: path.display().to_string(), text }))
}
