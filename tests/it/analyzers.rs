//! The analyzers do what they promise, with the same tokens on every server.

use std::ops::RangeInclusive;

use harness::servers::Rest;
use plan::filter::words::{sort_form, words};
use serde_json::{Value, json};

use crate::{
    compiled::every_kind,
    engines::{create_index, engines, put_templates},
};

/// An analyzer, a text, and its tokens in the order of their places.
const TOKENS: [(&str, &str, &str); 30] = [
    ("title", "Spider-Man: No Way Home", "spiderman spider man no way home"),
    ("title", "WALL·E", "walle wall e"),
    ("title", "Amélie", "amelie"),
    ("title", "Ame\u{301}lie", "amelie"),
    ("title", "ÆON FLUX", "aeon flux"),
    ("title", "Ocean’s Eleven", "oceans ocean s eleven"),
    ("title", "10,000 BC", "10000 10 000 bc"),
    ("title", "Se7en", "se7en se 7 en"),
    ("title", "M*A*S*H", "mash m a s h"),
    ("title", "S.W.A.T.", "swat s w a t"),
    ("title", "Fast & Furious", "fast and furious"),
    ("title", "AT&T", "att at t"),
    ("title", "Mission: Impossible - Fallout", "mission impossible fallout"),
    ("title", "七人の侍", "七 人 の 侍"),
    ("title", "千と千尋の神隠し Spirited Away", "千 と 千 尋 の 神 隠 し spirited away"),
    ("title", "Сталкер", "сталкер"),
    ("title", "??? !!!", ""),
    ("name", "Penélope Cruz", "penelope cruz"),
    ("name", "Jean-Luc Godard", "jeanluc jean luc godard"),
    ("name", "O'Brien", "obrien o brien"),
    ("name", "J.J. Abrams", "jj j j abrams"),
    ("name", "DiCaprio", "dicaprio di caprio"),
    ("name", "2Pac", "2pac"),
    ("english", "The runner’s running shoes", "the runner run shoe"),
    ("prefix", "Wall-E", "w wa wal wall walle w wa wal wall e"),
    ("prefix_search", "Wall-E", "walle wall e"),
    ("prefix_search", "Llanfairpwllgwyngyllgogerychwyrndrobwll", "llanfairpwllgwyngyll"),
    ("words", "Crash-landing at WALL·E's", "crash landing at wall e s"),
    ("words", "Straße Łódź", "strasse lodz"),
    ("words", "e\u{301}te\u{301} НЛО", "ete нло"),
];

#[test]
fn texts_become_the_same_words_everywhere() {
    let made = every_kind();
    for (server, engine) in engines() {
        put_templates(server, engine, &made);
        let name = "every-kind-000004";
        create_index(server, name);
        for (analyzer, text, tokens) in TOKENS {
            let got = analyze(server, name, "analyzer", analyzer, text);
            assert_eq!(got.join(" "), tokens, "{analyzer} of {text:?} on {}", server.url);
        }
        sort_forms_are_ours(server, name);
        for text in MATCHED {
            let ours: Vec<String> = words(text).map(|word| word.folded).collect();
            let got = analyze(server, name, "analyzer", "words", text);
            // Beyond ASCII, the same letter may be written in two ways: each side keeps to its own.
            let got: Vec<String> =
                got.into_iter().map(|word| if word.is_ascii() { word } else { folded(&word) }).collect();
            assert_eq!(got, ours, "{text:?} on {}", server.url);
        }
    }
}

/// Every letter alone, and with accents after it. What is newer than the oldest Java is left out.
const SORTED: [RangeInclusive<char>; 11] = [
    '\u{1}'..='\u{1c7f}',
    '\u{1c90}'..='\u{209c}',
    '\u{20a0}'..='\u{2c2e}',
    '\u{2c30}'..='\u{2e7f}',
    'あ'..='ん',
    '\u{a640}'..='\u{a7bf}',
    '\u{ab30}'..='\u{ab6b}',
    '\u{ab70}'..='\u{abbf}',
    '\u{fb00}'..='\u{fb06}',
    '\u{ff00}'..='\u{ffef}',
    '\u{10400}'..='\u{1044f}',
];

fn sort_forms_are_ours(server: &Rest, index: &str) {
    let letters: Vec<char> = SORTED.into_iter().flatten().collect();
    let texts = letters.iter().flat_map(|c| [format!("{c}"), format!("{c}\u{301}\u{302}{c}\u{301}")]);
    let texts: Vec<String> = texts.chain([" Éclair Ame\u{301}lie! ".to_owned()]).collect();
    // The servers' own limit of tokens is 10,000.
    for texts in texts.chunks(5_000) {
        let body = json!({"normalizer": "lowercase", "text": texts});
        let answer = server.succeed("POST", &format!("/{index}/_analyze"), &body);
        let tokens = answer["tokens"].as_array().expect("tokens");
        assert_eq!(tokens.len(), texts.len());
        for (token, text) in tokens.iter().zip(texts) {
            let code = text.escape_unicode();
            assert_eq!(token["token"].as_str(), Some(&*sort_form(text)), "{text:?} {code} on {}", server.url);
        }
    }
}

/// Texts whose words must be those of the filter language's own analysis.
const MATCHED: [&str; 9] = [
    "Amélie — CRASH-landing!",
    "Straße Łódź ÆON Œuvre Þór Ðæ ħ",
    "七人の侍 seven 侍s",
    "WALL·E, AT&T, M*A*S*H, 10,000 BC, O'Brien’s",
    "e\u{301}te\u{301} Й йод",
    "snake_case camelCase kebab-case a.b.c",
    "ﬁre ＦＵＬＬ",
    "!!! \u{301} …",
    "Ωμέγα Ленин עברית हिन्दी",
];

/// A word in the filter language's own form.
fn folded(word: &str) -> String {
    words(word).map(|word| word.folded).collect::<Vec<_>>().join(" ")
}

fn analyze(server: &Rest, index: &str, what: &str, name: &str, text: &str) -> Vec<String> {
    let body = json!({what: name, "text": text});
    let answer = server.succeed("POST", &format!("/{index}/_analyze"), &body);
    let mut tokens: Vec<&Value> = answer["tokens"].as_array().expect("tokens").iter().collect();
    tokens.sort_by_key(|token| token["position"].as_u64());
    tokens.iter().map(|token| token["token"].as_str().expect("a token").to_owned()).collect()
}
