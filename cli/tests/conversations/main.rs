//! Whole conversations with the command line, as people have them: what was typed, what was said, how it ended.
//!
//! No test needs a network: gateways here are ports that nobody listens on.

mod audit;
mod calls;
mod changes;
mod config;
mod documents;
mod errors;
mod estimate;
mod index;
mod init;
mod saved;
mod tests;
mod validate;

use std::{
    fs,
    process::{Command, Stdio},
};

use tempfile::TempDir;

/// A schema as a plain SDL: without owners, so that coverage is proven by the keys alone.
const SCHEMA: &str = r#"directive @key(fields: String!) repeatable on OBJECT
type Query { movie(movieId: ID!): Movie }
type Movie @key(fields: "movieId") { movieId: ID! title: String status: Status }
enum Status { RELEASED WRAPPED }
"#;

const QUERY: &str = "query MovieIndex($id: ID!) { movie(movieId: $id) { movieId title status } }\n";

/// Port 9 of this machine is nobody's.
const CONFIG: &str = "version: 1
name: movies
entity: Movie
query: ./query.graphql
graph:
  url: http://127.0.0.1:9/graphql
  schema: ./schema.graphql
  timeout: 200ms
sources:
  changes: { file: ./changes.ndjson, format: plain, id: value.movieId }
admin: { listen: \"127.0.0.1:0\" }
";

/// A folder with a small index, in which commands are typed.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(TempDir::new().expect("a temporary folder can be made"));
        folder.write("index.yaml", CONFIG).write("query.graphql", QUERY).write("schema.graphql", SCHEMA);
        folder
    }

    fn write(&self, name: &str, text: &str) -> &Self {
        fs::write(self.0.path().join(name), text).expect("the folder is ours");
        self
    }

    /// The configuration with one text in place of another.
    fn with(self, old: &str, new: &str) -> Self {
        assert!(CONFIG.contains(old), "{old}");
        self.write("index.yaml", &CONFIG.replace(old, new));
        self
    }

    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_studio-search"));
        command.args(arguments.split_whitespace()).current_dir(self.0.path()).stdin(Stdio::null());
        // What the developer's own shell has set must not show.
        command.env_remove("NO_COLOR").env_remove("STUDIO_SEARCH_LOG").env_remove("RUST_BACKTRACE");
        command
    }

    /// Types each command and writes down what happened.
    fn talk(&self, commands: &[&str]) -> String {
        commands.iter().map(|arguments| self.exchange(arguments)).collect()
    }

    fn exchange(&self, arguments: &str) -> String {
        let output = self.command(arguments).output().expect("the program was built for this test");
        let stdout = String::from_utf8_lossy(&output.stdout);
        let stderr = match String::from_utf8_lossy(&output.stderr).trim_end() {
            "" => String::new(),
            text => format!("--- stderr\n{text}\n"),
        };
        let code = output.status.code().map_or("a signal".to_owned(), |code| code.to_string());
        format!("$ studio-search {arguments}\n{stdout}{stderr}--- exit {code}\n")
    }
}

/// Compares a conversation, with times and durations made the same.
macro_rules! assert_conversation {
    ($folder:expr, $commands:expr, @$snapshot:literal) => {
        insta::with_settings!({ filters => vec![
            (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "[time]"),
            (r"--after [0-9a-f]+", "--after [cursor]"),
            (r"\d{13}", "[ms]"),
            (r" \(os error \d+\)", ""),
            (r"\d+ MiB are free", "[room] is free"),
            (r"Plan `[0-9a-f]{16}`", "Plan `[hash]`"),
            (r"the plan [0-9a-f]{16}", "the plan [hash]"),
            (r#""plan_hash":"[0-9a-f]{16}""#, r#""plan_hash":"[hash]""#),
            (r"codes are SS\d+ to SS\d+", "codes are [all]"),
        ] }, { insta::assert_snapshot!($folder.talk(&$commands), @$snapshot) });
    };
}
use assert_conversation;
