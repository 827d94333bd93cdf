//! `errors show`: one held document, or one dead letter with its record, with all that is known of it.

use std::{fmt::Write, path::Path};

use base64::{Engine, prelude::BASE64_STANDARD};
use indexer::{
    Index,
    ledger::Held,
    log::{DeadLetterRow, KeptLetter, LetterNumber},
};
use plan::Code;
use serde::Serialize;
use serde_json::Value;

use super::{held, no_letter};
use crate::{
    args::{One, Selection},
    environment::Environment,
    exit::Exit,
    failure::Failure,
    moment::moment,
    output::Output,
    paint::Paint,
    project::Project,
    table::harmless,
};

#[derive(Serialize)]
struct Shown<'s> {
    success: bool,
    held: Option<ShownDocument<'s>>,
    dead_letter: Option<ShownLetter<'s>>,
}

/// A held document beside what the index holds of it.
#[derive(Serialize)]
struct ShownDocument<'s> {
    #[serde(flatten)]
    held: &'s Held,
    help: String,
    indexed: Option<Indexed>,
    /// Whether it is tried again by itself.
    #[serde(skip)]
    replays: bool,
}

#[derive(Serialize)]
struct Indexed {
    /// As text: not every language holds such a number.
    version: String,
    /// When its fetch began, milliseconds of Unix time.
    fetched_at: i64,
    deleted: bool,
}

#[derive(Serialize)]
struct ShownLetter<'s> {
    #[serde(flatten)]
    row: &'s DeadLetterRow,
    help: String,
    /// Whether more came than is kept.
    cut: bool,
    record: ShownRecord,
}

/// A record as its topic had it, or the line that it came in.
#[derive(Serialize)]
#[serde(untagged)]
enum ShownRecord {
    Topic {
        topic: String,
        partition: i32,
        offset: i64,
        timestamp: Option<i64>,
        headers: Vec<(String, Option<Content>)>,
        key: Option<Content>,
        value: Option<Content>,
    },
    Line {
        line: Content,
    },
}

/// Bytes as people can read them.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Content {
    Json(Value),
    Text(String),
    Base64(String),
}

impl Content {
    /// Containers of JSON as JSON, else text; what is no text in Base64.
    fn of(bytes: &[u8]) -> Self {
        let Ok(text) = std::str::from_utf8(bytes) else {
            return Self::Base64(BASE64_STANDARD.encode(bytes));
        };
        match serde_json::from_str::<Value>(text) {
            Ok(value) if value.is_object() || value.is_array() => Self::Json(value),
            _ => Self::Text(text.to_owned()),
        }
    }
}

/// Shows one.
pub(crate) async fn show(
    file: &Path,
    one: &One,
    env: &Environment,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let index = Project::open(file, env)?.index().await?;
    if let Some(number) = one.number {
        return show_letter(&index, number, output).await;
    }
    let wanted = Selection { ids: one.id.iter().cloned().collect(), ..Selection::default() };
    let held = held(&index, &wanted).await?;
    let held = held.first().expect("an id that is not held is a failure");
    let replays = index.plan.errors.auto_replay;
    let stored = index.store.get(&held.id).await?;
    let indexed = stored.map(|stored| Indexed {
        version: stored.version.to_string(),
        fetched_at: stored.fetched_at_ms,
        deleted: stored.body.is_none(),
    });
    let document = ShownDocument { held, help: mend(&held.code, replays), indexed, replays };
    let shown = Shown { success: true, held: Some(document), dead_letter: None };
    output.answer(&shown, |paint| {
        shown.held.as_ref().map(|held| document_text(held, paint)).unwrap_or_default()
    })?;
    Ok(Exit::Done)
}

async fn show_letter(index: &Index, number: LetterNumber, output: &mut Output) -> Result<Exit, Failure> {
    let kept = index.log.read_dead_letters(&[number]).await?;
    let letter = kept.into_iter().next().ok_or_else(|| no_letter(number))?;
    let cut = letter.may_be_cut();
    let dead_letter =
        ShownLetter { row: &letter.row, help: mend(&letter.row.code, false), cut, record: record(&letter) };
    let shown = Shown { success: true, held: None, dead_letter: Some(dead_letter) };
    output.answer(&shown, |paint| {
        shown.dead_letter.as_ref().map(|letter| letter_text(letter, paint)).unwrap_or_default()
    })?;
    Ok(Exit::Done)
}

fn record(letter: &KeptLetter) -> ShownRecord {
    let Some(original) = letter.original.as_deref() else {
        return ShownRecord::Line { line: Content::of(&letter.record) };
    };
    let content = |bytes: &Option<Vec<u8>>| bytes.as_deref().map(Content::of);
    ShownRecord::Topic {
        topic: original.topic.to_string(),
        partition: original.partition,
        offset: original.offset,
        timestamp: original.timestamp,
        headers: original.headers.iter().map(|(name, value)| (name.clone(), content(value))).collect(),
        key: content(&original.key),
        value: content(&original.value),
    }
}

/// What to do about it, where it is tried again by itself or isn't.
fn mend(code: &str, replays: bool) -> String {
    let mend = match code {
        "SS301" => {
            "compare it with the source's `format` and `encoding`; correct and provision them, or the producer"
        }
        "SS302" => {
            "compare it with the source's `id` and `root_id`; correct and provision them, or the producer"
        }
        "SS304" => "mend what the gateway says",
        "SS323" => "register the schema that it names, or correct and provision the source's `encoding`",
        "SS603" => "correct the ids where they are enumerated, and start a backfill again",
        _ if replays => "mend its cause; it is tried again by itself",
        _ => "mend its cause",
    };
    match (code, Code::find(code)) {
        ("SS603", _) => mend.to_owned(),
        (_, Some(_)) => {
            format!("{mend}; then `studio-search errors replay`. More: studio-search explain {code}")
        }
        (_, None) if replays => format!("{mend}; at once with `studio-search errors replay`"),
        (_, None) => format!("{mend}; then `studio-search errors replay`"),
    }
}

fn document_text(document: &ShownDocument<'_>, paint: Paint) -> String {
    let held = document.held;
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{} {}", paint.faint(&format!("{name:<14}")), harmless(value));
    };
    line("held document", held.id.as_str());
    line("subgraph", held.subgraph.as_deref().unwrap_or("unknown"));
    line("code", &held.code);
    line("path", held.path.as_deref().unwrap_or("the whole document"));
    line("message", &held.message);
    line("tries", &held.attempts.to_string());
    line("held since", &moment(held.first_at));
    line("failed last", &moment(held.last_at));
    match document.replays {
        true => line("next try", &moment(held.next_at)),
        false => line("next try", "when it is asked for: `errors.auto_replay` is false"),
    }
    let indexed = match &document.indexed {
        Some(Indexed { deleted: true, fetched_at, .. }) => {
            format!("nothing: deleted at {}", moment(*fetched_at))
        }
        Some(Indexed { version, fetched_at, .. }) => {
            format!("version {version}, fetched {}", moment(*fetched_at))
        }
        None => "nothing yet".to_owned(),
    };
    line("in the index", &indexed);
    line("help", &document.help);
    text
}

fn letter_text(letter: &ShownLetter<'_>, paint: Paint) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{} {}", paint.faint(&format!("{name:<14}")), harmless(value));
    };
    let row = letter.row;
    line("dead letter", &row.number.to_string());
    line("source", &row.source);
    line("position", &row.position);
    line("found", &moment(row.at));
    line("code", &row.code);
    line("reason", &row.reason);
    line("help", &letter.help);
    if letter.cut {
        line("kept", "only its first 64 KiB");
    }
    match &letter.record {
        ShownRecord::Line { line: content } => text.push_str(&titled("record", Some(content), paint)),
        ShownRecord::Topic { topic, partition, offset, timestamp, headers, key, value } => {
            line("topic", &format!("{topic}, partition {partition}, offset {offset}"));
            if let Some(at) = timestamp {
                line("written", &moment(*at));
            }
            for (name, value) in headers {
                text.push_str(&titled(&format!("header {}", harmless(name)), value.as_ref(), paint));
            }
            text.push_str(&titled("key", key.as_ref(), paint));
            text.push_str(&titled("value", value.as_ref(), paint));
        }
    }
    text
}

/// A part of a record under its name. Nothing in it can steer the terminal.
fn titled(name: &str, content: Option<&Content>, paint: Paint) -> String {
    let (what, body) = match content {
        None => ("", "null".to_owned()),
        Some(Content::Json(value)) => {
            // JSON writes control characters as escapes, so that its own line ends are all there are.
            (" (JSON)", serde_json::to_string_pretty(value).unwrap_or_default())
        }
        Some(Content::Text(text)) => ("", text.lines().map(harmless).collect::<Vec<_>>().join("\n")),
        Some(Content::Base64(text)) => (" (Base64)", text.clone()),
    };
    let body: String = body.lines().flat_map(|line| ["  ", line, "\n"]).collect();
    format!("{}\n{body}", paint.faint(&format!("{name}{what}")))
}
