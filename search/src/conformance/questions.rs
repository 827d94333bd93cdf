//! Random searches and reverse lookups that fit a field tree.

use plan::{DocumentId, Field, FieldKind, FieldTree, field::MappingKind};

use super::{checked, dice::Dice, documents::TEXTS, filters};
use crate::{FacetCounts, SearchRequest, Sort, SuggestRequest, request::comparable_field};

/// Words and beginnings of words that some of the documents hold.
const WORDS: [&str; 8] = ["a", "x", "end the", "e", "日", "12", "o", "near q"];

/// A reverse lookup.
#[derive(Debug)]
pub(super) struct Lookup {
    pub(super) paths: Vec<String>,
    pub(super) keys: Vec<DocumentId>,
    pub(super) limit: usize,
}

/// A search, perhaps of a text, that something else than the score decides the order of: scores are each store's own.
pub(super) fn search(dice: &mut Dice, fields: &FieldTree) -> SearchRequest {
    let sort: Vec<Sort> = comparable(dice, fields, 3)
        .into_iter()
        .map(|path| Sort { path, descending: dice.chance(50) })
        .collect();
    let text = (!sort.is_empty() && dice.chance(40)).then(|| dice.pick(&WORDS).to_owned());
    let facets = comparable(dice, fields, 3);
    let filter = dice.chance(60).then(|| checked(&filters::filter(dice, &fields.0, 2).text(), fields));
    let restriction = dice.chance(30).then(|| checked(&filters::filter(dice, &fields.0, 1).text(), fields));
    let facet_counts = dice.pick(&[FacetCounts::Matching, FacetCounts::Alternatives]);
    let first = 1 + dice.below(15);
    SearchRequest { text, filter, restriction, facets, facet_counts, sort, first, ..SearchRequest::default() }
}

/// The paths whose whole values are texts.
pub(super) fn suggestible(fields: &FieldTree) -> Vec<String> {
    let is_text = |field: &&Field| {
        matches!(field.mapping.kind, MappingKind::Keyword | MappingKind::Text)
            && comparable_field(fields, &field.path).is_ok()
    };
    fields.walk().filter(is_text).map(|field| field.path.clone()).collect()
}

/// Something typed, of some or all fields; `None` where nothing is suggested.
pub(super) fn suggestion(dice: &mut Dice, fields: &FieldTree) -> Option<SuggestRequest> {
    let declared = suggestible(fields);
    if declared.is_empty() {
        return None;
    }
    let paths = (0..dice.below(3)).map(|_| dice.pick(&declared).clone()).collect();
    let filter = dice.chance(60).then(|| checked(&filters::filter(dice, &fields.0, 2).text(), fields));
    Some(SuggestRequest { prefix: dice.pick(&WORDS).to_owned(), filter, paths, first: 1 + dice.below(30) })
}

/// Up to so many paths that can be sorted and counted.
pub(super) fn comparable(dice: &mut Dice, fields: &FieldTree, most: usize) -> Vec<String> {
    let comparable: Vec<&Field> =
        fields.walk().filter(|field| comparable_field(fields, &field.path).is_ok()).collect();
    let count = if comparable.is_empty() { 0 } else { dice.below(most + 1) };
    (0..count).map(|_| dice.pick(&comparable).path.clone()).collect()
}

/// A reverse lookup of one or more paths; `None` where nothing holds keys.
pub(super) fn lookup(dice: &mut Dice, fields: &FieldTree) -> Option<Lookup> {
    let holds_keys = |field: &&Field| {
        field.kind != FieldKind::Virtual
            && matches!(field.mapping.kind, MappingKind::Keyword | MappingKind::Text | MappingKind::Long)
            && comparable_field(fields, &field.path).is_ok()
    };
    let candidates: Vec<&Field> = fields.walk().filter(holds_keys).collect();
    if candidates.is_empty() {
        return None;
    }
    let paths = (0..=dice.below(3)).map(|_| dice.pick(&candidates).path.clone()).collect();
    let texts = TEXTS.iter().chain(&["2", "02", "-1", "1e300", "true", "ONE", "9223372036854775807"]);
    let keys: Vec<DocumentId> = texts.filter_map(|text| DocumentId::new(*text).ok()).collect();
    let keys = (0..=dice.below(4)).map(|_| dice.pick(&keys)).collect();
    Some(Lookup { paths, keys, limit: 1 + dice.below(20) })
}
