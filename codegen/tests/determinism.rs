//! The same inputs give the same bytes, in every process; order, comments and white space change only what they must.

#![expect(clippy::unwrap_used, reason = "a case that can't be read fails the test")]

mod cases;

use std::{collections::BTreeMap, env, fs, path::Path, process::Command, sync::Arc};

use apache_avro::{Schema, schema_compatibility::SchemaCompatibility};
use codegen::{Compiled, Texts, compile, parse_config};
use plan::SourceText;
use serde_json::Value;

use self::cases::{Files, case_files, read_folder};

/// Where a process of this test writes what it made.
const WRITE_TO: &str = "STUDIO_SEARCH_TEST_WRITES_TO";

fn tests() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests"))
}

fn compiled(files: &Files) -> Option<Compiled> {
    let text = |path: &str| {
        let name = path.trim_start_matches("./").to_owned();
        let text = files.get(&name).cloned().unwrap_or_default();
        Arc::new(SourceText { name, text })
    };
    let config =
        parse_config(&text("index.yaml"), &|_| Some("http://gateway:4000/graphql".to_owned())).value?;
    let wanted = config.wanted_files();
    let of = |what: &str| wanted.iter().find(|file| file.what == what).map(|file| text(&file.path));
    let texts = Texts {
        query: of("query")?,
        schema: of("schema").unwrap_or_else(|| text("introspection.json")),
        others: wanted.iter().map(|file| (file.path.clone(), text(&file.path))).collect(),
    };
    compile(&config, &texts).value
}

/// Every artifact of every case, as it would be written.
fn everything() -> String {
    let base = read_folder(&tests().join("base"));
    let cases: BTreeMap<String, String> = read_folder(&tests().join("ok"));
    let cases = cases.into_iter().filter(|(name, _)| Path::new(name).extension().unwrap() == "case");
    let written = cases.map(|(name, case)| {
        let compiled =
            compiled(&case_files(&base, &case, &name)).unwrap_or_else(|| panic!("{name} compiles"));
        format!("{name}\n{}\n{}\n{}\n", compiled.plan.to_json(), compiled.avro, compiled.index_template)
    });
    written.collect()
}

#[test]
fn every_process_writes_the_same_bytes() {
    if let Some(path) = env::var_os(WRITE_TO) {
        return fs::write(path, everything()).unwrap();
    }
    let here = everything();
    for _ in 0..20 {
        let base = read_folder(&tests().join("base"));
        let again = compiled(&base).unwrap();
        assert!(here.contains(&again.plan.to_json()) && here.contains(&again.avro.to_string()));
    }
    // Hash maps are seeded anew in each process.
    for n in 0..4 {
        let path = env::temp_dir().join(format!("studio-search-determinism-{}-{n}", std::process::id()));
        let mut child = Command::new(env::current_exe().unwrap());
        child.args(["--exact", "every_process_writes_the_same_bytes"]).env(WRITE_TO, &path);
        assert!(child.output().unwrap().status.success());
        let there = fs::read_to_string(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(here, there, "process {n}");
    }
}

/// A small generator of the kind that needs no dependency: the same seed, the same order.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

/// Selections, those with fields of their own as a head and what stands below it.
enum Selected {
    Leaf(&'static str),
    Below(&'static str, Vec<Selected>),
}

fn document() -> Vec<Selected> {
    use Selected::{Below, Leaf};
    vec![
        Leaf("movieId"),
        Leaf("name: title"),
        Leaf("title"),
        Leaf("type @include(if: $more)"),
        Leaf("releaseDate"),
        Leaf("ratings"),
        Below(
            "production",
            vec![
                Leaf("ptpId"),
                Leaf("status"),
                Below("shootingLocation", vec![Leaf("city"), Leaf("country")]),
            ],
        ),
        Below(
            "actors: talent(role: ACTOR)",
            vec![Leaf("talentId"), Leaf("name"), Leaf("role @skip(if: $more)")],
        ),
        Below(
            "featured",
            vec![
                Below("... on Movie", vec![Leaf("movieId"), Leaf("title")]),
                Below("... on Trailer", vec![Leaf("url"), Leaf("seconds: length")]),
            ],
        ),
        Below("... on Node", vec![Leaf("id")]),
    ]
}

fn written(mut selections: Vec<Selected>, dice: &mut Option<Dice>) -> String {
    if let Some(dice) = dice {
        dice.shuffle(&mut selections);
    }
    let each = selections.into_iter().map(|selection| match selection {
        Selected::Leaf(field) => field.to_owned(),
        Selected::Below(head, inner) => format!("{head} {{ {} }}", written(inner, dice)),
    });
    each.collect::<Vec<_>>().join("\n")
}

fn with_query(query: &str) -> Compiled {
    let mut files = read_folder(&tests().join("base"));
    let config = files["index.yaml"].replace("id: key.movie_id }", "id: key.movie_id, edge: holder }");
    files.insert("index.yaml".to_owned(), config);
    files.insert("query.graphql".to_owned(), query.to_owned());
    compiled(&files).unwrap_or_else(|| panic!("{query}"))
}

/// Sorts every list of named things, and leaves out what carries the text of the query.
fn unordered(mut value: Value) -> Value {
    match &mut value {
        Value::Array(items) => {
            let mut sorted: Vec<Value> = items.drain(..).map(unordered).collect();
            sorted.sort_by_cached_key(|item| {
                let key = ["path", "name"].iter().find_map(|key| item.get(key)).cloned();
                key.map(|key| key.to_string())
            });
            *items = sorted;
        }
        Value::Object(entries) => {
            entries.remove("_meta");
            entries.remove("fetch");
            entries.values_mut().for_each(|inner| *inner = unordered(inner.take()));
        }
        _ => {}
    }
    value
}

#[test]
fn the_order_of_fields_changes_only_the_order() {
    let query = |dice: &mut Option<Dice>| {
        let document = written(document(), dice);
        format!("query A($id: ID!, $more: Boolean = true) {{ movie(movieId: $id) {{ {document} }} }}")
    };
    let first = with_query(&query(&mut None));
    let plan = |compiled: &Compiled| unordered(serde_json::from_str(&compiled.plan.to_json()).unwrap());
    let avro = Schema::parse(&first.avro).unwrap();
    let mut orders = std::collections::BTreeSet::new();
    for seed in 0..40 {
        let shuffled = with_query(&query(&mut Some(Dice(seed))));
        assert_eq!(plan(&shuffled), plan(&first), "seed {seed}");
        assert_eq!(unordered(shuffled.avro.clone()), unordered(first.avro.clone()), "seed {seed}");
        let template = |compiled: &Compiled| unordered(compiled.index_template.clone());
        assert_eq!(template(&shuffled), template(&first), "seed {seed}");
        SchemaCompatibility::mutual_read(&avro, &Schema::parse(&shuffled.avro).unwrap()).unwrap();
        orders.insert(shuffled.plan.fetch.query);
    }
    assert!(orders.len() > 30, "the seeds shuffle");
}

#[test]
fn white_space_and_comments_change_nothing_but_docs() {
    let plain = "query A($id: ID!) { movie(movieId: $id) { movieId title production { ptpId status } } }";
    let first = with_query(plain);
    let spread = plain.replace(' ', " ,\r\n\t ").replace('{', "{ # opens\r\n");
    for text in [spread, format!("\u{feff}# a comment\n\n{plain}\n# another")] {
        let other = with_query(&text);
        assert_eq!(other.plan.to_json(), first.plan.to_json(), "{text}");
        assert_eq!((&other.avro, &other.index_template), (&first.avro, &first.index_template), "{text}");
    }
    let told = with_query(&plain.replace(" title ", "\n# As on the poster.\ntitle "));
    assert_eq!(told.plan.fetch, first.plan.fetch);
    let doc = |compiled: &Compiled| {
        compiled.plan.fields.walk().find(|field| field.path == "title").unwrap().doc.clone()
    };
    assert_eq!(doc(&told).as_deref(), Some("As on the poster."));
    assert_ne!(doc(&told), doc(&first));
}
