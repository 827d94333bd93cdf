//! The four tables of the demo graph, filled from the data files of `configs/movies` that are built into the program.

use std::collections::{BTreeMap, HashMap};

use async_graphql::ID;
use serde::Deserialize;

use super::records::{Credit, Movie, Production, Role, Talent};

const MOVIES: &str = include_str!("../../../configs/movies/data/movies.json");
const PRODUCTIONS: &str = include_str!("../../../configs/movies/data/productions.json");
const TALENTS: &str = include_str!("../../../configs/movies/data/talents.json");

/// Movies, productions, people and credits, each by its key.
#[derive(Debug)]
pub(super) struct Tables {
    /// By number, which is the order of the list and of its cursors.
    pub(super) movies: BTreeMap<u64, Movie>,
    pub(super) productions: BTreeMap<u64, Production>,
    pub(super) talents: BTreeMap<u64, Talent>,
    /// By movie, then by credit: a movie's people are one range.
    pub(super) cast: BTreeMap<(u64, u64), Credit>,
    /// Movie number to production number: the lookup that every document makes.
    production_of: HashMap<u64, u64>,
    /// Credit numbers are never used twice: a deleted credit's key must not come back as another credit.
    last_credit: u64,
}

/// The number in a key such as `m42`; none where it is not that letter and a number written the one way it is written. Nine digits at
/// most, so that there is always a next one.
pub(super) fn number(letter: char, id: &str) -> Option<u64> {
    let digits = id.strip_prefix(letter)?;
    let number: u64 = digits.parse().ok()?;
    (number > 0 && digits.len() <= 9 && number.to_string() == digits).then_some(number)
}

impl Tables {
    /// The tables as the data files have them.
    pub(super) fn load() -> Self {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct TalentRecord {
            talent_id: ID,
            name: String,
            role: Role,
            movies: Vec<ID>,
        }
        const FITS: &str = "the data files are part of the program and a test loads them";

        let mut tables = Self {
            movies: BTreeMap::new(),
            productions: BTreeMap::new(),
            talents: BTreeMap::new(),
            cast: BTreeMap::new(),
            production_of: HashMap::new(),
            last_credit: 0,
        };
        for movie in serde_json::from_str::<Vec<Movie>>(MOVIES).expect(FITS) {
            tables.movies.insert(number('m', &movie.movie_id).expect(FITS), movie);
        }
        for production in serde_json::from_str::<Vec<Production>>(PRODUCTIONS).expect(FITS) {
            tables.put_production(production);
        }
        for TalentRecord { talent_id, name, role, movies } in
            serde_json::from_str::<Vec<_>>(TALENTS).expect(FITS)
        {
            for movie_id in movies {
                tables.insert_credit(&movie_id, &talent_id);
            }
            tables.talents.insert(number('t', &talent_id).expect(FITS), Talent { talent_id, name, role });
        }
        tables
    }

    pub(super) fn movie(&self, id: &str) -> Option<&Movie> {
        self.movies.get(&number('m', id)?)
    }

    pub(super) fn production(&self, id: &str) -> Option<&Production> {
        self.productions.get(&number('p', id)?)
    }

    pub(super) fn talent(&self, id: &str) -> Option<&Talent> {
        self.talents.get(&number('t', id)?)
    }

    /// The production of a movie.
    pub(super) fn production_of(&self, movie_id: &str) -> Option<&Production> {
        self.productions.get(self.production_of.get(&number('m', movie_id)?)?)
    }

    /// The credits of a movie, oldest first.
    pub(super) fn credits_of(&self, movie_id: &str) -> impl Iterator<Item = &Credit> {
        let movie = number('m', movie_id).unwrap_or(0);
        self.cast.range((movie, 0)..=(movie, u64::MAX)).map(|(_, credit)| credit)
    }

    /// The movies that credit a person, in the order of their numbers.
    pub(super) fn movies_of(&self, talent_id: &str) -> impl Iterator<Item = &Movie> {
        let credits = self.cast.values().filter(move |credit| credit.talent_id.as_str() == talent_id);
        credits.filter_map(|credit| self.movie(&credit.movie_id))
    }

    /// Inserts or replaces a production, which may have changed its movie.
    pub(super) fn put_production(&mut self, production: Production) -> Option<Production> {
        let key = number('p', &production.ptp_id).expect("productions are made with keys of this form");
        let movie = number('m', &production.movie_id).expect("a production's movie exists");
        let before = self.productions.insert(key, production);
        if let Some(old_movie) = before.as_ref().and_then(|old| number('m', &old.movie_id)) {
            self.production_of.remove(&old_movie);
        }
        self.production_of.insert(movie, key);
        before
    }

    /// Removes the production of a movie.
    pub(super) fn remove_production_of(&mut self, movie_id: &str) -> Option<Production> {
        let key = self.production_of.remove(&number('m', movie_id)?)?;
        self.productions.remove(&key)
    }

    /// Adds a credit under a new key.
    pub(super) fn insert_credit(&mut self, movie_id: &ID, talent_id: &ID) -> Credit {
        self.last_credit += 1;
        let credit_id = format!("c{}", self.last_credit);
        let credit = Credit { credit_id, movie_id: movie_id.clone(), talent_id: talent_id.clone() };
        let movie = number('m', movie_id).expect("a credit's movie exists");
        self.cast.insert((movie, self.last_credit), credit.clone());
        credit
    }
}
