//! `store:`, `serve:`, `admin:`, and the part that this release only knows by name: `kafka:`.

use std::collections::BTreeMap;

use plan::{code::config as codes, index_plan::StoreKind};

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
    /// The server's address; `None` for the sqlite store.
    pub url: Option<Located<String>>,
    /// How to log in at the server, if at all.
    pub auth: Option<StoreAuth>,
    /// A PEM file of certificate authorities to trust beside the system's.
    pub tls_ca: Option<String>,
    /// Settings of the index for its template, as written; numbers and words alike are text.
    pub settings: BTreeMap<String, String>,
    /// Index versions kept for rollback.
    pub keep_versions: u64,
}

/// Credentials of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreAuth {
    /// A user and a password.
    Basic {
        /// The user.
        username: String,
        /// The password.
        password: Secret,
    },
    /// An API key, encoded as Elasticsearch hands it out.
    ApiKey(Secret),
    /// A bearer token.
    Bearer(Secret),
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
    if let Some(item) = kafka.take("registry_auth") {
        read_auth(reader, &item);
    }
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

pub(super) fn read_store(reader: &mut Reader<'_>, file: &mut Section<'_>) -> StoreConfig {
    let mut config = StoreConfig {
        kind: StoreKind::Sqlite,
        url: None,
        auth: None,
        tls_ca: None,
        settings: BTreeMap::new(),
        keep_versions: 2,
    };
    let Some(mut store) = file.section(reader, "store") else { return config };
    let kind = store.take("type");
    if let Some(kind) = &kind {
        let kinds = [StoreKind::Sqlite, StoreKind::Elasticsearch, StoreKind::OpenSearch];
        config.kind = reader.word(kind, &kinds.map(|kind| (kind.name(), kind))).unwrap_or(config.kind);
    }
    let is_sqlite = config.kind == StoreKind::Sqlite;
    config.auth = store.take("auth").and_then(|item| {
        let auth = read_auth(reader, &item)?;
        if is_sqlite {
            let consequence = "the sqlite store is a file: its permissions protect it";
            without_effect(reader, &item, "`store.auth`", consequence);
        }
        Some(auth)
    });
    // Certificates without a server to ask for them are harmless, and come with the files of other stores.
    config.tls_ca = graph::read_tls(reader, &mut store);
    match (store.take("url"), &kind) {
        (Some(url), _) if is_sqlite => {
            if reader.text(&url).is_some() {
                let consequence = "the sqlite store is the file under `state.path`";
                without_effect(reader, &url, "`store.url`", consequence);
            }
        }
        (Some(url), _) => config.url = graph::read_url(reader, &url),
        (None, Some(kind)) if !is_sqlite => {
            let help = "`url: http://localhost:9200`, or with a variable: `url: ${SEARCH_URL}`";
            reader.missing(codes::SS103, &kind.range, "`store.url` is missing".to_owned(), help);
        }
        (None, _) => {}
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

/// Reads one way to log in; `None` where there is none, all of them are empty, or there are two.
fn read_auth(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<StoreAuth> {
    let mut section = reader.section(item)?;
    // `${ES_API_KEY:-}` without the variable means "no key", not "the empty key".
    let [username, password, bearer, api_key] = ["username", "password", "bearer", "api_key"].map(|key| {
        let text = section.read(reader, key, Reader::text).map(|text| text.value);
        text.filter(|text| !text.is_empty())
    });
    section.finish(reader);
    let ways = [username.is_some() || password.is_some(), bearer.is_some(), api_key.is_some()];
    if ways.iter().filter(|is_given| **is_given).count() > 1 {
        let help = "one of: `username` with `password`, `bearer`, `api_key`";
        reader.error(codes::SS121, &item.range, "there are two ways to log in".to_owned(), help);
        return None;
    }
    match (username, password, bearer, api_key) {
        (Some(username), Some(password), ..) => {
            Some(StoreAuth::Basic { username, password: Secret::new(password) })
        }
        (Some(_), None, ..) | (None, Some(_), ..) => {
            let help = "give both `username` and `password`, or neither";
            reader.error(codes::SS121, &item.range, "half of the credentials is missing".to_owned(), help);
            None
        }
        (.., Some(token), None) => Some(StoreAuth::Bearer(Secret::new(token))),
        (.., Some(key)) => Some(StoreAuth::ApiKey(Secret::new(key))),
        _ => None,
    }
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
