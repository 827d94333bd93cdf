//! A file of lines that is followed, like `tail -F`. A position is a byte offset.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use async_trait::async_trait;

use super::{
    Source, SourceError, SourceRecord,
    line::{self, MAX_LINE_BYTES},
};

/// Follows one file. A file that doesn't exist yet is an empty one.
pub struct FileSource {
    name: String,
    path: PathBuf,
}

struct Line {
    start: u64,
    next: u64,
    bytes: Vec<u8>,
}

impl FileSource {
    /// The source of this name.
    pub fn new(name: &str, path: &Path) -> Self {
        Self { name: name.to_owned(), path: path.to_owned() }
    }

    fn error(&self, source: io::Error) -> SourceError {
        SourceError::Io { name: self.name.clone(), path: self.path.display().to_string(), source }
    }
}

#[async_trait]
impl Source for FileSource {
    async fn read(&mut self, from: i64, limit: usize) -> Result<Vec<SourceRecord>, SourceError> {
        let path = self.path.clone();
        let from = u64::try_from(from).unwrap_or(0);
        let read = tokio::task::spawn_blocking(move || read_lines(&path, from, limit)).await;
        let lines = read
            .unwrap_or_else(|failure| Err(io::Error::other(failure)))
            .map_err(|error| self.error(error))?;
        Ok(lines
            .into_iter()
            .map(|line| SourceRecord {
                next: i64::try_from(line.next).unwrap_or(i64::MAX),
                place: format!("byte {}", line.start),
                content: line::parse(&line.bytes),
            })
            .collect())
    }

    async fn end(&self) -> Result<i64, SourceError> {
        match std::fs::metadata(&self.path) {
            Ok(meta) => Ok(i64::try_from(meta.len()).unwrap_or(i64::MAX)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(self.error(error)),
        }
    }
}

/// Reads whole lines from an offset on. The last piece counts only where it is a whole event already: a writer may be in
/// the middle of it.
fn read_lines(path: &Path, from: u64, limit: usize) -> io::Result<Vec<Line>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let length = file.metadata()?.len();
    let mut at = from;
    if length < from {
        // Truncated or replaced. Reading all of it again costs fetches; skipping would cost documents.
        tracing::warn!(file = %path.display(), "the file became shorter than what was read of it; it is read from its start");
        at = 0;
    }
    let mut reader = BufReader::new(file);
    reader.seek(SeekFrom::Start(at))?;
    let mut lines = Vec::new();
    while lines.len() < limit {
        let start = at;
        let mut bytes = Vec::new();
        // One byte more than allowed, so that a line of exactly the limit isn't taken for a longer one.
        let mut taken = reader.by_ref().take(MAX_LINE_BYTES as u64 + 2).read_until(b'\n', &mut bytes)? as u64;
        let mut ended = bytes.last() == Some(&b'\n');
        if !ended && bytes.len() > MAX_LINE_BYTES {
            let (skipped, found) = skip_line(&mut reader)?;
            taken += skipped;
            ended = found;
        }
        if taken == 0 || (!ended && !line::is_whole(&bytes)) {
            break;
        }
        at += taken;
        while matches!(bytes.last(), Some(b'\n' | b'\r')) {
            bytes.pop();
        }
        if bytes.iter().all(u8::is_ascii_whitespace) && !lines.is_empty() {
            // A blank line says nothing; the line before it is where reading goes on.
            if let Some(last) = lines.last_mut() {
                let last: &mut Line = last;
                last.next = at;
            }
        } else if !bytes.iter().all(u8::is_ascii_whitespace) {
            lines.push(Line { start, next: at, bytes });
        }
    }
    Ok(lines)
}

/// Skips to the end of a line without keeping it: how many bytes, and whether there was an end.
fn skip_line(reader: &mut impl BufRead) -> io::Result<(u64, bool)> {
    let mut skipped = 0;
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok((skipped, false));
        }
        let (used, found) = match buffer.iter().position(|&byte| byte == b'\n') {
            Some(at) => (at + 1, true),
            None => (buffer.len(), false),
        };
        reader.consume(used);
        skipped += used as u64;
        if found {
            return Ok((skipped, true));
        }
    }
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
        assert!(source.read(0, 10).await.unwrap().is_empty(), "a file that doesn't exist yet");
        let mut file = File::create(&path).unwrap();
        write!(file, "{{\"key\":1}}\n\n{{\"key\":2").unwrap();
        let first = source.read(0, 10).await.unwrap();
        assert_eq!(keys(&first), ["1"]);
        write!(file, "3}}").unwrap();
        let second = source.read(first[0].next, 10).await.unwrap();
        assert_eq!(keys(&second), ["23"], "whole without its line end");
        write!(file, "\n{{\"key\":4}}\n").unwrap();
        assert_eq!(keys(&source.read(second[0].next, 10).await.unwrap()), ["4"]);
    }

    #[tokio::test]
    async fn a_line_too_long_is_one_bad_record_and_the_next_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.ndjson");
        let long = "x".repeat(3 * MAX_LINE_BYTES);
        std::fs::write(&path, format!("{{\"key\":\"{long}\"}}\n{{\"key\":2}}\n")).unwrap();
        let records = FileSource::new("movies", &path).read(0, 10).await.unwrap();
        assert_eq!(records.len(), 2);
        let bad = records[0].content.as_ref().unwrap_err();
        assert!(bad.reason.contains("longer than"), "{}", bad.reason);
        assert!(bad.raw.len() <= 64 << 10);
        assert_eq!(keys(&records[1..]), ["2"]);
    }

    #[tokio::test]
    async fn a_file_that_became_shorter_is_read_from_its_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.ndjson");
        std::fs::write(&path, "{\"key\":1}\n").unwrap();
        assert_eq!(keys(&FileSource::new("movies", &path).read(500, 10).await.unwrap()), ["1"]);
    }
}
