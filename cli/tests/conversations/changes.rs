//! What would be changed: saved, shown, made, refused.

use crate::{Folder, QUERY, assert_conversation};

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
    error: only `plan` writes markdown
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
        "provision --yes",
        "provision --plan changes.json",
    ];
    assert_conversation!(folder, commands, @r#"
    $ studio-search plan --detailed-exitcode
    = keep   state file movies.db
    ! rebuild index version movies-000002
               the query is another one, so every document is
               fields are indexed differently

    entity  at            owned by  kept fresh by  found by  new edge told by
    Movie   the document            changes
    --- exit 2
    $ studio-search plan -o markdown
    ### studio-search plan: movies

    0 to add, 0 to change, 1 to rebuild, 1 to keep.

    |  | what | name | why |
    |---|---|---|---|
    | **rebuild** | index version | `movies-000002` | the query is another one, so every document is<br>fields are indexed differently |

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
               fields are indexed differently
    nothing was changed
    --- exit 0
    $ studio-search provision --yes
    --- stderr
    error[SS505]: the plan needs a new index version, movies-000002: the query is another one, so every document is; fields are indexed differently
      help: set another `state.path` (with `kafka:`, another `name`), provision it, and backfill
      more: studio-search explain SS505
    --- exit 1
    $ studio-search provision --plan changes.json
    --- stderr
    error[SS520]: the saved change set no longer holds: it is of the plan [hash], the files make the plan [hash] by now
      help: look at what changed with `studio-search plan --out`, and provision that; nothing was made
      more: studio-search explain SS520
    --- exit 1
    "#);
}
