//! An index from nothing to a search, and what goes wrong on the way.

use std::{
    io::{BufRead, BufReader},
    net::{SocketAddr, TcpListener},
    process::{Child, Command, Stdio},
};

use crate::{Folder, assert_conversation};

#[test]
fn from_nothing_to_a_search() {
    let folder = Folder::new();
    let commands = [
        "status",
        "provision",
        "provision --dry-run",
        "provision --yes",
        "provision --yes -o json",
        "plan",
        "status",
        "status --check -q",
        "search . king",
        "search . --filter titel=='x'",
        "search . --sort titel -o json",
        "export",
        "errors list",
        "backfill start",
        "backfill start --id m1",
        "backfill list",
        "pause",
        "resume",
        "run --once -q",
    ];
    assert_conversation!(folder, commands, @r#"
    $ studio-search status
    --- stderr
    error[SS502]: the index is not provisioned: movies.db holds no plan
      help: run `studio-search provision` with this file first
      more: studio-search explain SS502
    --- exit 1
    $ studio-search provision
    --- stderr
    + add    state file movies.db
               it does not exist
    + add    index version movies-000001
               it does not exist
    error: there are changes to make, and nobody to ask
      help: look at them with --dry-run, make them with --yes
    --- exit 1
    $ studio-search provision --dry-run
    + add    state file movies.db
               it does not exist
    + add    index version movies-000001
               it does not exist
    nothing was changed
    --- exit 0
    $ studio-search provision --yes
    + add    state file movies.db
               it does not exist
    + add    index version movies-000001
               it does not exist
    provisioned movies in movies.db
    --- exit 0
    $ studio-search provision --yes -o json
    {"json_version":"1","data":{"success":true,"changes":[{"action":"none","kind":"state file","name":"movies.db","reasons":[]},{"action":"none","kind":"index version","name":"movies-000001","reasons":[]}],"summary":{"add":0,"change":0,"rebuild":0,"remove":0,"none":2},"applied":true},"error":null}
    --- exit 0
    $ studio-search plan
    nothing to change

    entity  at            owned by  kept fresh by  found by  new edge told by
    Movie   the document            changes
    --- exit 0
    $ studio-search status
    index   state    processes  documents  lag  backfill lag  freshness p99  held  dead letters
    movies  RUNNING          0          0    0             0  no events yet     0             0
    nothing works on movies: studio-search run
    --- exit 0
    $ studio-search status --check -q
    index   state    processes  documents  lag  backfill lag  freshness p99  held  dead letters
    movies  RUNNING          0          0    0             0  no events yet     0             0
    nothing works on movies
    --- exit 1
    $ studio-search search . king
    0 documents
    --- exit 0
    $ studio-search search . --filter titel=='x'
    --- stderr
    error[SS702]: there is no field titel
       ╭─[<filter>:1:1]
     1 │ titel=='x'
       · ─────
       ╰────
      help: did you mean title?

      more: studio-search explain SS702
    --- exit 1
    $ studio-search search . --sort titel -o json
    {"json_version":"1","data":null,"error":{"code":"SS702","message":"there is no field titel","causes":[],"help":"did you mean title?"}}
    --- exit 1
    $ studio-search export
    --- exit 0
    $ studio-search errors list
    nothing is held, and there are no dead letters
    --- exit 0
    $ studio-search backfill start
    --- stderr
    error[SS601]: the plan names no place to enumerate ids from
      help: give `backfill.ids` in index.yaml and provision, or name documents with --id
      more: studio-search explain SS601
    --- exit 1
    $ studio-search backfill start --id m1
    backfill 1 is recorded
    --- stderr
    nothing works on this index yet: `studio-search run` does the backfill
    --- exit 0
    $ studio-search backfill list
    number  state        rebuilt  ids  started               ended  error
         1  ENUMERATING        0    0  [time]
    --- exit 0
    $ studio-search pause
    movies is PAUSED
    --- exit 0
    $ studio-search resume
    movies is RUNNING
    --- exit 0
    $ studio-search run --once -q
    --- stderr
    [time]  WARN the gateway can't be reached: Connection refused code="SS401"
    error[SS401]: the gateway can't be reached: Connection refused
      help: check `graph.url` and that the gateway is up; nothing is lost meanwhile
      more: studio-search explain SS401
    --- exit 69
    "#);
}

#[test]
fn a_bad_event_is_a_dead_letter() {
    let folder = Folder::new();
    folder.write("changes.ndjson", "{\"value\": {\"movieId\": {}}}\nno event\n");
    assert_conversation!(folder, ["provision --yes -qq", "run --once -q", "errors list"], @r#"
    $ studio-search provision --yes -qq
    + add    state file movies.db
               it does not exist
    + add    index version movies-000001
               it does not exist
    provisioned movies in movies.db
    --- exit 0
    $ studio-search run --once -q
    2 events are dead letters: studio-search errors list
    --- stderr
    [time] ERROR byte 0: value.movieId: an id must be a string or an integer, this is an object; kept as a dead letter source=changes code="SS302"
    [time] ERROR byte 27: the line is no event: expected ident at line 1 column 2; kept as a dead letter source=changes code="SS301"
    --- exit 0
    $ studio-search errors list
    number  dead letter of  position  code   found                 reason
         2  changes         byte 27   SS301  [time]  the line is no event: expected ident at line 1 column 2
         1  changes         byte 0    SS302  [time]  value.movieId: an id must be a string or an integer, this is an object
    --- exit 0
    "#);
}

#[test]
fn a_gateway_that_nobody_can_reach() {
    let folder = Folder::new();
    folder.write("changes.ndjson", "{\"value\": {\"movieId\": \"m1\"}}\n");
    assert_conversation!(folder, ["provision --yes -qq", "run --once -qq", "status"], @r#"
    $ studio-search provision --yes -qq
    + add    state file movies.db
               it does not exist
    + add    index version movies-000001
               it does not exist
    provisioned movies in movies.db
    --- exit 0
    $ studio-search run --once -qq
    --- stderr
    error[SS401]: the gateway can't be reached: Connection refused
      help: check `graph.url` and that the gateway is up; nothing is lost meanwhile
      more: studio-search explain SS401
    --- exit 69
    $ studio-search status
    index   state    processes  documents  lag  backfill lag  freshness p99  held  dead letters
    movies  RUNNING          0          0    1             0  no events yet     0             0
    nothing works on movies: studio-search run
    --- exit 0
    "#);
}

#[test]
fn the_files_make_another_plan() {
    let folder = Folder::new();
    folder.talk(&["provision --yes"]);
    let folder = folder.with("name: movies\n", "name: movies\ndescription: Other movies\n");
    assert_conversation!(folder, ["plan", "run --once -q"], @r#"
    $ studio-search plan
    = keep   state file movies.db
    ~ change index version movies-000001
               its description changed

    entity  at            owned by  kept fresh by  found by  new edge told by
    Movie   the document            changes
    --- exit 0
    $ studio-search run --once -q
    done
    --- stderr
    warning: the files make another plan than the provisioned one; `run` goes on with the plan that was provisioned
    --- exit 0
    "#);
}

#[test]
fn a_second_run() {
    let folder = Folder::new();
    folder.talk(&["provision --yes"]);
    let mut first =
        folder.command("run --log-format json").stderr(Stdio::piped()).spawn().expect("it was built");
    let mut logs = BufReader::new(first.stderr.take().expect("it is piped")).lines();
    let took_over = logs.next().expect("it logs").expect("in UTF-8");
    assert!(took_over.contains("took the index over"), "{took_over}");
    assert_conversation!(folder, ["run -q"], @r#"
    $ studio-search run -q
    --- stderr
    error[SS501]: another `run` works on movies.db
      help: stop the other process first; `status`, `search` and `backfill start` work beside it
      more: studio-search explain SS501
    --- exit 69
    "#);
    send("TERM", &first);
    assert_eq!(first.wait().expect("it ends").code(), Some(0), "SIGTERM drains and exits 0");
}

/// A run that is to end by itself and can't, because the gateway takes its time.
#[test]
fn an_interrupted_run_is_not_done() {
    let gateway = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let folder = Folder::new().with("http://127.0.0.1:9/graphql", &format!("http://{}", address(&gateway)));
    folder.write("changes.ndjson", "{\"value\": {\"movieId\": \"m1\"}}\n");
    folder.talk(&["provision --yes"]);
    for (signal, code) in [("INT", 130), ("TERM", 1)] {
        let mut command = folder.command("run --once -qq");
        let process = command.stdout(Stdio::piped()).spawn().expect("it was built");
        let _asked = gateway.accept().expect("it asks the gateway");
        send(signal, &process);
        let output = process.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(
            said.trim_end(),
            format!("interrupted by SIG{signal} before everything was done; the next run goes on from there")
        );
        assert_eq!(output.status.code(), Some(code));
    }
}

fn address(listener: &TcpListener) -> SocketAddr {
    listener.local_addr().expect("it listens")
}

/// Sends a signal to a process, as a shell or a container's runtime does.
fn send(signal: &str, process: &Child) {
    let sent = Command::new("kill").args([&format!("-{signal}"), &process.id().to_string()]).status();
    assert!(sent.is_ok_and(|status| status.success()));
}
