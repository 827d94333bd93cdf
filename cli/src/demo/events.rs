//! Tells of row changes as Debezium's `PostgreSQL` connector does, one line a record, in the form of the `file:` source.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::{Map, Value, json};

/// A table whose changes are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    Movies,
    Productions,
    Talents,
    Cast,
}

impl Table {
    const ALL: [Self; 4] = [Self::Movies, Self::Productions, Self::Talents, Self::Cast];

    fn file(self) -> &'static str {
        match self {
            Self::Movies => "movies.ndjson",
            Self::Productions => "productions.ndjson",
            Self::Talents => "talents.ndjson",
            Self::Cast => "cast.ndjson",
        }
    }

    fn sql_name(self) -> &'static str {
        match self {
            Self::Movies => "movie",
            Self::Productions => "production",
            Self::Talents => "talent",
            Self::Cast => "movie_talent",
        }
    }

    fn key_column(self) -> &'static str {
        match self {
            Self::Movies => "movie_id",
            Self::Productions => "ptp_id",
            Self::Talents => "talent_id",
            Self::Cast => "credit_id",
        }
    }
}

/// One changed row: what it was and what it is, by column. Never absent on both sides.
#[derive(Clone, Debug)]
pub(super) struct RowChange {
    table: Table,
    before: Option<Map<String, Value>>,
    after: Option<Map<String, Value>>,
}

impl RowChange {
    pub(super) fn insert<T: Serialize>(table: Table, after: &T) -> Self {
        Self { table, before: None, after: Some(image(after)) }
    }

    pub(super) fn update<T: Serialize>(table: Table, before: &T, after: &T) -> Self {
        Self { table, before: Some(image(before)), after: Some(image(after)) }
    }

    pub(super) fn delete<T: Serialize>(table: Table, before: &T) -> Self {
        Self { table, before: Some(image(before)), after: None }
    }

    fn op(&self) -> &'static str {
        match (&self.before, &self.after) {
            (None, _) => "c",
            (_, None) => "d",
            _ => "u",
        }
    }

    fn key(&self) -> Value {
        let column = self.table.key_column();
        let row = self.after.as_ref().or(self.before.as_ref());
        json!({ column: row.and_then(|row| row.get(column)) })
    }
}

/// What was told of one changed row.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Told {
    /// The file that has the line, such as `movies.ndjson`.
    pub(crate) file: &'static str,
    /// The record's key.
    pub(crate) key: Value,
    /// Debezium's letter: c, u or d.
    pub(crate) op: &'static str,
}

/// The files `{movies,productions,talents,cast}.ndjson` of one folder.
#[derive(Debug)]
pub(super) struct EventFiles {
    folder: PathBuf,
    transaction: u64,
    position: u64,
}

impl EventFiles {
    /// Makes the folder and what is missing of the files, so that a follower finds them before the first event.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        for table in Table::ALL {
            append(&folder.join(table.file()), "")?;
        }
        Ok(Self { folder: folder.to_owned(), transaction: 700, position: 22_000_000 })
    }

    /// Tells of the changes of one edit, which the database would have committed together.
    pub(super) fn append(&mut self, changes: &[RowChange]) -> io::Result<Vec<Told>> {
        self.transaction += 1;
        changes.iter().map(|change| self.append_one(change)).collect()
    }

    fn append_one(&mut self, change: &RowChange) -> io::Result<Told> {
        self.position += 168;
        let now = now_ms();
        let (file, key, op) = (change.table.file(), change.key(), change.op());
        let value = json!({
            "before": change.before,
            "after": change.after,
            "source": {
                "version": "3.6.3.Final",
                "connector": "postgresql",
                "name": "studio",
                "ts_ms": now,
                "ts_us": now * 1_000,
                "ts_ns": now * 1_000_000,
                "snapshot": "false",
                "db": "postgres",
                "schema": "public",
                "table": change.table.sql_name(),
                "txId": self.transaction,
                "lsn": self.position,
            },
            "transaction": null,
            "op": op,
            "ts_ms": now,
            "ts_us": now * 1_000,
            "ts_ns": now * 1_000_000,
        });
        let line = |value| format!("{}\n", json!({ "key": key, "value": value, "timestamp": now }));
        let mut lines = line(value);
        if op == "d" {
            // A log-compacted topic forgets a key only at a null value, so Debezium follows every delete with one.
            lines += &line(Value::Null);
        }
        append(&self.folder.join(file), &lines)?;
        Ok(Told { file, key, op })
    }
}

/// One write, so that a reader sees whole lines but for a crash in the middle of it.
fn append(path: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().create(true).append(true).open(path)?.write_all(text.as_bytes())
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A record as a database row: its names in the database's case.
fn image<T: Serialize>(record: &T) -> Map<String, Value> {
    match serde_json::to_value(record) {
        Ok(Value::Object(fields)) => fields.into_iter().map(|(name, value)| (snake(&name), value)).collect(),
        other => unreachable!("a record is an object: {other:?}"),
    }
}

/// `grossUS` to `gross_us`, `movieId` to `movie_id`.
fn snake(name: &str) -> String {
    let mut words = String::with_capacity(name.len() + 2);
    let mut in_capitals = false;
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !in_capitals {
            words.push('_');
        }
        in_capitals = letter.is_ascii_uppercase();
        words.push(letter.to_ascii_lowercase());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::snake;

    #[test]
    fn names_take_the_database_case() {
        for (name, column) in [("grossUS", "gross_us"), ("movieId", "movie_id"), ("title", "title")] {
            assert_eq!(snake(name), column);
        }
    }
}
