//! Where the words of a search stand in a hit's own text.

use std::ops::Range;

use plan::{
    Field, FieldTree,
    field::MappingKind,
    filter::{values_at, words::words},
};
use serde_json::Value;

use crate::text::FreeText;

/// How much of a long text is shown, in bytes, rounded to words.
const FRAGMENT_BYTES: usize = 200;

/// Texts shown of one field; a movie has forty actors.
const TEXTS_A_FIELD: usize = 3;

/// A piece of a document's text with the words that were searched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Highlight {
    /// The field.
    pub path: String,
    /// The text, or the piece of it around the first word found.
    pub text: String,
    /// Where the words stand in it, in bytes, in order.
    pub marks: Vec<Range<usize>>,
}

impl Highlight {
    /// The text with something before and after each word found. It is not escaped for HTML; see [`Highlight::pieces`].
    pub fn marked(&self, before: &str, after: &str) -> String {
        self.pieces().fold(String::new(), |text, (piece, found)| match found {
            true => text + before + piece + after,
            false => text + piece,
        })
    }

    /// The text cut at the marks, each piece with whether it was searched for.
    pub fn pieces(&self) -> impl Iterator<Item = (&str, bool)> {
        let ends = self.marks.iter().map(|mark| mark.start).chain([self.text.len()]);
        let starts = std::iter::once(0).chain(self.marks.iter().map(|mark| mark.end));
        let between = starts.zip(ends).map(|(start, end)| (&self.text[start..end], false));
        let mut marks = self.marks.iter().map(|mark| (&self.text[mark.clone()], true));
        between
            .flat_map(move |piece| [Some(piece), marks.next()])
            .flatten()
            .filter(|(piece, _)| !piece.is_empty())
    }
}

/// The places of the text in a document, by the fields that were searched.
pub(crate) fn highlights(
    fields: &FieldTree,
    searched: &[String],
    text: &FreeText,
    document: &Value,
) -> Vec<Highlight> {
    let is_searched = |field: &&Field| {
        let by_copy = field.mapping.copy_to.as_ref().is_some_and(|path| searched.contains(path));
        field.mapping.kind == MappingKind::Text && (searched.contains(&field.path) || by_copy)
    };
    let mut found = Vec::new();
    for field in fields.walk().filter(is_searched) {
        let names: Vec<String> = field.path.split('.').map(str::to_owned).collect();
        let mut texts = Vec::new();
        collect_texts(&values_at(document, &names), &mut texts);
        let of_field = texts.iter().filter_map(|value| highlight(&field.path, value, text));
        found.extend(of_field.take(TEXTS_A_FIELD));
    }
    found
}

fn collect_texts(values: &[Value], texts: &mut Vec<String>) {
    for value in values {
        match value {
            Value::String(text) => texts.push(text.clone()),
            Value::Array(items) => collect_texts(items, texts),
            _ => {}
        }
    }
}

fn highlight(path: &str, value: &str, text: &FreeText) -> Option<Highlight> {
    let marks: Vec<Range<usize>> =
        words(value).filter(|word| text.finds(&word.folded)).map(|word| word.range).collect();
    let piece = fragment(value, marks.first()?);
    let marks = marks
        .into_iter()
        .filter(|mark| piece.start <= mark.start && mark.end <= piece.end)
        .map(|mark| mark.start - piece.start..mark.end - piece.start)
        .collect();
    Some(Highlight { path: path.to_owned(), text: value[piece].to_owned(), marks })
}

/// The piece of a text around a mark, cut between words.
fn fragment(text: &str, mark: &Range<usize>) -> Range<usize> {
    if text.len() <= FRAGMENT_BYTES {
        return 0..text.len();
    }
    let around = FRAGMENT_BYTES.saturating_sub(mark.len()) / 2;
    let from = boundary_before(text, mark.start.saturating_sub(around));
    let to = boundary_before(text, (mark.end + around).min(text.len())).max(mark.end);
    let start = match text[from..mark.start].find(char::is_whitespace) {
        Some(at) if from > 0 => mark.start - text[from + at..mark.start].trim_start().len(),
        _ => from,
    };
    let end = match text[mark.end..to].rfind(char::is_whitespace) {
        Some(at) if to < text.len() => mark.end + at,
        _ => to,
    };
    start..end
}

/// The nearest place at or before `at` that doesn't cut a character.
fn boundary_before(text: &str, at: usize) -> usize {
    (0..=at).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(value: &str, text: &str) -> Option<String> {
        highlight("title", value, &FreeText::new(text).unwrap()).map(|highlight| highlight.marked("[", "]"))
    }

    #[test]
    fn words_are_marked_as_they_are_written() {
        assert_eq!(
            marked("Amélie's CRASH landing", "crash amelie").as_deref(),
            Some("[Amélie]'s [CRASH] landing")
        );
        assert_eq!(marked("crash", "c").as_deref(), Some("[crash]"));
        assert_eq!(marked("nothing here", "crash"), None);
    }

    #[test]
    fn a_long_text_is_cut_around_the_first_word() {
        let long = format!("{} été {}", "é ".repeat(500), "à bientôt ".repeat(500));
        let cut = marked(&long, "ete").unwrap();
        assert!(cut.contains("[été]") && cut.len() < FRAGMENT_BYTES + 10, "{cut}");
        assert!(marked(&"ä".repeat(5_000), "a").unwrap().len() > 5_000, "a word is never cut");
        let wide = format!("{}\u{3000}{} x", "\u{3000}".repeat(90), "é".repeat(90));
        assert!(marked(&wide, "x").is_some());
    }
}
