//! The patterns of `LIKE`: `*` is any run, `?` one character, a backslash takes the next character as it is.

/// A pattern for a whole value. Matching takes at most pattern times text, whatever the pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Char(char),
    AnyChar,
    AnyRun,
}

impl Pattern {
    /// Reads a pattern; every text is one.
    pub fn new(text: &str) -> Self {
        let mut parts = Vec::with_capacity(text.len());
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            let part = match c {
                '*' => Part::AnyRun,
                '?' => Part::AnyChar,
                '\\' => Part::Char(chars.next().unwrap_or('\\')),
                c => Part::Char(c),
            };
            if part != Part::AnyRun || parts.last() != Some(&Part::AnyRun) {
                parts.push(part);
            }
        }
        Self { parts }
    }

    /// Whether the whole text fits.
    pub fn matches(&self, text: &str) -> bool {
        let mut rest = text.chars();
        let mut part = 0;
        // Where to go on when a guess about the last `*` proves wrong. Only the last one ever needs another guess.
        let mut retry = None;
        loop {
            let before = rest.clone();
            let fits = match (self.parts.get(part), rest.next()) {
                (None, None) => return true,
                (Some(Part::AnyRun), _) => {
                    rest = before;
                    retry = Some((part + 1, rest.clone()));
                    true
                }
                // A run that could still grow has nothing left to grow over.
                (_, None) => return false,
                (Some(Part::AnyChar), Some(_)) => true,
                (Some(Part::Char(wanted)), Some(c)) => *wanted == c,
                (None, Some(_)) => false,
            };
            if fits {
                part += 1;
                continue;
            }
            let Some((after_run, from)) = &mut retry else { return false };
            from.next();
            part = *after_run;
            rest = from.clone();
        }
    }

    /// The text that every match begins with; may be empty.
    pub fn prefix(&self) -> String {
        self.parts
            .iter()
            .map_while(|part| match part {
                Part::Char(c) => Some(*c),
                Part::AnyChar | Part::AnyRun => None,
            })
            .collect()
    }

    /// The only text that fits, where there is but one.
    pub fn literal(&self) -> Option<String> {
        let chars = self.parts.iter().map(|part| match part {
            Part::Char(c) => Some(*c),
            Part::AnyChar | Part::AnyRun => None,
        });
        chars.collect()
    }

    /// The pattern as text: reading it gives the same pattern.
    pub fn text(&self) -> String {
        let mut text = String::with_capacity(self.parts.len());
        for part in &self.parts {
            match part {
                Part::AnyRun => text.push('*'),
                Part::AnyChar => text.push('?'),
                Part::Char(c) => {
                    if matches!(c, '*' | '?' | '\\') {
                        text.push('\\');
                    }
                    text.push(*c);
                }
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_values_match() {
        for (pattern, text, fits) in [
            ("The *", "The End", true),
            ("The *", "the End", false),
            ("The *", "In The End", false),
            ("*end*", "the end.", true),
            ("?", "é", true),
            ("?", "", false),
            ("", "", true),
            ("*", "", true),
            ("a*b?c", "aXbXbYc", true),
            ("a*b?c", "aXbXbYd", false),
            (r"\*\?", "*?", true),
            (r"\*", "x", false),
            ("a*", "b", false),
            ("*a", "ab", false),
        ] {
            assert_eq!(Pattern::new(pattern).matches(text), fits, "{pattern} on {text}");
        }
    }

    #[test]
    fn a_hostile_pattern_is_slow_for_nobody() {
        let pattern = Pattern::new(&format!("{}b", "*a".repeat(450)));
        assert!(!pattern.matches(&"a".repeat(20_000)));
    }

    #[test]
    fn a_pattern_is_its_text() {
        let pattern = Pattern::new(r"The \*?**x\");
        assert_eq!(Pattern::new(&pattern.text()), pattern);
        assert_eq!((pattern.prefix().as_str(), pattern.literal()), ("The *", None));
        assert_eq!(Pattern::new(r"\*").literal().as_deref(), Some("*"));
    }
}
