//! What Debezium tells that is no change of one row: a truncated table, and a deleted row without its columns.

use plan::{RecordPath, code::kafka as codes, index_plan::EventFormat};

use super::*;
use crate::ledger::IndexState;

const TRUNCATED: &str = r#"{"key": null, "value": {"before": null, "after": null, "op": "t"}}"#;

/// A row that was changed.
fn changed(key: &str) -> String {
    json!({"key": key, "value": {"op": "u", "before": null, "after": {"talent_id": key}}}).to_string()
}

/// Routes events of Debezium; each is known by its key alone.
fn of_debezium() -> Bench {
    let mut bench = Bench::of_roots();
    bench.plan.sources[0].format = EventFormat::Debezium;
    bench
}

impl Bench {
    fn append_lines(&self, lines: &[&str]) {
        let mut file = fs::OpenOptions::new().create(true).append(true).open(self.file()).unwrap();
        lines.iter().for_each(|line| writeln!(file, "{line}").unwrap());
    }

    async fn failure(&self) -> Option<(String, String)> {
        match self.ledger.state().await.unwrap() {
            IndexState::Failed { code, reason } => Some((code, reason)),
            _ => None,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_truncated_table_pauses_until_a_person_resumes() {
    let bench = of_debezium();
    bench.append_lines(&[&changed("t1"), TRUNCATED]);
    let run = bench.start(scripted(down));
    bench.eventually(async || bench.failure().await.is_some()).await;
    let (code, reason) = bench.failure().await.unwrap();
    assert_eq!(code, codes::SS310.id);
    assert!(reason.contains("talent") && reason.contains("resume"), "{reason}");
    bench.append_lines(&[&changed("t2")]);
    sleep(Duration::from_mins(10)).await;
    assert_eq!(bench.logged().await, ["t1"], "nothing is read, and nothing deleted");
    // The next process waits as well, one with `--once` ends, and neither forgets why.
    bench.stop.cancel();
    run.await.unwrap().unwrap();
    let mut bench = bench;
    bench.stop = CancellationToken::new();
    bench.route(scripted(down), true).run().await.unwrap();
    assert!(bench.failure().await.is_some());
    let run = bench.start(scripted(down));
    sleep(Duration::from_mins(10)).await;
    assert_eq!(bench.logged().await, ["t1"]);
    bench.ledger.set_state(IndexState::Running).await.unwrap();
    bench.eventually(async || bench.logged().await == ["t1", "t2"]).await;
    assert_eq!((bench.failure().await, bench.dead_letters().await), (None, vec![]));
    bench.stop.cancel();
    run.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_truncate_is_told_over_whatever_else_stops_the_index() {
    for state in [IndexState::Paused, IndexState::Failed { code: "SS402".into(), reason: "down".into() }] {
        let bench = of_debezium();
        bench.ledger.set_state(state).await.unwrap();
        bench.append_lines(&[TRUNCATED]);
        bench.route(scripted(down), true).run().await.unwrap();
        assert_eq!(bench.failure().await.unwrap().0, codes::SS310.id);
    }
}

#[tokio::test(start_paused = true)]
async fn a_deleted_row_that_names_nothing_is_a_dead_letter() {
    let mut bench = of_debezium();
    bench.plan.sources[0].id = Some(RecordPath::parse("row.movie_id").unwrap());
    let before = json!({"credit_id": "c1", "movie_id": "", "talent_id": ""});
    let deleted = json!({"key": {"credit_id": "c1"}, "value": {"op": "d", "before": before, "after": null}});
    let tombstone = json!({"key": {"credit_id": "c1"}, "value": null});
    bench.append_lines(&[&deleted.to_string(), &tombstone.to_string()]);
    bench.route(scripted(down), true).run().await.unwrap();
    let letters = bench.dead_letters().await;
    assert!(
        matches!(&letters[..], [(_, reason, _)] if reason.contains("REPLICA IDENTITY FULL")),
        "{letters:?}"
    );
}
