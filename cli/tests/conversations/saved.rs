//! Saved searches: kept under names, matched against documents, and what a new plan does to them.

use crate::{CONFIG, Folder, assert_conversation};

#[test]
fn searches_are_saved_and_matched() {
    let folder = Folder::new();
    folder.write("m1.json", r#"{"movieId": "m1", "title": "King", "status": "WRAPPED"}"#);
    folder.write("list.json", "[1]");
    let commands = [
        "saved list",
        "provision --yes -q",
        "saved list",
        "saved add . wrapped status=='WRAPPED'",
        "saved add . wrapped status=='WRAPPED'",
        "saved add . wrapped status!='RELEASED'",
        "saved add . kings title=='King' -o json",
        "saved add . bad titel=='King'",
        "saved list",
        "saved match --document m1.json",
        "saved match --document m1.json -o json",
        "saved match --document list.json",
        "saved match --id m1",
        "saved match",
        "saved remove . king",
        "saved remove . kings",
        "saved match --document m1.json",
    ];
    assert_conversation!(folder, commands, @r#"
    $ studio-search saved list
    --- stderr
    error[SS502]: the index is not provisioned: movies.db holds no plan
      help: run `studio-search provision` with this file first
      more: studio-search explain SS502
    --- exit 1
    $ studio-search provision --yes -q
    + add    state file movies.db
               it does not exist
    + add    index version movies-000001
               it does not exist
    provisioned movies in movies.db
    --- exit 0
    $ studio-search saved list
    nothing is saved
    --- exit 0
    $ studio-search saved add . wrapped status=='WRAPPED'
    saved wrapped
    --- exit 0
    $ studio-search saved add . wrapped status=='WRAPPED'
    wrapped is saved like this already
    --- exit 0
    $ studio-search saved add . wrapped status!='RELEASED'
    saved wrapped in the place of its older filter
    --- exit 0
    $ studio-search saved add . kings title=='King' -o json
    {"json_version":"1","data":{"success":true,"name":"kings","result":"added"},"error":null}
    --- exit 0
    $ studio-search saved add . bad titel=='King'
    --- stderr
    error[SS702]: there is no field titel
       ╭─[saved search "bad":1:1]
     1 │ titel=='King'
       · ─────
       ╰────
      help: did you mean title?

      more: studio-search explain SS702
    --- exit 1
    $ studio-search saved list
    name     saved                 filter
    kings    [time]  title=='King'
    wrapped  [time]  status!='RELEASED'
    --- exit 0
    $ studio-search saved match --document m1.json
    kings
    wrapped
    --- exit 0
    $ studio-search saved match --document m1.json -o json
    {"json_version":"1","data":{"success":true,"matches":["kings","wrapped"],"broken":[]},"error":null}
    --- exit 0
    $ studio-search saved match --document list.json
    --- stderr
    error: list.json is no JSON document: it is no object
    --- exit 1
    $ studio-search saved match --id m1
    --- stderr
    error[SS720]: the index has no document "m1"
      more: studio-search explain SS720
    --- exit 1
    $ studio-search saved match
    --- stderr
    error: the following required arguments were not provided:
      <--document <FILE>|--id <ID>>

    Usage: studio-search saved match <--document <FILE>|--id <ID>> [FILE]

    For more information, try '--help'.
    --- exit 64
    $ studio-search saved remove . king
    --- stderr
    error[SS733]: no search is saved as "king"
      help: did you mean "kings"?
      more: studio-search explain SS733
    --- exit 1
    $ studio-search saved remove . kings
    removed kings
    --- exit 0
    $ studio-search saved match --document m1.json
    wrapped
    --- exit 0
    "#);
}

#[test]
fn a_plan_that_breaks_a_saved_search_is_shown_before_it_does() {
    let folder = Folder::new();
    folder.talk(&["provision --yes -q", "saved add . wrapped status=='WRAPPED'", "saved add . all true"]);
    folder.write("index.yaml", &format!("{CONFIG}fields: {{ status: {{ index: false }} }}\n"));
    folder.write("m1.json", r#"{"movieId": "m1", "title": "King", "status": "WRAPPED"}"#);
    let commands = ["plan", "provision --dry-run -qq", "saved match --document m1.json"];
    assert_conversation!(folder, commands, @r#"
    $ studio-search plan
    = keep   state file movies.db
    ! rebuild index version movies-000002
               fields are indexed differently
    `run` fills the new version from the served one, without asking the graph; then: studio-search promote

    entity  at            owned by  kept fresh by  found by  new edge told by
    Movie   the document            changes
    --- stderr
    warning[SS730]: the saved search "wrapped" matches nothing by this plan: status is not indexed
       ╭─[saved search "wrapped":1:1]
     1 │ status=='WRAPPED'
       · ──────
       ╰────
      help: its `index: false` stands under `fields:`

      more: studio-search explain SS730
    --- exit 0
    $ studio-search provision --dry-run -qq
    = keep   state file movies.db
    ! rebuild index version movies-000002
               fields are indexed differently
    nothing was changed
    --- exit 0
    $ studio-search saved match --document m1.json
    all
    wrapped
    --- exit 0
    "#);
}
