//! Where an open quote or bracket began: YAML's readers notice it only lines later, where nobody looks for it.

use std::ops::Range;

/// What was opened, and never or much too late closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Opened {
    /// The byte of the quote or bracket.
    pub(crate) at: usize,
    pub(crate) sign: char,
}

/// The quote or bracket that is to blame for an error at a byte, if it stands on an earlier line.
pub(crate) fn before(text: &str, error: usize) -> Option<Opened> {
    let line = |at: usize| text[..at].matches('\n').count();
    let Marks { quotes, brackets } = Marks::of(text);
    let quote = quotes.into_iter().find(|quote| {
        // The next quote of the file ended it, and what stands behind that one is the error.
        quote.start < error && line(quote.start) < line(error) && line(error) <= line(quote.end)
    });
    if let Some(quote) = quote {
        let sign = text[quote.start..].chars().next()?;
        return Some(Opened { at: quote.start, sign });
    }
    let (at, sign) = brackets.into_iter().rfind(|(at, _)| *at < error)?;
    (line(at) < line(error)).then_some(Opened { at, sign })
}

/// The quoted scalars of more than one line, and the brackets that nothing closes.
#[derive(Default)]
struct Marks {
    quotes: Vec<Range<usize>>,
    brackets: Vec<(usize, char)>,
}

impl Marks {
    fn of(text: &str) -> Self {
        let mut marks = Self::default();
        let mut open: Vec<(usize, char)> = Vec::new();
        let bytes = text.as_bytes();
        // Whether a value may begin here; elsewhere a quote is an apostrophe and a bracket is text.
        let mut begins = true;
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            let after_blank = at == 0 || bytes[at - 1].is_ascii_whitespace();
            match byte {
                b'\n' => begins = true,
                b' ' | b'\t' | b'\r' => {}
                b'#' if after_blank => at = end_of_line(text, at) - 1,
                b'"' | b'\'' if begins => {
                    let end = end_of_quote(bytes, at);
                    if text[at..end].contains('\n') {
                        marks.quotes.push(at..end);
                    }
                    at = end - 1;
                    begins = false;
                }
                b'[' | b'{' if begins || !open.is_empty() => {
                    open.push((at, char::from(byte)));
                    begins = true;
                }
                b']' | b'}' if !open.is_empty() => {
                    let opener = if byte == b']' { '[' } else { '{' };
                    // A bracket of the other kind in between was never closed.
                    while let Some(last) = open.pop().filter(|(_, sign)| *sign != opener) {
                        marks.brackets.push(last);
                    }
                    begins = false;
                }
                b',' if !open.is_empty() => begins = true,
                b':' | b'-' | b'?' if bytes.get(at + 1).is_none_or(u8::is_ascii_whitespace) => begins = true,
                b':' if at > 0 && matches!(bytes[at - 1], b'"' | b'\'') => begins = true,
                b'&' | b'!' if begins => {
                    at += text[at..].find(char::is_whitespace).unwrap_or(text.len() - at) - 1;
                }
                b'|' | b'>' if begins && open.is_empty() => {
                    at = end_of_block(text, at) - 1;
                    begins = true;
                }
                _ => begins = false,
            }
            at += 1;
        }
        marks.brackets.append(&mut open);
        marks.brackets.sort_unstable();
        marks
    }
}

fn end_of_line(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |length| at + length)
}

/// The byte behind the quote that closes this one, or the end of the text.
fn end_of_quote(bytes: &[u8], start: usize) -> usize {
    let quote = bytes[start];
    let mut at = start + 1;
    while let Some(&byte) = bytes.get(at) {
        let is_double = byte == quote && quote == b'\'' && bytes.get(at + 1) == Some(&quote);
        if (byte == b'\\' && quote == b'"') || is_double {
            at += 1;
        } else if byte == quote {
            return at + 1;
        }
        at += 1;
    }
    bytes.len()
}

/// The end of a block scalar (`|`, `>`): the lines that are empty or deeper than the one that begins it.
fn end_of_block(text: &str, start: usize) -> usize {
    let indentation = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let outer = indentation(&text[line_start..]);
    let mut end = end_of_line(text, start);
    while end < text.len() {
        let next = end_of_line(text, end + 1);
        let line = &text[end + 1..next];
        if !line.trim().is_empty() && indentation(line) <= outer {
            break;
        }
        end = next;
    }
    end
}

#[cfg(test)]
mod tests {
    use super::before;

    /// The sign that is to blame for an error at the `^`, with what stands behind it.
    fn blamed(text: &str) -> Option<&str> {
        let error = text.find('^').expect("an error");
        before(text, error).map(|opened| text[opened.at..].lines().next().unwrap_or_default())
    }

    #[test]
    fn a_quote_is_blamed_where_it_opens() {
        assert_eq!(blamed("a: \"x\nb: 1\nc: \"y^\""), Some("\"x"));
        assert_eq!(blamed("a: 'it''s\nb: [1]\n^"), Some("'it''s"));
        assert_eq!(blamed("# it's\nd: it's \"so\"\nt: |\n  \"prose\n\na: \"x\n  y\"\nb: 1\n^"), None);
        assert_eq!(blamed("- !s 'x\n- &a \"y^"), Some("'x"));
    }

    #[test]
    fn a_bracket_is_blamed_where_nothing_closes_it() {
        assert_eq!(blamed("a: [1, 2\nb: { c: 1 }\n^"), Some("[1, 2"));
        assert_eq!(blamed("a: { b: [1, 2 }\nb: 1\n^"), Some("[1, 2 }"));
        assert_eq!(blamed("a: {\n  b: 1,\n  c^ }\n"), None);
        assert_eq!(blamed("a: not [a list\nb:\tx: ^"), None);
        assert_eq!(blamed("é^"), None);
    }
}
