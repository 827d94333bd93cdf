//! Dead letters from the list to the end: looked at, mended, replayed, dropped.

use crate::{CONFIG, Folder, assert_conversation};

fn folder() -> Folder {
    let folder = Folder::new();
    let events = "{\"key\": {\"id\": \"m1\"}, \"value\": {\"title\": \"A\\u001b[2Jlien\"}}\nno event\n";
    folder.write("changes.ndjson", events);
    folder.talk(&["provision --yes", "run --once"]);
    folder
}

#[test]
fn a_dead_letter_is_shown_and_replayed_after_its_cause_is_mended() {
    let folder = folder();
    assert_conversation!(folder, [
        "errors list",
        "errors list --by code",
        "errors list --code ss302 -o json",
        "errors show --number 1",
        "errors show --number 2 -o json",
        "errors replay --number 1",
    ], @"");
    folder.write("index.yaml", &CONFIG.replace("value.movieId", "key.id"));
    assert_conversation!(folder, [
        "provision --yes -qq",
        "errors replay --all",
        "errors replay --number 1 -o json",
        "errors list",
        "status -q",
        "errors drop --source other",
        "errors drop --number 2 -o json",
        "errors list",
    ], @"");
}

#[test]
fn what_is_meant_must_be_named() {
    let folder = folder();
    assert_conversation!(folder, [
        "errors replay",
        "errors drop",
        "errors show",
        "errors show --number 9",
        "errors show --number x",
        "errors show --id m1",
        "errors drop --number 9 --number 1",
        "errors replay --subgraph talent",
        "errors list --by subgraph",
        "errors drop --all",
        "errors list --source changes",
    ], @"");
}
