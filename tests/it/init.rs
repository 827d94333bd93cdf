//! A first configuration for any graph: what `init` writes is valid on the schemas of the field, and fills an index from a real gateway.

use std::{fs, process::Command};

use harness::{folder::Folder, graphql_js, program};

/// Public schemas with types that people would index.
const SCHEMAS: [(&str, &[&str]); 3] = [
    ("node_modules/@octokit/graphql-schema/schema.graphql", &["Repository", "Issue", "User", "PullRequest"]),
    ("node_modules/@octokit/graphql-schema/schema.json", &["Repository"]),
    (
        "node_modules/@shopify/hydrogen-react/storefront.schema.json",
        &["Product", "Collection", "Article", "ProductVariant"],
    ),
];

#[test]
fn every_schema_gives_a_valid_start() {
    let packages = graphql_js::folder();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(program());
        let output = command.args(arguments).current_dir(folder.path()).output().expect("the program starts");
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}:\n{said}");
        said
    };
    for (number, (file, roots)) in SCHEMAS.iter().enumerate() {
        let schema = packages.join(file);
        let schema = schema.to_str().expect("a path in UTF-8");
        for root in *roots {
            let target = format!("{number}-{root}");
            run(&["init", &target, "--root", root, "--schema", schema]);
            let said = run(&["validate", &target]);
            assert!(said.contains("is valid"), "{said}");
            let query =
                fs::read_to_string(folder.path().join(&target).join("query.graphql")).expect("a query");
            assert!(query.lines().count() > 10, "{root}:\n{query}");
        }
        assert!(run(&["init", "--schema", schema]).lines().count() > 1);
    }
}

#[test]
fn a_start_from_a_real_gateway_is_filled() {
    let (folder, graph) = Folder::with_graph();
    let by_file = ["init", "started", "--root", "Movie", "--schema", "supergraph.graphql"];
    let by_gateway = ["init", "asked", "--root", "Movie", "--introspect", &graph.gateway];
    for (arguments, target) in [(by_file, "started"), (by_gateway, "asked")] {
        folder.succeed(&arguments);
        folder.succeed(&["validate", target]);
        folder.succeed(&["provision", target, "--yes"]);
        folder.succeed(&["backfill", "start", target, "--id", "m7", "--id", "m1235"]);
        folder.succeed(&["run", target, "--once"]);
        let found = folder.json(&["search", target, "avatar"]);
        assert_eq!(found["hits"][0]["id"], "m1235", "{found}");
        assert_eq!(found["hits"][0]["document"]["production"]["ptpId"], "p1235", "{found}");
    }
}
