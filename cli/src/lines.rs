//! Texts as reports show them: secrets hidden, and their lines found once, however many findings there are.

use std::{
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use codegen::config::masked;
use plan::{Diagnostic, SourceText, code::config::SS102};

/// A text of the user with the places of its lines.
pub(crate) struct Lines {
    /// The name it is reported under.
    pub(crate) name: String,
    /// As long as the text itself, with `*` where a secret stands.
    pub(crate) shown: String,
    /// Where lines begin, in bytes; the first one at 0.
    starts: Vec<usize>,
    source: Arc<SourceText>,
    /// The offset that was asked for last, and its column: the next one is mostly near.
    last: Mutex<(usize, usize)>,
}

/// The texts of some diagnostics, each read once.
#[derive(Default)]
pub(crate) struct Shelf {
    /// The texts with the places of their unknown keys.
    unknown: Vec<(Arc<SourceText>, Vec<usize>)>,
    read: Vec<Arc<Lines>>,
}

impl Shelf {
    /// A shelf for these diagnostics: what one of them says of a text, all reports of it must know.
    pub(crate) fn of<'d>(diagnostics: impl IntoIterator<Item = &'d Diagnostic>) -> Self {
        let mut unknown: Vec<(Arc<SourceText>, Vec<usize>)> = Vec::new();
        let places = diagnostics.into_iter().filter(|found| found.code == SS102);
        for (source, range) in places.filter_map(|found| found.place.as_ref()) {
            match unknown.iter_mut().find(|(known, _)| Arc::ptr_eq(known, source)) {
                Some((_, keys)) => keys.push(range.start),
                None => unknown.push((Arc::clone(source), vec![range.start])),
            }
        }
        Self { unknown, read: Vec::new() }
    }

    /// The text that a diagnostic stands in, and where.
    pub(crate) fn place(&mut self, diagnostic: &Diagnostic) -> Option<(Arc<Lines>, Range<usize>)> {
        let (source, range) = diagnostic.place.as_ref()?;
        let known = self.read.iter().find(|lines| Arc::ptr_eq(&lines.source, source)).cloned();
        let lines = known.unwrap_or_else(|| {
            let unknown = self.unknown.iter().find(|(known, _)| Arc::ptr_eq(known, source));
            let lines = Arc::new(Lines::of(source, unknown.map_or(&[], |(_, keys)| keys)));
            self.read.push(Arc::clone(&lines));
            lines
        });
        Some((lines, range.clone()))
    }
}

impl Lines {
    fn of(source: &Arc<SourceText>, unknown: &[usize]) -> Self {
        let breaks = source.text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let starts = std::iter::once(0).chain(breaks.map(|(at, _)| at + 1)).collect();
        // What a key such as `headers:` is in a configuration, is a field in GraphQL.
        let is_graph =
            [".graphql", ".graphqls", ".gql", ".json"].iter().any(|end| source.name.ends_with(end));
        let shown = if is_graph { source.text.clone() } else { masked(&source.text, unknown) };
        Self {
            name: source.name.clone(),
            shown,
            starts,
            source: Arc::clone(source),
            last: Mutex::new((0, 1)),
        }
    }

    /// The number of the line that a byte stands in, from 0.
    pub(crate) fn number(&self, offset: usize) -> usize {
        self.starts.partition_point(|&start| start <= offset) - 1
    }

    /// The bytes of some lines, with their line breaks; a line past the end has none.
    pub(crate) fn range(&self, lines: Range<usize>) -> Range<usize> {
        let start = |line: usize| self.starts.get(line).copied().unwrap_or(self.shown.len());
        start(lines.start)..start(lines.end)
    }

    /// The line and column of a byte offset, both from 1, columns in characters.
    pub(crate) fn position(&self, offset: usize) -> (usize, usize) {
        let text = self.source.text.as_bytes();
        let offset = offset.min(text.len());
        let number = self.number(offset);
        // Bytes that continue a UTF-8 sequence begin with 10.
        let characters =
            |range: Range<usize>| text[range].iter().filter(|&&byte| byte & 0xC0 != 0x80).count();
        let mut asked = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, column) = *asked;
        let column = match last {
            last if self.number(last) != number => characters(self.starts[number]..offset) + 1,
            last if last <= offset => column + characters(last..offset),
            last => column - characters(offset..last),
        };
        *asked = (offset, column);
        (number + 1, column)
    }
}

#[cfg(test)]
mod tests {
    use plan::{code::config::SS101, diagnostic::line_and_column};

    use super::*;

    #[test]
    fn places_are_those_that_are_counted_from_the_start() {
        let text = "é: 1\nnäme: xyz\r\n\nüü ü".to_owned();
        let source = Arc::new(SourceText { name: "index.yaml".to_owned(), text });
        let (lines, _) =
            Shelf::default().place(&Diagnostic::error(SS101, "").at(&source, 0..0)).expect("it has one");
        let boundaries =
            (0..source.text.len() + 3).filter(|&at| source.text.is_char_boundary(at.min(source.text.len())));
        let forth: Vec<usize> = boundaries.collect();
        for &at in forth.iter().chain(forth.iter().rev()).chain(forth.iter().step_by(3)) {
            assert_eq!(lines.position(at), line_and_column(&source.text, at), "{at}");
        }
    }
}
