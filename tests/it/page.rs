//! The page of `run`, visited in a real browser on a phone and on a desk.

use std::{fs, time::Duration};

use harness::{
    browser::{DESK, PHONE, Screen, visit},
    folder::Folder,
};
use serde_json::{Value, json};

const SETTLES: Duration = Duration::from_mins(3);

/// A title that does harm where it is not escaped, long enough to break a narrow screen, with the word that is searched for.
const HOSTILE: &str = "War <img src=x onerror=alert(1)><script>alert(2)</script> & \"Peace\" \
                       Donaudampfschifffahrtselektrizitaetenhauptbetriebswerkbauunterbeamtengesellschaft";

#[test]
fn a_visitor_searches_clicks_facets_and_reads_hits() {
    let (folder, graph) = Folder::with_graph();
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    let run = folder.run();
    folder.backfills_within(SETTLES, &graph);
    graph.post("/edit/movies/m7", &json!({"title": HOSTILE}));
    folder.settles_within(SETTLES);
    let url = format!("http://{}/", run.admin());
    let pictures = folder.path("pictures");
    fs::create_dir(&pictures).expect("the folder is writable");
    for (name, screen) in [("phone", PHONE), ("desk", DESK)] {
        let picture = pictures.join(format!("{name}.png"));
        let visit = visit(&url, screen, "peace", "genre", &picture);
        assert_eq!(visit["complaints"], json!([]), "{name}");
        check(&folder, name, screen, &visit["seen"]);
        assert!(fs::metadata(&picture).is_ok_and(|picture| picture.len() > 10_000), "{name}: a picture");
    }
    assert_eq!(run.terminate(), Some(0), "{}", folder.log());
}

fn check(folder: &Folder, name: &str, screen: Screen, seen: &Value) {
    for (step, page) in seen.as_object().expect("steps") {
        assert_eq!(
            (&page["scrolls"], &page["wide"], &page["images"]),
            (&json!(false), &json!([]), &json!(0)),
            "{name}, {step}: nothing is wider than {} pixels, and no text is markup: {page:#}",
            screen.width
        );
        assert!(page["smallest"].as_f64() >= Some(12.0), "{name}, {step}: {}", page["smallest"]);
    }
    let all = &seen["opened"];
    assert_eq!((&all["total"], &all["chosen"], &all["alert"]), (&json!(3_201), &json!([]), &Value::Null));

    let found = folder.json(&["search", "index.yaml", "peace", "--first", "20", "--facet", "genre"]);
    let searched = &seen["searched"];
    assert_eq!(searched["total"], found["total"], "the command line finds as many");
    let titles = |page: &Value| -> Vec<String> {
        let titles = page["titles"].as_array().expect("titles").iter();
        titles.map(|title| title.as_str().expect("text").to_owned()).collect()
    };
    for (title, hit) in titles(searched).iter().zip(found["hits"].as_array().expect("hits")) {
        let wanted = hit["document"]["title"].as_str().expect("a title");
        assert!(title.starts_with(wanted), "{title} is not {wanted}: whole, in order, and as text");
    }
    assert!(titles(searched).iter().any(|title| title.starts_with(HOSTILE)), "{:?}", titles(searched));
    let marks = searched["marked"].as_array().expect("marks");
    let is_found = |mark: &Value| mark.as_str().is_some_and(|mark| mark.to_lowercase().starts_with("peace"));
    assert!(!marks.is_empty() && marks.iter().all(is_found), "{marks:?}");

    let facet = &searched["facets"]["genre"];
    let (value, count) = (facet[0][0].as_str().expect("a value"), &facet[0][1]);
    let counted = &found["facets"]["genre"][0];
    assert_eq!((&facet[0][0], count), (&counted["value"], &counted["count"]));
    let narrowed = &seen["narrowed"];
    assert_eq!(&narrowed["total"], count, "as many as the facet said");
    assert_eq!(narrowed["current"], json!([value]));
    assert_eq!(narrowed["chosen"], json!([format!("genre == '{value}'")]));
    assert_eq!(&narrowed["facets"]["genre"], facet, "its other values stay beside it");
    assert_eq!(seen["widened"]["total"], found["total"], "one more click leaves it out");
    assert_eq!(seen["widened"]["chosen"], json!([]));

    let told = seen["mistaken"]["alert"].as_str().expect("a mistake");
    assert!(told.starts_with("SS702") && told.contains("did you mean title?"), "{told}");
}
