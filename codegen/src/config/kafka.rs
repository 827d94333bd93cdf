//! `kafka:` — the brokers, the schema registry, how topics are made, and which of librdkafka's properties are the user's.

use std::{collections::BTreeMap, ops::Range};

use plan::code::config as codes;

use super::{
    Secret, graph,
    reader::{Item, Located, Reader, Section},
    serving::{self, StoreAuth},
    sources::{SourceConfig, SourceEndpoint},
    without_effect,
};

/// The longest name of a topic, and of a static member: Kafka's `Topic.validate` checks both.
const MAX_TOPIC: usize = 249;

/// Partitions of each topic, where nothing is said.
const PARTITIONS: i32 = 12;

/// Copies of each partition, where nothing is said.
const REPLICATION: i32 = 3;

/// Properties of librdkafka on which it hangs who owns an id and what counts as done, with the mend. A name that ends in a
/// dot stands for all that begin with it.
const OURS: [(&str, &str); 14] = [
    ("bootstrap.servers", "name them under `kafka.brokers`"),
    ("metadata.broker.list", "name them under `kafka.brokers`"),
    ("group.instance.id", "give the name of this process as `kafka.instance_id`"),
    ("group.", "leave it out: the groups are called after the index, `<name>-route` and `<name>-rebuild`"),
    ("partition.assignment.strategy", "leave it out: one process must own an id in all topics of the index"),
    ("enable.auto.", "leave it out: progress is committed only when the documents are written"),
    (
        "auto.offset.reset",
        "leave it out: what happens where records expired is said by `on_gap` of the source",
    ),
    ("isolation.level", "leave it out: what was appended and not committed must not be read"),
    ("transactional.", "leave it out: each process appends in transactions of its own"),
    ("transaction.", "leave it out: each process appends in transactions of its own"),
    ("enable.idempotence", "leave it out: it is on"),
    ("acks", "leave it out: all in-sync replicas must have a record"),
    ("request.required.acks", "leave it out: all in-sync replicas must have a record"),
    ("partitioner", "leave it out: an id finds its owner by the partition, murmur2 of the id"),
];

/// Properties under `sasl.` and `ssl.`, and texts elsewhere, that are no secrets.
const SHOWN: [&str; 14] = [
    "client.id",
    "client.rack",
    "compression.codec",
    "compression.type",
    "debug",
    "sasl.mechanism",
    "sasl.mechanisms",
    "sasl.oauthbearer.method",
    "security.protocol",
    "ssl.ca.location",
    "ssl.certificate.location",
    "ssl.endpoint.identification.algorithm",
    "ssl.key.location",
    "ssl.keystore.location",
];

/// Kafka, which carries log and events between processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaConfig {
    /// The brokers to begin with, `host:port` or `host`.
    pub brokers: Vec<String>,
    /// The schema registry.
    pub registry: Option<RegistryConfig>,
    /// Partitions of each topic that is made.
    pub partitions: i32,
    /// Copies of each partition.
    pub replication: i32,
    /// The name of this process among its group's static members.
    pub instance_id: Option<String>,
    /// What librdkafka is given as it is written. Any value may be a secret.
    pub properties: BTreeMap<String, Secret>,
}

/// A schema registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryConfig {
    /// Its address.
    pub url: Located<String>,
    /// How to log in, if at all.
    pub auth: Option<RegistryAuth>,
    /// A PEM file of certificate authorities to trust beside the system's.
    pub tls_ca: Option<String>,
}

/// Credentials of a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegistryAuth {
    /// A user and a password.
    Basic {
        /// The user.
        username: String,
        /// The password.
        password: Secret,
    },
    /// A bearer token.
    Bearer(Secret),
}

/// What the other parts of the file must know of `kafka:`.
pub(super) struct KafkaPart {
    /// Where it stands; `None`: it is left out.
    pub(super) place: Option<Range<usize>>,
    /// Whether a registry is named, readable or not.
    pub(super) has_registry: bool,
    /// What it says, where it can be read.
    pub(super) config: Option<KafkaConfig>,
}

pub(super) fn read(reader: &mut Reader<'_>, file: &mut Section<'_>) -> KafkaPart {
    let mut part = KafkaPart { place: None, has_registry: false, config: None };
    let Some(item) = file.take("kafka") else { return part };
    part.place = Some(item.range.clone());
    let Some(mut kafka) = reader.section(&item) else { return part };
    let help = "name some brokers: `brokers: [\"localhost:9092\"]`";
    let brokers = kafka.require(reader, "brokers", help, read_brokers);
    let url = kafka.take("schema_registry");
    // `${SCHEMA_REGISTRY_URL:-}` without the variable means that there is none.
    part.has_registry =
        url.as_ref().is_some_and(|url| reader.text(url).is_none_or(|text| !text.value.is_empty()));
    let url = url.filter(|_| part.has_registry).and_then(|url| graph::read_url(reader, &url));
    let auth_item = kafka.take("registry_auth");
    let auth = auth_item.as_ref().and_then(|item| read_auth(reader, item));
    if let (Some(item), Some(_), false) = (&auth_item, &auth, part.has_registry) {
        without_effect(reader, item, "`kafka.registry_auth`", "`kafka.schema_registry` names no registry");
    }
    let tls_ca = kafka.section(reader, "registry").and_then(|mut registry| {
        let tls_ca = graph::read_tls(reader, &mut registry);
        registry.finish(reader);
        tls_ca
    });
    let (mut partitions, mut replication) = (None, None);
    if let Some(mut topics) = kafka.section(reader, "topics") {
        partitions = topics.read(reader, "partitions", |r, item| r.integer(item, 1..=100_000));
        replication = topics.read(reader, "replication", |r, item| r.integer(item, 1..=100));
        topics.finish(reader);
    }
    let number = |wish: Option<u64>, usual| wish.and_then(|number| number.try_into().ok()).unwrap_or(usual);
    let instance_id = kafka.read(reader, "instance_id", read_instance_id);
    let properties = kafka.take("properties").map(|item| read_properties(reader, &item)).unwrap_or_default();
    kafka.finish(reader);
    part.config = brokers.map(|brokers| KafkaConfig {
        brokers,
        registry: url.map(|url| RegistryConfig { url, auth, tls_ca }),
        partitions: number(partitions, PARTITIONS),
        replication: number(replication, REPLICATION),
        instance_id,
        properties,
    });
    part
}

/// Addresses; one variable may hold several, with commas between them, as librdkafka takes them.
fn read_brokers(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Vec<String>> {
    let mut brokers = Vec::new();
    let mut is_right = true;
    let elements = reader.list(item)?;
    for element in &elements {
        let Some(text) = reader.filled_text(element) else {
            is_right = false;
            continue;
        };
        for broker in text.value.split(',').map(str::trim) {
            is_right &= is_broker(broker);
            if !is_broker(broker) {
                // The value itself stays out of the message: credentials may stand in it.
                let message = format!("`{}` is no address of a broker", element.path);
                let help = "a host and a port, such as localhost:9092; how to talk to it is said by `security.protocol`";
                reader.error(codes::SS105, &text.range, message, help);
            }
            brokers.push(broker.to_owned());
        }
    }
    if elements.is_empty() {
        let help = "name some: `brokers: [\"localhost:9092\"]`; the others are learnt from them";
        reader.missing(codes::SS103, &item.range, "`kafka.brokers` names no broker".to_owned(), help);
    }
    (is_right && !brokers.is_empty()).then_some(brokers)
}

fn is_broker(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        // The colons of a bare IPv6 address are its own.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    let is_ipv6 = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_ipv6 = is_ipv6.is_some_and(|host| host.parse::<std::net::Ipv6Addr>().is_ok());
    (is_ipv6 || !host.is_empty() && host.bytes().all(is_host))
        && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

fn read_auth(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<RegistryAuth> {
    match serving::read_auth(reader, item, &["username", "password", "bearer"])? {
        StoreAuth::Basic { username, password } => Some(RegistryAuth::Basic { username, password }),
        StoreAuth::Bearer(token) => Some(RegistryAuth::Bearer(token)),
        StoreAuth::ApiKey(_) => None,
    }
}

fn read_instance_id(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<String> {
    let text = reader.text(item)?;
    // `${HOSTNAME:-}` without the variable means that it is a new member at each start.
    if text.value.is_empty() {
        return None;
    }
    if is_topic_name(&text.value) {
        return Some(text.value);
    }
    let message = format!("{:?} can't name a member of a group", text.value);
    reader.error(codes::SS109, &text.range, message, NAME_HELP);
    None
}

fn read_properties(reader: &mut Reader<'_>, item: &Item<'_>) -> BTreeMap<String, Secret> {
    let mut properties = BTreeMap::new();
    for (name, item) in reader.named(item) {
        let ours = OURS
            .iter()
            .find(|(ours, _)| name.value == *ours || ours.ends_with('.') && name.value.starts_with(ours));
        if let Some((_, help)) = ours {
            let message = format!("the property `{}` of Kafka's client is not yours to set", name.value);
            reader.error(codes::SS123, &name.range, message, *help);
        }
        let Some(value) = reader.scalar(&item).filter(|value| !value.is_empty()) else { continue };
        properties.insert(name.value, Secret::new(value));
    }
    properties
}

/// Whether `config expand` shows what a property is set to. What isn't known for sure is hidden.
pub(super) fn is_shown(property: &str, value: &str) -> bool {
    let is_plain = value == "true" || value == "false" || value.parse::<f64>().is_ok();
    let may_be_secret = ["sasl", "ssl"].iter().any(|part| property.starts_with(part))
        || super::masking::is_telling(property)
        || property.contains("pem");
    SHOWN.contains(&property) || is_plain && !may_be_secret
}

const NAME_HELP: &str = "1 to 249 letters of a to z and A to Z, digits, dots, dashes and underscores";

/// Reads the name of a topic.
pub(super) fn read_topic(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Located<String>> {
    let topic = reader.filled_text(item)?;
    if is_topic_name(&topic.value) {
        return Some(topic);
    }
    let message = format!("{:?} can't name a topic", topic.value);
    reader.error(codes::SS109, &topic.range, message, NAME_HELP);
    None
}

fn is_topic_name(name: &str) -> bool {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=MAX_TOPIC).contains(&name.len()) && name.bytes().all(is_legal) && name != "." && name != ".."
}

/// No topic may have two purposes: what an index writes would come back to it as events.
pub(super) fn check_topics(
    reader: &mut Reader<'_>,
    index: &str,
    sources: &[SourceConfig],
    dead_letters: Option<&Located<String>>,
) {
    let own = format!("studio-search.{index}.");
    let written = |topic: &str| {
        let rest = topic.strip_prefix(&own);
        rest.is_some_and(|rest| matches!(rest, "live" | "backfill") || rest.starts_with("documents."))
    };
    let default = format!("{own}dlq");
    let dead = dead_letters.map_or(default.as_str(), |topic| topic.value.as_str());
    for source in sources {
        let SourceEndpoint::Topic(topic) = &source.endpoint else { continue };
        if written(&topic.value) || topic.value == dead {
            let message = format!("the index itself writes the topic {}", topic.value);
            let help =
                "name the topic that events come from; topics `studio-search.<name>.…` are the index's own";
            reader.error(codes::SS121, &topic.range, message, help);
        }
    }
    if let Some(topic) = dead_letters.filter(|topic| written(&topic.value)) {
        let message = format!("the topic {} holds something else than dead letters", topic.value);
        let help = format!("give dead letters a topic of their own; left out, it is {default}");
        reader.error(codes::SS121, &topic.range, message, help);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_is_a_host_and_perhaps_a_port() {
        for right in
            ["localhost", "localhost:9092", "10.0.0.1:9092", "[::1]", "[2001:db8::1]:9092", "b_1.x:1"]
        {
            assert!(is_broker(right), "{right}");
        }
        for wrong in
            ["", ":9092", "a:", "a:0", "a:65536", "PLAINTEXT://a:9092", "a b:1", "::1", "[::1", "[x]:1"]
        {
            assert!(!is_broker(wrong), "{wrong}");
        }
    }

    #[test]
    fn topics_are_named_by_kafkas_rules() {
        assert!(is_topic_name("studio.public.movies") && is_topic_name(&"x".repeat(249)));
        for wrong in ["", ".", "..", "a b", "a/b", "é", &"x".repeat(250)] {
            assert!(!is_topic_name(wrong), "{wrong}");
        }
    }

    #[test]
    fn only_what_is_surely_no_secret_is_shown() {
        for (name, value) in
            [("session.timeout.ms", "45000"), ("security.protocol", "SASL_SSL"), ("x.y", "true")]
        {
            assert!(is_shown(name, value), "{name}");
        }
        for (name, value) in [
            ("sasl.password", "12345"),
            ("sasl.username", "search"),
            ("ssl.key.pem", "-----BEGIN"),
            ("ssl.key.password", "1"),
            ("sasl.oauthbearer.client.secret", "x"),
            ("sasl.oauthbearer.config", "x"),
            ("my.token", "7"),
            ("unknown", "words"),
        ] {
            assert!(!is_shown(name, value), "{name}");
        }
    }
}
