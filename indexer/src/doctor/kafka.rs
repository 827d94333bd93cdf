//! Kafka: that brokers answer, that the topics are there as they should be, and that the groups may be asked.

use std::{collections::BTreeMap, time::Duration};

use plan::{
    KafkaPlan,
    code::kafka::SS303,
    index_plan::{IdSource, SourceInput},
};

use super::{Finding, Patient};
use crate::{StateError, kafka::Topics, provision::topics::IndexTopics};

const KAFKA: &str = "kafka";

/// How often a group is asked for. The brokers choose who answers for it when somebody first asks, which takes seconds.
const ASKED: usize = 10;

/// Between two questions.
const PAUSE: Duration = Duration::from_secs(1);

/// Asks the brokers.
pub(super) async fn examine(patient: &Patient<'_>, kafka: &KafkaPlan) -> Vec<Finding> {
    let Some(endpoint) = &patient.place.kafka else {
        // Provision says the same, and refuses.
        return IndexTopics::of(patient.place, patient.plan)
            .err()
            .map(|error| Finding::of_error(KAFKA, &error))
            .into_iter()
            .collect();
    };
    let topics = Topics::new(endpoint);
    let brokers = match topics.brokers(&kafka.live).await {
        Ok(brokers) => brokers,
        Err(error) => return vec![Finding::of_error(KAFKA, &error)],
    };
    let mut findings = vec![Finding::ok(
        KAFKA,
        format!("{brokers} brokers answer").replace("1 brokers answer", "1 broker answers"),
    )];
    match own_topics(patient).await {
        Ok(found) => findings.extend(found),
        Err(error) => findings.push(Finding::of_error("topics", &error)),
    }
    findings.extend(copies(&topics, kafka, brokers).await);
    findings.extend(sources(patient, &topics).await);
    findings.extend(groups(patient, &topics, kafka).await);
    findings
}

/// The topics that provision makes.
async fn own_topics(patient: &Patient<'_>) -> Result<Vec<Finding>, StateError> {
    let Some(topics) = IndexTopics::of(patient.place, patient.plan)? else { return Ok(Vec::new()) };
    Ok(topics.changes().await?.iter().map(Finding::of_change).collect())
}

/// A topic of one copy is lost with its broker.
async fn copies(topics: &Topics, kafka: &KafkaPlan, brokers: usize) -> Option<Finding> {
    if brokers < 2 {
        return None;
    }
    let own = [&kafka.live, &kafka.backfill, &kafka.documents, &kafka.dead_letters];
    let there = topics.describe(&own.map(String::as_str)).await.ok()?;
    let single: Vec<&str> = there
        .iter()
        .filter(|(_, described)| described.replication < 2)
        .map(|(name, _)| name.as_str())
        .collect();
    if single.is_empty() {
        return Some(Finding::ok("copies of topics", "no topic is lost with one broker"));
    }
    let message = format!("one copy only of {}: with its broker they are lost", single.join(", "));
    let help = "give them more copies with `kafka-reassign-partitions`, and set `kafka.topics.replication`";
    Some(Finding::warning("copies of topics", message, help))
}

/// The topics that sources, and backfills, read.
async fn sources(patient: &Patient<'_>, topics: &Topics) -> Vec<Finding> {
    let of_source = patient.plan.sources.iter().filter_map(|source| match &source.input {
        SourceInput::Topic(topic) => {
            let mend = format!("make it, or mend `topic:` of the source {}", source.name);
            Some((format!("source {}", source.name), topic, mend))
        }
        SourceInput::File | SourceInput::Http => None,
    });
    let of_ids = match &patient.plan.backfill.ids {
        Some(IdSource::Topic(ids)) => {
            Some(("backfill.ids".to_owned(), &ids.topic, "make it, or mend `backfill.ids`".to_owned()))
        }
        _ => None,
    };
    let mut findings = Vec::new();
    for (check, topic, mend) in of_source.chain(of_ids) {
        findings.push(match topics.describe(&[topic]).await {
            Err(error) => Finding::of_error(check, &error),
            Ok(there) => match there.get(topic) {
                Some(there) => {
                    Finding::ok(check, format!("the topic {topic} has {} partitions", there.partitions))
                }
                None => Finding::failed(check, SS303, format!("the topic {topic} does not exist"), mend),
            },
        });
    }
    findings
}

/// The groups: whether their progress may be asked for. Joining them would take partitions from those who work.
async fn groups(patient: &Patient<'_>, topics: &Topics, kafka: &KafkaPlan) -> Vec<Finding> {
    let topic_of_source = patient.plan.sources.iter().find_map(|source| match &source.input {
        SourceInput::Topic(topic) => Some(topic.as_str()),
        SourceInput::File | SourceInput::Http => None,
    });
    let wanted = [
        (kafka.route_group.as_str(), topic_of_source),
        (kafka.rebuild_group.as_str(), Some(kafka.live.as_str())),
    ];
    let mut findings = Vec::new();
    for (group, topic) in wanted {
        let Some(topic) = topic else { continue };
        // A topic that isn't there was told above.
        if topics.describe(&[topic]).await.is_ok_and(|there| there.is_empty()) {
            continue;
        }
        let check = format!("group {group}");
        findings.push(match committed(topics, group, topic).await {
            Ok(offsets) => Finding::ok(
                check,
                format!("it may be asked; offsets of {} partitions of {topic}", offsets.len()),
            ),
            Err(error) => Finding::of_error(check, &error),
        });
    }
    findings
}

/// How far a group is, once somebody answers for it.
async fn committed(topics: &Topics, group: &str, topic: &str) -> Result<BTreeMap<i32, i64>, StateError> {
    for _ in 1..ASKED {
        match topics.committed(group, topic).await {
            Err(error) if error.is_passing() => tokio::time::sleep(PAUSE).await,
            answer => return answer,
        }
    }
    topics.committed(group, topic).await
}
