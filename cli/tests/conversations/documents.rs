//! Folders and Markdown: many configurations at once, and those that are shown in a text.

use std::{fs, path::Path, process::Command};

use crate::{CONFIG, Folder, QUERY, SCHEMA, assert_conversation};

#[test]
fn a_folder_stands_for_all_that_is_in_it() {
    let folder = Folder::new();
    for name in ["b/c", "node_modules/x", ".hidden", "target/y"] {
        fs::create_dir_all(folder.0.path().join(name)).expect("the folder is ours");
        folder.write(&format!("{name}/index.yaml"), "nonsense: 1\n");
    }
    folder
        .write("b/c/index.yaml", CONFIG)
        .write("b/c/query.graphql", QUERY)
        .write("b/c/schema.graphql", SCHEMA);
    folder.write("b/notes.md", "```yaml\nfields:\n  title: { tipe: text }\n```\n");
    folder.write("b/empty.md", "Nothing to check.\n");
    fs::create_dir(folder.0.path().join("nothing")).expect("the folder is ours");
    assert_conversation!(folder, ["validate", "validate b/c nothing"], @r#"
    $ studio-search validate
    b/c/index.yaml is valid: index movies, 3 fields, 1 source
    index.yaml is valid: index movies, 3 fields, 1 source
    1 error
    --- stderr
    error[SS102]: unknown key `tipe` in `fields.title`
       ╭─[b/notes.md:3:12]
     2 │ fields:
     3 │   title: { tipe: **** }
       ·            ────
     4 │ ```
       ╰────
      help: did you mean `type`?

      more: studio-search explain SS102
    --- exit 1
    $ studio-search validate b/c nothing
    --- stderr
    error: nothing holds no index.yaml and no Markdown, nor does a folder below it
      help: name an index.yaml, or a folder that holds one
    --- exit 64
    "#);
}

#[test]
fn configurations_in_a_document() {
    let folder = Folder::new();
    folder.write(
        "guide.md",
        &format!(
            "# Guide\n\nThe whole:\n\n```yaml\n{CONFIG}```\n\nFor a deployment:\n\n~~~yaml\nversion: 1\nname: movies\nentity: Movie\n\
             query: ./other.graphql\ngraph: {{ url: \"${{NOBODY_SETS_THIS}}\", schema: ./supergraph.graphql }}\n\
             sources:\n  changes: {{ file: ./changes.ndjson, format: plain, id: value.movieId }}\n~~~\n\n\
             1. Slower:\n\n   ```yml\n   backfill: {{ rate: 10/s }}\n   ```\n\n```yaml\nservices: {{}}\n```\n"
        ),
    );
    folder.write(
        "wrong.md",
        "Übung:\n\n```yaml\nversion: 1\nname: movies\nentity: Movie\nquery: ./query.graphql\n\
         graph: { url: http://gateway/graphql, schema: ./schema.graphql }\nsources:\n\
         \x20 changes: { file: ./changes.ndjson, format: plain, id: value.movieId }\nfields:\n  titel: keyword\n```\n\n\
         - in a list\n\n  ```yaml\n  errors: { partial: hold }\n  freshness: { warn_after: 30 }\n  admim: {}\n  ```\n",
    );
    assert_conversation!(folder, ["validate guide.md", "validate wrong.md", "validate wrong.md --json"], @r#"
    $ studio-search validate guide.md
    guide.md is valid: 2 configurations, 1 part
    --- exit 0
    $ studio-search validate wrong.md
    3 errors
    --- stderr
    error[SS113]: the document has no field `titel`
        ╭─[wrong.md:12:3]
     11 │ fields:
     12 │   titel: keyword
        ·   ─────
     13 │ ```
        ╰────
      help: did you mean `title`?

      more: studio-search explain SS113

    error[SS117]: "30" is not a duration
        ╭─[wrong.md:19:28]
     18 │   errors: { partial: hold }
     19 │   freshness: { warn_after: 30 }
        ·                            ──
     20 │   admim: {}
        ╰────
      help: a number and its unit: 500ms, 10s, 2m, 1h, 7d; not 0 and at most a year

      more: studio-search explain SS117

    error[SS102]: unknown key `admim` in the file
        ╭─[wrong.md:20:3]
     19 │   freshness: { warn_after: 30 }
     20 │   admim: {}
        ·   ─────
     21 │   ```
        ╰────
      help: did you mean `admin`?

      more: studio-search explain SS102
    --- exit 1
    $ studio-search validate wrong.md --json
    {"json_version":"1","data":{"success":false,"diagnostics":[{"severity":"error","code":"SS113","message":"the document has no field `titel`","file":"wrong.md","line":12,"column":3,"end_line":12,"end_column":8,"help":"did you mean `title`?"},{"severity":"error","code":"SS117","message":"\"30\" is not a duration","file":"wrong.md","line":19,"column":28,"end_line":19,"end_column":30,"help":"a number and its unit: 500ms, 10s, 2m, 1h, 7d; not 0 and at most a year"},{"severity":"error","code":"SS102","message":"unknown key `admim` in the file","file":"wrong.md","line":20,"column":3,"end_line":20,"end_column":8,"help":"did you mean `admin`?"}]},"error":null}
    --- exit 1
    "#);
}

#[test]
fn a_document_without_a_configuration() {
    let folder = Folder::new();
    folder.write("notes.md", "Nothing to check.\n");
    assert_conversation!(folder, ["validate notes.md", "validate missing.md"], @r#"
    $ studio-search validate notes.md
    notes.md holds no configuration
    --- exit 0
    $ studio-search validate missing.md
    --- stderr
    error: missing.md can't be read: it does not exist
    --- exit 64
    "#);
}

/// What the README shows is what a reader copies.
#[test]
fn the_readme_is_right() {
    let readme =
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a member of the workspace").join("README.md");
    let mut command = Command::new(env!("CARGO_BIN_EXE_studio-search"));
    let output = command.arg("validate").arg(&readme).args(["--deny-warnings", "--json"]).output();
    let output = output.expect("the program was built for this test");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_studio-search"));
    let output = command.arg("validate").arg(&readme).output().expect("the program was built for this test");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("is valid: 1 configuration"), "the block must be seen: {said}");
}
