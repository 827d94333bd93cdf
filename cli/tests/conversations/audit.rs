//! Audits and traces without a gateway: what can be told then, and what is no audit at all.

use crate::{Folder, assert_conversation};

#[test]
fn without_a_gateway_a_trace_tells_what_is_known() {
    let folder = Folder::new();
    assert_conversation!(folder, [
        "trace . m1",
        "provision --yes -qq",
        "trace . m1",
        "trace . m1 -o json",
        "trace m1",
    ], @r#"
    $ studio-search trace . m1
    --- stderr
    error[SS502]: the index is not provisioned: movies.db holds no plan
      help: run `studio-search provision` with this file first
      more: studio-search explain SS502
    --- exit 1
    $ studio-search provision --yes -qq
    + add    state file movies.db
               it does not exist
    + add    index version movies-000001
               it does not exist
    provisioned movies in movies.db
    --- exit 0
    $ studio-search trace . m1
    nothing of it was noted lately

    index  doesn't have it
    graph  the gateway can't be reached: Connection refused
    what it should be can't be told now
    --- exit 69
    $ studio-search trace . m1 -o json
    {"json_version":"1","data":{"success":false,"id":"m1","steps":[],"index":{"state":"absent"},"graph":{"state":"unreachable","code":"SS401","reason":"the gateway can't be reached: Connection refused"},"differences":[],"held":null},"error":null}
    --- exit 69
    $ studio-search trace m1
    --- stderr
    error: the following required arguments were not provided:
      <ID>

    Usage: studio-search trace <FILE> <ID>

    For more information, try '--help'.
    --- exit 64
    "#);
}

#[test]
fn an_empty_index_differs_in_nothing_that_is_known() {
    let folder = Folder::new();
    folder.talk(&["provision --yes"]);
    assert_conversation!(folder, [
        "audit",
        "audit --full -o json",
        "audit --full -o markdown",
        "audit --full --sample 3",
        "audit --sample 0",
    ], @r#"
    $ studio-search audit
    0 documents looked at: none differs from the graph
    --- exit 0
    $ studio-search audit --full -o json
    {"json_version":"1","data":{"success":true,"kind":"asked_full","started_at":[ms],"ended_at":[ms],"looked":0,"equal":0,"missing":0,"stale":0,"ghosts":0,"unanswered":0,"unsettled":0,"repaired":0,"enumerated":false,"fields":{},"subgraphs":{},"findings":[]},"error":null}
    --- exit 0
    $ studio-search audit --full -o markdown
    ### studio-search audit: movies (full)

    [time] to [time]

    | looked at | equal | missing | stale | ghosts | unanswered | unsettled | repaired |
    |---|---|---|---|---|---|---|---|
    | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 0 |

    missing documents were not looked for: `backfill.ids` names no query and no file
    --- exit 0
    $ studio-search audit --full --sample 3
    --- stderr
    error: the argument '--full' cannot be used with '--sample <N>'

    Usage: studio-search audit --full [FILE]

    For more information, try '--help'.
    --- exit 64
    $ studio-search audit --sample 0
    --- stderr
    error: invalid value '0' for '--sample <N>': 0 is not in 1..=4294967295

    For more information, try '--help'.
    --- exit 64
    "#);
}
