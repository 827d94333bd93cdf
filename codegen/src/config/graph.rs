//! `graph:` — the gateway, its schema, and how it may be asked.

use std::collections::BTreeMap;

use plan::{code::config as codes, field::MappingKind};

use super::{
    Secret,
    reader::{Item, Located, Reader, Section},
};

/// Documents a request at most, whatever is configured: routers cap aliases and tokens well below.
const MAX_BATCH: u64 = 1000;

/// The gateway and its schema.
#[derive(Debug, Clone, PartialEq)]
pub struct GraphConfig {
    /// The GraphQL endpoint.
    pub url: Located<String>,
    /// The schema's file; `None`: ask the endpoint itself with [`crate::INTROSPECTION_QUERY`].
    pub schema: Option<Located<String>>,
    /// Sent with every request.
    pub headers: BTreeMap<String, Secret>,
    /// A file of certificates that are trusted beside the system's.
    pub tls_ca: Option<String>,
    /// Documents a request at most.
    pub batch_size: usize,
    /// How documents share a request; `None`: as the query allows.
    pub batch_mode: Option<Located<BatchMode>>,
    /// Requests in flight at most.
    pub max_concurrency: usize,
    /// How long one request may take.
    pub timeout_ms: u64,
    /// How long from the start of a fetch to the acknowledgement of its write, at most.
    pub deadline_ms: u64,
    /// How custom scalars are indexed, the defaults for `Date`, `DateTime` and `JSON` included.
    pub scalars: BTreeMap<String, MappingKind>,
}

/// How several documents share one request, as configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchMode {
    /// By a list of ids.
    List,
    /// By aliases over one fragment.
    Alias,
    /// They don't.
    Single,
}

impl BatchMode {
    /// The word in the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Alias => "alias",
            Self::Single => "single",
        }
    }
}

pub(super) fn read(reader: &mut Reader<'_>, file: &mut Section<'_>) -> Option<GraphConfig> {
    let item =
        file.require(reader, "graph", "name the gateway: `graph: { url: …, schema: … }`", |_, item| {
            Some(item.clone())
        })?;
    let mut graph = reader.section(&item)?;
    let url =
        graph.require(reader, "url", "the GraphQL endpoint, such as http://localhost:4000/graphql", read_url);
    let schema = graph.read(reader, "schema", Reader::filled_text);
    let headers = graph.take("headers").map_or_else(BTreeMap::new, |item| read_headers(reader, &item));
    let tls_ca = read_tls(reader, &mut graph);
    let mut batch_size = 25;
    let mut batch_mode = None;
    if let Some(mut batch) = graph.section(reader, "batch") {
        batch_size =
            batch.read(reader, "size", |r, item| r.integer(item, 1..=MAX_BATCH)).unwrap_or(batch_size);
        batch_mode = batch.read(reader, "mode", |r, item| {
            let mode =
                r.word(item, &[BatchMode::List, BatchMode::Alias, BatchMode::Single].map(|m| (m.word(), m)));
            mode.map(|value| Located { value, range: item.range.clone() })
        });
        batch.finish(reader);
    }
    let max_concurrency = graph.read(reader, "max_concurrency", |r, item| r.integer(item, 1..=10_000));
    let timeout_ms = graph.read(reader, "timeout", Reader::duration).unwrap_or(10_000);
    let deadline_item = graph.take("deadline");
    let deadline = deadline_item.as_ref().and_then(|item| reader.duration(item));
    // A deadline left out follows a timeout that was raised: the answer must still be written in time.
    let deadline_ms = deadline.unwrap_or_else(|| 30_000.max(timeout_ms.saturating_mul(3)));
    if let (Some(item), true) = (&deadline_item, deadline_ms <= timeout_ms) {
        let message = "`graph.deadline` must be longer than `graph.timeout`".to_owned();
        let help = "the deadline covers the request and the write; three times the timeout is usual";
        reader.error(codes::SS121, &item.range, message, help);
    }
    let scalars = read_scalars(reader, &mut graph);
    graph.finish(reader);
    Some(GraphConfig {
        url: url?,
        schema,
        headers,
        tls_ca,
        batch_size: usize::try_from(batch_size).unwrap_or(25),
        batch_mode,
        max_concurrency: max_concurrency.and_then(|n| usize::try_from(n).ok()).unwrap_or(16),
        timeout_ms,
        deadline_ms,
        scalars,
    })
}

/// `tls: { ca: FILE }`, as under graph, registry and store; an empty path counts as left out.
pub(super) fn read_tls(reader: &mut Reader<'_>, section: &mut Section<'_>) -> Option<String> {
    let mut tls = section.section(reader, "tls")?;
    let ca = tls.read(reader, "ca", Reader::text).map(|path| path.value).filter(|path| !path.is_empty());
    tls.finish(reader);
    ca
}

/// An address of HTTP.
pub(super) fn read_url(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Located<String>> {
    let url = reader.filled_text(item)?;
    let host = url.value.strip_prefix("http://").or_else(|| url.value.strip_prefix("https://"));
    let good = host.is_some_and(|host| {
        !host.is_empty() && !host.starts_with(['/', ':']) && !host.contains(|c: char| c.is_whitespace())
    });
    if good {
        return Some(url);
    }
    // The value itself stays out of the message: credentials may stand in it.
    let message = format!("`{}` is not an HTTP address", item.path);
    reader.error(codes::SS105, &item.range, message, "it begins with http:// or https://, then a host");
    None
}

/// A name that HTTP takes for a header.
pub(super) fn read_header_name(reader: &mut Reader<'_>, name: &Located<String>) -> Option<String> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if !name.value.is_empty() && name.value.bytes().all(is_token) {
        return Some(name.value.clone());
    }
    let message = format!("{:?} can't name a header", name.value);
    reader.error(codes::SS105, &name.range, message, "letters, digits and dashes, such as x-api-key");
    None
}

/// Headers with their values, which may be secrets.
pub(super) fn read_headers(reader: &mut Reader<'_>, item: &Item<'_>) -> BTreeMap<String, Secret> {
    let mut headers = BTreeMap::new();
    for (name, value) in reader.named(item) {
        let Some(name) = read_header_name(reader, &name) else { continue };
        let Some(text) = reader.text(&value) else { continue };
        if text.value.contains(|c: char| c.is_control() && c != '\t') {
            let message = format!("the value of the header {name} holds a control character");
            reader.error(
                codes::SS105,
                &text.range,
                message,
                "a header is one line; look for a line break in the variable",
            );
            continue;
        }
        headers.insert(name, Secret::new(text.value));
    }
    headers
}

fn read_scalars(reader: &mut Reader<'_>, graph: &mut Section<'_>) -> BTreeMap<String, MappingKind> {
    let mut scalars = BTreeMap::from([
        ("Date".to_owned(), MappingKind::Date),
        ("DateTime".to_owned(), MappingKind::Date),
        ("JSON".to_owned(), MappingKind::Flattened),
    ]);
    let words = [
        ("date", MappingKind::Date),
        ("keyword", MappingKind::Keyword),
        ("text", MappingKind::Text),
        ("long", MappingKind::Long),
        ("double", MappingKind::Double),
        ("boolean", MappingKind::Boolean),
        ("flattened", MappingKind::Flattened),
    ];
    if let Some(item) = graph.take("scalars") {
        for (name, value) in reader.named(&item) {
            if let Some(kind) = reader.word(&value, &words) {
                scalars.insert(name.value, kind);
            }
        }
    }
    scalars
}
