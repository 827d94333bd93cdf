//! `index.yaml`: as written ([`written`]), read ([`reader`]) and validated ([`Config`]).

pub(crate) mod access;
mod cases;
mod checks;
mod expand;
mod fields;
mod graph;
mod kafka;
mod markdown;
mod masking;
mod policies;
mod reader;
mod schema;
mod search;
mod secret;
mod serving;
mod sources;
mod unclosed;
mod units;
mod variables;
mod windows;
mod written;

use std::sync::Arc;

use plan::{Diagnostic, SourceText, code::config as codes};

pub use self::{
    access::{AccessConfig, AccessRules, CallerPolicy},
    cases::{Counts, Expected, TestCase, TestEvent, TestSearch},
    checks::ChecksConfig,
    expand::{Expansion, expand},
    fields::FieldConfig,
    graph::{BatchMode, GraphConfig},
    kafka::{KafkaConfig, RegistryAuth, RegistryConfig},
    markdown::{Snippet, parse_markdown},
    masking::masked,
    policies::{BackfillConfig, IdsConfig, PolicyConfig},
    reader::Located,
    schema::SCHEMA,
    search::{BoostConfig, RecencyConfig, SearchConfig, WebhookConfig, WeightedField},
    secret::Secret,
    serving::{ServeConfig, StoreAuth, StoreConfig},
    sources::{CoverageException, Freshness, SourceConfig, SourceEndpoint},
    units::rate_per_second,
};
pub(crate) use self::{fields::KINDS, reader::part_of};
use self::{
    reader::{Item, Reader, Section, Standing},
    variables::Lookup,
    written::{Node, Value},
};
use crate::Checked;

/// The largest configuration, in bytes. A longer one is a mistake or an attack, and YAML's cost is not linear.
const MAX_BYTES: usize = 1 << 20;

/// The longest name: alias, topics and groups are made from it, and each has its own limit above this one.
const MAX_NAME: usize = 63;

/// A configuration whose values are each right by themselves. Whether they fit the query and the schema is
/// [`crate::compile`]'s to say. Paths stand as they are written, relative to the file's folder.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The file.
    pub source: Arc<SourceText>,
    /// The index's name, `[a-z][a-z0-9-]{0,62}`.
    pub name: Located<String>,
    /// For people.
    pub description: Option<String>,
    /// Whom to ask about this index.
    pub owner: Option<String>,
    /// The root entity.
    pub entity: Located<String>,
    /// The key of the root entity; `None`: the schema's.
    pub key: Option<Located<String>>,
    /// The file of the query template.
    pub query: Located<String>,
    /// The gateway and its schema.
    pub graph: GraphConfig,
    /// Kafka; `None`: the log is in the state file.
    pub kafka: Option<KafkaConfig>,
    /// The `SQLite` file of log, ledger and documents.
    pub state_path: String,
    /// The event sources, in the file's order.
    pub sources: Vec<SourceConfig>,
    /// The entities that are fresh by other means than events.
    pub coverage: Vec<CoverageException>,
    /// What differs from the default mapping.
    pub fields: Vec<FieldConfig>,
    /// Where ids come from and how fast a backfill goes.
    pub backfill: BackfillConfig,
    /// What to do with errors, and when to warn.
    pub policies: PolicyConfig,
    /// What text search covers and shows.
    pub search: SearchConfig,
    /// Where documents are kept.
    pub store: StoreConfig,
    /// The search API.
    pub serve: ServeConfig,
    /// Where the status page listens.
    pub admin_listen: String,
    /// What `studio-search test` plays through.
    pub tests: Vec<TestCase>,
    /// Whether every source could be read: without them, coverage can't be judged.
    pub(crate) sources_are_complete: bool,
}

/// A file that [`crate::compile`] wants to read, with the place that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedFile {
    /// The path as it is written.
    pub path: String,
    /// What it is, for "the query can't be read".
    pub what: &'static str,
    /// Where `index.yaml` names it, in bytes.
    pub range: std::ops::Range<usize>,
}

impl Config {
    /// The files to read before [`crate::compile`]: the query, the schema, and the queries for ids.
    ///
    /// Files of ids and of events are not among them: they belong to the running system.
    pub fn wanted_files(&self) -> Vec<WantedFile> {
        let query = Some(("query", &self.query));
        let schema = self.graph.schema.as_ref().map(|path| ("schema", path));
        let ids = match &self.backfill.ids {
            Some(IdsConfig::Query(path)) => Some(("ids query", path)),
            _ => None,
        };
        let back_references = self.sources.iter().filter_map(|source| source.back_reference.as_ref());
        let files = [query, schema, ids].into_iter().flatten();
        let files = files.chain(back_references.map(|path| ("back-reference query", path)));
        files
            .map(|(what, path)| WantedFile { path: path.value.clone(), what, range: path.range.clone() })
            .collect()
    }

    /// The files that tests name: what `validate` wants to be there, and nothing else needs.
    pub fn test_files(&self) -> impl Iterator<Item = WantedFile> {
        let files = self.tests.iter().flat_map(TestCase::files);
        files.map(|(what, path)| WantedFile { path: path.value.clone(), what, range: path.range.clone() })
    }

    /// The report for a wanted file that could not be read.
    pub fn unreadable(&self, file: &WantedFile, reason: &str) -> Diagnostic {
        let message = format!("the {} {} can't be read: {reason}", file.what, file.path);
        Diagnostic::error(codes::SS119, message)
            .at(&self.source, file.range.clone())
            .help("a path is relative to the folder of index.yaml")
    }
}

/// Parses and validates `index.yaml`. All problems are reported at once.
///
/// `variable` answers environment variables by name; a name `file.PATH` asks for the text of a file
/// (`${file./run/secrets/token}`).
pub fn parse_config(source: &Arc<SourceText>, variable: &dyn Fn(&str) -> Option<String>) -> Checked<Config> {
    if source.text.len() > MAX_BYTES {
        let message = format!("the file has {} bytes", source.text.len());
        let diagnostic = Diagnostic::error(codes::SS108, message).at(source, 0..0);
        return Checked::new(None, vec![diagnostic.help("a configuration has at most 1 MiB")]);
    }
    let root = match written::parse(source) {
        Ok(root) => root,
        Err(diagnostic) => return Checked::new(None, vec![*diagnostic]),
    };
    let mut reader = Reader::new(source, variable as Lookup<'_>, Standing::File);
    let config = read(&mut reader, &root, 0);
    Checked::new(config, reader.diagnostics)
}

/// Reads a configuration that begins at this byte of its text.
fn read(reader: &mut Reader<'_>, root: &Node, start: usize) -> Option<Config> {
    if root.value == Value::Null {
        let help =
            "the smallest useful file has: version, name, entity, query, graph.url, graph.schema, one source";
        reader.error(codes::SS103, &(start..start), "the file is empty".into(), help);
        return None;
    }
    let item = Item { node: root, path: String::new(), range: start..start };
    if !matches!(root.value, Value::Map(_)) {
        let message = format!("the file must be a map, this is {}", root.value.describe());
        reader.error(codes::SS104, &(start..start), message, "start with `version: 1`");
        return None;
    }
    let mut file = reader.section(&item)?;

    read_version(reader, &mut file);
    let name = file.require(reader, "name", "name the index: letters, digits and dashes", read_name);
    let description = file.read(reader, "description", Reader::text).map(|text| text.value);
    let owner = file.read(reader, "owner", Reader::text).map(|text| text.value);
    let entity = file.require(reader, "entity", "name the type of the documents", Reader::filled_text);
    let key = file.read(reader, "key", Reader::filled_text);
    let query = file.require(reader, "query", "name the file of the query template", Reader::filled_text);
    let graph = graph::read(reader, &mut file);
    let kafka = kafka::read(reader, &mut file);
    let state_path = file.section(reader, "state").and_then(|mut state| {
        let path = state.read(reader, "path", |r, item| {
            if kafka.place.is_some() {
                let consequence = "with `kafka:` nothing is kept on the local disk; leave it out";
                without_effect(r, item, "`state.path`", consequence);
            }
            r.filled_text(item)
        });
        state.finish(reader);
        path
    });
    let root = entity.as_ref().map(|entity| entity.value.as_str());
    let (sources, sources_are_complete) = sources::read(reader, &mut file, root, &kafka);
    let coverage = sources::read_coverage(reader, &mut file);
    let fields = fields::read(reader, &mut file);
    let backfill = policies::read_backfill(reader, &mut file, &kafka);
    let policies = policies::read(reader, &mut file, &kafka, &coverage);
    let store = serving::read_store(reader, &mut file, &kafka);
    let search = search::read(reader, &mut file);
    let serve = serving::read_serve(reader, &mut file);
    let admin_listen = serving::read_admin(reader, &mut file, &serve);
    let tests = cases::read(reader, &mut file, sources_are_complete.then_some(sources.as_slice()));
    file.finish(reader);

    let name = name?;
    if kafka.place.is_some() {
        kafka::check_topics(reader, &name.value, &sources, policies.dead_letters.as_ref());
    }
    Some(Config {
        source: Arc::clone(reader.source),
        state_path: state_path.map_or_else(|| format!("./{}.db", name.value), |path| path.value),
        name,
        description,
        owner,
        entity: entity?,
        key,
        query: query?,
        graph: graph?,
        kafka: kafka.config,
        sources,
        coverage,
        fields,
        backfill,
        policies,
        search,
        store,
        serve,
        admin_listen,
        tests,
        sources_are_complete,
    })
}

fn read_version(reader: &mut Reader<'_>, file: &mut Section<'_>) {
    let Some(version) = file.require(reader, "version", "start the file with `version: 1`", Reader::text)
    else {
        return;
    };
    if version.value != "1" {
        let message = format!("version {} of the configuration is not known", version.value);
        reader.error(codes::SS108, &version.range, message, "this release reads version 1");
    }
}

/// A name that is refused is kept: what else is wrong shall be told, too.
fn read_name(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Located<String>> {
    let name = reader.filled_text(item)?;
    if is_index_name(&name.value) {
        return Some(name);
    }
    let message = format!("{:?} can't name an index", name.value);
    let help = format!("a small letter, then at most {} small letters, digits or dashes", MAX_NAME - 1);
    reader.error(codes::SS109, &name.range, message, help);
    Some(name)
}

/// Names of indexes and sources: they become parts of aliases, topics, groups and URLs.
fn is_index_name(name: &str) -> bool {
    name.len() <= MAX_NAME
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Reports a part of the file that this release can't do, where ignoring it would be wrong.
fn not_yet(reader: &mut Reader<'_>, item: &Item<'_>, what: &str, instead: &str) {
    reader.error(codes::SS111, &item.range, format!("{what} is not in this release"), instead);
}

/// Reports a part of the file that has no effect in this release, where going on without it is safe.
fn without_effect(reader: &mut Reader<'_>, item: &Item<'_>, what: &str, consequence: &str) {
    reader.warn(codes::SS112, &item.range, format!("{what} has no effect in this release"), consequence);
}
