//! Generated artifacts are committed, so that a reviewer sees the effect of a change; here they are made again and compared.
//!
//! `UPDATE=1 cargo test -p studio-search-tests generated` writes them anew.

use std::fs;

use harness::{folder::Folder, repository};

/// Kinds of `generate` with the file that holds each.
const ARTIFACTS: [(&str, &str); 4] = [
    ("avro", "movies.avsc"),
    ("template", "index-template.json"),
    ("plan", "plan.json"),
    ("docs", "movies.md"),
];

#[test]
fn committed_artifacts_are_what_the_configuration_makes() {
    let folder = Folder::new();
    let committed = repository().join("configs/movies/generated");
    for (kind, file) in ARTIFACTS {
        let made = folder.succeed(&["generate", kind, "index.yaml"]);
        if std::env::var_os("UPDATE").is_some() {
            fs::create_dir_all(&committed)
                .and_then(|()| fs::write(committed.join(file), &made))
                .expect("writable");
        }
        let kept = fs::read_to_string(committed.join(file)).unwrap_or_default();
        assert!(
            kept == made,
            "configs/movies/generated/{file} is not what `generate {kind}` makes now; see this test's first lines"
        );
    }
}
