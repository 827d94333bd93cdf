//! A process that stands still in a transaction until the broker aborts it, and then goes on.

use std::{
    collections::BTreeMap,
    env,
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use indexer::kafka::Transactions;

use super::{PATIENCE, broker, bundle, endpoint_at, make, record, until};

/// Longer than a transaction may last, and than the broker takes to look.
const FROZEN: Duration = Duration::from_secs(14);

/// Records of a bundle: enough that a process is nearly always in a transaction.
const RECORDS: usize = 2_000;

/// Ends with the test, however that ends.
struct Appending(Child);

impl Appending {
    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args(["-s", signal, &self.0.id().to_string()]).status();
        assert!(sent.expect("a shell's tools").success());
    }
}

impl Drop for Appending {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A broker fences the producer of a transaction that it aborts for its age, as if another had its name. The bundle is run
/// again then, and is there once.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_stood_still_goes_on_and_doubles_nothing() {
    let kafka = broker().await;
    let topic = make(kafka, "frozen", 3, &[]).await;
    let child = Command::new(env::current_exe().expect("a test knows its own path"))
        .args(["--exact", "kafka_client::frozen::append_for_ever", "--ignored", "--nocapture"])
        .env("STUDIO_SEARCH_BROKERS", &kafka.brokers)
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program starts");
    let mut child = Appending(child);
    let lines = BufReader::new(child.0.stdout.take().expect("it is piped")).lines();
    let (tell, committed) = mpsc::channel();
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            if let Some(number) = line.strip_prefix("committed ").and_then(|number| number.parse().ok()) {
                let _ = tell.send(number);
            }
        }
    });
    let next = || committed.recv_timeout(PATIENCE).expect("it goes on");
    while next() < 10 {}
    child.signal("STOP");
    tokio::time::sleep(FROZEN).await;
    let before: usize = committed.try_iter().last().unwrap_or(10);
    child.signal("CONT");
    while next() < before + 10 {}
    drop(child);
    let told = committed.iter().last().unwrap_or(before + 10);
    let mut seen = BTreeMap::new();
    // It may have been killed between two partitions' markers.
    until("whole bundles", async || {
        seen = super::seen(kafka, &topic);
        seen.len() % RECORDS == 0
    })
    .await;
    assert!(seen.values().all(|times| *times == 1), "some are there twice");
    let bundles = seen.len() / RECORDS;
    // What was told is there, and at most the one that it was killed in.
    assert!(
        bundles == told + 1 || bundles == told + 2,
        "{bundles} bundles, {told} is the last that was told"
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "the test above runs it in a process of its own"]
async fn append_for_ever() {
    let brokers = env::var("STUDIO_SEARCH_BROKERS").expect("the test above says where");
    let transactions = Transactions::start(&endpoint_at(&brokers), "frozen");
    for number in 0.. {
        let one = |part| record(&"frozen".into(), &format!("{number}-{part}"), "x");
        transactions.commit(bundle((0..RECORDS).map(one).collect())).await.expect("a commit");
        let mut stdout = std::io::stdout();
        let said = writeln!(stdout, "committed {number}").and_then(|()| stdout.flush());
        said.expect("somebody reads");
    }
}
