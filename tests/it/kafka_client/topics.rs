//! What is asked about topics, and what is changed in them.

use std::collections::BTreeMap;

use indexer::{
    StateError,
    kafka::{Bundle, Described, Member, Message, NewTopic, OwnedMessage, Topics, Transactions},
};

use super::{broker, bundle, endpoint, make, progress, record, share_of};

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_is_made_described_and_changed() {
    let kafka = broker().await;
    let topics = Topics::new(&endpoint(kafka));
    let name = make(kafka, "described", 4, &[("retention.ms", "-1"), ("cleanup.policy", "compact")]).await;
    let described = topics.describe(&["described", "not-there"]).await.expect("an answer");
    assert_eq!(described.keys().collect::<Vec<_>>(), ["described"]);
    let Described { partitions, replication, config, own } = &described["described"];
    assert_eq!((*partitions, *replication), (4, 1));
    assert_eq!(config["max.message.bytes"], "1048588");
    let text = |map: &[(&str, &str)]| -> BTreeMap<String, String> {
        map.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    assert_eq!(*own, text(&[("cleanup.policy", "compact"), ("retention.ms", "-1")]));

    topics.alter(&name, text(&[("max.message.bytes", "2000000")])).await.expect("changed");
    let own =
        topics.describe(&[&name]).await.expect("an answer").remove("described").expect("it is there").own;
    let wanted = [("cleanup.policy", "compact"), ("max.message.bytes", "2000000"), ("retention.ms", "-1")];
    assert_eq!(own, text(&wanted), "what was there stays");

    let again = NewTopic { name: name.to_string(), partitions: 1, replication: 1, config: BTreeMap::new() };
    let refused = topics.create(again).await;
    assert!(matches!(&refused, Err(StateError::Refused { .. })), "{refused:?}");
    let refused = topics.alter(&name, text(&[("retention.ms", "soon")])).await;
    assert!(matches!(&refused, Err(StateError::Refused { .. })), "{refused:?}");
    let refused = topics.ends("not-there").await;
    assert!(matches!(&refused, Err(StateError::Refused { .. })), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ends_the_lag_and_the_last_records_of_a_topic() {
    let kafka = broker().await;
    let topics = Topics::new(&endpoint(kafka));
    let name = make(kafka, "ends", 2, &[]).await;
    let transactions = Transactions::start(&endpoint(kafka), "ends");
    assert_eq!(topics.ends(&name).await.expect("an answer"), BTreeMap::from([(0, 0), (1, 0)]));
    // Six transactions, so markers stand between the records.
    for number in 0..6 {
        let mut one = record(&name, "", number.to_string());
        one.partition = Some(number % 2);
        one.headers = vec![("number".to_owned(), vec![u8::try_from(number).expect("small")])];
        transactions.commit(bundle(vec![one])).await.expect("an append");
    }
    assert_eq!(topics.beginnings(&name).await.expect("an answer"), BTreeMap::from([(0, 0), (1, 0)]));
    assert_eq!(topics.ends(&name).await.expect("an answer"), BTreeMap::from([(0, 6), (1, 6)]));
    assert_eq!(topics.lag("ends", &name).await.expect("an answer"), BTreeMap::from([(0, 6), (1, 6)]));

    let mut member = Member::join(&endpoint(kafka), "ends", vec![name.clone()]).expect("joined");
    let share = share_of(&mut member).await;
    let offsets = vec![progress(&share, &name, 1, 3)];
    transactions.commit(Bundle { records: Vec::new(), offsets }).await.expect("a commit");
    assert_eq!(topics.committed("ends", &name).await.expect("an answer"), BTreeMap::from([(1, 3)]));
    assert_eq!(topics.lag("ends", &name).await.expect("an answer"), BTreeMap::from([(0, 6), (1, 3)]));

    let values = |records: &[OwnedMessage]| -> Vec<String> {
        records
            .iter()
            .map(|one| String::from_utf8_lossy(one.payload().expect("a value")).into_owned())
            .collect()
    };
    assert_eq!(values(&topics.latest(&name, 4).await.expect("records")), ["5", "4", "3", "2"]);
    assert_eq!(values(&topics.latest(&name, 100).await.expect("records")).len(), 6);
    let one = topics.read_one(&name, 1, 2).await.expect("an answer").expect("a record");
    assert_eq!((one.payload(), one.offset()), (Some(b"3".as_slice()), 2));
    assert_eq!(
        topics.read_one(&name, 1, 3).await.expect("an answer").map(|one| one.offset()),
        None,
        "a marker"
    );
    assert_eq!(topics.read_one(&name, 1, 99).await.expect("an answer").map(|one| one.offset()), None);

    topics.delete_records(&name, BTreeMap::from([(0, 2), (1, 4)])).await.expect("deleted");
    assert_eq!(topics.beginnings(&name).await.expect("an answer"), BTreeMap::from([(0, 2), (1, 4)]));
    assert_eq!(topics.lag("ends", &name).await.expect("an answer"), BTreeMap::from([(0, 4), (1, 2)]));
    assert_eq!(topics.read_one(&name, 1, 2).await.expect("an answer").map(|one| one.offset()), None);
    assert_eq!(values(&topics.latest(&name, 4).await.expect("records")), ["5", "4", "2"]);
}
