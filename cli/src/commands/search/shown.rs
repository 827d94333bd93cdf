//! An answer for people: a table that fits the terminal, what was searched for marked in it, and facets with bars.

use ::search::{Facet, FacetValue, Hit, SearchResponse};
use plan::filter::values_at;
use serde_json::Value;

use crate::{
    paint::Paint,
    table::{Table, harmless, terminal_width},
};

/// Columns that are shown however narrow the terminal is: the id and the first of the others.
const KEPT_COLUMNS: usize = 2;

/// Values shown of a facet; `-o json` has all that the index counted.
const FACET_VALUES: usize = 8;

/// The longest bar, in characters, and the longest one where the terminal is narrow.
const BARS: [usize; 2] = [24, 6];

/// What stands beside a value and its bar: the count, and the gaps between.
const COUNT_AND_GAPS: usize = 12;

/// A value longer than this is cut.
const LONGEST_VALUE: usize = 40;

/// The whole answer; hits in these columns.
pub(super) fn answer(columns: &[String], response: &SearchResponse, paint: Paint) -> String {
    let SearchResponse { total, hits, facets, next } = response;
    let documents = if *total == 1 { "document" } else { "documents" };
    let mut parts = vec![paint.strong(&format!("{total} {documents}"))];
    if !hits.is_empty() {
        parts.push(hit_table(columns, hits, paint));
    }
    parts.extend(facets.iter().filter_map(|facet| facet_bars(facet, terminal_width(), paint)));
    parts.extend(next.as_ref().map(|next| paint.faint(&format!("more: --after {next}"))));
    parts.join("\n")
}

fn hit_table(columns: &[String], hits: &[Hit], paint: Paint) -> String {
    let names: Vec<&str> = std::iter::once("id").chain(columns.iter().map(String::as_str)).collect();
    let mut table = Table::new(&names).keeping(KEPT_COLUMNS);
    for hit in hits {
        // A document that can't be read shows its id at least.
        let document: Value = serde_json::from_str(hit.document.get()).unwrap_or_default();
        let cells = columns.iter().map(|path| cell(&document, path));
        let marks = hit.highlights.iter().flat_map(|highlight| {
            highlight.marks.iter().map(|range| highlight.text[range.clone()].to_owned())
        });
        table.row_with_marks(std::iter::once(hit.id.to_string()).chain(cells), marks);
    }
    table.render(paint)
}

/// All values at a path, in one line.
fn cell(document: &Value, path: &str) -> String {
    let names: Vec<String> = path.split('.').map(str::to_owned).collect();
    let mut texts = Vec::new();
    values_at(document, &names).iter().for_each(|value| push_texts(value, &mut texts));
    texts.join(", ")
}

fn push_texts(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::Null => {}
        Value::String(text) => texts.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| push_texts(item, texts)),
        other => texts.push(other.to_string()),
    }
}

/// The values of a facet, each with its count and a bar as long as its share of the largest; nothing where no document has a value.
fn facet_bars(facet: &Facet, width: usize, paint: Paint) -> Option<String> {
    let most = facet.values.iter().map(|value| value.count).max()?.max(1);
    let shown = facet.values.iter().take(FACET_VALUES);
    let texts: Vec<(String, u64)> = shown.map(|value| (text(value), value.count)).collect();
    let longest_text = texts.iter().map(|(text, _)| text.chars().count()).max().unwrap_or(0);
    let [longest, narrow] = BARS;
    let bar = longest.min(width.saturating_sub(longest_text + COUNT_AND_GAPS)).max(narrow) as u64;
    let mut table = Table::new(&["value", ">count", "bar"]).without_headings();
    for (text, count) in texts {
        let length = usize::try_from((count * bar).div_ceil(most)).unwrap_or(longest);
        table.row([format!("  {text}"), count.to_string(), "█".repeat(length)]);
    }
    let more = match facet.values.len().saturating_sub(FACET_VALUES) {
        0 => String::new(),
        more => paint.faint(&format!("  and {more} more\n")),
    };
    Some(format!("{}\n{}{more}", paint.strong(&facet.path), table.render(paint)))
}

fn text(value: &FacetValue) -> String {
    let text = value.value.as_str().map_or_else(|| value.value.to_string(), harmless);
    match text.char_indices().nth(LONGEST_VALUE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
