//! The one analysis of text that every store shares: Unicode words, in lower case, Latin letters without their accents.

use std::ops::Range;

use asciifolding::fold_to_ascii;
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};
use unicode_script::{Script, UnicodeScript};

/// One word of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// Where it stands in the text, in bytes.
    pub range: Range<usize>,
    /// How it is compared: never empty, without white space, its ASCII part letters and digits only.
    pub folded: String,
}

/// The words of a text, in order: runs of letters, digits and marks; each ideograph is a word of its own.
pub fn words(text: &str) -> impl Iterator<Item = Word> {
    let mut rest = text.char_indices().peekable();
    std::iter::from_fn(move || {
        loop {
            let (start, first) = rest.find(|&(_, c)| c.is_alphanumeric())?;
            let mut end = start + first.len_utf8();
            if !is_ideograph(first) {
                while let Some((at, c)) = rest.next_if(|&(_, c)| continues_word(c)) {
                    end = at + c.len_utf8();
                }
            }
            let folded = fold(&text[start..end]);
            if !folded.is_empty() {
                return Some(Word { range: start..end, folded });
            }
        }
    })
}

/// Brings a word into the form in which it is compared.
fn fold(word: &str) -> String {
    let mut folded = String::with_capacity(word.len());
    // Compatibility letters such as ℋ become ordinary capitals only by the decomposition: lower case comes twice.
    for c in word.chars().flat_map(char::to_lowercase).nfkd().flat_map(char::to_lowercase) {
        match c {
            '\u{300}'..='\u{36f}' if folded.ends_with(|base: char| base.is_ascii()) => {}
            'ß' => folded.push_str("ss"),
            'æ' => folded.push_str("ae"),
            'œ' => folded.push_str("oe"),
            'þ' => folded.push_str("th"),
            'ø' => folded.push('o'),
            'đ' | 'ð' => folded.push('d'),
            'ł' => folded.push('l'),
            'ħ' => folded.push('h'),
            'ı' => folded.push('i'),
            // "⑴" decomposes into "(1)": what is no part of a word must not come back through the fold.
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => {}
            c if c.is_whitespace() || c.is_control() => {}
            c => folded.push(c),
        }
    }
    folded
}

/// The form in which texts with `keyword: lowercase` are sorted: in lower case, Latin letters without their accents.
///
/// Step by step what the normalizer `lowercase` of the index templates does, so that every store sorts alike.
pub fn sort_form(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let mut bare = String::with_capacity(text.len());
    let mut marks_latin = false;
    for c in text.chars() {
        let is_mark = matches!(c, '\u{300}'..='\u{36f}');
        if is_mark && marks_latin {
            continue;
        }
        marks_latin = c.script() == Script::Latin;
        bare.push(c);
    }
    fold_to_ascii(&bare).chars().flat_map(char::to_lowercase).collect()
}

fn continues_word(c: char) -> bool {
    (c.is_alphanumeric() || is_combining_mark(c)) && !is_ideograph(c)
}

/// Han and Hiragana are written without spaces; taken one by one they can be found at all.
fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{3041}'..='\u{309f}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(text: &str) -> Vec<String> {
        words(text).map(|word| word.folded).collect()
    }

    #[test]
    fn accents_and_case_do_not_matter() {
        assert_eq!(folded("Amélie — CRASH-landing!"), ["amelie", "crash", "landing"]);
        assert_eq!(folded("Straße Łódź İstanbul ℋ"), ["strasse", "lodz", "istanbul", "h"]);
        assert_eq!(folded("e\u{301}te\u{301}"), folded("été"));
        assert_eq!(folded("й"), folded("Й"));
        assert_ne!(folded("й"), folded("и"));
    }

    #[test]
    fn texts_are_sorted_without_case_and_accents() {
        assert_eq!(sort_form("Éclair Ame\u{301}\u{302}lie"), "eclair amelie");
        assert_eq!(sort_form("Straße İstanbul ǦȺ «ª»"), "strasse istanbul ga \"ª\"");
        assert_eq!(sort_form("ЙОД И\u{306} Ωμέγα 七人"), "йод и\u{306} ωμέγα 七人");
    }

    #[test]
    fn ideographs_stand_alone() {
        assert_eq!(folded("七人の侍"), ["七", "人", "の", "侍"]);
    }

    #[test]
    fn nothing_but_words_comes_out() {
        assert_eq!(folded("⑴ (\"*) NEAR\0 ½"), ["1", "near", "1\u{2044}2"]);
        assert!(folded("!!! \u{301} …").is_empty());
    }

    #[test]
    fn a_range_names_the_word_in_the_text() {
        let text = "Un été";
        let last = words(text).last().unwrap();
        assert_eq!(&text[last.range], "été");
    }
}
