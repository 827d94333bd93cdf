//! The plan of one index: everything that `run` needs and no more, without secrets and without endpoints.

use std::{collections::BTreeMap, fmt::Write};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{FieldTree, IdKind, KafkaPlan, RecordPath, window::Window};
pub use crate::{
    access_plan::{AccessPlan, DEFAULT_POLICY, Policies},
    audit_plan::{AuditPlan, Every},
    checks_plan::ChecksPlan,
    coverage_plan::{CoverageLine, CoveredBy, EdgeLine, EdgeSource, EdgeWay},
    kafka_plan::{Encoding, OnGap},
    search_plan::{Boost, BoostModifier, Recency, SearchPlan, WeightedPath},
    store_kind::StoreKind,
};

/// The layout of the plan's JSON. A program refuses a plan of another layout.
pub const PLAN_FORMAT: u32 = 1;

/// What codegen proves and the rest runs. Made only by codegen; kept in the ledger by `provision`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IndexPlan {
    /// [`PLAN_FORMAT`] of the program that made it.
    pub format: u32,
    /// The index's name; alias, topics and groups derive from it.
    pub name: String,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whom to ask about this index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The root entity.
    pub entity: String,
    /// The key of the root entity.
    pub key: KeyPlan,
    /// How documents are asked of the gateway.
    pub fetch: FetchPlan,
    /// Limits of the traffic to the gateway.
    pub graph: GraphPolicy,
    /// The subgraphs of the supergraph: name to routing URL as the schema tells it. For attribution of errors.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub subgraphs: BTreeMap<String, String>,
    /// The fields of the document.
    pub fields: FieldTree,
    /// The event sources, by name in the order of the file.
    pub sources: Vec<SourcePlan>,
    /// Where ids come from and how fast a backfill goes.
    pub backfill: BackfillPlan,
    /// What to do with errors in answers.
    pub errors: ErrorPolicy,
    /// Where documents are kept and searched.
    pub store: StoreKind,
    /// Index versions that were served and are still written, for rollback, at most.
    #[serde(default = "two", skip_serializing_if = "is_two")]
    pub keep_versions: u64,
    /// Topics and groups, where the log is shared over Kafka; `None`: it is in the state file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kafka: Option<KafkaPlan>,
    /// What free text searches, which facets are shown, and how hits are ranked.
    pub search: SearchPlan,
    /// When `status` warns.
    pub freshness: FreshnessPolicy,
    /// When the index is compared with the graph; `None`: only when a person asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit: Option<AuditPlan>,
    /// What keeps each entity of the document fresh.
    pub coverage: Vec<CoverageLine>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn two() -> u64 {
    2
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands the field over so")]
fn is_two(count: &u64) -> bool {
    *count == two()
}

/// The key of the root entity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyPlan {
    /// The schema's field name.
    pub field: String,
    /// Where the document carries it: a response key at the document's root.
    pub path: String,
    /// How it is written.
    pub kind: IdKind,
}

/// How documents are asked of the gateway. Texts are complete GraphQL; nothing is parsed at run time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchPlan {
    /// The operation's name as the user wrote it.
    pub operation_name: String,
    /// The first 16 hexadecimal digits of the SHA-256 of [`FetchPlan::query`]'s meaning: equal hashes, equal documents.
    pub query_hash: String,
    /// The user's query, validated, asking for one document (`$id`) or a list of them (`$ids`).
    pub query: String,
    /// How several documents are asked for in one request.
    pub mode: FetchMode,
    /// The subgraphs that can answer the root field, sorted; empty where the schema doesn't tell.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owners: Vec<String>,
}

/// How several documents share one request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "mode")]
pub enum FetchMode {
    /// [`FetchPlan::query`] takes a list of ids; the answer is matched by key, never by position.
    List {
        /// The variable that takes the ids, without `$`.
        variable: String,
        /// The response key of the root field, whose value is a list of documents.
        root: String,
    },
    /// The root field is repeated under aliases `d0`, `d1`, … over ONE named fragment.
    Alias {
        /// The GraphQL type of the id variable, such as `ID!`.
        variable_type: String,
        /// Declarations of the other variables (all with defaults), such as `$lang: String = "en"`; may be empty.
        other_variables: String,
        /// The root field and its selection, cut where the number of the alias goes: `movie(movieId: $id` + n + `) { ...F }`.
        root: Vec<String>,
        /// The fragment definitions.
        fragments: String,
        /// The variable's name in [`FetchPlan::query`], and the root field's response key there, for a single document.
        variable: String,
        /// The response key of the root field in [`FetchPlan::query`].
        root_key: String,
    },
    /// One document a request, because `$id` stands below the root.
    Single {
        /// The variable that takes the id, without `$`.
        variable: String,
        /// The response key of the root field.
        root: String,
    },
}

impl FetchMode {
    /// The text of a request for `size` documents in alias mode: `query Name($id0: ID!, …) { d0: … d1: … } fragment …`.
    pub fn alias_query(&self, operation_name: &str, size: usize) -> Option<String> {
        let Self::Alias { variable_type, other_variables, root, fragments, .. } = self else { return None };
        let mut text = format!("query {operation_name}(");
        for n in 0..size {
            let _ = write!(text, "$id{n}: {variable_type} ");
        }
        text.push_str(other_variables);
        text.push_str(") {");
        for n in 0..size {
            let _ = write!(text, " d{n}: {}", root.join(&n.to_string()));
        }
        text.push_str(" }\n");
        text.push_str(fragments);
        Some(text)
    }
}

/// Limits of the traffic to the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GraphPolicy {
    /// Documents a request at most.
    pub batch_size: usize,
    /// Requests in flight at most.
    pub max_concurrency: usize,
    /// How long one request may take.
    pub timeout_ms: u64,
    /// How long from the start of a fetch to the acknowledgement of its write, at most.
    pub deadline_ms: u64,
}

/// One event source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourcePlan {
    /// Its name under `sources:`.
    pub name: String,
    /// The entity whose changes it tells.
    pub entity: String,
    /// Where its records come from.
    pub input: SourceInput,
    /// How a record is read.
    pub format: EventFormat,
    /// How the bytes of a topic's record are written.
    #[serde(default, skip_serializing_if = "is_default")]
    pub encoding: Encoding,
    /// The entity's id in the record. `None` where only `root_id` is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<RecordPath>,
    /// How the entity's key is written.
    pub id_kind: IdKind,
    /// Whether `id` is a document id: the source's entity is the root entity.
    pub is_root: bool,
    /// Root ids that the record itself names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_id: Option<RecordPath>,
    /// Paths of key fields in the document that hold the entity's id, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reverse_lookup: Vec<String>,
    /// The query that asks the graph for root ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back_reference: Option<IdQuery>,
    /// Who tells of a new edge.
    pub edge: EdgeTeller,
    /// Where records of a snapshot (`op: r`) go.
    pub snapshot_reads: SnapshotReads,
    /// Only records that satisfy this filter count; over record paths, untyped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// Where the record tells the version of what it changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<RecordPath>,
    /// Where the document shows the same, in the order of its paths; empty without `version`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shown: Vec<ShownVersion>,
    /// A fan-out past this many roots goes into the backfill lane.
    pub max_fanout: u64,
    /// What is done where records of a topic expired before they were read.
    #[serde(default, skip_serializing_if = "is_default")]
    pub on_gap: OnGap,
}

/// A field of the document, a number or a date, that shows which version of a source's entity it was built from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownVersion {
    /// Its path.
    pub path: String,
    /// The path of the entity's key beside it; `None`: the entity is the document itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// Where a source's records come from. Files and addresses are endpoints and stand in the configuration alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceInput {
    /// A file of lines that is followed.
    File,
    /// `POST /events/<index>/<source>`.
    Http,
    /// A Kafka topic.
    Topic(String),
}

/// How a record is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventFormat {
    /// Debezium's envelope with `before`, `after`, `op`; bare or under `payload`.
    Debezium,
    /// Debezium's flattened rows.
    DebeziumFlat,
    /// Debezium's outbox router.
    Outbox,
    /// CloudEvents, structured or binary.
    Cloudevents,
    /// Any JSON.
    Plain,
}

/// Who tells of a new edge between a document and a related entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EdgeTeller {
    /// The entity that holds the field: its own events announce the edge.
    Holder,
    /// The related entity: its events must name the roots.
    Related,
}

/// Where records of a snapshot go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SnapshotReads {
    /// The throttled lane.
    Backfill,
    /// The live lane.
    Live,
    /// Nowhere.
    Ignore,
}

/// A validated query that answers ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdQuery {
    /// The whole text.
    pub query: String,
    /// The operation's name.
    pub operation_name: String,
    /// Response keys from `data` to the id; lists on the way are walked.
    pub ids: Vec<String>,
    /// The variable that takes the related entity's id (back-references only), without `$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_variable: Option<String>,
    /// How pages follow each other; `None` where one request answers all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paging: Option<Paging>,
    /// How to ask how many ids there are; `None` where the schema offers no `totalCount`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<IdCountQuery>,
}

/// A query that answers how many ids an [`IdQuery`] leads to; its operation has the same name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdCountQuery {
    /// The whole text. It needs no variables.
    pub query: String,
    /// Response keys from `data` to the number.
    pub path: Vec<String>,
}

/// How pages of an id query follow each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Paging {
    /// Relay's connections: `pageInfo { hasNextPage endCursor }` and a cursor variable.
    Relay {
        /// Response keys from `data` to the object with `hasNextPage` and `endCursor`.
        page_info: Vec<String>,
        /// The variable that takes the cursor, without `$`.
        after: String,
    },
    /// An offset variable that grows by the number of ids answered; an empty page ends it.
    Offset {
        /// The variable that takes the offset, without `$`.
        offset: String,
    },
}

/// Where ids come from and how fast a backfill goes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct BackfillPlan {
    /// Where ids come from; `None` where the configuration names nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ids: Option<IdSource>,
    /// Documents a second at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_per_second: Option<f64>,
    /// When it may go on; empty: always.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<Window>,
    /// When it waits for the gateway to get better.
    #[serde(default, skip_serializing_if = "is_default")]
    pub back_off: BackOff,
    /// What must hold before a new index version is served.
    #[serde(default, skip_serializing_if = "is_default")]
    pub checks: ChecksPlan,
}

/// How the gateway is while a backfill waits.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct BackOff {
    /// Five in a hundred of its answers take longer than this many milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p95_latency_ms: Option<u64>,
    /// More than this share of requests fails, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_rate: Option<f64>,
}

/// Where a backfill's ids come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdSource {
    /// A query to the gateway.
    Query(IdQuery),
    /// A file with one id a line; its path is an endpoint.
    File,
    /// The records of a topic of Kafka.
    Topic(IdTopic),
    /// What is indexed already.
    Index,
}

/// A topic whose records name ids, from its beginning to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdTopic {
    /// Its name.
    pub topic: String,
    /// Where a record holds the id.
    pub id: RecordPath,
}

/// What to do with errors in answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ErrorPolicy {
    /// Data together with errors.
    pub partial: PartialPolicy,
    /// A null root without an error.
    pub not_found: NotFoundPolicy,
    /// Codes of errors on the root that mean the same as a null root.
    pub not_found_codes: Vec<String>,
    /// The share of fetched documents that may be gone in ten minutes without delete events, 0 to 1.
    pub max_gone: f64,
    /// The first pause before a held document is fetched again.
    pub retry_initial_ms: u64,
    /// The longest pause.
    pub retry_max_ms: u64,
    /// Whether held documents are fetched again by themselves.
    pub auto_replay: bool,
    /// Whom to ask about a subgraph.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub owners: BTreeMap<String, String>,
}

/// What to do with data that came together with errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartialPolicy {
    /// Keep the last good document and hold the id.
    Hold,
    /// Write the document with its missing paths listed, and hold the id until it is complete.
    Index,
}

/// What a null root without an error means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotFoundPolicy {
    /// The document is gone: a tombstone.
    Delete,
    /// Nothing.
    Ignore,
}

/// When `status` warns: milliseconds from an event to its document being searchable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FreshnessPolicy {
    /// From here `status` warns.
    pub warn_after_ms: u64,
    /// From here `status --check` fails.
    pub error_after_ms: u64,
}

impl IndexPlan {
    /// The plan as stable JSON: same plan, same bytes.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a plan has string keys only")
    }

    /// The first 16 hexadecimal digits of the SHA-256 of [`IndexPlan::to_json`].
    pub fn hash(&self) -> String {
        short_hash(&self.to_json())
    }

    /// The source of this name.
    pub fn source(&self, name: &str) -> Option<&SourcePlan> {
        self.sources.iter().find(|source| source.name == name)
    }
}

/// The first 16 hexadecimal digits of the SHA-256 of a text.
pub fn short_hash(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest[..8].iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
