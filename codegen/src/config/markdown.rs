//! Configurations in Markdown: the fenced YAML blocks that look like one, read where they stand.

use std::{ops::Range, sync::Arc};

use plan::{Diagnostic, SourceText, code::config as codes};

use super::{
    Config, MAX_BYTES, read,
    reader::{Reader, Standing},
    variables::Lookup,
    written::{self, Node, Value},
};

/// The keys at the top of a configuration; a test compares them with what the reader knows.
pub(super) const KEYS: [&str; 22] = [
    "version",
    "name",
    "description",
    "owner",
    "entity",
    "key",
    "query",
    "graph",
    "kafka",
    "state",
    "sources",
    "coverage",
    "fields",
    "backfill",
    "errors",
    "audit",
    "freshness",
    "store",
    "search",
    "serve",
    "admin",
    "tests",
];

/// Keys that other kinds of YAML files have at their top, too: alone they make no configuration.
const COMMON: [&str; 9] =
    ["version", "name", "description", "owner", "key", "query", "errors", "search", "tests"];

/// Blocks read at most. A longer document is a book, or an attack.
const MAX_BLOCKS: usize = 1_000;

/// A configuration, or a part of one, in a Markdown file. Places are those of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Snippet {
    /// The line of its first key or comment, from 1.
    pub line: usize,
    /// Whether it is a whole configuration, with `version:` and a name or an entity. Of a part, only what is there is checked.
    pub is_whole: bool,
    /// What was found. A variable that isn't set is no finding: a document is no place where it would be.
    pub diagnostics: Vec<Diagnostic>,
    /// The configuration, where it is whole and its values can be known.
    pub config: Option<Config>,
}

/// A fenced block: the bytes of its content, its first line from 1, and whether each line begins with `>`.
struct Block {
    range: Range<usize>,
    line: usize,
    is_quoted: bool,
}

/// Reads the fenced `yaml` blocks that look like a configuration: more than half of the keys at their top are keys of
/// one, and at least one of these is peculiar to it; or the first line is `# index.yaml`. A fence `yaml ignore` is
/// left alone.
///
/// `variable` answers environment variables, as for [`super::parse_config`].
pub fn parse_markdown(source: &Arc<SourceText>, variable: &dyn Fn(&str) -> Option<String>) -> Vec<Snippet> {
    let blocks = yaml_blocks(&source.text);
    let snippets = blocks.into_iter().filter_map(|block| read_block(source, &block, variable as Lookup<'_>));
    snippets.take(MAX_BLOCKS).collect()
}

fn read_block(source: &Arc<SourceText>, block: &Block, variable: Lookup<'_>) -> Option<Snippet> {
    let written = &source.text[block.range.clone()];
    let text = if block.is_quoted { unquoted(written) } else { written.to_owned() };
    let is_marked = text.trim_start().lines().next().is_some_and(|line| line.trim_end() == "# index.yaml");
    let (line, start) = (block.line, block.range.start);
    if text.len() > MAX_BYTES {
        let keys = lines_keys(&text);
        let long = Diagnostic::error(codes::SS108, format!("the block has {} bytes", text.len()));
        let long = long.at(source, start..start).help("a configuration has at most 1 MiB");
        return (is_marked || looks_like_one(&keys)).then(|| Snippet {
            line,
            is_whole: is_whole(&keys),
            diagnostics: vec![long],
            config: None,
        });
    }
    let alone = Arc::new(SourceText { name: source.name.clone(), text });
    let root = match written::parse(&alone) {
        Ok(mut root) => {
            root.shift(start);
            root
        }
        Err(refusal) => {
            let keys = lines_keys(&alone.text);
            let is_ours = is_marked || looks_like_one(&keys);
            return is_ours.then(|| Snippet {
                line,
                is_whole: is_whole(&keys),
                diagnostics: vec![moved(*refusal, source, start)],
                config: None,
            });
        }
    };
    let keys = top_keys(&root);
    if !is_marked && !looks_like_one(&keys) {
        return None;
    }
    let is_whole = is_whole(&keys);
    let standing = if is_whole { Standing::Example } else { Standing::Part };
    let mut reader = Reader::new(source, variable, standing);
    let config = read(&mut reader, &root, start);
    let mut diagnostics = reader.diagnostics;
    crate::sort(&mut diagnostics);
    let is_right = !diagnostics.iter().any(Diagnostic::is_error);
    Some(Snippet { line, is_whole, config: config.filter(|_| is_whole && is_right), diagnostics })
}

fn moved(refusal: Diagnostic, source: &Arc<SourceText>, by: usize) -> Diagnostic {
    let range = refusal.place.as_ref().map_or(0..0, |(_, range)| range.clone());
    refusal.at(source, range.start + by..range.end + by)
}

fn looks_like_one(keys: &[&str]) -> bool {
    let known = keys.iter().filter(|key| is_known(key)).count();
    known * 2 > keys.len() && keys.iter().any(|key| is_known(key) && !COMMON.contains(key))
}

fn is_known(key: &str) -> bool {
    KEYS.contains(&key)
}

fn is_whole(keys: &[&str]) -> bool {
    keys.contains(&"version") && (keys.contains(&"name") || keys.contains(&"entity"))
}

fn top_keys(root: &Node) -> Vec<&str> {
    match &root.value {
        Value::Map(entries) => entries.iter().map(|entry| entry.key.as_str()).collect(),
        _ => Vec::new(),
    }
}

/// The keys at the top of what is no YAML, as far as its lines show them.
fn lines_keys(text: &str) -> Vec<&str> {
    let lines = || text.lines().filter(|line| !line.trim().is_empty() && !line.trim().starts_with('#'));
    let indent = |line: &str| line.len() - line.trim_start().len();
    let Some(first) = lines().next().map(indent) else { return Vec::new() };
    let key = |line: &'_ str| line.trim().split_once(':').map_or(0, |(key, _)| key.len());
    let top = lines().filter(|line| indent(line) == first);
    top.map(|line| &line.trim()[..key(line)]).filter(|key| !key.is_empty()).collect()
}

/// The fenced blocks whose info string begins with `yaml` or `yml`, as `CommonMark` finds fences.
fn yaml_blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<(Fence<'_>, usize, usize)> = None;
    let mut at = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let end = at + line.len();
        let fence = Fence::read(line);
        match (&open, fence) {
            (None, Some(fence)) => open = Some((fence, end, number + 2)),
            (Some((opening, start, first)), Some(fence)) if opening.is_closed_by(&fence) => {
                blocks.extend(opening.is_yaml().then(|| opening.block(*start..at, *first)));
                open = None;
            }
            _ => {}
        }
        at = end;
    }
    // A fence that nobody closes ends with the document.
    if let Some((opening, start, first)) = open {
        blocks.extend(opening.is_yaml().then(|| opening.block(start..at, first)));
    }
    blocks
}

/// A line of three or more backticks or tildes.
struct Fence<'t> {
    character: char,
    length: usize,
    info: &'t str,
    is_quoted: bool,
}

impl<'t> Fence<'t> {
    fn read(line: &'t str) -> Option<Self> {
        let content = line.trim_start_matches([' ', '\t', '>']);
        let character = content.chars().next().filter(|first| matches!(first, '`' | '~'))?;
        let info = content.trim_start_matches(character);
        let length = content.len() - info.len();
        let is_fence = length >= 3 && !(character == '`' && info.contains('`'));
        let is_quoted = line.trim_start().starts_with('>');
        is_fence.then(|| Self { character, length, info: info.trim(), is_quoted })
    }

    fn is_closed_by(&self, other: &Fence<'_>) -> bool {
        self.character == other.character && other.length >= self.length && other.info.is_empty()
    }

    fn is_yaml(&self) -> bool {
        let mut words = self.info.split([' ', ',', '{', '\t']).filter(|word| !word.is_empty());
        let language = words.next().unwrap_or_default();
        let is_yaml = language.eq_ignore_ascii_case("yaml") || language.eq_ignore_ascii_case("yml");
        is_yaml && !words.any(|word| word == "ignore")
    }

    fn block(&self, range: Range<usize>, line: usize) -> Block {
        Block { range, line, is_quoted: self.is_quoted }
    }
}

/// The block without its quotation marks, each byte at its place.
fn unquoted(written: &str) -> String {
    let lines = written.split_inclusive('\n').map(|line| {
        let content = line.trim_start_matches([' ', '>']);
        " ".repeat(line.len() - content.len()) + content
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use plan::diagnostic::line_and_column;

    use super::*;

    fn told(text: &str) -> Vec<(usize, bool, Vec<String>)> {
        let source = Arc::new(SourceText { name: "guide.md".into(), text: text.into() });
        let told = |found: &Diagnostic| {
            let (source, range) = found.place.as_ref().unwrap();
            let (line, column) = line_and_column(&source.text, range.start);
            format!("{line}:{column} {} {}", found.code, &source.text[range.clone()])
        };
        let snippets = parse_markdown(&source, &|_| None);
        let snippets = snippets.into_iter();
        snippets.map(|one| (one.line, one.is_whole, one.diagnostics.iter().map(told).collect())).collect()
    }

    #[test]
    fn places_are_those_of_the_document() {
        let text = "Über\n\n```yaml\nversion: 1\nname: é\nentiti: Movie\ngraph: {}\n```\n";
        let (line, is_whole, found) = told(text).remove(0);
        assert_eq!((line, is_whole), (4, true));
        assert!(found.contains(&"6:1 SS102 entiti".to_owned()), "{found:?}");
        assert!(found.contains(&"5:7 SS109 é".to_owned()), "{found:?}");
        assert!(found.contains(&"7:1 SS103 graph".to_owned()), "{found:?}");
        let quoted =
            "> 1. so:\n>    ~~~~ YAML title=\"x\"\n>    fields:\n>      title: { tipe: text }\n>    ~~~~\n";
        assert_eq!(told(quoted), [(3, false, vec!["4:17 SS102 tipe".to_owned()])]);
    }

    #[test]
    fn of_a_part_only_what_is_there_is_checked() {
        assert_eq!(
            told("```yml\ngraph: { batch: { size: 50 }, url: \"${URL}\" }\n```"),
            [(2, false, vec![])]
        );
        let broken = "```yaml\nsources:\n  a: { file: x\nfreshness: {}\n```";
        assert_eq!(told(broken)[0].2.len(), 1, "what looks like one and can't be read is told");
    }

    #[test]
    fn a_block_without_end_is_refused_and_many_blocks_are_no_work() {
        let long = format!("```yaml\ngraph: {{}}\nkey: {}\n```\n", "x".repeat(MAX_BYTES));
        assert_eq!(told(&long)[0].2, ["2:1 SS108 "]);
        let many = "```yaml\non: push\n```\n".repeat(50_000) + "~~~yaml\ngraf: {}\nsources: {}\ngraph: {}\n";
        let told = told(&many);
        assert_eq!(told.len(), 1);
        assert_eq!((told[0].0, &told[0].2), (150_002, &vec!["150002:1 SS102 graf".to_owned()]));
    }

    #[test]
    fn other_yaml_is_left_alone() {
        for text in [
            "version: 2\nname: app\nservices: {}",
            "name: ci\non: push\njobs: {}",
            "- a",
            "",
            "# only a comment",
        ] {
            assert_eq!(told(&format!("```yaml\n{text}\n```\n")), [], "{text}");
        }
        assert_eq!(told("```json\nversion: 1\nname: a\ngraph: {}\n```"), []);
        assert_eq!(told("```yaml ignore\nversion: 1\nentity: 7x\n```"), []);
        assert_eq!(
            told("```yaml\n# index.yaml\nnme: movies\n```")[0].2,
            ["3:1 SS102 nme"],
            "the mark decides"
        );
    }
}
