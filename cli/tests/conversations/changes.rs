//! What would be changed: saved, shown, made, refused; and what a doctor finds.

use crate::{CONFIG, Folder, QUERY, assert_conversation};

/// A change set is made as it was looked at, or not at all.
#[test]
fn a_plan_is_saved_and_made() {
    let folder = Folder::new();
    let commands = [
        "plan --detailed-exitcode --out changes.json -q",
        "provision --plan changes.json --dry-run",
        "provision --plan changes.json",
        "provision --plan changes.json",
        "plan --detailed-exitcode -q",
        "provision --plan index.yaml",
        "provision --plan nowhere.json",
        "plan -o markdown",
        "status -o markdown",
    ];
    assert_conversation!(folder, commands, @r#"
    $ studio-search plan --detailed-exitcode --out changes.json -q
    + add    state file movies.db
               it does not exist
    + add    index version movies-000001
               it does not exist

    entity  at            owned by  kept fresh by  found by  new edge told by
    Movie   the document            changes
    --- exit 2
    $ studio-search provision --plan changes.json --dry-run
    + add    state file movies.db
               it does not exist
    + add    index version movies-000001
               it does not exist
    nothing was changed
    --- exit 0
    $ studio-search provision --plan changes.json
    + add    state file movies.db
               it does not exist
    + add    index version movies-000001
               it does not exist
    provisioned movies in movies.db
    --- exit 0
    $ studio-search provision --plan changes.json
    --- stderr
    error[SS520]: the saved change set no longer holds: the state file movies.db is not as it was
      help: look at what changed with `studio-search plan --out`, and provision that; nothing was made
      more: studio-search explain SS520
    --- exit 1
    $ studio-search plan --detailed-exitcode -q
    nothing to change

    entity  at            owned by  kept fresh by  found by  new edge told by
    Movie   the document            changes
    --- exit 0
    $ studio-search provision --plan index.yaml
    --- stderr
    error[SS520]: index.yaml is no change set: expected value at line 1 column 1
      help: save one with `studio-search plan --out FILE`
      more: studio-search explain SS520
    --- exit 1
    $ studio-search provision --plan nowhere.json
    --- stderr
    error: nowhere.json can't be read: it does not exist
    --- exit 64
    $ studio-search plan -o markdown
    ### studio-search plan: movies

    Nothing to change.

    <details><summary>What keeps each entity fresh</summary>

    | entity | at | owned by | kept fresh by | found by | new edge told by |
    |---|---|---|---|---|---|
    | Movie | the document |  | changes |  |  |

    </details>

    Plan `[hash]`
    --- exit 0
    $ studio-search status -o markdown
    --- stderr
    error: only `plan` and `audit` write markdown
      help: use `-o text` or `-o json`
    --- exit 64
    "#);
    let saved = std::fs::read_to_string(folder.0.path().join("changes.json")).expect("it was saved");
    insta::with_settings!({ filters => vec![(r"[0-9a-f]{16}", "[hash]")] }, {
        insta::assert_snapshot!(saved, @r#"
    {
      "format": 1,
      "index": "movies",
      "plan_hash": "[hash]",
      "changes": [
        {
          "action": "add",
          "kind": "state file",
          "name": "movies.db",
          "reasons": [
            "it does not exist"
          ]
        },
        {
          "action": "add",
          "kind": "index version",
          "name": "movies-000001",
          "reasons": [
            "it does not exist"
          ]
        }
      ]
    }
    "#);
    });
}

#[test]
fn another_query_needs_another_version() {
    let folder = Folder::new();
    folder.talk(&["provision --yes"]);
    folder.talk(&["plan --out changes.json -q"]);
    folder.write("query.graphql", &QUERY.replace(" title", ""));
    let commands = [
        "plan --detailed-exitcode",
        "plan -o markdown",
        "provision --dry-run -q",
        "provision --plan changes.json",
        "backfill start --into-new-version",
        "provision --yes",
        "plan --detailed-exitcode -q",
        "status",
        "promote",
        "backfill start --into-new-version",
        "backfill start --into-new-version --id m1",
    ];
    assert_conversation!(folder, commands, @r#"
    $ studio-search plan --detailed-exitcode
    = keep   state file movies.db
    ! rebuild index version movies-000002
               the query is another one, so every document is
               the document loses `title`
               only the graph has its documents, so a backfill fills it, and both queries are asked while both versions live
    then: studio-search backfill start --into-new-version; and when it is READY: studio-search promote

    entity  at            owned by  kept fresh by  found by  new edge told by
    Movie   the document            changes
    --- exit 2
    $ studio-search plan -o markdown
    ### studio-search plan: movies

    0 to add, 0 to change, 1 to rebuild, 1 to keep.

    |  | what | name | why |
    |---|---|---|---|
    | **rebuild** | index version | `movies-000002` | the query is another one, so every document is<br>the document loses `title`<br>only the graph has its documents, so a backfill fills it, and both queries are asked while both versions live |

    <details><summary>What keeps each entity fresh</summary>

    | entity | at | owned by | kept fresh by | found by | new edge told by |
    |---|---|---|---|---|---|
    | Movie | the document |  | changes |  |  |

    </details>

    Plan `[hash]`
    --- exit 0
    $ studio-search provision --dry-run -q
    = keep   state file movies.db
    ! rebuild index version movies-000002
               the query is another one, so every document is
               the document loses `title`
               only the graph has its documents, so a backfill fills it, and both queries are asked while both versions live
    nothing was changed
    --- exit 0
    $ studio-search provision --plan changes.json
    --- stderr
    error[SS520]: the saved change set no longer holds: it is of the plan [hash], the files make the plan [hash] by now
      help: look at what changed with `studio-search plan --out`, and provision that; nothing was made
      more: studio-search explain SS520
    --- exit 1
    $ studio-search backfill start --into-new-version
    --- stderr
    error[SS609]: what the files say is not provisioned yet
      help: `studio-search plan` shows what differs; run `studio-search provision` first
      more: studio-search explain SS609
    --- exit 1
    $ studio-search provision --yes
    = keep   state file movies.db
    ! rebuild index version movies-000002
               the query is another one, so every document is
               the document loses `title`
               only the graph has its documents, so a backfill fills it, and both queries are asked while both versions live
    provisioned movies in movies.db
    then: studio-search backfill start --into-new-version; and when it is READY: studio-search promote
    --- exit 0
    $ studio-search plan --detailed-exitcode -q
    nothing to change

    entity  at            owned by  kept fresh by  found by  new edge told by
    Movie   the document            changes
    --- exit 0
    $ studio-search status
    index   state    processes  documents  lag  backfill lag  freshness p99  held  dead letters
    movies  RUNNING          0          0    0             0  no events yet     0             0
    movies: version 2 is made, and filled as soon as `run` writes it
    nothing works on movies: studio-search run
    --- exit 0
    $ studio-search promote
    --- stderr
    error[SS605]: index version 2 can't be served: it is BUILDING
      help: `studio-search status` shows the versions; `provision` makes one, and `run` fills it
      more: studio-search explain SS605
    --- exit 1
    $ studio-search backfill start --into-new-version
    --- stderr
    error[SS601]: the plan names no place to enumerate ids from
      help: give `backfill.ids` in index.yaml and provision, or name documents with --id
      more: studio-search explain SS601
    --- exit 1
    $ studio-search backfill start --into-new-version --id m1
    --- stderr
    error: the argument '--into-new-version' cannot be used with '--id <ID>'

    Usage: studio-search backfill start --into-new-version [FILE]

    For more information, try '--help'.
    --- exit 64
    "#);
}

#[test]
fn a_doctor_tells_what_is_wrong() {
    let folder = Folder::new();
    folder.talk(&["provision --yes"]);
    assert_conversation!(folder, ["doctor", "doctor -o json", "doctor --fix", "doctor -h"], @r#"
    $ studio-search doctor
    failed  gateway: the gateway can't be reached: Connection refused (SS401)
            check `graph.url` and that the gateway is up; nothing is lost meanwhile
    ok      disk: [room] is free for movies.db
    warning source changes: changes.ndjson does not exist yet
            it is waited for; check its path under `sources:`
    ok      state file movies.db: it is as it should be
    ok      index version movies-000001: it is as it should be
    ok      run: no `run` works on the index now
    1 failed, 1 warning
    --- exit 69
    $ studio-search doctor -o json
    {"json_version":"1","data":{"success":false,"checks":[{"check":"gateway","status":"failed","code":"SS401","message":"the gateway can't be reached: Connection refused","help":"check `graph.url` and that the gateway is up; nothing is lost meanwhile"},{"check":"disk","status":"ok","message":"[room] is free for movies.db","help":null},{"check":"source changes","status":"warning","message":"changes.ndjson does not exist yet","help":"it is waited for; check its path under `sources:`"},{"check":"state file movies.db","status":"ok","message":"it is as it should be","help":null},{"check":"index version movies-000001","status":"ok","message":"it is as it should be","help":null},{"check":"run","status":"ok","message":"no `run` works on the index now","help":null}]},"error":null}
    --- exit 69
    $ studio-search doctor --fix
    --- stderr
    error: unexpected argument '--fix' found

      tip: to pass '--fix' as a value, use '-- --fix'

    Usage: studio-search doctor [OPTIONS] [FILE]

    For more information, try '--help'.
    --- exit 64
    $ studio-search doctor -h
    Check everything that the index needs, each with its mend: gateway, store, Kafka, registry, ledger,
    clocks

    Usage: studio-search doctor [OPTIONS] [FILE]

    Arguments:
      [FILE]  [default: .]

    Options:
      -h, --help     Print help (see more with '--help')
      -V, --version  Print version

    Global options:
      -o, --output <FORMAT>      How results are written: text or json; of `plan` and `audit`, markdown,
                                 too [default: text]
          --json                 Short for `--output json`
          --color <WHEN>         When to use colors [default: auto] [possible values: auto, always,
                                 never]
          --no-progress          Write plain lines instead of progress bars
      -q, --quiet...             Say less: warnings and errors only; twice: nothing but the result
      -v, --verbose...           Say more; twice: everything
          --log-format <FORMAT>  How logs are written on stderr [default: text] [possible values: text,
                                 json]
          --env-file <FILE>      A file of `NAME=value` lines for `${NAME}`; the environment itself
                                 comes first
    --- exit 0
    "#);
}

/// The served version stays until another one is filled, and is promoted by somebody.
#[test]
fn another_mapping_is_another_version_beside() {
    let folder = Folder::new();
    folder.talk(&["provision --yes"]);
    folder.write("index.yaml", &format!("{CONFIG}fields: {{ title: text }}\n"));
    let commands = [
        "plan --detailed-exitcode",
        "provision --yes -q",
        "plan --detailed-exitcode -q",
        "status",
        "promote",
        "promote . 2",
        "promote . 7 -o json",
        "rollback",
        "export --version 7",
    ];
    assert_conversation!(folder, commands, @r#"
    $ studio-search plan --detailed-exitcode
    = keep   state file movies.db
    ! rebuild index version movies-000002
               fields are indexed differently
    `run` fills the new version from the served one, without asking the graph; then: studio-search promote

    entity  at            owned by  kept fresh by  found by  new edge told by
    Movie   the document            changes
    --- exit 2
    $ studio-search provision --yes -q
    = keep   state file movies.db
    ! rebuild index version movies-000002
               fields are indexed differently
    provisioned movies in movies.db
    `run` fills the new version from the served one, without asking the graph; then: studio-search promote
    --- exit 0
    $ studio-search plan --detailed-exitcode -q
    nothing to change

    entity  at            owned by  kept fresh by  found by  new edge told by
    Movie   the document            changes
    --- exit 0
    $ studio-search status
    index   state    processes  documents  lag  backfill lag  freshness p99  held  dead letters
    movies  RUNNING          0          0    0             0  no events yet     0             0
    movies: version 2 is made, and filled as soon as `run` writes it
    nothing works on movies: studio-search run
    --- exit 0
    $ studio-search promote
    --- stderr
    error[SS605]: index version 2 can't be served: it is BUILDING
      help: `studio-search status` shows the versions; `provision` makes one, and `run` fills it
      more: studio-search explain SS605
    --- exit 1
    $ studio-search promote . 2
    --- stderr
    error[SS605]: index version 2 can't be served: it is BUILDING
      help: `studio-search status` shows the versions; `provision` makes one, and `run` fills it
      more: studio-search explain SS605
    --- exit 1
    $ studio-search promote . 7 -o json
    {"json_version":"1","data":null,"error":{"code":"SS605","message":"index version 7 can't be served: it isn't there","causes":[],"help":"`studio-search status` shows the versions; `provision` makes one, and `run` fills it"}}
    --- exit 1
    $ studio-search rollback
    --- stderr
    error[SS605]: there is no index version to roll back to
      help: `studio-search status` shows the versions; `provision` makes one, and `run` fills it
      more: studio-search explain SS605
    --- exit 1
    $ studio-search export --version 7
    --- stderr
    error[SS605]: movies has no index version 7
      help: its versions: 1, 2
      more: studio-search explain SS605
    --- exit 1
    "#);
    folder.write("index.yaml", CONFIG);
    assert_conversation!(folder, ["plan -q", "provision --yes -q", "plan -q"], @r#"
    $ studio-search plan -q
    = keep   state file movies.db
    = keep   index version movies-000001
    - remove index version movies-000002
               it is BUILDING, and made by another plan

    entity  at            owned by  kept fresh by  found by  new edge told by
    Movie   the document            changes
    --- exit 0
    $ studio-search provision --yes -q
    = keep   state file movies.db
    = keep   index version movies-000001
    - remove index version movies-000002
               it is BUILDING, and made by another plan
    provisioned movies in movies.db
    --- exit 0
    $ studio-search plan -q
    nothing to change

    entity  at            owned by  kept fresh by  found by  new edge told by
    Movie   the document            changes
    --- exit 0
    "#);
}
