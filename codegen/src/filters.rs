//! Filters over documents that stand in `index.yaml`: what is wrong with one, at its place in the file.

use plan::{Diagnostic, FieldTree, filter};

use crate::config::{Config, Located, part_of};

/// The mistakes of a filter, at the exact place where it stands in the file as it is, else at the whole of it.
pub(crate) fn mistakes(config: &Config, tree: &FieldTree, written: &Located<String>) -> Vec<Diagnostic> {
    let found = filter::checked("<filter>", written.value.as_str(), tree).err().unwrap_or_default();
    let placed = |mistake: Diagnostic| {
        let part = mistake.place.as_ref().map_or(0..0, |(_, range)| range.clone());
        let range = part_of(&config.source, &written.range, &written.value, &part);
        mistake.at(&config.source, range)
    };
    found.into_iter().map(placed).collect()
}
