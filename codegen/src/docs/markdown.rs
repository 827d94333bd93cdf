//! GitHub's Markdown: tables, and texts that stay what they are whatever they hold.

/// A table; every cell is Markdown already.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: Vec<&str>| format!("| {} |", cells.join(" | "));
    let mut lines = vec![line(head.to_vec()), format!("|{}", "---|".repeat(head.len()))];
    lines.extend(rows.iter().map(|row| line(row.iter().map(String::as_str).collect())));
    lines.join("\n")
}

/// Words as they are, on one line.
pub(super) fn text(words: &str) -> String {
    let mut escaped = String::with_capacity(words.len());
    for character in words.split_whitespace().collect::<Vec<_>>().join(" ").chars() {
        match character {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '$' => escaped.extend(['\\', character]),
            _ if character.is_control() => escaped.push(' '),
            _ => escaped.push(character),
        }
    }
    escaped
}

/// Words as a paragraph of their own: nothing at its beginning makes it a heading, a list or a rule.
pub(super) fn paragraph(words: &str) -> String {
    let escaped = text(words);
    let digits = escaped.len() - escaped.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    match escaped[digits..].chars().next() {
        Some('#' | '+' | '-' | '=' | ':') if digits == 0 => format!("\\{escaped}"),
        Some('.' | ')') if digits > 0 => format!("{}\\{}", &escaped[..digits], &escaped[digits..]),
        _ => escaped,
    }
}

/// Words as code. A pipe is escaped even there, for a table is cut into cells first; a backslash before one can't be
/// written as code at all.
pub(super) fn code(words: &str) -> String {
    if words.contains('\\') || words.trim().is_empty() {
        return text(words);
    }
    let line = words.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|");
    let longest = line.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let pad = if line.starts_with('`') || line.ends_with('`') { " " } else { "" };
    format!("{fence}{pad}{line}{pad}{fence}")
}

/// Several as code, with commas.
pub(super) fn codes<'n>(words: impl IntoIterator<Item = &'n String>) -> String {
    list(words.into_iter().map(|word| code(word)))
}

/// Several, with commas.
pub(super) fn list(items: impl IntoIterator<Item = String>) -> String {
    items.into_iter().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_stay_what_they_are() {
        assert_eq!(
            text("a|b\n*c* <d> `e` [f](g) &amp;"),
            "a\\|b \\*c\\* &lt;d&gt; \\`e\\` \\[f\\](g) &amp;amp;"
        );
        assert_eq!(paragraph("# no heading"), "\\# no heading");
        assert_eq!(paragraph("1. no list"), "1\\. no list");
        assert_eq!(code("a || `b`"), "`` a \\|\\| `b` ``");
        assert_eq!(code("a\\|b"), "a\\\\\\|b");
        assert_eq!(code("[Talent!]!"), "`[Talent!]!`");
    }
}
