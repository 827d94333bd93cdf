//! The arguments as clap reads them. A flag of the specification that nothing acts on yet is not here, so that it is refused.

mod backfill;
mod errors;
mod saved;
mod search;
mod serve;

use std::{net::SocketAddr, path::PathBuf};

use clap::{Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

pub(crate) use self::{
    backfill::Backfill,
    errors::{By, Errors, One, Selection},
    saved::{Saved, Which},
    search::{Counts, Search},
    serve::Serve,
};
use crate::{
    logs::LogFormat,
    output::{ColorChoice, Format},
};

/// Makes one part of a federated GraphQL graph searchable and keeps the index equal to the graph.
#[derive(Debug, Parser)]
#[command(name = "studio-search", version, max_term_width = 100, propagate_version = true)]
#[command(after_help = "FILE is an index.yaml or a folder that holds one.\nStart with `studio-search demo`.")]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) globals: Globals,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Globals {
    /// How results are written: text or json; of `plan` and `audit`, markdown, too
    #[arg(short, long, global = true, value_name = "FORMAT", default_value = "text", value_parser = parse_format)]
    pub(crate) output: Format,
    /// Short for `--output json`
    #[arg(long, global = true)]
    json: bool,
    /// When to use colors
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t)]
    pub(crate) color: ColorChoice,
    /// Write plain lines instead of progress bars
    #[arg(long, global = true)]
    pub(crate) no_progress: bool,
    /// Say less: warnings and errors only; twice: nothing but the result
    #[arg(short, long, global = true, action = clap::ArgAction::Count, conflicts_with = "verbose")]
    pub(crate) quiet: u8,
    /// Say more; twice: everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// How logs are written on stderr
    #[arg(long, global = true, value_enum, value_name = "FORMAT", default_value_t)]
    pub(crate) log_format: LogFormat,
    /// A file of `NAME=value` lines for `${NAME}`; the environment itself comes first
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) env_file: Option<PathBuf>,
}

impl Globals {
    /// The format, whichever way it was asked for.
    pub(crate) fn format(&self) -> Format {
        if self.json { Format::Json } else { self.output }
    }
}

fn parse_format(text: &str) -> Result<Format, String> {
    match text {
        "text" => Ok(Format::Text),
        "json" => Ok(Format::Json),
        "markdown" => Ok(Format::Markdown),
        "yaml" => Err("yaml is not in this release; use json".to_owned()),
        _ => Err("use text or json".to_owned()),
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Everything in one command, without a network: real movies, an index, live changes, the status page
    Demo {
        /// Index, show three searches, and end
        #[arg(long)]
        once: bool,
        /// The port of the status page; the next free one where it is taken
        #[arg(long, value_name = "PORT", default_value_t = 9467, conflicts_with = "once")]
        port: u16,
        /// Where its files go; else a new temporary folder
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
    /// Write a first configuration for an entity: index.yaml, query.graphql, and what editors read
    ///
    /// The query selects what the entity says itself and a little of what stands around it, to be read and cut. What is
    /// written passes `validate`. No file that exists is touched.
    Init {
        /// The folder to write into
        #[arg(value_name = "DIR", default_value = ".")]
        dir: PathBuf,
        /// The type of the documents; left out: the types are listed that an index can be made of
        #[arg(long, value_name = "TYPE")]
        root: Option<String>,
        #[command(flatten)]
        origin: Origin,
    },
    /// Check configurations, queries and schemas; all problems at once
    ///
    /// A folder stands for every index.yaml and every Markdown file in it and below it; hidden folders, `node_modules` and
    /// `target` are left out. In Markdown, fenced `yaml` blocks are checked that look like a configuration: most keys at
    /// their top are keys of one, and one of them is peculiar to it; or their first line is `# index.yaml`. One with
    /// `version` and `name` or `entity` is whole, and is checked with the files it names where these are there; of any
    /// other block only what it says is checked. Unset variables are no findings there, and a fence `yaml ignore` is left alone.
    Validate {
        /// Configurations, Markdown files, or folders that hold some
        #[arg(value_name = "PATH", default_value = ".")]
        paths: Vec<PathBuf>,
        /// Fail on warnings, too
        #[arg(long)]
        deny_warnings: bool,
    },
    /// Write what follows from the query: the Avro schema, the index template, the plan, the docs
    Generate {
        /// What to write
        kind: Artifact,
        #[arg(value_name = "FILE", default_value = ".")]
        file: PathBuf,
        /// Write into this folder instead of stdout
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Show what provision would change, and why
    Plan {
        #[arg(value_name = "FILE", default_value = ".")]
        file: PathBuf,
        /// Save the changes here, for `provision --plan`
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Exit with 2 where there are changes
        #[arg(long)]
        detailed_exitcode: bool,
    },
    /// Make what the index needs: state file or ledger, templates, index, alias, topics, subject, plan
    Provision {
        #[arg(value_name = "FILE", default_value = ".")]
        file: PathBuf,
        /// Don't ask
        #[arg(short, long)]
        yes: bool,
        /// Show the changes and make none
        #[arg(long, conflicts_with = "yes")]
        dry_run: bool,
        /// Make exactly the changes that `plan --out` saved, and don't ask; refused where others would be made by now
        #[arg(long, value_name = "FILE")]
        plan: Option<PathBuf>,
    },
    /// Check everything that the index needs, each with its mend: gateway, store, Kafka, registry, ledger, clocks
    ///
    /// Nothing is changed, and no `run` is needed. Exits with 1 where something is wrong, and with 69 where something
    /// that is needed can't be reached. Warnings fail nothing.
    Doctor {
        #[arg(value_name = "FILE", default_value = ".")]
        file: PathBuf,
    },
    /// Route events and rebuild documents until SIGTERM, by the plan that provision stored
    Run {
        #[arg(value_name = "FILE", default_value = ".")]
        file: PathBuf,
        /// End when everything that was there at the start is done
        #[arg(long)]
        once: bool,
        /// Which part of the work is done here, where the log is shared over Kafka
        #[arg(long, value_enum, default_value_t, conflicts_with = "once")]
        role: Role,
        /// Where the status page, metrics and health listen, instead of `admin.listen`
        #[arg(long, value_name = "ADDR")]
        admin: Option<SocketAddr>,
        /// Follow index.yaml and the files that it names: what compiles is provisioned, and never promoted
        ///
        /// Changes that can be made in place are worked by at once; a change that can't makes an index version beside the served
        /// one. What doesn't compile is told, and the plan that was there goes on. Addresses and credentials are read at the start.
        #[arg(long, conflicts_with = "once")]
        watch_config: bool,
    },
    /// Stop consuming, for all processes of this index
    Pause {
        #[arg(value_name = "FILE", default_value = ".")]
        file: PathBuf,
    },
    /// Go on consuming
    Resume {
        #[arg(value_name = "FILE", default_value = ".")]
        file: PathBuf,
    },
    /// Rebuild many documents at a gentle pace
    #[command(subcommand)]
    Backfill(Backfill),
    /// Serve another index version, when it is filled and its checks hold
    ///
    /// A change that can't be made in place gives a new index version beside the served one: `provision` makes it, `run` fills
    /// it from the served one without asking the graph, and writes both. The checks are `backfill.checks`, and that each search
    /// of `tests:` finds something where it does in the served version. Searches go over in one step.
    Promote {
        #[arg(value_name = "FILE", default_value = ".")]
        file: PathBuf,
        /// Its number; left out: the newest that is ready
        #[arg(value_name = "VERSION", value_parser = clap::value_parser!(u32).range(1..))]
        number: Option<u32>,
    },
    /// Serve the index version again that was served before
    Rollback {
        #[arg(value_name = "FILE", default_value = ".")]
        file: PathBuf,
    },
    /// Show how indexes are doing
    Status {
        #[arg(value_name = "FILE", default_value = ".")]
        files: Vec<PathBuf>,
        /// Show it again each second
        #[arg(long, conflicts_with = "check")]
        watch: bool,
        /// Fail where documents are older than `freshness.error_after`, or nothing works on them
        #[arg(long)]
        check: bool,
    },
    /// Held documents and dead letters
    #[command(subcommand)]
    Errors(Errors),
    /// Search the index
    Search(Search),
    /// Saved searches: filters under names, which documents are held against as they change
    #[command(subcommand)]
    Saved(Saved),
    /// Answer searches over HTTP, as JSON and as a federation subgraph, until SIGTERM
    Serve(Serve),
    /// Write every document as a line of JSON, by id
    // The version of the program is asked for elsewhere.
    #[command(disable_version_flag = true)]
    Export {
        #[arg(value_name = "FILE", default_value = ".")]
        file: PathBuf,
        /// Another index version than the served one
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        version: Option<u32>,
    },
    /// Show what happened to one document lately, and how graph and index have it now
    ///
    /// Events, lookups, fetches and writes come from the ledger, which keeps the newest sixteen steps of a document and process,
    /// for some 20,000 documents. A process in a hurry notes a sample: 350 steps a second of the live lane, and 50 of the backfill
    /// lane. Graph and index are compared field by field, each difference with the subgraphs that can answer it. No `run` is
    /// needed. Exits with 1 where the two differ.
    Trace {
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The document
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Compare the index with the graph: what is missing, stale, or no longer there
    ///
    /// One request at a time, at most `backfill.rate` documents a second. A difference counts when it is still there, the same,
    /// past `audit.confirm_after` and the longest `graph.deadline`, and nothing waits in the log; where no `run` works, at once.
    /// Missing documents are found with `--full` only, among the ids of `backfill.ids`. Exits with 1 where something differs,
    /// repaired or not.
    Audit {
        #[arg(value_name = "FILE", default_value = ".")]
        file: PathBuf,
        /// Look at so many documents of the index, from where the last sample ended
        #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
        sample: u32,
        /// Look at every document of the index and every id of the graph
        #[arg(long, conflicts_with = "sample")]
        full: bool,
        /// Append what differs to the log, so that `run` fetches it anew
        #[arg(long)]
        repair: bool,
        /// Compare nothing; send a heartbeat through each source and wait until `run` has read it
        ///
        /// It is a record with the header `studio-search-heartbeat`, a key and no value, which asks for nothing. Other readers of the
        /// topic meet it, too. A file is its producer's, so that nothing is written there.
        #[arg(long, conflicts_with_all = ["sample", "full", "repair"])]
        heartbeat: bool,
    },
    /// Play through the tests of a configuration: real routing, storing and searching, with mocks for the graph
    ///
    /// Each test of `tests:` begins with the documents of its `index:` in a new index, hands the records of its event to
    /// its source, and lets the gateway answer what `graph:` says. Then `expect:` and `search:` are compared. A test without
    /// `event:` and `index:` goes on with what the one before it left. No network is used, and the real state is not touched.
    Test {
        /// Configurations, or folders that hold one
        #[arg(value_name = "PATH", default_value = ".")]
        paths: Vec<PathBuf>,
        /// Only tests whose names hold this text, and those that they go on from
        #[arg(long, value_name = "NAME")]
        filter: Option<String>,
        /// Write what was found into the files in the place of expectations that do not hold; review the change
        #[arg(long)]
        update: bool,
    },
    /// The configuration's language, and a file as it is understood
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Explain a diagnostic code; without one, list them all
    Explain {
        /// Such as SS214
        code: Option<String>,
    },
    /// Write the completion script of a shell
    Completion {
        /// The shell
        shell: Shell,
    },
}

/// Where `init` takes the schema from.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Origin {
    /// The schema: a supergraph SDL (best), a plain SDL, or the JSON answer of an introspection
    #[arg(long, value_name = "FILE")]
    pub(crate) schema: Option<PathBuf>,
    /// Ask this gateway for its schema, and write that down, too
    #[arg(long, value_name = "URL")]
    pub(crate) introspect: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Write the JSON Schema of index.yaml, for editors
    Schema,
    /// Write the file with defaults and variables filled in; secrets stay the variables they come from, or are hidden
    Expand {
        #[arg(value_name = "FILE", default_value = ".")]
        file: PathBuf,
    },
    /// Bring the file to the newest version of the language
    Upgrade {
        #[arg(value_name = "FILE", default_value = ".")]
        file: PathBuf,
    },
}

/// Which part of the work a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Role {
    /// All of it
    #[default]
    All,
    /// Events into ids
    Route,
    /// Ids into documents
    Rebuild,
}

/// What `generate` writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Artifact {
    /// The Avro schema of a document
    Avro,
    /// The Elasticsearch index template
    Template,
    /// The plan that `run` runs
    Plan,
    /// The page about the index: fields, owners, what keeps each fresh
    Docs,
    /// The JSON Schema of a document
    JsonSchema,
    /// The federation subgraph that `serve` answers, for the composition of the supergraph
    Subgraph,
    /// The Debezium connectors that fill its topics, for Kafka Connect's REST API
    Connector,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        super::Args::command().debug_assert();
    }
}
