//! `backfill start --estimate`, where there is nothing to be told.

use super::*;

const BACKFILL: &str = "admin: { listen: \"127.0.0.1:0\" }\n";

fn with_backfill(backfill: &str) -> Folder {
    let folder = Folder::new().with(BACKFILL, &format!("{BACKFILL}backfill: {backfill}\n"));
    folder.write("ids.txt", "m1\nm2\n\nm3\n");
    folder.talk(&["provision --yes"]);
    folder
}

#[test]
fn nothing_to_be_told() {
    assert_conversation!(with_backfill("{ rate: 40/s }"), [
        "backfill start --estimate",
        "backfill start --estimate --id m1",
        "backfill start --estimate --id m1 --follow",
        "backfill start --sample 10",
        "backfill start --estimate --sample 0",
        "backfill start --estimate --id m1 --rate fast",
        "backfill start --estimate --where status<3",
        "backfill list",
    ], @r#"
    $ studio-search backfill start --estimate
    --- stderr
    error[SS601]: the plan names no place to enumerate ids from
      help: give `backfill.ids` in index.yaml and provision, or name documents with --id
      more: studio-search explain SS601
    --- exit 1
    $ studio-search backfill start --estimate --id m1
    --- stderr
    error[SS401]: the gateway can't be reached: Connection refused
      help: check `graph.url` and that the gateway is up; nothing was started
      more: studio-search explain SS401
    --- exit 69
    $ studio-search backfill start --estimate --id m1 --follow
    --- stderr
    error: the argument '--estimate' cannot be used with '--follow'

    Usage: studio-search backfill start --estimate --id <ID> [FILE]

    For more information, try '--help'.
    --- exit 64
    $ studio-search backfill start --sample 10
    --- stderr
    error: the following required arguments were not provided:
      --estimate

    Usage: studio-search backfill start --estimate --sample <N> [FILE]

    For more information, try '--help'.
    --- exit 64
    $ studio-search backfill start --estimate --sample 0
    --- stderr
    error: invalid value '0' for '--sample <N>': 0 is not in 1..=10000

    For more information, try '--help'.
    --- exit 64
    $ studio-search backfill start --estimate --id m1 --rate fast
    --- stderr
    error: --rate "fast": a number greater than 0 and a span, such as 40/s or 500/h
    --- exit 64
    $ studio-search backfill start --estimate --where status<3
    --- stderr
    error[SS705]: status is an enum, which has no order
       ╭─[<filter>:1:7]
     1 │ status<3
       ·       ─
       ╰────
      help: numbers, dates and keywords have an order

      more: studio-search explain SS705
    --- exit 1
    $ studio-search backfill list
    number  state  rebuilt  ids  started  ended  error
    --- exit 0
    "#);
}

#[test]
fn a_window_that_never_opens_again() {
    let over = "{ ids: { file: ./ids.txt }, windows: [{ years: [\"2001:2002\"] }] }";
    assert_conversation!(with_backfill(over), [
        "backfill start --estimate",
        "backfill start --estimate --now",
        "-o json backfill start --estimate",
        "backfill start",
        "backfill start --now",
    ], @r#"
    $ studio-search backfill start --estimate
    --- stderr
    error[SS608]: no window of `backfill.windows` opens within eight years
      help: give a window that opens, or start with --now
      more: studio-search explain SS608
    --- exit 1
    $ studio-search backfill start --estimate --now
    --- stderr
    error[SS401]: the gateway can't be reached: Connection refused
      help: check `graph.url` and that the gateway is up; nothing was started
      more: studio-search explain SS401
    --- exit 69
    $ studio-search -o json backfill start --estimate
    {"json_version":"1","data":null,"error":{"code":"SS608","message":"no window of `backfill.windows` opens within eight years","causes":[],"help":"give a window that opens, or start with --now"}}
    --- exit 1
    $ studio-search backfill start
    --- stderr
    error[SS608]: no window of `backfill.windows` opens within eight years
      help: give a window that opens, or start with --now
      more: studio-search explain SS608
    --- exit 1
    $ studio-search backfill start --now
    backfill 1 is recorded
    --- stderr
    nothing works on this index yet: `studio-search run` does the backfill
    --- exit 0
    "#);
}

#[test]
fn a_file_that_is_not_there() {
    let folder = with_backfill("{ ids: { file: ./ids.txt } }");
    folder.write("ids.txt", "\n");
    assert_conversation!(folder, ["backfill start --estimate"], @r#"
    $ studio-search backfill start --estimate
    --- stderr
    error[SS602]: there are no ids to be backfilled
      help: look at what `backfill.ids` names, or at the filter
      more: studio-search explain SS602
    --- exit 1
    "#);
    fs::remove_file(folder.0.path().join("ids.txt")).expect("it is there");
    assert_conversation!(folder, ["backfill start --estimate"], @r#"
    $ studio-search backfill start --estimate
    --- stderr
    error[SS602]: the ids file can't be read: No such file or directory
      help: look at the file or the query that `backfill.ids` names
      more: studio-search explain SS602
    --- exit 1
    "#);
}

/// What a new index will ask of the graph, or why that can't be told: the plan is shown all the same.
#[test]
fn a_plan_tells_of_its_backfill() {
    let with = |backfill: &str| Folder::new().with(BACKFILL, &format!("{BACKFILL}backfill: {backfill}\n"));
    let folder = with("{ ids: { file: ./ids.txt } }");
    folder.write("ids.txt", "m1\nm2\n");
    assert_conversation!(folder, ["plan", "plan -o json", "provision --yes -q", "plan"], @r#"
    $ studio-search plan
    + add    state file movies.db
               it does not exist
    + add    index version movies-000001
               it does not exist
    backfill: can't be told now: the gateway can't be reached: Connection refused

    entity  at            owned by  kept fresh by  found by  new edge told by
    Movie   the document            changes
    --- exit 0
    $ studio-search plan -o json
    {"json_version":"1","data":{"success":true,"plan_hash":"[hash]","changes":[{"action":"add","kind":"state file","name":"movies.db","reasons":["it does not exist"]},{"action":"add","kind":"index version","name":"movies-000001","reasons":["it does not exist"]}],"summary":{"add":2,"change":0,"rebuild":0,"remove":0,"none":0},"coverage":[{"path":"","type":"Movie","subgraphs":[],"covered_by":"source","sources":["changes"]}],"backfill":{"unknown":"the gateway can't be reached: Connection refused"}},"error":null}
    --- exit 0
    $ studio-search provision --yes -q
    + add    state file movies.db
               it does not exist
    + add    index version movies-000001
               it does not exist
    provisioned movies in movies.db
    --- exit 0
    $ studio-search plan
    nothing to change

    entity  at            owned by  kept fresh by  found by  new edge told by
    Movie   the document            changes
    --- exit 0
    "#);
    let over = with("{ ids: { index: true }, windows: [{ years: [\"2001:2002\"] }] }");
    assert_conversation!(over, ["plan"], @r#"
    $ studio-search plan
    + add    state file movies.db
               it does not exist
    + add    index version movies-000001
               it does not exist
    backfill: can't be told now: no window of `backfill.windows` opens within eight years

    entity  at            owned by  kept fresh by  found by  new edge told by
    Movie   the document            changes
    --- exit 0
    "#);
    assert_conversation!(with("{ ids: { index: true } }"), ["plan -o markdown"], @r#"
    $ studio-search plan -o markdown
    ### studio-search plan: movies

    2 to add, 0 to change, 0 to rebuild, 0 to keep.

    |  | what | name | why |
    |---|---|---|---|
    | add | state file | `movies.db` | it does not exist |
    | add | index version | `movies-000001` | it does not exist |

    backfill: 0 documents, 0 requests, about 0 ms

    <details><summary>What keeps each entity fresh</summary>

    | entity | at | owned by | kept fresh by | found by | new edge told by |
    |---|---|---|---|---|---|
    | Movie | the document |  | changes |  |  |

    </details>

    Plan `[hash]`
    --- exit 0
    "#);
}
