//! A steady stream of changes of everything that documents are made of: fields of each subgraph, edges, movies that go and come back.

use std::{sync::Arc, thread::sleep, time::Duration};

use serde_json::{Value, json};

use crate::{background::Background, graph::RealGraph, random::Random};

const STATUSES: [&str; 3] = ["IN_PHOTOGRAPHY", "WRAPPED", "RELEASED"];

/// What there is to be changed, by the ids that the graph began with.
#[derive(Clone)]
pub struct Subjects {
    movies: Vec<String>,
    productions: Vec<String>,
    talents: Vec<String>,
    /// Movies with a person who is credited there, as far as is known.
    credits: Vec<(String, String)>,
    deleted: Vec<String>,
}

/// Changes a graph until it is calmed, or dropped.
pub struct Storm(Background<(Subjects, u64)>);

impl Subjects {
    /// What the graph holds now.
    pub fn of(graph: &RealGraph) -> Self {
        let mut subjects = Self {
            movies: Vec::new(),
            productions: Vec::new(),
            talents: Vec::new(),
            credits: Vec::new(),
            deleted: Vec::new(),
        };
        for (id, movie) in graph.documents() {
            subjects.productions.extend(movie["production"]["ptpId"].as_str().map(str::to_owned));
            for talent in movie["directors"].as_array().expect("a list") {
                let talent = talent["talentId"].as_str().expect("a key").to_owned();
                subjects.credits.push((id.clone(), talent.clone()));
                subjects.talents.push(talent);
            }
            subjects.movies.push(id);
        }
        subjects.talents.sort();
        subjects.talents.dedup();
        subjects
    }

    /// Makes one change, if the graph allows it: someone may be credited already, or the movie be gone.
    fn change(&mut self, graph: &RealGraph, random: &mut Random) {
        let (value, movie) = (random.below(1_000_000), random.pick(&self.movies).clone());
        let talent = random.pick(&self.talents).clone();
        let production = random.pick(&self.productions).clone();
        let credit = random.place_in(self.credits.len());
        match random.below(14) {
            0..=2 => {
                let edit = json!({"title": format!("Title {value}"), "popularity": value});
                allowed(graph, &format!("/edit/movies/{movie}"), &edit);
            }
            3..=5 => {
                let edit = json!({"status": random.pick(&STATUSES), "budget": value});
                allowed(graph, &format!("/edit/productions/{production}"), &edit);
            }
            6 | 7 => {
                let edit = json!({"name": format!("Name {value}")});
                allowed(graph, &format!("/edit/talents/{talent}"), &edit);
            }
            8 => {
                let (of, from) = self.credits[credit].clone();
                if allowed(graph, "/move", &json!({"movieId": of, "from": from, "to": talent})) {
                    self.credits[credit].1 = talent;
                }
            }
            9 => {
                if allowed(graph, "/move", &json!({"movieId": movie, "to": talent})) {
                    self.credits.push((movie, talent));
                }
            }
            // As many end as begin; one stays, to pass on.
            10 if self.credits.len() > 1 => {
                let (of, from) = self.credits.swap_remove(credit);
                allowed(graph, "/move", &json!({"movieId": of, "from": from}));
            }
            11 => {
                allowed(graph, &format!("/edit/productions/{production}"), &json!({"movieId": movie}));
            }
            12 => {
                if graph.try_delete_movie(&movie) == 200 {
                    self.deleted.push(movie);
                }
            }
            _ => self.bring_back(graph, random, &talent),
        }
    }

    /// Makes a movie again that was deleted, now and then without a production, so that another's may pass to it.
    fn bring_back(&mut self, graph: &RealGraph, random: &mut Random, talent: &str) {
        if self.deleted.is_empty() {
            return;
        }
        let id = self.deleted.swap_remove(random.place_in(self.deleted.len()));
        let production = if random.below(2) == 0 { Value::Null } else { json!({}) };
        let movie = json!({"movieId": id, "title": format!("Again {id}"), "production": production, "directors": [talent]});
        if allowed(graph, "/movies", &movie) {
            self.credits.push((id, talent.to_owned()));
        }
    }
}

/// Whether the graph allows a change; fails where it can't answer.
fn allowed(graph: &RealGraph, route: &str, body: &Value) -> bool {
    let (status, answer) = graph.try_post(route, body);
    assert!([200, 404, 409].contains(&status), "POST {route} {body}: {status} {answer}");
    status == 200
}

impl Storm {
    /// Changes the graph each `pause`, as the chance of this seed says.
    pub fn over(graph: &Arc<RealGraph>, mut subjects: Subjects, seed: u64, pause: Duration) -> Self {
        let graph = Arc::clone(graph);
        Self(Background::begin(move |is_ended| {
            let (mut random, mut changes) = (Random::new(seed), 0);
            while !is_ended() {
                subjects.change(&graph, &mut random);
                changes += 1;
                sleep(pause);
            }
            (subjects, changes)
        }))
    }

    /// Ends it; gives what there is now, and how many changes it tried.
    pub fn calm(self) -> (Subjects, u64) {
        self.0.end()
    }
}
