//! What `search --explain` adds: how the store was asked, and what the scores are made of.

use std::fmt::Write as _;

use ::search::{Explanation, ScoreParts, Sent};

use crate::{
    paint::Paint,
    table::{Table, harmless},
};

/// All of it, for people.
pub(super) fn shown(explanation: &Explanation, paint: Paint) -> String {
    let mut text = String::new();
    for sent in &explanation.sent {
        text.push_str(&asked(sent, paint));
    }
    if !explanation.scores.is_empty() {
        let _ = write!(text, "\n{}\n{}", paint.strong("scores"), scores(&explanation.scores, paint));
    }
    text
}

fn asked(sent: &Sent, paint: Paint) -> String {
    match sent {
        Sent::Sql { text, parameters } => {
            let numbered = parameters
                .iter()
                .enumerate()
                .map(|(at, value)| format!("\n  ?{}  {}", at + 1, harmless(&value.to_string())));
            format!(
                "\n{}\n{}{}\n",
                paint.strong("asked of the state file"),
                harmless(text),
                numbered.collect::<String>()
            )
        }
        Sent::Request { curl, .. } => {
            format!("\n{}\n{}\n", paint.strong("asked of the server"), harmless(curl))
        }
    }
}

/// A line for each part: what a term adds in a field, then what the sum is multiplied by.
fn scores(scores: &[ScoreParts], paint: Paint) -> String {
    let mut table = Table::new(&["id", ">score", "part", "in"]);
    for parts in scores {
        table.row([parts.id.to_string(), number(parts.score), String::new(), String::new()]);
        for term in &parts.terms {
            table.row([
                String::new(),
                format!("+ {}", number(term.score)),
                term.term.clone(),
                term.field.clone(),
            ]);
        }
        for multiplier in &parts.multipliers {
            let (times, by) = (number(multiplier.times), multiplier.by.to_owned());
            table.row([String::new(), format!("\u{d7} {times}"), by, multiplier.field.clone()]);
        }
    }
    table.render(paint)
}

fn number(number: f64) -> String {
    match number.abs() {
        // BM25 of a word that is in half of all documents is tiny, and never nothing.
        small if small > 0.0 && small < 0.001 => format!("{number:.1e}"),
        _ => format!("{number:.3}"),
    }
}
