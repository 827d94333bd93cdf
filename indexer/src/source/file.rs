//! A file of lines that is followed, like `tail -F`. A position is a byte offset, with what tells this file from another.

use std::{
    fs::{File, Metadata},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use plan::index_plan::short_hash;

use super::{
    MAX_READ_BYTES, Position, Records, Source, SourceError, SourceRecord,
    line::{self, MAX_LINE_BYTES},
};

/// How many of the first and of the last bytes before a position tell its file from another: more than a line's beginning,
/// which is often the same in all of them.
const EDGE_BYTES: u64 = 1 << 10;

/// Follows one file. A file that doesn't exist yet is an empty one.
pub struct FileSource {
    name: String,
    path: PathBuf,
    /// What was read last. It may have been renamed since, and its writer may still write to it.
    followed: Option<File>,
}

impl FileSource {
    /// The source of this name.
    pub fn new(name: &str, path: &Path) -> Self {
        Self { name: name.to_owned(), path: path.to_owned(), followed: None }
    }

    fn error(&self, source: io::Error) -> SourceError {
        SourceError::Io { name: self.name.clone(), path: self.path.display().to_string(), source }
    }
}

#[async_trait]
impl Source for FileSource {
    async fn read(&mut self, from: &Position, limit: usize) -> Result<Records, SourceError> {
        let (path, from, followed) = (self.path.clone(), from.clone(), self.followed.take());
        let read = tokio::task::spawn_blocking(move || follow(&path, followed, &from, limit)).await;
        let (followed, records) = read
            .unwrap_or_else(|failure| Err(io::Error::other(failure)))
            .map_err(|error| self.error(error))?;
        self.followed = followed;
        Ok(records)
    }

    async fn end(&mut self) -> Result<i64, SourceError> {
        match std::fs::metadata(&self.path) {
            Ok(meta) => Ok(i64::try_from(meta.len()).unwrap_or(i64::MAX)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(self.error(error)),
        }
    }
}

/// Reads on in the file that was followed as long as there is something, then in the one that has its name now.
fn follow(
    path: &Path,
    followed: Option<File>,
    from: &Position,
    limit: usize,
) -> io::Result<(Option<File>, Records)> {
    let named = match File::open(path) {
        Ok(file) => Some(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let named_meta = named.as_ref().map(File::metadata).transpose()?;
    let mut from = from.clone();
    if let Some(file) = followed {
        let meta = file.metadata()?;
        if !named_meta.as_ref().is_some_and(|named| is_same_file(named, &meta)) {
            // Whoever rotates makes the new file before the writer turns to it: only its first byte says that it has.
            let is_left = named_meta.is_some_and(|named| named.len() > 0);
            let records = read_lines(path, &file, &from, limit, is_left)?;
            if !is_left || records.next != from {
                return Ok((Some(file), records));
            }
            tracing::info!(file = %path.display(), "the file was replaced; the new one is read from its start");
            from = Position::default();
        }
    }
    match named {
        Some(file) => {
            let records = read_lines(path, &file, &from, limit, false)?;
            Ok((Some(file), records))
        }
        None => Ok((None, Records { records: Vec::new(), next: from })),
    }
}

/// Reads whole lines from a position on, or from the start where the position is of another file. The last piece counts only
/// where it is a whole event already, for its writer may be in the middle of it, or where the file is left.
fn read_lines(path: &Path, file: &File, from: &Position, limit: usize, is_left: bool) -> io::Result<Records> {
    let mut start = u64::try_from(from.at).unwrap_or(0);
    if !is_good(from, file)? {
        // Truncated or replaced. Reading all of it again costs fetches; skipping would cost documents.
        tracing::warn!(
            file = %path.display(),
            "the file is not the one that was read up to byte {start}; it is read from its start"
        );
        start = 0;
    }
    let mut reader = BufReader::new(file);
    reader.seek(SeekFrom::Start(start))?;
    let (mut records, mut at) = (Vec::new(), start);
    while records.len() < limit && at - start < MAX_READ_BYTES as u64 {
        let mut bytes = Vec::new();
        // One byte more than allowed, so that a line of exactly the limit isn't taken for a longer one.
        let mut taken = reader.by_ref().take(MAX_LINE_BYTES as u64 + 2).read_until(b'\n', &mut bytes)? as u64;
        let mut ended = bytes.last() == Some(&b'\n');
        if !ended && bytes.len() > MAX_LINE_BYTES {
            let (skipped, found) = line::skip(&mut reader)?;
            taken += skipped;
            ended = found;
        }
        if taken == 0 || !(ended || is_left || line::is_whole(&bytes)) {
            break;
        }
        while matches!(bytes.last(), Some(b'\n' | b'\r')) {
            bytes.pop();
        }
        // A blank line says nothing.
        if !bytes.iter().all(u8::is_ascii_whitespace) {
            records.push(SourceRecord {
                place: format!("byte {at}"),
                content: line::parse(&bytes),
                original: None,
            });
        }
        at += taken;
    }
    let next = position(file, at)?;
    Ok(Records { records, next })
}

/// Whether a position was taken from this file, as it is now. At the start there is nothing to mistake.
fn is_good(position: &Position, file: &File) -> io::Result<bool> {
    let Some(at) = u64::try_from(position.at).ok().filter(|at| *at > 0) else { return Ok(true) };
    match &position.identity {
        Some(identity) => Ok(*identity == identity_at(file, at)?),
        // A position of an inbox that had this source's name.
        None => Ok(false),
    }
}

fn position(file: &File, at: u64) -> io::Result<Position> {
    let identity = if at == 0 { None } else { Some(identity_at(file, at)?) };
    Ok(Position::new(i64::try_from(at).unwrap_or(i64::MAX), identity))
}

/// The file's number and a hash of the edges of what stands before the position. The number tells files of the same content
/// apart; the hash, other content in the same file, as `copytruncate` leaves it. The device has no part in it: its number may
/// be another one after each start of the machine.
fn identity_at(mut file: &File, at: u64) -> io::Result<String> {
    let edge = at.min(EDGE_BYTES);
    let mut bytes = Vec::new();
    for start in [0, at - edge] {
        file.seek(SeekFrom::Start(start))?;
        file.take(edge).read_to_end(&mut bytes)?;
    }
    Ok(format!("{:x}-{}", number(&file.metadata()?).1, short_hash(&String::from_utf8_lossy(&bytes))))
}

fn is_same_file(one: &Metadata, other: &Metadata) -> bool {
    number(one) == number(other)
}

/// The device and the inode.
#[cfg(unix)]
fn number(meta: &Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (meta.dev(), meta.ino())
}

/// Elsewhere the content alone tells files apart.
#[cfg(not(unix))]
fn number(_: &Metadata) -> (u64, u64) {
    (0, 0)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn keys(records: &[SourceRecord]) -> Vec<String> {
        records
            .iter()
            .map(|record| {
                record.content.as_ref().map_or_else(|bad| bad.reason.clone(), |record| record.key.to_string())
            })
            .collect()
    }

    #[tokio::test]
    async fn a_half_written_line_waits_for_its_other_half() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.ndjson");
        let mut source = FileSource::new("movies", &path);
        let start = Position::default();
        let nothing = Records { records: Vec::new(), next: start.clone() };
        assert_eq!(source.read(&start, 10).await.unwrap(), nothing, "a file that doesn't exist yet");
        let mut file = File::create(&path).unwrap();
        write!(file, "{{\"key\":1}}\n\n{{\"key\":2").unwrap();
        let first = source.read(&start, 10).await.unwrap();
        assert_eq!(keys(&first.records), ["1"]);
        write!(file, "3}}").unwrap();
        let second = source.read(&first.next, 10).await.unwrap();
        assert_eq!(keys(&second.records), ["23"], "whole without its line end");
        write!(file, "\n{{\"key\":4}}\n").unwrap();
        assert_eq!(keys(&source.read(&second.next, 10).await.unwrap().records), ["4"]);
    }

    #[tokio::test]
    async fn a_line_too_long_is_one_bad_record_and_the_next_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.ndjson");
        let long = "x".repeat(3 * MAX_LINE_BYTES);
        std::fs::write(&path, format!("{{\"key\":\"{long}\"}}\n{{\"key\":2}}\n")).unwrap();
        let records = FileSource::new("movies", &path).read(&Position::default(), 10).await.unwrap().records;
        assert_eq!(records.len(), 2);
        let bad = records[0].content.as_ref().unwrap_err();
        assert!(bad.reason.contains("longer than"), "{}", bad.reason);
        assert!(bad.raw.len() <= 64 << 10);
        assert_eq!(keys(&records[1..]), ["2"]);
    }

    #[tokio::test]
    async fn a_position_is_good_only_in_what_it_was_taken_from() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.ndjson");
        let read = async |from: &Position| FileSource::new("movies", &path).read(from, 10).await.unwrap();
        std::fs::write(&path, "{\"key\":1}\n").unwrap();
        let after_one = read(&Position::default()).await.next;
        assert_eq!(after_one.at, 10);
        for other in ["{\"key\":2}\n", "{\"key\":2}\n{\"key\":3}\n", "{\"k", "", " \n"] {
            std::fs::write(&path, other).unwrap();
            let again = read(&after_one).await;
            assert_eq!(keys(&again.records).len(), other.matches('}').count(), "{other:?}");
            assert_eq!(read(&again.next).await, Records { records: Vec::new(), next: again.next });
        }
        std::fs::write(&path, "{\"key\":1}\n{\"key\":2}\n").unwrap();
        assert_eq!(keys(&read(&after_one).await.records), ["2"], "the same file, grown");
    }

    #[tokio::test]
    async fn half_a_line_at_the_end_of_a_replaced_file_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.ndjson");
        std::fs::write(&path, "{\"key\":1}\n{\"key\":2").unwrap();
        let mut source = FileSource::new("movies", &path);
        let first = source.read(&Position::default(), 10).await.unwrap();
        std::fs::rename(&path, folder.path().join("events.1")).unwrap();
        assert_eq!(source.read(&first.next, 10).await.unwrap().records, [], "nothing took its place");
        std::fs::write(&path, "").unwrap();
        assert_eq!(source.read(&first.next, 10).await.unwrap().records, [], "nobody writes there yet");
        std::fs::write(&path, "{\"key\":3}\n").unwrap();
        let left = source.read(&first.next, 10).await.unwrap();
        assert!(keys(&left.records)[0].contains("half written"), "{left:?}");
        assert_eq!(keys(&source.read(&left.next, 10).await.unwrap().records), ["3"]);
    }
}
