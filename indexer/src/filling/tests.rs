//! Index versions in a state file, taken from being made to being removed.

use std::path::{Path, PathBuf};

use plan::{DocumentVersion, Epoch, IndexPlan, field::MappingKind};
use serde_json::json;

use super::*;
use crate::{endpoints::Place, index::OpenVersion, promotion, provision::state::provision, testing};

struct World {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl World {
    /// A provisioned index.
    fn new(plan: &IndexPlan) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("movies.db");
        provision(&path, plan).unwrap();
        Self { _folder: folder, path }
    }

    async fn open(&self) -> Index {
        Index::open("movies", &Place::embedded(&self.path)).await.unwrap()
    }

    /// Works until there is nothing to be done, as a process that begins now would.
    async fn work(&self) -> Index {
        let index = self.open().await;
        Filling::new(index.clone(), CancellationToken::new()).run(true).await.unwrap();
        index
    }
}

/// The plan, with its talents in objects, so that any number of them can be indexed.
fn flat() -> IndexPlan {
    let mut plan = testing::movies();
    plan.fields.0.iter_mut().for_each(|field| {
        if field.name == "actors" {
            field.mapping.kind = MappingKind::Object;
        }
    });
    plan
}

fn document(id: &str, at: u64, body: Option<String>) -> Document {
    let version = DocumentVersion::new(Epoch::ZERO, at);
    Document { id: DocumentId::new(id).unwrap(), version, body, fetched_at: 0, missing: Vec::new() }
}

fn titled(id: &str, at: u64) -> Document {
    document(id, at, Some(json!({"movieId": id, "title": format!("T{at}")}).to_string()))
}

async fn states(index: &Index) -> Vec<(u32, &'static str)> {
    let states = index.ledger.version_states().await.unwrap();
    states.iter().map(|(number, state)| (*number, state.name())).collect()
}

async fn version(index: &Index, number: u32) -> OpenVersion {
    let versions = index.versions().await.unwrap();
    index.open_version(versions.iter().find(|known| known.number() == number).unwrap()).unwrap()
}

fn tables(path: &Path, number: u32) -> i64 {
    let sql = format!(
        "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name LIKE '%\\_{number:06}' ESCAPE '\\'"
    );
    rusqlite::Connection::open(path).unwrap().query_row(&sql, (), |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn what_is_there_is_copied_and_what_comes_meanwhile_stays() {
    let world = World::new(&flat());
    let first = world.open().await;
    let before = [titled("m1", 1), titled("m2", 2), titled("m3", 3), titled("m4", 4)];
    first.store.write(before.to_vec()).await.unwrap();
    first.store.write(vec![document("m4", 5, None)]).await.unwrap();

    provision(&world.path, &testing::movies()).unwrap();
    let both = world.open().await;
    assert_eq!((both.version, &*both.live), (1, &[1, 2][..]));
    both.store.write(vec![titled("m2", 9)]).await.unwrap();
    assert_eq!(states(&both).await, [(1, "SERVED"), (2, "BUILDING")]);
    world.work().await;
    assert_eq!(states(&both).await, [(1, "SERVED"), (2, "READY")]);
    let second = version(&both, 2).await.store();
    assert_eq!(second.scan(None, 9).await.unwrap(), both.store.scan(None, 9).await.unwrap());
    let newest = second.get(&DocumentId::new("m2").unwrap()).await.unwrap().unwrap();
    assert_eq!((newest.version, second.live_documents().await.unwrap()), (titled("m2", 9).version, 3));
    assert_eq!(both.log.lag(Lane::Live).await.unwrap(), 0, "the graph is asked for nothing");
}

#[tokio::test]
async fn a_filling_goes_on_where_it_was() {
    let world = World::new(&flat());
    let first = world.open().await;
    let count = PAGE as u64 + 1;
    let all = (0..count).map(|at| titled(&format!("m{at:04}"), at)).collect();
    first.store.write(all).await.unwrap();
    provision(&world.path, &testing::movies()).unwrap();
    let index = world.open().await;
    let step = async || Filling::new(index.clone(), CancellationToken::new()).step().await.unwrap();
    assert!(step().await && step().await);
    let filled = |state: &VersionState| match state {
        VersionState::Filling { filled, .. } => Some(*filled),
        _ => None,
    };
    assert_eq!(filled(&index.ledger.version_states().await.unwrap()[1].1), Some(PAGE as u64));
    // What was copied before is not copied once more: here it would come back.
    let second = version(&index, 2).await.store();
    second.write(vec![document("m0000", count, None)]).await.unwrap();
    assert!(step().await && step().await && !step().await);
    assert_eq!(states(&index).await, [(1, "SERVED"), (2, "READY")]);
    assert_eq!(second.live_documents().await.unwrap(), count - 1);
}

#[tokio::test]
async fn what_a_version_refuses_is_known_until_it_takes_it() {
    let world = World::new(&flat());
    let index = world.open().await;
    let talents = vec![json!({"talentId": "t1"}); 100_001];
    let huge = |at| document("m1", at, Some(json!({"movieId": "m1", "actors": talents}).to_string()));
    let written = index.store.write(vec![huge(1), titled("m2", 2)]).await.unwrap();
    assert_eq!(written, [Outcome::Written, Outcome::Written]);
    provision(&world.path, &testing::movies()).unwrap();
    let both = world.work().await;
    assert_eq!(states(&both).await, [(1, "SERVED"), (2, "READY")]);
    let lacks = both.ledger.lacks(2, 9).await.unwrap();
    assert!(
        matches!(&*lacks, [lack] if lack.id.as_str() == "m1" && lack.reason.contains("100000")),
        "{lacks:?}"
    );

    // A write that it refuses holds the served one up in nothing; one that it takes heals it.
    assert_eq!(both.store.write(vec![huge(3)]).await.unwrap(), [Outcome::Written]);
    assert_eq!(both.ledger.lacks(2, 9).await.unwrap()[0].version, huge(3).version);
    both.store.write(vec![titled("m1", 4)]).await.unwrap();
    world.work().await;
    assert_eq!(both.ledger.lacks(2, 9).await.unwrap(), []);

    // What is lacking when it is promoted is fetched anew.
    both.store.write(vec![huge(5)]).await.unwrap();
    let promoted = promotion::promote(&both, None, &[]).await.unwrap();
    assert_eq!((promoted.from, promoted.to, promoted.lacks), (1, 2, 1));
    let served = world.work().await;
    assert_eq!((served.version, served.log.lag(Lane::Live).await.unwrap()), (2, 1));
    assert_eq!(served.ledger.lacks(2, 9).await.unwrap(), []);
}

#[tokio::test]
async fn a_version_that_nobody_wants_is_removed_and_its_number_with_it() {
    let world = World::new(&flat());
    let index = world.open().await;
    index.store.write(vec![titled("m1", 1)]).await.unwrap();
    provision(&world.path, &testing::movies()).unwrap();
    world.work().await;
    assert!(tables(&world.path, 2) > 0);
    // The plan of the served version again: what was made beside it is not wanted any more.
    provision(&world.path, &flat()).unwrap();
    assert_eq!(states(&index).await, [(1, "SERVED"), (2, "REMOVING")]);
    world.work().await;
    assert_eq!((states(&index).await, tables(&world.path, 2)), (vec![(1, "SERVED")], 0));
    assert_eq!(index.store.live_documents().await.unwrap(), 1, "the served one keeps its documents");

    provision(&world.path, &testing::movies()).unwrap();
    world.work().await;
    promotion::promote(&index, Some(3), &[]).await.unwrap();
    world.work().await;
    assert_eq!(states(&index).await, [(1, "KEPT"), (3, "SERVED")]);
    let nothing = promotion::promote(&index, None, &[]).await.unwrap_err();
    assert_eq!(nothing.code().id, "SS605", "{nothing}");
    let unknown = promotion::promote(&index, Some(2), &[]).await.unwrap_err();
    assert_eq!(unknown.code().id, "SS605", "{unknown}");
    let back = promotion::roll_back(&index).await.unwrap();
    assert_eq!((back.from, back.to), (3, 1));
    assert_eq!(promotion::roll_back(&index).await.unwrap_err().code().id, "SS605");
    let again = promotion::promote(&index, Some(1), &[]).await.unwrap();
    assert_eq!((again.from, again.to), (1, 1), "it is served already");
    assert_eq!(promotion::promote(&index, None, &[]).await.unwrap().to, 3, "what is newer waits");
}

#[tokio::test]
async fn versions_past_those_that_are_kept_go() {
    let mut plan = flat();
    plan.keep_versions = 1;
    let world = World::new(&plan);
    let index = world.open().await;
    index.store.write(vec![titled("m1", 1)]).await.unwrap();
    for (number, kind) in [(2, MappingKind::Text), (3, MappingKind::Keyword), (4, MappingKind::Text)] {
        plan.fields.0[1].mapping.kind = kind;
        plan.fields.0[1].mapping.suggest = number == 3;
        plan.fields.0[1].mapping.analyzer = (number == 4).then(|| "name".to_owned());
        provision(&world.path, &plan).unwrap();
        world.work().await;
        promotion::promote(&index, None, &[]).await.unwrap();
    }
    world.work().await;
    world.work().await;
    assert_eq!(states(&index).await, [(3, "KEPT"), (4, "SERVED")]);
    assert_eq!(world.open().await.store.live_documents().await.unwrap(), 1);
}
