//! The tests of a configuration: what holds, what doesn't, and what can't be played.

use std::{fs, path::Path, process::Command};

use crate::{CONFIG, Folder, assert_conversation};

const MOVIE: &str = r#"{ "movieId": "m1", "title": "Old", "status": "WRAPPED" }"#;
const RESPONSE: &str =
    r#"{ "data": { "movie": { "movieId": "m1", "title": "New", "status": "RELEASED" } } }"#;

fn folder(tests: &str) -> Folder {
    let folder = Folder::new();
    folder.write("index.yaml", &format!("{CONFIG}tests:\n{tests}"));
    folder.write("m1.json", MOVIE).write("m1.response.json", RESPONSE);
    folder.write("event.json", "{\n  \"value\": { \"movieId\": \"m1\" }\n}\n");
    folder.write("bad.json", "{ \"value\": { \"movieId\": {} } }\n");
    folder.write("gone.response.json", r#"{ "data": { "movie": null } }"#);
    folder
}

#[test]
fn what_holds_and_what_does_not() {
    let folder = folder(
        "  - name: a change is fetched
    index: [./m1.json]
    event: { source: changes, file: ./event.json }
    graph: { m1: ./m1.response.json }
    expect: { ids: [m1], documents: { m1: { title: New } } }
    search: { text: new, filter: \"status == 'RELEASED'\", expect: [m1] }
  - name: what the first test left
    search: { text: old, expect: [] }
  - name: a wrong expectation
    index: [./m1.json]
    event: { source: changes, file: ./event.json }
    graph: { m1: ./m1.response.json }
    expect: { ids: [m1, m2], documents: { m1: { title: Newer, status: RELEASED }, m2: { title: x } } }
    search: { facets: { status: { RELEASED: 2 } }, expect: [m2] }
  - name: a graph that has more to say
    event: { source: changes, file: ./event.json }
    expect: { ids: [m1] }
  - name: an event that nobody understands
    event: { source: changes, file: ./bad.json }
    expect: { ids: [] }
  - name: a movie that is gone
    index: [./m1.json]
    event: { source: changes, file: ./event.json }
    graph: { m1: ./gone.response.json }
    expect: { ids: [m1], documents: { m1: null } }
",
    );
    let commands = ["test", "test --filter left", "test --filter gone --json", "test --filter nothing"];
    assert_conversation!(folder, commands, @r#"
    $ studio-search test
    ok      a change is fetched
    ok      what the first test left
    FAILED  a wrong expectation
            m2 was not rebuilt
            m1.title: expected "Newer", found "New"
            m2 is not in the index
            m2 was not found
            m1 was found, and nobody expects it
            status counts RELEASED 1 times, expected 2
    FAILED  a graph that has more to say
            the graph was asked for m1, and `graph:` has no response for it
    FAILED  an event that nobody understands
            ./bad.json can't be understood: value.movieId: an id must be a string or an integer, this is an object
    ok      a movie that is gone
    3 passed, 3 failed
    --- stderr
    [time] ERROR number 1: value.movieId: an id must be a string or an integer, this is an object; kept as a dead letter source=changes code="SS302"
    --- exit 1
    $ studio-search test --filter left
    ok      what the first test left
    1 passed, 0 failed
    --- exit 0
    $ studio-search test --filter gone --json
    {"json_version":"1","data":{"success":true,"tests":[{"file":"index.yaml","name":"a movie that is gone","success":true,"failures":[]}]},"error":null}
    --- exit 0
    $ studio-search test --filter nothing
    --- stderr
    error: no test has "nothing" in its name
      help: tests: "a change is fetched", "a graph that has more to say", "a movie that is gone", "a wrong expectation", "an event that nobody understands", "what the first test left"
    --- exit 64
    "#);
    assert!(!folder.0.path().join("movies.db").exists(), "the real state is not touched");
}

#[test]
fn tests_that_are_written_wrong() {
    let folder = folder(
        "  - name: one
    search: { text: x, expect: [], filtre: x }
  - name: one
    event: { source: chnages, file: ./missing.json }
  - name: two
    expect: { ids: [] }
  - { name: three, index: [./missing.json] }
",
    );
    assert_conversation!(folder, ["validate"], @r#"
    $ studio-search validate
    9 errors
    --- stderr
    error[SS122]: the test "one" searches an index that holds nothing
        ╭─[index.yaml:13:11]
     12 │ tests:
     13 │   - name: one
        ·           ───
     14 │     search: { text: x, expect: [], filtre: * }
        ╰────
      help: name documents under `index:`; later tests may go on with what this one leaves

      more: studio-search explain SS122

    error[SS102]: unknown key `filtre` in `tests[0].search`
        ╭─[index.yaml:14:36]
     13 │   - name: one
     14 │     search: { text: x, expect: [], filtre: * }
        ·                                    ──────
     15 │   - name: one
        ╰────
      help: did you mean `filter`?

      more: studio-search explain SS102

    error[SS118]: two tests have the name "one"
        ╭─[index.yaml:15:11]
     14 │     search: { text: x, expect: [], filtre: * }
     15 │   - name: one
        ·           ───
     16 │     event: { source: chnages, file: ./missing.json }
        ╰────
      help: `--filter` picks tests by their names

      more: studio-search explain SS118

    error[SS122]: the test "one" expects nothing
        ╭─[index.yaml:16:5]
     15 │   - name: one
     16 │     event: { source: chnages, file: ./missing.json }
        ·     ─────
     17 │   - name: two
        ╰────
      help: say under `expect:` which ids are rebuilt

      more: studio-search explain SS122

    error[SS105]: there is no source "chnages"
        ╭─[index.yaml:16:22]
     15 │   - name: one
     16 │     event: { source: chnages, file: ./missing.json }
        ·                      ───────
     17 │   - name: two
        ╰────
      help: did you mean changes?

      more: studio-search explain SS105

    error[SS122]: nothing happens in the test "two"
        ╭─[index.yaml:18:5]
     17 │   - name: two
     18 │     expect: { ids: [] }
        ·     ──────
     19 │   - { name: three, index: [./missing.json] }
        ╰────
      help: give it an `event:`; what a search finds stands under `search.expect`

      more: studio-search explain SS122

    error[SS122]: the test "three" tests nothing
        ╭─[index.yaml:19:13]
     18 │     expect: { ids: [] }
     19 │   - { name: three, index: [./missing.json] }
        ·             ─────
        ╰────
      help: give it `event:` and `expect:`, or `search:`

      more: studio-search explain SS122

    error[SS119]: the event ./missing.json can't be read: it does not exist
        ╭─[index.yaml:16:37]
     15 │   - name: one
     16 │     event: { source: chnages, file: ./missing.json }
        ·                                     ──────────────
     17 │   - name: two
        ╰────
      help: a path is relative to the folder of index.yaml

      more: studio-search explain SS119

    error[SS119]: the document ./missing.json can't be read: it does not exist
        ╭─[index.yaml:19:28]
     18 │     expect: { ids: [] }
     19 │   - { name: three, index: [./missing.json] }
        ·                            ──────────────
        ╰────
      help: a path is relative to the folder of index.yaml

      more: studio-search explain SS119
    --- exit 1
    "#);
    let reports = |command: &str| {
        let talk = folder.talk(&[command]);
        let (talk, exit) = talk.rsplit_once("--- exit ").expect("each ends with its exit");
        assert_eq!(exit.trim(), "1");
        talk.split("error[").skip(1).map(|report| report.trim().to_owned()).collect::<Vec<_>>()
    };
    // The files are looked for once the tests that name them are right.
    let mut validated = reports("validate");
    validated.retain(|report| !report.starts_with("SS119"));
    assert_eq!(validated.len(), 7);
    assert_eq!(reports("test"), validated);
}

#[test]
fn expectations_are_written_anew() {
    let folder = folder(
        "  - name: a change is fetched
    index: [./m1.json]
    event: { source: changes, file: ./event.json }
    graph: { m1: ./m1.response.json }
    expect: { ids: [m2], documents: { m1: { title: Newer, status: RELEASED } } } # the newest
    search: { facets: { status: { RELEASED: 2 } }, expect: [m2] }
  # Not understood, whatever is expected.
  - name: an event that nobody understands
    event: { source: changes, file: ./bad.json }
    expect: { ids: [] }
",
    );
    let before = fs::read_to_string(folder.0.path().join("index.yaml")).unwrap();
    assert_conversation!(folder, ["test --update", "test --update --filter fetched"], @r#"
    $ studio-search test --update
    updated a change is fetched
    FAILED  an event that nobody understands
            ./bad.json can't be understood: value.movieId: an id must be a string or an integer, this is an object
    1 passed, 1 failed
    --- stderr
    [time] ERROR number 1: value.movieId: an id must be a string or an integer, this is an object; kept as a dead letter source=changes code="SS302"
    [time] ERROR number 1: value.movieId: an id must be a string or an integer, this is an object; kept as a dead letter source=changes code="SS302"
    --- exit 1
    $ studio-search test --update --filter fetched
    ok      a change is fetched
    1 passed, 0 failed
    --- exit 0
    "#);
    let wanted = before
        .replace("ids: [m2]", "ids: [m1]")
        .replace("title: Newer", "title: New")
        .replace("RELEASED: 2", "RELEASED: 1")
        .replace("expect: [m2]", "expect: [m1]");
    assert_eq!(fs::read_to_string(folder.0.path().join("index.yaml")).unwrap(), wanted);
}

#[test]
fn no_tests() {
    assert_conversation!(Folder::new(), ["test", "test nowhere"], @r#"
    $ studio-search test
    there are no tests; see `tests:` in studio-search config schema
    --- exit 0
    $ studio-search test nowhere
    --- stderr
    error: nowhere can't be read: it does not exist
      help: name an index.yaml, or a folder that holds one
    --- exit 64
    "#);
}

/// The example's own tests hold.
#[test]
fn the_movies_tests_hold() {
    let movies = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/movies");
    let mut command = Command::new(env!("CARGO_BIN_EXE_studio-search"));
    let output = command.arg("test").arg(movies).output().expect("it was built");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("4 passed, 0 failed"), "{said}");
}

#[test]
fn a_refused_configuration_keeps_no_other_from_being_tested() {
    let folder = Folder::new();
    let search =
        "tests:\n  - { name: nothing is there, index: [./m1.json], search: { text: x, expect: [] } }\n";
    for (name, config) in
        [("a", format!("{}nmae: x\n", crate::CONFIG)), ("b", format!("{}{search}", crate::CONFIG))]
    {
        fs::create_dir(folder.0.path().join(name)).expect("the folder is ours");
        folder.write(&format!("{name}/index.yaml"), &config);
        folder.write(&format!("{name}/query.graphql"), crate::QUERY);
        folder.write(&format!("{name}/schema.graphql"), crate::SCHEMA);
    }
    folder.write("b/m1.json", r#"{ "movieId": "m1", "title": "y", "status": "RELEASED" }"#);
    assert_conversation!(folder, ["test a b", "test a b -o json"], @r#"
    $ studio-search test a b
    FAILED  a/index.yaml: the configuration is refused
            a/index.yaml:12:1: unknown key `nmae` in the file (SS102)
    ok      b/index.yaml: nothing is there
    1 passed, 1 failed
    --- exit 1
    $ studio-search test a b -o json
    {"json_version":"1","data":{"success":false,"tests":[{"file":"a/index.yaml","name":"the configuration is refused","success":false,"failures":["a/index.yaml:12:1: unknown key `nmae` in the file (SS102)"]},{"file":"b/index.yaml","name":"nothing is there","success":true,"failures":[]}]},"error":null}
    --- exit 1
    "#);
}
