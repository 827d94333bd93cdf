//! Lines and columns, as parsers tell them, to bytes of the text, as diagnostics carry them.

/// The byte of a line and column, both from 1, columns in characters; the nearest there is where they lie outside.
pub(crate) fn offset(text: &str, line: usize, column: usize) -> usize {
    let mut start = 0;
    for _ in 1..line {
        match text[start..].find('\n') {
            Some(end) => start += end + 1,
            None => return text.len(),
        }
    }
    let end = text[start..].find('\n').map_or(text.len(), |end| start + end);
    text[start..end].char_indices().nth(column.saturating_sub(1)).map_or(end, |(at, _)| start + at)
}

#[cfg(test)]
mod tests {
    use super::offset;

    #[test]
    fn columns_are_characters_and_never_leave_the_text() {
        assert_eq!(offset("é: 1\nnäme: x", 2, 3), 9);
        assert_eq!(offset("ab\n", 1, 99), 2);
        assert_eq!(offset("ab", 9, 1), 2);
        assert_eq!(offset("", 0, 0), 0);
    }
}
