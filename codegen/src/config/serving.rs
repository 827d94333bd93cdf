//! `store:`, `serve:`, `admin:`, and the part that this release only knows by name: `kafka:`.

use std::collections::BTreeMap;

use plan::code::config as codes;

use super::{
    Secret, graph, not_yet,
    reader::{Item, Located, Reader, Section},
    without_effect,
};

/// Where documents are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreConfig {
    /// Which store.
    pub kind: StoreKind,
    /// Settings of the index for its template, as written; numbers and words alike are text.
    pub settings: BTreeMap<String, String>,
    /// Index versions kept for rollback.
    pub keep_versions: u64,
}

/// A store that this release can write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreKind {
    /// The `SQLite` file of the state.
    Sqlite,
}

/// The search API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServeConfig {
    /// Address and port.
    pub listen: String,
    /// Tokens of the callers; empty: everyone that reaches the address.
    pub tokens: Vec<Secret>,
}

pub(super) fn refuse_kafka(reader: &mut Reader<'_>, file: &mut Section<'_>) {
    let Some(item) = file.take("kafka") else { return };
    not_yet(reader, &item, "Kafka", "leave `kafka:` out: log and ledger are then in one SQLite file");
    let Some(mut kafka) = reader.section(&item) else { return };
    kafka.read(reader, "brokers", Reader::texts);
    kafka.read(reader, "schema_registry", Reader::text);
    read_auth(reader, &mut kafka, "registry_auth");
    if let Some(mut registry) = kafka.section(reader, "registry") {
        graph::read_tls(reader, &mut registry);
        registry.finish(reader);
    }
    if let Some(mut topics) = kafka.section(reader, "topics") {
        topics.read(reader, "partitions", |r, item| r.integer(item, 1..=100_000));
        topics.read(reader, "replication", |r, item| r.integer(item, 1..=100));
        topics.finish(reader);
    }
    kafka.read(reader, "instance_id", Reader::text);
    if let Some(properties) = kafka.take("properties") {
        for (_, value) in reader.named(&properties) {
            reader.text(&value);
        }
    }
    kafka.finish(reader);
}

/// Reads credentials; `None` where all of them are empty.
fn read_auth<'n>(reader: &mut Reader<'_>, section: &mut Section<'n>, key: &'static str) -> Option<Item<'n>> {
    let item = section.take(key)?;
    let mut auth = reader.section(&item)?;
    let mut is_given = false;
    for key in ["username", "password", "bearer", "api_key"] {
        is_given |= auth.read(reader, key, Reader::text).is_some_and(|text| !text.value.is_empty());
    }
    auth.finish(reader);
    is_given.then_some(item)
}

pub(super) fn read_store(reader: &mut Reader<'_>, file: &mut Section<'_>) -> StoreConfig {
    let mut config = StoreConfig { kind: StoreKind::Sqlite, settings: BTreeMap::new(), keep_versions: 2 };
    let Some(mut store) = file.section(reader, "store") else { return config };
    let mut is_sqlite = true;
    if let Some(kind) = store.take("type") {
        let kinds = [("sqlite", true), ("elasticsearch", false), ("opensearch", false)];
        let known = reader.word(&kind, &kinds);
        is_sqlite = known == Some(true);
        if known == Some(false) {
            let what = "Elasticsearch or OpenSearch as the store";
            not_yet(reader, &kind, what, "use `type: sqlite`, the default");
        }
    }
    // What belongs to another store is told once, where that store is named.
    let auth = read_auth(reader, &mut store, "auth").filter(|_| is_sqlite);
    if let Some(auth) = auth {
        without_effect(
            reader,
            &auth,
            "`store.auth`",
            "the sqlite store is a file: its permissions protect it",
        );
    }
    // Certificates without a server to ask for them are harmless, and come with the files of other stores.
    graph::read_tls(reader, &mut store);
    if let Some(url) = store.take("url")
        && reader.text(&url).is_some()
        && is_sqlite
    {
        without_effect(reader, &url, "`store.url`", "the sqlite store is the file under `state.path`");
    }
    if let Some(settings) = store.take("settings") {
        for (name, value) in reader.named(&settings) {
            if let Some(value) = reader.text(&value) {
                config.settings.insert(name.value, value.value);
            }
        }
    }
    if let Some(item) = store.take("keep_versions") {
        config.keep_versions = reader.integer(&item, 1..=100).unwrap_or(config.keep_versions);
        without_effect(reader, &item, "`store.keep_versions`", "there is one index version");
    }
    store.finish(reader);
    config
}

pub(super) fn read_serve(reader: &mut Reader<'_>, file: &mut Section<'_>) -> ServeConfig {
    let mut config = ServeConfig { listen: "127.0.0.1:9468".into(), tokens: Vec::new() };
    let Some(mut serve) = file.section(reader, "serve") else { return config };
    config.listen = serve.read(reader, "listen", read_listen).unwrap_or(config.listen);
    let tokens = serve.read(reader, "tokens", Reader::texts).unwrap_or_default();
    // `${TOKEN:-}` without the variable means "no token", not "the empty token".
    config.tokens =
        tokens.into_iter().map(|token| Secret::new(token.value)).filter(|token| !token.is_empty()).collect();
    if let Some(item) = serve.take("tls") {
        if let Some(mut tls) = reader.section(&item) {
            for key in ["cert", "key", "client_ca"] {
                tls.read(reader, key, Reader::filled_text);
            }
            tls.finish(reader);
        }
        // Serving in the clear where TLS was asked for would be worse than not serving.
        not_yet(reader, &item, "TLS for the search API", "end TLS before studio-search");
    }
    serve.finish(reader);
    config
}

pub(super) fn read_admin(reader: &mut Reader<'_>, file: &mut Section<'_>) -> String {
    let listen = file.section(reader, "admin").and_then(|mut admin| {
        let listen = admin.read(reader, "listen", read_listen);
        admin.finish(reader);
        listen
    });
    listen.unwrap_or_else(|| "127.0.0.1:9467".into())
}

fn read_listen(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<String> {
    let Located { value, range } = reader.filled_text(item)?;
    let port =
        value.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port.parse::<u16>());
    if matches!(port, Some(Ok(_))) {
        return Some(value);
    }
    let message = format!("{value:?} is no address to listen on");
    reader.error(codes::SS105, &range, message, "a host and a port, such as 127.0.0.1:9467");
    None
}
