//! `backfill.checks:` — what must hold before a new index version is served.

use super::reader::{Item, Located, Reader};

/// The checks of a promotion. Whether the paths are fields of the document is [`crate::compile`]'s to say.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ChecksConfig {
    /// Documents against those of the served version, at least, 0 to 1.
    pub min_count_ratio: Option<f64>,
    /// Fields that documents must have.
    pub required: Vec<Located<String>>,
    /// The share of documents without one of these fields, at most, 0 to 1; left out: none.
    pub max_missing: Option<f64>,
    /// Documents that are compared with the graph, 0 to 10,000.
    pub sample: Option<u64>,
}

pub(super) fn read(reader: &mut Reader<'_>, item: &Item<'_>) -> ChecksConfig {
    let Some(mut checks) = reader.section(item) else { return ChecksConfig::default() };
    let read = ChecksConfig {
        min_count_ratio: checks.read(reader, "min_count_ratio", Reader::share),
        required: checks.read(reader, "required", Reader::texts).unwrap_or_default(),
        max_missing: checks.read(reader, "max_missing", Reader::share),
        sample: checks.read(reader, "sample", |reader, item| reader.integer(item, 0..=10_000)),
    };
    checks.finish(reader);
    read
}
