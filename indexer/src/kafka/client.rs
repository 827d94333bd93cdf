//! One cluster as librdkafka is told of it, and the one place that says what its errors mean to the rest.

use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::{
    ClientConfig, ClientContext, Statistics,
    config::RDKafkaLogLevel,
    error::{KafkaError, RDKafkaErrorCode},
};
use secrecy::ExposeSecret;

use crate::{StateError, endpoints::KafkaEndpoint};

/// What the user may change of every client.
///
/// A connection whose other end is gone without a word, as behind a firewall that forgot it, is noticed when an answer is
/// overdue. librdkafka waits a minute for one: a share stood still for as long, and again for the next such connection, while
/// the group took its process for well. Nothing that is asked takes ten seconds, and transactions end with them.
const PREFERRED: [(&str, &str); 3] =
    [("client.id", "studio-search"), ("socket.timeout.ms", "10000"), ("socket.keepalive.enable", "true")];

/// Properties that librdkafka knows under two names. Of two names for one thing the last one set must win.
const TWO_NAMES: [(&str, &str); 8] = [
    ("bootstrap.servers", "metadata.broker.list"),
    ("acks", "request.required.acks"),
    ("message.timeout.ms", "delivery.timeout.ms"),
    ("linger.ms", "queue.buffering.max.ms"),
    ("compression.type", "compression.codec"),
    ("retries", "message.send.max.retries"),
    ("max.in.flight", "max.in.flight.requests.per.connection"),
    ("fetch.message.max.bytes", "max.partition.fetch.bytes"),
];

/// Properties whose values are words of a small list, which may stand in a message.
const WORDS: [&str; 4] =
    ["security.protocol", "sasl.mechanism", "sasl.mechanisms", "sasl.oauthbearer.method"];

/// Values shorter than this are numbers and switches; hiding them would leave no message readable.
const MIN_SECRET: usize = 4;

/// A cluster: its name for people, its settings, and what must not be told of them.
pub(super) struct Cluster {
    what: Arc<str>,
    brokers: String,
    properties: Vec<(String, String)>,
    secrets: Vec<String>,
}

/// What an error means to whoever asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Another process took over.
    Fenced,
    /// It stays as it is until someone mends it.
    Refused,
    /// It passes by itself.
    Passing,
}

/// What is wrong with a cluster. Unlike a [`StateError`] it can be kept and told twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) what: Arc<str>,
    pub(super) meaning: Meaning,
    pub(super) reason: String,
}

impl From<Trouble> for StateError {
    fn from(trouble: Trouble) -> Self {
        let Trouble { what, meaning, reason } = trouble;
        match meaning {
            Meaning::Fenced => Self::Fenced(format!("{what} ({reason})")),
            Meaning::Refused => Self::Refused { what: what.to_string(), reason },
            Meaning::Passing => Self::Unreachable { what: what.to_string(), reason },
        }
    }
}

impl Cluster {
    pub(super) fn new(endpoint: &KafkaEndpoint) -> Self {
        let exposed = endpoint.properties.iter().map(|(key, value)| (key.clone(), value.expose_secret()));
        let properties: Vec<(String, String)> = exposed.map(|(key, value)| (key, value.to_owned())).collect();
        let hidden = properties
            .iter()
            .filter(|(key, value)| !WORDS.contains(&key.as_str()) && value.len() >= MIN_SECRET);
        let mut secrets: Vec<String> = hidden.map(|(_, value)| value.clone()).collect();
        // The longest first: a secret may be part of another.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        let brokers = endpoint.brokers.join(",");
        Self { what: format!("Kafka at {brokers}").into(), brokers, properties, secrets }
    }

    /// Settings of one client: the user's properties replace what we prefer, and what we need replaces the user's.
    pub(super) fn settings(&self, preferred: &[(&str, &str)], needed: &[(&str, &str)]) -> ClientConfig {
        let mut settings = ClientConfig::new();
        PREFERRED.iter().chain(preferred).for_each(|(key, value)| set(&mut settings, key, value));
        self.properties.iter().for_each(|(key, value)| set(&mut settings, key, value));
        needed.iter().for_each(|(key, value)| set(&mut settings, key, value));
        set(&mut settings, "bootstrap.servers", &self.brokers);
        settings.set_log_level(RDKafkaLogLevel::Info);
        settings
    }

    /// What an error means.
    pub(super) fn trouble(&self, error: &KafkaError) -> Trouble {
        let (meaning, reason) = match error {
            KafkaError::Transaction(error) => (meaning(error.code()), error.string()),
            // Its texts carry values, and a value may be a secret.
            KafkaError::ClientConfig(_, _, key, _) => {
                (Meaning::Refused, format!("librdkafka does not take this value of the property `{key}`"))
            }
            KafkaError::ClientCreation(reason) | KafkaError::AdminOpCreation(reason) => {
                (Meaning::Refused, reason.clone())
            }
            KafkaError::AdminOp(code) => (meaning(*code), text(*code)),
            other => match other.rdkafka_error_code() {
                Some(code) => (meaning(code), text(code)),
                None => (Meaning::Passing, other.to_string()),
            },
        };
        self.told(meaning, &reason)
    }

    /// What a code means, about something that is named.
    pub(super) fn trouble_of(&self, about: &str, code: RDKafkaErrorCode) -> Trouble {
        self.told(meaning(code), &format!("{about}: {}", text(code)))
    }

    /// A trouble in our own words.
    pub(super) fn told(&self, meaning: Meaning, reason: &str) -> Trouble {
        Trouble { what: Arc::clone(&self.what), meaning, reason: self.without_secrets(reason) }
    }

    fn without_secrets(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "*"))
    }
}

fn set(settings: &mut ClientConfig, key: &str, value: &str) {
    for (one, other) in TWO_NAMES {
        if key == one {
            settings.remove(other);
        } else if key == other {
            settings.remove(one);
        }
    }
    settings.set(key, value);
}

/// The words of librdkafka for a code, without the code's name in Rust.
fn text(code: RDKafkaErrorCode) -> String {
    let shown = code.to_string();
    let words = shown.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    words.unwrap_or(&shown).to_owned()
}

/// What a code means. A code that isn't here passes: librdkafka goes on trying, and so do we.
fn meaning(code: RDKafkaErrorCode) -> Meaning {
    use RDKafkaErrorCode as Code;
    match code {
        Code::IllegalGeneration
        | Code::UnknownMemberId
        | Code::FencedInstanceId
        | Code::FencedMemberEpoch
        | Code::StaleMemberEpoch
        | Code::RebalanceInProgress
        | Code::AssignmentLost
        | Code::Fenced
        | Code::ProducerFenced
        | Code::InvalidProducerEpoch => Meaning::Fenced,
        // Who we are, and what we may do
        Code::Authentication
        | Code::SSL
        | Code::SaslAuthenticationFailed
        | Code::UnsupportedSASLMechanism
        | Code::IllegalSASLState
        | Code::SecurityDisabled
        | Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::TransactionalIdAuthorizationFailed
        | Code::DelegationTokenAuthorizationFailed
        | Code::DelegationTokenExpired
        | Code::DelegationTokenNotFound
        // What isn't there, or may not be so
        | Code::UnknownTopic
        | Code::UnknownPartition
        | Code::UnknownTopicOrPartition
        | Code::InvalidTopic
        | Code::TopicAlreadyExists
        | Code::TopicDeletionDisabled
        | Code::InvalidPartitions
        | Code::InvalidReplicationFactor
        | Code::InvalidReplicaAssignment
        | Code::InvalidGroupId
        | Code::InconsistentGroupProtocol
        | Code::UnsupportedAssignor
        | Code::GroupMaxSizeReached
        | Code::InvalidSessionTimeout
        | Code::InvalidTransactionTimeout
        | Code::InvalidConfig
        | Code::InvalidArgument
        | Code::InvalidRequest
        | Code::PolicyViolation
        | Code::OffsetOutOfRange
        | Code::AutoOffsetReset
        // What the broker can't take
        | Code::MessageSizeTooLarge
        | Code::MessageBatchTooLarge
        | Code::InvalidMessageSize
        | Code::InvalidRecord
        | Code::InvalidTimestamp
        | Code::InvalidRequiredAcks
        | Code::UnsupportedCompressionType
        | Code::UnsupportedForMessageFormat
        | Code::UnsupportedVersion
        | Code::UnsupportedFeature
        | Code::NotConfigured
        | Code::NotImplemented => Meaning::Refused,
        _ => Meaning::Passing,
    }
}

/// Hears what librdkafka says of one client: log lines go to `tracing`, and the last trouble is kept.
pub(super) struct Watch {
    pub(super) cluster: Arc<Cluster>,
    trouble: Mutex<Option<Trouble>>,
    /// Why the last connection failed; of "all brokers are down" it tells why.
    failure: Mutex<Option<String>>,
}

impl Watch {
    pub(super) fn new(cluster: Arc<Cluster>) -> Self {
        Self { cluster, trouble: Mutex::default(), failure: Mutex::default() }
    }

    /// What is wrong now.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps a trouble. It is logged when it is new, not each time that it is met.
    pub(super) fn note(&self, trouble: Trouble) {
        let mut known = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        match &*known {
            Some(before) if before.meaning == trouble.meaning => {}
            // That nobody answers is no wonder where nobody lets us in.
            Some(before) if before.meaning == Meaning::Refused && trouble.meaning == Meaning::Passing => {
                return;
            }
            _ => tracing::warn!("{}: {}", trouble.what, trouble.reason),
        }
        *known = Some(trouble);
    }

    /// Keeps why a connection failed; it is why nobody answers, if nobody does.
    fn fail(&self, reason: String) {
        let mut known = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(trouble) = known.as_mut().filter(|trouble| trouble.meaning == Meaning::Passing) {
            trouble.reason.clone_from(&reason);
        }
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
    }

    /// Notes that the cluster works.
    pub(super) fn clear(&self) {
        let before = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).take();
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = None;
        if let Some(before) = before {
            tracing::info!("{} answers again", before.what);
        }
    }

    /// What an error means, told by its cause where that is known: a wrong password looks like a timeout to who waits.
    pub(super) fn explained(&self, error: &KafkaError) -> Trouble {
        let trouble = self.cluster.trouble(error);
        if trouble.meaning != Meaning::Passing {
            return trouble;
        }
        let failed = || {
            let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
            failure.map(|reason| self.cluster.told(Meaning::Passing, &reason))
        };
        self.trouble().or_else(failed).unwrap_or(trouble)
    }
}

impl ClientContext for Watch {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        let line = self.cluster.without_secrets(line);
        // What matters of it comes as an error, too, and is told once.
        tracing::debug!(target: "librdkafka", ?level, facility, "{line}");
    }

    fn stats(&self, _: Statistics) {}

    fn error(&self, error: KafkaError, reason: &str) {
        let reason = self.cluster.without_secrets(reason);
        match error.rdkafka_error_code() {
            // One broker of many may be away without any harm.
            Some(RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::Resolve) => self.fail(reason),
            Some(RDKafkaErrorCode::AllBrokersDown) => {
                let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
                self.note(self.cluster.told(Meaning::Passing, &failure.unwrap_or(reason)));
            }
            // Whoever called is told.
            Some(
                RDKafkaErrorCode::PartitionEOF
                | RDKafkaErrorCode::AutoOffsetReset
                | RDKafkaErrorCode::LogTruncation
                | RDKafkaErrorCode::Fatal,
            ) => {}
            Some(code) => self.note(self.cluster.told(meaning(code), &reason)),
            None => self.note(self.cluster.told(Meaning::Passing, &reason)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn endpoint(properties: &[(&str, &str)]) -> KafkaEndpoint {
        let properties: BTreeMap<String, secrecy::SecretString> =
            properties.iter().map(|(key, value)| ((*key).to_owned(), (*value).into())).collect();
        KafkaEndpoint { brokers: vec!["kafka:9092".into()], properties, instance_id: None, registry: None }
    }

    #[test]
    fn what_we_need_wins_over_the_user_and_the_user_over_what_we_prefer() {
        let cluster = Cluster::new(&endpoint(&[
            ("compression.codec", "zstd"),
            ("request.required.acks", "1"),
            ("metadata.broker.list", "elsewhere:1"),
            ("client.id", "movies"),
        ]));
        let settings =
            cluster.settings(&[("compression.type", "lz4"), ("linger.ms", "1")], &[("acks", "all")]);
        let settings = settings.config_map();
        let wanted = [
            ("acks", "all"),
            ("bootstrap.servers", "kafka:9092"),
            ("client.id", "movies"),
            ("compression.codec", "zstd"),
            ("linger.ms", "1"),
            ("socket.keepalive.enable", "true"),
            ("socket.timeout.ms", "10000"),
        ];
        assert_eq!(settings, BTreeMap::from(wanted));
    }

    #[test]
    fn no_reason_carries_a_secret() {
        let cluster = Cluster::new(&endpoint(&[
            ("sasl.password", "hunter2"),
            ("sasl.mechanism", "PLAIN"),
            ("sasl.oauthbearer.config", "secret=hunter2hunter2"),
        ]));
        let error = KafkaError::ClientCreation("PLAIN hunter2 of secret=hunter2hunter2".to_owned());
        assert_eq!(cluster.trouble(&error).reason, "PLAIN * of *");
        let settings = cluster.settings(&[], &[("acks", "hunter2")]);
        let Err(error) = settings.create_native_config() else { panic!("acks is a number") };
        let told = StateError::from(cluster.trouble(&error)).to_string();
        assert_eq!(told, "Kafka at kafka:9092: librdkafka does not take this value of the property `acks`");
    }

    #[test]
    fn a_refusal_explains_why_nobody_answers() {
        let watch = Watch::new(Arc::new(Cluster::new(&endpoint(&[]))));
        let silence = KafkaError::MetadataFetch(RDKafkaErrorCode::OperationTimedOut);
        assert_eq!(watch.explained(&silence).meaning, Meaning::Passing);
        watch.error(
            KafkaError::Global(RDKafkaErrorCode::Authentication),
            "SASL authentication error: who are you",
        );
        watch.error(KafkaError::Global(RDKafkaErrorCode::AllBrokersDown), "1/1 brokers are down");
        let told = watch.explained(&silence);
        assert_eq!(
            (told.meaning, told.reason.as_str()),
            (Meaning::Refused, "SASL authentication error: who are you")
        );
        watch.clear();
        assert_eq!(watch.trouble(), None);
    }
}
