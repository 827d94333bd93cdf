//! Connections whose other ends are gone without a word.

use harness::{link::Break, servers::kafka_linked};
use indexer::kafka::{Member, Transactions};

use super::{bundle, endpoint, endpoint_at, make, record, share_of, until};

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_fell_silent_are_given_up_in_time() {
    let (kafka, links) = tokio::task::spawn_blocking(|| kafka_linked(1)).await.expect("a broker");
    let lane = make(&kafka, "silent", 1, &[]).await;
    let member = Member::join(&endpoint_at(&links[0].address.to_string()), "silent", vec![lane.clone()]);
    let mut member = member.expect("joined");
    let share = share_of(&mut member).await;
    let beside = Transactions::start(&endpoint(&kafka), "silent");
    for key in ["before", "after"] {
        beside.commit(bundle(vec![record(&lane, key, "told")])).await.expect("an append");
        until(key, async || !share.take(&lane, 1, 1).is_empty()).await;
        links[0].fail(Break::HalfOpen);
    }
}
