//! What provision makes on Kafka: both lanes, the documents log, and the topic of dead letters.

use std::collections::BTreeMap;

use plan::{IndexPlan, KafkaPlan};

use super::{Action, Change, Kind};
use crate::{
    StateError,
    endpoints::Place,
    kafka::{Described, NewTopic, Topics},
};

/// The largest record of a documents topic: the largest answer that is read from a gateway, and what frames it.
const MAX_DOCUMENT_BYTES: &str = "34603008";

/// How long readers of the documents topic can see that a document is gone: a week.
const TOMBSTONES_MS: &str = "604800000";

/// How long a dead letter can be looked at and replayed: 30 days.
const DEAD_LETTERS_MS: &str = "2592000000";

/// The topics of a plan, on its brokers.
pub(crate) struct IndexTopics {
    topics: Topics,
    wanted: Vec<NewTopic>,
}

impl IndexTopics {
    /// The topics of this plan; `None` where its log is in a state file.
    pub(crate) fn of(place: &Place, plan: &IndexPlan) -> Result<Option<Self>, StateError> {
        let Some(kafka) = &plan.kafka else { return Ok(None) };
        let endpoint = place.kafka.as_ref().ok_or_else(|| StateError::Refused {
            what: "the configuration".to_owned(),
            reason: "it names no brokers under `kafka:`, and the plan needs some".to_owned(),
        })?;
        Ok(Some(Self { topics: Topics::new(endpoint), wanted: wanted(kafka) }))
    }

    /// What is there against what should be.
    pub(crate) async fn changes(&self) -> Result<Vec<Change>, StateError> {
        let names: Vec<&str> = self.wanted.iter().map(|topic| topic.name.as_str()).collect();
        let there = self.topics.describe(&names).await?;
        Ok(self.wanted.iter().map(|topic| change(topic, there.get(&topic.name))).collect())
    }

    /// Makes and changes the topics that these changes name.
    pub(super) async fn make(&self, changes: &[Change]) -> Result<(), StateError> {
        for change in changes.iter().filter(|change| change.kind == Kind::Topic) {
            let Some(topic) = self.wanted.iter().find(|topic| topic.name == change.name) else { continue };
            match change.action {
                Action::Add => self.create(topic).await?,
                Action::Change => self.topics.alter(&topic.name, topic.config.clone()).await?,
                Action::Rebuild | Action::Remove | Action::None => {}
            }
        }
        Ok(())
    }
}

impl IndexTopics {
    /// Makes a topic, if nobody else has made it meanwhile.
    async fn create(&self, topic: &NewTopic) -> Result<(), StateError> {
        let Err(error) = self.topics.create(topic.clone()).await else { return Ok(()) };
        match self.topics.describe(&[&topic.name]).await?.get(&topic.name) {
            Some(there) if there.partitions == topic.partitions => Ok(()),
            _ => Err(error),
        }
    }
}

fn change(topic: &NewTopic, there: Option<&Described>) -> Change {
    let Some(there) = there else { return Change::missing(Kind::Topic, &topic.name) };
    if there.partitions != topic.partitions {
        let reason = format!(
            "it has {} partitions and {} are planned; an id's owner follows from their number, so it never changes",
            there.partitions, topic.partitions
        );
        return Change::of(Kind::Topic, &topic.name, Action::Rebuild, vec![reason]);
    }
    let differs = |(key, wanted): (&String, &String)| {
        let found = there.config.get(key).map_or("unset", String::as_str);
        (found != wanted).then(|| format!("`{key}` is {found}, {wanted} is wanted"))
    };
    let reasons = topic.config.iter().filter_map(differs).collect();
    Change::of(Kind::Topic, &topic.name, Action::Change, reasons)
}

/// The topics as they should be.
fn wanted(kafka: &KafkaPlan) -> Vec<NewTopic> {
    let topic = |name: &str, partitions, config: &[(&str, &str)]| NewTopic {
        name: name.to_owned(),
        partitions,
        replication: kafka.replication,
        config: config
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect::<BTreeMap<_, _>>(),
    };
    // A windowed backfill may wait for days; what is complete is trimmed by those who rebuild.
    let lane = [("cleanup.policy", "delete"), ("retention.ms", "-1"), ("retention.bytes", "-1")];
    let documents = [
        ("cleanup.policy", "compact"),
        ("delete.retention.ms", TOMBSTONES_MS),
        ("max.message.bytes", MAX_DOCUMENT_BYTES),
    ];
    let dead_letters = [
        ("cleanup.policy", "delete"),
        ("retention.ms", DEAD_LETTERS_MS),
        ("max.message.bytes", MAX_DOCUMENT_BYTES),
    ];
    vec![
        topic(&kafka.live, kafka.partitions, &lane),
        topic(&kafka.backfill, kafka.partitions, &lane),
        topic(&kafka.documents, kafka.partitions, &documents),
        topic(&kafka.dead_letters, 1, &dead_letters),
    ]
}
