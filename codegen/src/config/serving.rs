//! `store:`, `serve:` and `admin:`.

use std::{collections::BTreeMap, net::IpAddr};

use plan::{code::config as codes, index_plan::StoreKind};

use super::{
    Secret, graph,
    kafka::KafkaPart,
    not_yet,
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
    /// Tokens of the callers; empty: only this machine's programs are answered.
    pub tokens: Vec<Secret>,
    /// What the ports show to callers over TLS; `None`: they are spoken to in the clear.
    pub tls: Option<Identity>,
}

/// The identity of a TLS server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// A PEM file of the certificate, with those between it and its authority behind it.
    pub cert: String,
    /// A PEM file of its private key.
    pub key: String,
}

pub(super) fn read_store(reader: &mut Reader<'_>, file: &mut Section<'_>, kafka: &KafkaPart) -> StoreConfig {
    let mut config = StoreConfig {
        kind: StoreKind::Sqlite,
        url: None,
        auth: None,
        tls_ca: None,
        settings: BTreeMap::new(),
        keep_versions: 2,
    };
    let section = file.section(reader, "store");
    let kind = section.as_ref().is_some_and(|store| store.has("type"));
    if let (Some(place), false) = (&kafka.place, kind) {
        reader.missing(codes::SS124, place, KAFKA_AND_SQLITE.to_owned(), KAFKA_STORES);
    }
    let Some(mut store) = section else { return config };
    let kind = store.take("type");
    if let Some(item) = &kind {
        let kinds = [StoreKind::Sqlite, StoreKind::Elasticsearch, StoreKind::OpenSearch];
        let chosen = reader.word(item, &kinds.map(|kind| (kind.name(), kind)));
        if chosen == Some(StoreKind::Sqlite) && kafka.place.is_some() {
            reader.error(codes::SS124, &item.range, KAFKA_AND_SQLITE.to_owned(), KAFKA_STORES);
        }
        config.kind = chosen.unwrap_or(config.kind);
    }
    let is_sqlite = config.kind == StoreKind::Sqlite;
    config.auth = store.take("auth").and_then(|item| {
        let auth = read_auth(reader, &item, &["username", "password", "bearer", "api_key"])?;
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
    }
    store.finish(reader);
    config
}

const KAFKA_AND_SQLITE: &str = "with `kafka:` the sqlite store can't keep the documents";
const KAFKA_STORES: &str = "every process writes to the same store: `store: { type: elasticsearch, url: … }`, or `type: opensearch`; or leave `kafka:` out";

/// Reads one way to log in, out of the keys that this section has; `None` where there is none, all of them are empty, or there
/// are two.
pub(super) fn read_auth(
    reader: &mut Reader<'_>,
    item: &Item<'_>,
    keys: &[&'static str],
) -> Option<StoreAuth> {
    let mut section = reader.section(item)?;
    let mut given = BTreeMap::new();
    let mut is_readable = true;
    for key in keys {
        let Some(item) = section.take(key) else { continue };
        let text = reader.text(&item);
        is_readable &= text.is_some();
        // `${ES_API_KEY:-}` without the variable means "no key", not "the empty key".
        given.extend(text.filter(|text| !text.value.is_empty()).map(|text| (*key, text.value)));
    }
    section.finish(reader);
    // What can't be read was told; what else is given says nothing without it.
    if !is_readable {
        return None;
    }
    let is_basic = given.contains_key("username") || given.contains_key("password");
    let is_token = |key: &str| matches!(key, "bearer" | "api_key");
    let tokens = given.keys().filter(|key| is_token(key)).count();
    if usize::from(is_basic) + tokens > 1 {
        let others: Vec<&str> = keys.iter().copied().filter(|key| is_token(key)).collect();
        let help = format!("one of: `username` with `password`, `{}`", others.join("`, `"));
        reader.error(codes::SS121, &item.range, "there are two ways to log in".to_owned(), help);
        return None;
    }
    let mut take = |key| given.remove(key);
    match (take("username"), take("password"), take("bearer"), take("api_key")) {
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
    let mut config = ServeConfig { listen: "127.0.0.1:9468".into(), tokens: Vec::new(), tls: None };
    let Some(mut serve) = file.section(reader, "serve") else { return config };
    let listen = serve.take("listen");
    config.listen = listen.as_ref().and_then(|item| read_listen(reader, item)).unwrap_or(config.listen);
    let tokens = serve.read(reader, "tokens", Reader::texts).unwrap_or_default();
    // `${TOKEN:-}` without the variable means "no token", not "the empty token".
    config.tokens =
        tokens.into_iter().map(|token| Secret::new(token.value)).filter(|token| !token.is_empty()).collect();
    if let Some(item) = listen.filter(|_| config.tokens.is_empty() && !is_loopback(&config.listen)) {
        let message = "other machines reach the search port, and no token is set for them".to_owned();
        let help = "without one only /livez and /readyz are served there: set one under `serve.tokens`, or let `serve.listen` be 127.0.0.1:9468";
        reader.warn(codes::SS121, &item.range, message, help);
    }
    if let Some(mut tls) = serve.section(reader, "tls") {
        let help = "both are PEM files: `tls: { cert: ./server.pem, key: ./server.key }`";
        let mut file = |key| tls.require(reader, key, help, Reader::filled_text).map(|path| path.value);
        config.tls = file("cert").zip(file("key")).map(|(cert, key)| Identity { cert, key });
        if let Some(item) = tls.take("client_ca") {
            reader.filled_text(&item);
            // Whoever counts on it would let everybody in.
            not_yet(
                reader,
                &item,
                "asking callers for a certificate",
                "give them a token under `serve.tokens`",
            );
        }
        tls.finish(reader);
    }
    serve.finish(reader);
    config
}

pub(super) fn read_admin(reader: &mut Reader<'_>, file: &mut Section<'_>, serve: &ServeConfig) -> String {
    let listen = file.section(reader, "admin").and_then(|mut admin| {
        let listen = admin.read(reader, "listen", |reader, item| {
            let listen = read_listen(reader, item)?;
            // An empty token counts as none: who thinks that a variable holds one must be told.
            if serve.tokens.is_empty() && !is_loopback(&listen) {
                let message = "other machines reach the admin port, and no token is set for them".to_owned();
                let help = "without one only /livez and /readyz are served there: set one under `serve.tokens`, or let `admin.listen` be 127.0.0.1:9467";
                reader.warn(codes::SS121, &item.range, message, help);
            }
            Some(listen)
        });
        admin.finish(reader);
        listen
    });
    listen.unwrap_or_else(|| "127.0.0.1:9467".into())
}

/// Whether only this machine reaches an address. A name but `localhost` may stand for any.
fn is_loopback(listen: &str) -> bool {
    let host = listen.rsplit_once(':').map_or(listen, |(host, _)| host).trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
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
