//! What benchmarks work on: movies of about 1.7 KB, as a gateway answers them, and a folder that indexes them over Kafka.

use std::fs;

use serde_json::{Value, json};

use crate::{
    folder::Folder,
    repository,
    servers::{Kafka, Rest},
};

/// The id of a movie.
pub fn movie_id(n: usize) -> String {
    format!("m{n:07}")
}

/// A movie as the graph of `tests/benches/movies` answers it.
pub fn movie(n: usize) -> String {
    let actor = |at: usize| {
        let name = format!("Ana Núñez {}", (n + at) % 5_000);
        json!({"talentId": format!("t{}", n + at), "name": name, "role": "ACTOR", "billing": at, "age": 31.5})
    };
    json!({
        "movieId": movie_id(n), "title": format!("The Crash Landing, part {n}"), "type": "FEATURE",
        "synopsis": "A pilot who lost her licence flies one more time. ".repeat(14),
        "releaseDate": "2024-02-29", "runningTime": 117, "imdbRating": 7.9, "popularity": 123_456,
        "countries": ["FR", "ES", "PT"],
        "production": {"ptpId": format!("p{n}"), "status": "IN_PHOTOGRAPHY", "budget": 12_000_000.0},
        "actors": (0..10).map(actor).collect::<Vec<Value>>(),
    })
    .to_string()
}

/// A folder with the index `bench`, whose source's topic is `bench.public.movies`, provisioned.
pub fn folder(kafka: &Kafka, registry: &Rest, (kind, store): (&'static str, &Rest), gateway: &str) -> Folder {
    let mut folder = Folder::new();
    for file in ["index.yaml", "query.graphql", "schema.graphql"] {
        let text = fs::read(repository().join("tests/benches/movies").join(file)).expect("a file of ours");
        fs::write(folder.path(file), text).expect("the folder is writable");
    }
    folder.connect(gateway);
    folder.set("BROKERS", &kafka.brokers);
    folder.set("REGISTRY", &format!("{}/apis/ccompat/v7", registry.url));
    folder.set("STORE", kind);
    folder.set("STORE_URL", &store.url);
    kafka.create_topics(&["bench.public.movies"], 6);
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    folder
}
