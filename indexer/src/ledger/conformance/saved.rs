//! Saved searches under their names, and matches that wait until they are settled.

use super::{LONG, Ledgers, World, id, version};
use crate::ledger::{BegunMatch, SavedSearch};

pub(super) async fn run(world: &dyn World) {
    let ledgers = world.provisioned(LONG).await;
    every_process_sees_what_is_saved(&ledgers).await;
    a_match_waits_until_its_version_is_settled(&ledgers).await;
    waiting_matches_are_read_in_pages(&ledgers).await;
}

fn search(name: &str, filter: &str) -> SavedSearch {
    SavedSearch { name: name.to_owned(), filter: filter.to_owned(), saved_at: 1 }
}

fn begun(search: &str, document: &str, at: i64) -> BegunMatch {
    BegunMatch { search: search.to_owned(), id: id(document), version: version(at), at }
}

async fn every_process_sees_what_is_saved(ledgers: &Ledgers) {
    let (one, other) = (ledgers.open(), ledgers.open());
    assert_eq!((one.saved_revision().await.unwrap(), other.saved_searches().await.unwrap()), (0, vec![]));
    assert!(!one.remove_search("nothing").await.unwrap());
    let [features, action] = [search("features", "type == 'FEATURE'"), search("Action \u{1f525}", "true")];
    one.save_search(features.clone()).await.unwrap();
    let before = other.saved_revision().await.unwrap();
    one.save_search(action.clone()).await.unwrap();
    assert_ne!(other.saved_revision().await.unwrap(), before);
    assert_eq!(other.saved_searches().await.unwrap(), [action.clone(), features.clone()]);
    let long = search(&"n".repeat(120), &format!("title == '{}'", "x".repeat(60_000)));
    let replaced = SavedSearch { saved_at: 2, ..search("features", "true") };
    for saved in [&long, &replaced] {
        other.save_search(saved.clone()).await.unwrap();
    }
    assert_eq!(one.saved_searches().await.unwrap(), [action, replaced, long.clone()]);
    let before = one.saved_revision().await.unwrap();
    assert!(other.remove_search("features").await.unwrap() && !one.remove_search("features").await.unwrap());
    assert_ne!(one.saved_revision().await.unwrap(), before);
    assert_eq!(other.saved_searches().await.unwrap().len(), 2);
}

async fn a_match_waits_until_its_version_is_settled(ledgers: &Ledgers) {
    let (owner, poster) = (ledgers.open(), ledgers.open());
    owner.note_matches(vec![begun("a", "m2", 20), begun("a", "m1", 20), begun("b", "m1", 20)]).await.unwrap();
    let all = [begun("a", "m1", 20), begun("b", "m1", 20), begun("a", "m2", 20)];
    assert_eq!(poster.waiting_matches(None, 9).await.unwrap(), all);
    assert_eq!(poster.waiting_match_count().await.unwrap(), 3);
    // A zombie's word is older; its successor's is newer than what is being posted.
    owner.note_matches(vec![begun("a", "m1", 10), begun("a", "m2", 30)]).await.unwrap();
    poster.settle_matches(all.to_vec()).await.unwrap();
    assert_eq!(poster.waiting_matches(None, 9).await.unwrap(), [begun("a", "m2", 30)]);
    poster.settle_matches(vec![begun("a", "m2", 30), begun("a", "m9", 30)]).await.unwrap();
    assert_eq!(owner.waiting_match_count().await.unwrap(), 0);
    // A settled match may begin again.
    owner.note_matches(vec![begun("a", "m1", 40)]).await.unwrap();
    assert_eq!(poster.waiting_match_count().await.unwrap(), 1);
    poster.settle_matches(vec![begun("a", "m1", 40)]).await.unwrap();
}

async fn waiting_matches_are_read_in_pages(ledgers: &Ledgers) {
    let ledger = ledgers.open();
    let long = "x".repeat(512);
    let noted: Vec<BegunMatch> = (0..25_i64)
        .flat_map(|number| [begun("a", &format!("m{number:02}"), 50 + number / 10), begun("b", &long, 50)])
        .collect();
    ledger.note_matches(noted).await.unwrap();
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = ledger.waiting_matches(after.as_ref(), 7).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.clone());
        found.extend(page);
    }
    assert_eq!(found.len(), 26);
    assert!(found.is_sorted_by_key(|begun| (begun.at, begun.id.clone(), begun.search.clone())));
    ledger.settle_matches(found).await.unwrap();
    assert_eq!(ledger.waiting_match_count().await.unwrap(), 0);
}
