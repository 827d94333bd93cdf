//! What is wrong with files is told at once, with place and mend.

use std::fs;

use crate::{Folder, assert_conversation};

#[test]
fn a_valid_index() {
    let folder = Folder::new();
    assert_conversation!(folder, ["validate", "validate . -o json", "validate index.yaml --quiet"], @r#"
    $ studio-search validate
    index.yaml is valid: index movies, 3 fields, 1 source
    --- exit 0
    $ studio-search validate . -o json
    {"json_version":"1","data":{"success":true,"diagnostics":[]},"error":null}
    --- exit 0
    $ studio-search validate index.yaml --quiet
    index.yaml is valid: index movies, 3 fields, 1 source
    --- exit 0
    "#);
}

#[test]
fn broken_yaml() {
    let folder = Folder::new().with("entity: Movie", "entity: \"Movie");
    assert_conversation!(folder, ["validate"], @r#"
    $ studio-search validate
    1 error
    --- stderr
    error[SS101]: this is not valid YAML: this quote is not closed
       ╭─[index.yaml:3:9]
     2 │ name: movies
     3 │ entity: "Movie
       ·         ─
     4 │ query: ./query.graphql
       ╰────
      help: close it where its value ends; the reader went on to line 11

      more: studio-search explain SS101
    --- exit 1
    "#);
}

#[test]
fn an_unknown_key_and_an_unset_variable_at_once() {
    let folder = Folder::new()
        .with("entity: Movie\n", "entity: Movie\nquerry: ./x.graphql\ndescription: é ${NOBODY_SETS_THIS}\n");
    assert_conversation!(folder, ["validate", "validate --json"], @r#"
    $ studio-search validate
    2 errors
    --- stderr
    error[SS102]: unknown key `querry` in the file
       ╭─[index.yaml:4:1]
     3 │ entity: Movie
     4 │ querry: ***********
       · ──────
     5 │ description: é ${NOBODY_SETS_THIS}
       ╰────
      help: did you mean `query`?

      more: studio-search explain SS102

    error[SS106]: the environment variable `NOBODY_SETS_THIS` is not set
       ╭─[index.yaml:5:16]
     4 │ querry: ***********
     5 │ description: é ${NOBODY_SETS_THIS}
       ·                ───────────────────
     6 │ query: ./query.graphql
       ╰────
      help: set NOBODY_SETS_THIS, or write `${NOBODY_SETS_THIS:-default}`

      more: studio-search explain SS106
    --- exit 1
    $ studio-search validate --json
    {"json_version":"1","data":{"success":false,"diagnostics":[{"severity":"error","code":"SS102","message":"unknown key `querry` in the file","file":"index.yaml","line":4,"column":1,"end_line":4,"end_column":7,"help":"did you mean `query`?"},{"severity":"error","code":"SS106","message":"the environment variable `NOBODY_SETS_THIS` is not set","file":"index.yaml","line":5,"column":16,"end_line":5,"end_column":35,"help":"set NOBODY_SETS_THIS, or write `${NOBODY_SETS_THIS:-default}`"}]},"error":null}
    --- exit 1
    "#);
}

#[test]
fn a_variable_comes_from_a_file() {
    let folder = Folder::new().with("entity: Movie\n", "entity: ${ENTITY}\n");
    folder.write("variables", "# ours\nENTITY=Movie\n").write("nonsense", "ENTITY\n");
    assert_conversation!(folder, ["validate --env-file variables", "validate --env-file nonsense"], @r#"
    $ studio-search validate --env-file variables
    index.yaml is valid: index movies, 3 fields, 1 source
    --- exit 0
    $ studio-search validate --env-file nonsense
    --- stderr
    error: the file of variables nonsense can't be read: line 1 is not NAME=value
      help: it holds lines of the form NAME=value
    --- exit 64
    "#);
}

#[test]
fn files_that_are_not_there() {
    let folder = Folder::new().with("./query.graphql", "./quarry.graphql");
    fs::create_dir(folder.0.path().join("binary")).expect("the folder is ours");
    fs::write(folder.0.path().join("binary/index.yaml"), b"version: \xff").expect("the folder is ours");
    assert_conversation!(folder, ["validate", "validate elsewhere", "validate binary", "provision --yes"], @r#"
    $ studio-search validate
    2 errors
    --- stderr
    error[SS101]: binary/index.yaml can't be read: byte 10 is not UTF-8 text
       --> binary/index.yaml:1:1
      help: it must be YAML in UTF-8

      more: studio-search explain SS101

    error[SS119]: the query ./quarry.graphql can't be read: it does not exist
       ╭─[index.yaml:4:8]
     3 │ entity: Movie
     4 │ query: ./quarry.graphql
       ·        ────────────────
     5 │ graph:
       ╰────
      help: a path is relative to the folder of index.yaml

      more: studio-search explain SS119
    --- exit 1
    $ studio-search validate elsewhere
    --- stderr
    error: elsewhere can't be read: it does not exist
      help: name an index.yaml, or a folder that holds one
    --- exit 64
    $ studio-search validate binary
    1 error
    --- stderr
    error[SS101]: binary/index.yaml can't be read: byte 10 is not UTF-8 text
       --> binary/index.yaml:1:1
      help: it must be YAML in UTF-8

      more: studio-search explain SS101
    --- exit 1
    $ studio-search provision --yes
    --- stderr
    error[SS119]: the query ./quarry.graphql can't be read: it does not exist
       ╭─[index.yaml:4:8]
     3 │ entity: Movie
     4 │ query: ./quarry.graphql
       ·        ────────────────
     5 │ graph:
       ╰────
      help: a path is relative to the folder of index.yaml

      more: studio-search explain SS119
    --- exit 1
    "#);
}

#[test]
fn a_query_that_does_not_fit() {
    let folder = Folder::new();
    folder.write(
        "query.graphql",
        "query MovieIndex($id: ID!) {\n  movie(movieId: $id) {\n    movieId\n    titel\n  }\n}\n",
    );
    assert_conversation!(folder, ["validate"], @r#"
    $ studio-search validate
    1 error
    --- stderr
    error[SS203]: type `Movie` does not have a field `titel`
       ╭─[query.graphql:4:5]
     3 │     movieId
     4 │     titel
       ·     ─────
     5 │   }
       ╰────
      help: did you mean `title`?

      more: studio-search explain SS203
    --- exit 1
    "#);
}

#[test]
fn a_schema_that_does_not_parse() {
    let folder = Folder::new();
    folder.write("schema.graphql", "type Query { movie(movieId: ID!): Movie \ntype Movie {");
    assert_conversation!(folder, ["validate"], @r#"
    $ studio-search validate
    1 error
    --- stderr
    error[SS201]: this brace is not closed
       ╭─[schema.graphql:1:12]
     1 │ type Query { movie(movieId: ID!): Movie 
       ·            ─
     2 │ type Movie {
       ╰────
      help: this must be a supergraph SDL, a plain SDL, or the JSON answer of an introspection

      more: studio-search explain SS201
    --- exit 1
    "#);
}

#[test]
fn a_gateway_that_is_asked_for_its_schema() {
    let folder = Folder::new().with("  schema: ./schema.graphql\n", "");
    assert_conversation!(folder, ["validate"], @r#"
    $ studio-search validate
    --- stderr
    error[SS401]: the gateway can't be reached: Connection refused
      help: `graph.schema` is left out, so the gateway is asked; name a file to need no gateway here
      more: studio-search explain SS401
    --- exit 69
    "#);
    folder.write("index.yaml", &crate::CONFIG.replace("  schema: ./schema.graphql\n", "  shcema: x\n"));
    let told = folder.exchange("validate");
    assert!(told.contains("unknown key `shcema`") && told.ends_with("--- exit 1\n"), "{told}");
}

/// A device that never ends, a hole of five gigabytes and a folder are told by what they are.
#[test]
fn files_that_are_too_large_or_none() {
    let endless = Folder::new().with("./query.graphql", "/dev/zero");
    let hole = Folder::new();
    let schema = fs::File::create(hole.0.path().join("schema.graphql")).expect("the folder is ours");
    schema.set_len(5 << 30).expect("a hole takes no space");
    let config = Folder::new();
    let file = fs::File::create(config.0.path().join("index.yaml")).expect("the folder is ours");
    file.set_len(100 << 20).expect("a hole takes no space");
    let in_folder = Folder::new().with("./query.graphql", "./queries");
    fs::create_dir(in_folder.0.path().join("queries")).expect("the folder is ours");
    assert_conversation!(endless, ["validate"], @r#"
    $ studio-search validate
    1 error
    --- stderr
    error[SS119]: the query /dev/zero can't be read: it has more than 16 MiB
       ╭─[index.yaml:4:8]
     3 │ entity: Movie
     4 │ query: /dev/zero
       ·        ─────────
     5 │ graph:
       ╰────
      help: is this the file that was meant? a schema has at most 256 MiB, other texts 16 MiB or less

      more: studio-search explain SS119
    --- exit 1
    "#);
    assert_conversation!(hole, ["validate"], @r#"
    $ studio-search validate
    1 error
    --- stderr
    error[SS119]: the schema ./schema.graphql can't be read: it has more than 256 MiB
       ╭─[index.yaml:7:11]
     6 │   url: http://127.0.0.1:9/graphql
     7 │   schema: ./schema.graphql
       ·           ────────────────
     8 │   timeout: 200ms
       ╰────
      help: is this the file that was meant? a schema has at most 256 MiB, other texts 16 MiB or less

      more: studio-search explain SS119
    --- exit 1
    "#);
    assert_conversation!(config, ["validate"], @r#"
    $ studio-search validate
    --- stderr
    error[SS108]: index.yaml can't be read: it has more than 16 MiB
      help: a configuration has at most 1 MiB
      more: studio-search explain SS108
    --- exit 1
    "#);
    assert_conversation!(in_folder, ["validate"], @r#"
    $ studio-search validate
    1 error
    --- stderr
    error[SS119]: the query ./queries can't be read: it is a folder
       ╭─[index.yaml:4:8]
     3 │ entity: Movie
     4 │ query: ./queries
       ·        ─────────
     5 │ graph:
       ╰────
      help: a path is relative to the folder of index.yaml

      more: studio-search explain SS119
    --- exit 1
    "#);
}

/// YAML, GraphQL and the filter language inside of YAML: one form of report.
#[test]
fn reports_of_all_languages_look_alike() {
    let folder = Folder::new()
        .with("id: value.movieId }", "id: value.movieId, where: \"row.kind = 'x'\" }\nserch: {}");
    folder.write(
        "query.graphql",
        "query MovieIndex($id: ID!) {\n  movie(movieId: $id) {\n    movieId\n    titel\n  }\n}\n",
    );
    assert_conversation!(folder, ["validate"], @r#"
    $ studio-search validate
    3 errors
    --- stderr
    error[SS701]: = is no operator here
        ╭─[index.yaml:10:89]
      9 │ sources:
     10 │   changes: { file: ./changes.ndjson, format: plain, id: value.movieId, where: "row.kind = 'x'" }
        ·                                                                                         ─
     11 │ serch: {}
        ╰────
      help: equality is written ==

      more: studio-search explain SS701

    error[SS102]: unknown key `serch` in the file
        ╭─[index.yaml:11:1]
     10 │   changes: { file: ./changes.ndjson, format: plain, id: value.movieId, where: "row.kind = 'x'" }
     11 │ serch: {}
        · ─────
     12 │ admin: { listen: "127.0.0.1:0" }
        ╰────
      help: did you mean `search`?

      more: studio-search explain SS102

    error[SS203]: type `Movie` does not have a field `titel`
       ╭─[query.graphql:4:5]
     3 │     movieId
     4 │     titel
       ·     ─────
     5 │   }
       ╰────
      help: did you mean `title`?

      more: studio-search explain SS203
    --- exit 1
    "#);
}

/// The lines around a mistake are shown, and a secret may stand on one of them.
#[test]
fn a_secret_beside_a_mistake_is_not_shown() {
    for headers in [
        "  headers: { authorization: \"Bearer s3cret\" }\n  timeuot: 200ms",
        "  headers:\n    authorization: \"Bearer s3cret\"\n  timeuot: 200ms",
        "  heders:\n    authorization: Bearer s3cret\n  timeout: 200ms",
        "  headers: { authorization: \"Bearer s3cret }\n  timeout: 200ms",
        "  heders: { x-team: s3cret }\n  timeout: 200ms",
        "  heders:\n    x-team: s3cret\n  timeout: 200ms",
        "  signature: s3cret\n  timeout: 200ms",
        "  \"signed\": [s3cret, { by: s3cret }]\n  timeout: 200ms",
        "  headers: { authorization: \"Bearer s3cret${\" }\n  timeout: 200ms",
    ] {
        let folder = Folder::new().with("  timeout: 200ms", headers);
        for told in
            [folder.exchange("validate"), folder.exchange("status"), folder.exchange("validate --json")]
        {
            assert!(told.contains("--- exit 1\n"), "{told}");
            assert!(!told.contains("s3cret"), "{told}");
        }
    }
    let folder = Folder::new().with("  timeout: 200ms", "  headers: { x: s3cret }\n  timeuot: 200ms");
    assert_conversation!(folder, ["validate"], @r#"
    $ studio-search validate
    1 error
    --- stderr
    error[SS102]: unknown key `timeuot` in `graph`
        ╭─[index.yaml:9:3]
      8 │   headers: { x: ****** }
      9 │   timeuot: *****
        ·   ───────
     10 │ sources:
        ╰────
      help: did you mean `timeout`?

      more: studio-search explain SS102
    --- exit 1
    "#);
}

/// Opening a pipe waits for its writer, and there may be none.
#[test]
#[cfg(unix)]
fn a_pipe_that_nobody_writes_is_no_file() {
    let folder = Folder::new();
    let pipe = |name: &str| {
        let path = folder.0.path().join(name);
        let _ = fs::remove_file(&path);
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.is_ok_and(|status| status.success()), "mkfifo");
    };
    pipe("query.graphql");
    pipe("other.yaml");
    assert_conversation!(folder, ["validate", "validate other.yaml", "status --env-file other.yaml"], @r#"
    $ studio-search validate
    1 error
    --- stderr
    error[SS119]: the query ./query.graphql can't be read: it is a pipe or a device
       ╭─[index.yaml:4:8]
     3 │ entity: Movie
     4 │ query: ./query.graphql
       ·        ───────────────
     5 │ graph:
       ╰────
      help: write it into a file, or hand it over as /dev/stdin or `<(command)`

      more: studio-search explain SS119
    --- exit 1
    $ studio-search validate other.yaml
    --- stderr
    error: other.yaml can't be read: it is a pipe or a device
      help: write it into a file, or hand it over as /dev/stdin or `<(command)`
    --- exit 64
    $ studio-search status --env-file other.yaml
    --- stderr
    error: the file of variables other.yaml can't be read: it is a pipe or a device
      help: write it into a file, or hand it over as /dev/stdin or `<(command)`
    --- exit 64
    "#);
    let mut shell = std::process::Command::new("bash");
    shell.args(["-c", "\"$0\" status --env-file <(echo A=1) <(echo version: 1)"]);
    shell.arg(env!("CARGO_BIN_EXE_studio-search")).current_dir(folder.0.path());
    let said = shell.output().expect("bash");
    assert!(String::from_utf8_lossy(&said.stderr).contains("`name` is missing"), "{said:?}");
}

/// Each report names its line; counting them anew from the start would take minutes.
#[test]
fn twenty_thousand_mistakes_are_told_in_a_moment() {
    let folder = Folder::new();
    let keys: String = (0..20_000).fold(String::new(), |keys, number| keys + &format!("k{number}: 1\n"));
    folder.write("index.yaml", &format!("{}{keys}", crate::CONFIG));
    let start = std::time::Instant::now();
    let told = folder.exchange("validate");
    assert_eq!(told.matches("unknown key `k").count(), 20_000);
    assert!(start.elapsed() < std::time::Duration::from_mins(1), "{:?}", start.elapsed());
}

/// An empty token counts as none, so that a variable may be left out; where others reach the port, that is told.
#[test]
fn a_port_for_others_without_a_token_is_told_of() {
    let listen = "admin: { listen: \"127.0.0.1:0\" }";
    for told_nothing in ["127.0.0.1:0", "localhost:9467", "[::1]:9467"] {
        let serve =
            format!("admin: {{ listen: \"{told_nothing}\" }}\nserve: {{ tokens: [\"${{NONE:-}}\"] }}");
        let told = Folder::new().with(listen, &serve).exchange("validate");
        assert!(told.contains("--- exit 0\n") && !told.contains("warning"), "{told}");
    }
    let serve = "serve: { tokens: [\"${NONE:-}\"] }\nadmin: { listen: \"0.0.0.0:9467\" }";
    let folder = Folder::new().with(listen, serve);
    assert_conversation!(folder, ["validate"], @r#"
    $ studio-search validate
    index.yaml is valid: index movies, 3 fields, 1 source
    1 warning
    --- stderr
    warning[SS121]: other machines reach the admin port, and no token is set for them
        ╭─[index.yaml:12:18]
     11 │ serve: { tokens: ["${NONE:-}"] }
     12 │ admin: { listen: "0.0.0.0:9467" }
        ·                  ──────────────
        ╰────
      help: without one only /livez and /readyz are served there: set one under `serve.tokens`, or let `admin.listen` be 127.0.0.1:9467

      more: studio-search explain SS121
    --- exit 0
    "#);
    let folder = Folder::new().with(listen, "serve: { listen: \"0.0.0.0:9468\" }");
    assert_conversation!(folder, ["validate"], @r#"
    $ studio-search validate
    index.yaml is valid: index movies, 3 fields, 1 source
    1 warning
    --- stderr
    warning[SS121]: other machines reach the search port, and no token is set for them
        ╭─[index.yaml:11:18]
     10 │   changes: { file: ./changes.ndjson, format: plain, id: value.movieId }
     11 │ serve: { listen: "0.0.0.0:9468" }
        ·                  ──────────────
        ╰────
      help: without one only /livez and /readyz are served there: set one under `serve.tokens`, or let `serve.listen` be 127.0.0.1:9468

      more: studio-search explain SS121
    --- exit 0
    "#);
}
