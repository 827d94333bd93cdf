//! The real servers themselves: each is the one that it should be, and none outlives the tests.

use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
    time::Duration,
};

use harness::{
    eventually,
    servers::{elasticsearch, kafka, opensearch, opensearch_2, registry},
};
use serde_json::Value;

#[test]
fn search_servers_are_the_ones_that_we_promise_to_work_with() {
    for (server, version) in [(elasticsearch(), "9.4.3"), (opensearch(), "3.8.0"), (opensearch_2(), "2.19.1")]
    {
        let told = server.succeed("GET", "/", &Value::Null);
        assert_eq!(told["version"]["number"], version, "{told:#}");
    }
}

#[test]
fn a_broker_keeps_a_topic() {
    let kafka = kafka();
    kafka.tool("TopicCommand", &["--create", "--topic", "smoke", "--partitions", "3"]);
    assert!(kafka.tool("TopicCommand", &["--describe", "--topic", "smoke"]).contains("PartitionCount: 3"));
}

/// Statics are never dropped, and this process drops nothing at all.
#[test]
fn a_server_ends_with_a_process_that_is_killed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut holder = Command::new(env::current_exe().expect("a test knows its own path"))
        .args(["--exact", "servers::hold_a_registry", "--ignored", "--nocapture"])
        .env("TMPDIR", folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program starts");
    let mut lines = BufReader::new(holder.stdout.take().expect("it is piped")).lines();
    let url = lines.find_map(|line| Some(line.ok()?.split_once("holds ")?.1.to_owned()));
    let url = url.expect("it says what it holds");
    reqwest::blocking::get(&url).expect("the server answers");
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
    holder.kill().expect("it runs");
    holder.wait().expect("it ends");
    eventually(Duration::from_secs(30), || {
        let left = fs::read_dir(folder.path()).expect("a folder").count();
        if left > 0 || reqwest::blocking::get(&url).is_ok() {
            return Err(format!("{left} folders are left, or {url} still answers"));
        }
        Ok(())
    });
}

#[test]
#[ignore = "the test above runs it in a process of its own"]
fn hold_a_registry() {
    let mut stdout = std::io::stdout();
    writeln!(stdout, "holds {}", registry().url).and_then(|()| stdout.flush()).expect("somebody reads");
    std::thread::park();
}
