//! What a report shows of a configuration: the text, with stars where a secret is written out. It reads lines, not YAML,
//! because a text that is no YAML is shown, too.

use std::ops::Range;

/// Keys whose values are secrets, or that hold secrets below them; a test compares them with the JSON Schema.
const KEYS: [&str; 10] = [
    "headers",
    "properties",
    "tokens",
    "auth",
    "registry_auth",
    "username",
    "password",
    "bearer",
    "api_key",
    "webhook",
];

/// Parts of other keys that say it: below a misspelt `headers:` there is still an `authorization:`.
const TELLING: [&str; 8] =
    ["authorization", "passw", "secret", "token", "api-key", "apikey", "credential", "cookie"];

/// Whether a key says by itself that its value is a secret.
pub(super) fn is_telling(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    TELLING.iter().any(|part| key.contains(part))
}

/// What says the kind of credentials, and is none.
const SCHEMES: [&str; 4] = ["Bearer ", "Basic ", "Token ", "ApiKey "];

/// The text with `*` for each byte of a secret: lines, columns and offsets stay what they are.
///
/// Keys and names of variables stay; the default of a variable is a secret, too. Rather too much is hidden than too
/// little: all that stands behind such a key on its line, and all that is indented below it.
///
/// `unknown` are the places of keys that nobody knows, in bytes: what stands behind one may be a secret by a misspelt name.
pub fn masked(text: &str, unknown: &[usize]) -> String {
    let mut masker = Masker { text, unknown, bytes: text.as_bytes().to_vec(), below: None, open: 0 };
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let end = start + line.trim_end().len();
        masker.line(start..end);
        masker.credentials(start..end);
        start += line.len();
    }
    String::from_utf8(masker.bytes).expect("whole characters are replaced, and by ASCII")
}

struct Masker<'t> {
    text: &'t str,
    unknown: &'t [usize],
    bytes: Vec<u8>,
    /// The column of the secret key that the next lines may belong to.
    below: Option<usize>,
    /// Brackets of its value that are open.
    open: usize,
}

impl Masker<'_> {
    fn line(&mut self, line: Range<usize>) {
        let written = &self.text[line.clone()];
        // Quoted lines of Markdown are indented by their signs.
        let indent = written.len() - written.trim_start_matches([' ', '\t', '>']).len();
        let content = line.start + indent..line.end;
        if content.is_empty() {
            return;
        }
        if self.open > 0 {
            return self.hide_flow(content);
        }
        let is_item = written[indent..].starts_with('-');
        if self.below.is_some_and(|column| indent > column || is_item && indent == column) {
            return self.hide_entry(content);
        }
        self.below = None;
        if let Some((key, value)) = self.secret_key(content) {
            self.below = Some(key - line.start);
            self.hide_value(value..line.end);
        }
    }

    /// Where the first key of a line that holds a secret begins, and where its value does.
    fn secret_key(&self, content: Range<usize>) -> Option<(usize, usize)> {
        let mut at = content.start;
        while let Some(word) = self.word(at..content.end) {
            let name = self.text[word.clone()].trim_matches(['"', '\'']).to_ascii_lowercase();
            let is_secret = KEYS.contains(&name.as_str())
                || is_telling(&name)
                || self.unknown.iter().any(|at| word.contains(at));
            match self.value_of(&word, content.end) {
                Some(value) if is_secret => return Some((word.start, value)),
                _ => at = word.end,
            }
        }
        None
    }

    /// The next word: in quotes, or up to a blank, a comma, a bracket, or the colon behind a key.
    fn word(&self, within: Range<usize>) -> Option<Range<usize>> {
        let is_between = |c: char| c.is_whitespace() || matches!(c, ',' | '{' | '}' | '[' | ']' | ':');
        let rest = &self.text[within.clone()];
        let start = within.start + rest.find(|c| !is_between(c))?;
        let rest = &self.text[start..within.end];
        let quoted = rest.strip_prefix(['"', '\'']).and_then(|inner| inner.find(&rest[..1]));
        let ends_here = |(at, c): (usize, char)| {
            let is_end = is_between(c) && (c != ':' || self.is_colon(start + at, within.end));
            is_end.then_some(at)
        };
        let length = quoted.map(|end| end + 2).or_else(|| rest.char_indices().find_map(ends_here));
        Some(start..start + length.unwrap_or(rest.len()))
    }

    /// Whether a colon ends a key: a blank or nothing follows.
    fn is_colon(&self, at: usize, end: usize) -> bool {
        let text = self.text.as_bytes();
        text[at] == b':' && (at + 1 >= end || text[at + 1].is_ascii_whitespace())
    }

    /// Where the value begins, if the word is a key.
    fn value_of(&self, word: &Range<usize>, end: usize) -> Option<usize> {
        let is_quoted = self.text[word.clone()].ends_with(['"', '\'']);
        let is_key = word.end < end
            && (self.is_colon(word.end, end) || is_quoted && self.text.as_bytes()[word.end] == b':');
        is_key.then_some(word.end + 1)
    }

    /// Hides the value of a line below a secret's key; its own key stays.
    fn hide_entry(&mut self, content: Range<usize>) {
        let item = self.text[content.clone()].trim_start_matches(['-', ' ']);
        let start = content.end - item.len();
        let key = self.word(start..content.end).filter(|word| word.start == start);
        let value = key.and_then(|key| self.value_of(&key, content.end));
        self.hide_value(value.unwrap_or(start)..content.end);
    }

    fn hide_value(&mut self, value: Range<usize>) {
        if self.text[value.clone()].trim_start().starts_with(['{', '[']) {
            self.hide_flow(value);
        } else {
            self.hide(value);
        }
    }

    /// Hides every word but the keys, and counts the brackets between them.
    fn hide_flow(&mut self, content: Range<usize>) {
        let mut at = content.start;
        loop {
            let word = self.word(at..content.end);
            let between = at..word.as_ref().map_or(content.end, |word| word.start);
            for byte in self.text[between].bytes() {
                match byte {
                    b'{' | b'[' => self.open += 1,
                    b'}' | b']' => self.open = self.open.saturating_sub(1),
                    _ => {}
                }
            }
            let Some(word) = word else { return };
            at = word.end;
            if self.text[word.clone()].starts_with("${") {
                // Its braces are none of YAML's.
                at = self.text[at..content.end].find('}').map_or(content.end, |end| at + end + 1);
            }
            if self.value_of(&word, content.end).is_none() {
                self.hide(word.start..at);
            }
        }
    }

    /// Hides a value but for blanks, quotes around it, the kind of credentials, and names of variables.
    fn hide(&mut self, value: Range<usize>) {
        let written = self.text[value.clone()].trim_start();
        let bare = written.strip_prefix(['"', '\'']).unwrap_or(written);
        let bare = SCHEMES.iter().find_map(|scheme| bare.strip_prefix(scheme)).unwrap_or(bare);
        let mut at = value.end - bare.len();
        while at < value.end {
            let variable = variable(&self.text[at..value.end]);
            at += variable;
            let Some(hidden) = self.text[at..value.end].chars().next() else { return };
            if variable == 0 {
                let is_shown = hidden.is_whitespace() || matches!(hidden, '"' | '\'' | '}');
                if !is_shown {
                    self.bytes[at..at + hidden.len_utf8()].fill(b'*');
                }
                at += hidden.len_utf8();
            }
        }
    }

    /// Hides user and password in an address, and what follows the word that says the kind of credentials.
    fn credentials(&mut self, line: Range<usize>) {
        let written = &self.text[line.clone()];
        for (at, _) in written.match_indices("://") {
            let start = at + 3;
            let host = &written[start..];
            let host = &host[..host.find(['/', '?', '#', ' ', '"', '\'']).unwrap_or(host.len())];
            if let Some(end) = host.rfind('@') {
                self.hide(line.start + start..line.start + start + end);
            }
        }
        for scheme in ["Bearer ", "Basic "] {
            for (at, _) in written.match_indices(scheme) {
                let start = at + scheme.len();
                let end =
                    written[start..].find(['"', '\'', ' ', ',']).map_or(written.len(), |end| start + end);
                self.hide(line.start + start..line.start + end);
            }
        }
    }
}

/// How many bytes of `${NAME`, or of `${NAME:-` and `${NAME:?`, begin a text.
fn variable(text: &str) -> usize {
    let Some(inner) = text.strip_prefix("${") else { return 0 };
    let is_name = |c: char| c.is_ascii_alphanumeric() || "_./-".contains(c);
    let name = inner.find(|c| !is_name(c)).unwrap_or(inner.len());
    let sign = if inner[name..].starts_with(":-") || inner[name..].starts_with(":?") { 2 } else { 0 };
    if inner[name..].starts_with('}') || sign > 0 { 2 + name + sign } else { 0 }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn same_size(text: &str) -> String {
        let shown = masked(text, &[]);
        assert_eq!(shown.len(), text.len());
        shown
    }

    #[test]
    fn secrets_are_starred_wherever_they_stand() {
        for text in [
            "graph:\n  headers:\n    authorization: Bearer s3cret\n    x-key: s3cret\n  timeout: 1s",
            "headers: { authorization: \"Bearer s3cret\", x: s3cret, y: 's3cret' }",
            "headers:\n  { a: s3cret,\nb: s3cret }\nname: x",
            "{\"graph\": {\"headers\": {\"authorization\":\"s3cret\"}}}",
            "serve:\n  tokens:\n  - s3cret\n  - \"s3cret, s3cret\"\n  listen: x",
            "store: { auth: { bearer: s3cret } }",
            "auth: s3cret: s3cret",
            "password: |\n  s3cret\n  s3cret: s3cret2",
            "heders:\n  authorization: s3cret",
            "graph: { url: \"https://s3cret:s3cret@gateway/\" }",
            "x: &a Bearer s3cret",
            "authorization: \"Bearer s3cret",
            "authorization: \"${A:-s3cret}s3cret${s3cret s3cret}\"",
            "> headers:\n>   a: s3cret",
        ] {
            let shown = same_size(text);
            let left = shown.replace("${A:-", "").replace("  s3cret:", "");
            assert!(!left.contains("s3cret"), "{shown}");
        }
    }

    #[test]
    fn what_is_no_secret_stays() {
        let shown = same_size(
            "name: movies\ngraph:\n  headers:\n    authorization: \"Bearer ${TOKEN}\"\n    é: ünd\n  url: http://a@b/\n  timeout: 1s\nserve: { tokens: [ab, \"${T}\"] }",
        );
        let wanted = "name: movies\ngraph:\n  headers:\n    authorization: \"Bearer ${TOKEN}\"\n    é: ****\n  url: http://*@b/\n  timeout: 1s\nserve: { tokens: [**, \"${T}\"] }";
        assert_eq!(shown, wanted);
        let example = include_str!("../../../configs/movies/index.yaml");
        assert_eq!(masked(example, &[]), example);
    }

    /// The keys above each secret of the schema.
    fn secrets(schema: &Value, key: &str, found: &mut Vec<String>) {
        if schema.get("writeOnly").is_some() {
            found.push(key.to_owned());
        }
        for (name, below) in schema.as_object().into_iter().flatten() {
            match (name.as_str(), below) {
                ("properties", Value::Object(keys)) => {
                    keys.iter().for_each(|(key, below)| secrets(below, key, found));
                }
                ("anyOf", Value::Array(forms)) => forms.iter().for_each(|form| secrets(form, key, found)),
                _ => secrets(below, key, found),
            }
        }
    }

    #[test]
    fn every_secret_of_the_language_is_known() {
        let mut found = Vec::new();
        secrets(&serde_json::from_str(super::super::SCHEMA).unwrap(), "", &mut found);
        assert!(found.len() >= 10, "{found:?}");
        for key in found {
            assert!(KEYS.contains(&key.as_str()), "{key} holds a secret");
        }
    }
}
