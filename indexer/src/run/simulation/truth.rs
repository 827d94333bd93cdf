//! What is true: a federated graph of four subgraphs, and the events that tell of its changes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

/// The rows of all subgraphs. Titles, names and states are numbers that are never used twice, so that old ones show; but a movie may
/// be given back what it was before.
#[derive(Debug, Default)]
pub(super) struct Truth {
    movies: BTreeMap<String, Movie>,
    /// What each movie was before its last change.
    earlier: BTreeMap<String, Movie>,
    people: BTreeMap<String, u64>,
    productions: BTreeMap<String, Production>,
    talents: BTreeMap<String, Talent>,
    numbers: u64,
}

#[derive(Debug, Clone)]
struct Movie {
    title: u64,
    director: Option<String>,
}

#[derive(Debug, Clone)]
struct Production {
    movie: String,
    status: u64,
}

#[derive(Debug, Clone, Default)]
struct Talent {
    name: u64,
    movies: BTreeSet<String>,
}

/// A change that its source tells.
pub(super) struct Told {
    /// The source.
    pub source: &'static str,
    /// The event, as Debezium writes it.
    pub event: Value,
}

fn told(source: &'static str, id: &str, before: &Value, after: &Value) -> Told {
    let op = match (before.is_null(), after.is_null()) {
        (true, _) => "c",
        (_, true) => "d",
        _ => "u",
    };
    Told { source, event: json!({"key": {"id": id}, "value": {"op": op, "before": before, "after": after}}) }
}

impl Truth {
    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Creates a movie, or gives it another title and director.
    pub(super) fn put_movie(&mut self, id: &str, director: Option<&str>) -> Told {
        let movie = Movie { title: self.number(), director: director.map(str::to_owned) };
        self.change_movie(id, movie)
    }

    fn change_movie(&mut self, id: &str, movie: Movie) -> Told {
        let row = json!({"id": id});
        let before = self.movies.insert(id.to_owned(), movie);
        let told = told("movies", id, &before.as_ref().map_or(Value::Null, |_| row.clone()), &row);
        self.earlier.extend(before.map(|before| (id.to_owned(), before)));
        told
    }

    /// Tells of a movie, if it is there: as it is, or as it was before its last change and is again from now on.
    pub(super) fn tell_movie(&mut self, id: &str, is_taken_back: bool) -> Option<Told> {
        let movie = self.movies.get(id)?;
        let earlier = self.earlier.get(id).filter(|_| is_taken_back);
        let movie = earlier.unwrap_or(movie).clone();
        Some(self.change_movie(id, movie))
    }

    /// Deletes a movie, if it is there.
    pub(super) fn remove_movie(&mut self, id: &str) -> Option<Told> {
        self.movies.remove(id).map(|_| told("movies", id, &json!({"id": id}), &Value::Null))
    }

    /// Creates or renames a person.
    pub(super) fn put_person(&mut self, id: &str) -> Told {
        let name = self.number();
        let before = self.people.insert(id.to_owned(), name);
        let row = json!({"id": id});
        told("people", id, &before.map_or(Value::Null, |_| row.clone()), &row)
    }

    /// Creates a production, moves it to another movie, or gives it another state.
    pub(super) fn put_production(&mut self, id: &str, movie: &str) -> Told {
        let status = self.number();
        let row = |movie: &str| json!({"id": id, "movie": movie});
        let before = self.productions.insert(id.to_owned(), Production { movie: movie.to_owned(), status });
        told("productions", id, &before.map_or(Value::Null, |before| row(&before.movie)), &row(movie))
    }

    /// Deletes a production, if it is there.
    pub(super) fn remove_production(&mut self, id: &str) -> Option<Told> {
        let before = self.productions.remove(id)?;
        Some(told("productions", id, &json!({"id": id, "movie": before.movie}), &Value::Null))
    }

    /// Creates or renames a talent, who from now on acts in these movies. Its events name none of them.
    pub(super) fn put_talent(&mut self, id: &str, movies: BTreeSet<String>) -> Told {
        let name = self.number();
        let before = self.talents.insert(id.to_owned(), Talent { name, movies });
        let row = json!({"id": id});
        told("talent", id, &before.map_or(Value::Null, |_| row.clone()), &row)
    }

    /// What the subgraph of movies knows of one.
    pub(super) fn movie(&self, id: &str) -> Option<Value> {
        let movie = self.movies.get(id)?;
        let director = movie.director.as_ref().map(|person| json!({"personId": person}));
        Some(json!({"movieId": id, "title": movie.title.to_string(), "director": director}))
    }

    /// What the subgraph of people knows of one; a person without a row has no name.
    pub(super) fn name(&self, person: &str) -> Value {
        self.people.get(person).map_or(Value::Null, |name| name.to_string().into())
    }

    /// The first production of a movie.
    pub(super) fn production(&self, movie: &str) -> Value {
        let found = self.productions.iter().find(|(_, production)| production.movie == movie);
        found.map_or(
            Value::Null,
            |(id, production)| json!({"productionId": id, "status": production.status.to_string()}),
        )
    }

    /// Who acts in a movie.
    pub(super) fn actors(&self, movie: &str) -> Value {
        let acting = self.talents.iter().filter(|(_, talent)| talent.movies.contains(movie));
        acting.map(|(id, talent)| json!({"talentId": id, "name": talent.name.to_string()})).collect()
    }

    /// Where a talent acts, whether the movie is there or not.
    pub(super) fn movies_of(&self, talent: &str) -> Value {
        let Some(talent) = self.talents.get(talent) else { return Value::Null };
        let movies: Vec<Value> = talent.movies.iter().map(|movie| json!({"movieId": movie})).collect();
        json!({"movies": movies})
    }

    /// The ids of all movies.
    pub(super) fn movies(&self) -> Vec<String> {
        self.movies.keys().cloned().collect()
    }

    /// What the index has to hold, by id.
    pub(super) fn documents(&self) -> BTreeMap<String, Value> {
        let document = |id: &String| {
            let mut document = self.movie(id).expect("it is there");
            if let Some(person) = document["director"]["personId"].as_str() {
                document["director"]["name"] = self.name(person);
            }
            document["production"] = self.production(id);
            document["actors"] = self.actors(id);
            (id.clone(), document)
        };
        self.movies.keys().map(document).collect()
    }
}
