//! The documents that are searched: movies of some 1.7 KB, the same in every run, whose words are as frequent as words are.

use harness::random::Random;
use serde_json::{Value, json};

/// Different words of titles and synopses, and the people who act.
const VOCABULARY: usize = 30_000;
const PEOPLE: usize = 20_000;

const ACTORS: usize = 10;
const TITLE_WORDS: usize = 4;
const SYNOPSIS_WORDS: usize = 100;

const STATUSES: [&str; 5] = ["RELEASED", "WRAPPED", "POST_PRODUCTION", "IN_PHOTOGRAPHY", "DEVELOPMENT"];
const TYPES: [&str; 4] = ["FEATURE", "SERIES", "SHORT", "DOCUMENTARY"];
const GENRES: [&str; 12] = [
    "Drama",
    "Comedy",
    "Action",
    "Thriller",
    "Romance",
    "Horror",
    "Crime",
    "Adventure",
    "Animation",
    "Fantasy",
    "Musical",
    "Western",
];
const ROLES: [&str; 6] = ["ACTOR", "ACTOR", "ACTOR", "DIRECTOR", "PRODUCER", "WRITER"];

const SYLLABLES: [&str; 20] = [
    "ka", "lo", "mi", "ren", "ta", "vo", "sel", "dan", "pu", "gor", "li", "em", "ash", "bru", "ne", "to",
    "fi", "za", "que", "hal",
];

/// Words and people by their rank.
pub(crate) struct Documents {
    random: Random,
    words: Ranks,
    people: Ranks,
    statuses: Ranks,
}

/// Ranks by Zipf's law, from 0: rank n comes up in proportion to 1 / (n + offset).
struct Ranks {
    sums: Vec<f64>,
}

impl Ranks {
    fn new(count: usize, offset: f64) -> Self {
        let mut sum = 0.0;
        let next = |rank| {
            sum += 1.0 / (f64::from(rank) + offset);
            sum
        };
        Self { sums: (0..u32::try_from(count).expect("few")).map(next).collect() }
    }

    fn draw(&self, random: &mut Random) -> usize {
        let all = self.sums.last().copied().unwrap_or_default();
        let drawn =
            f64::from(u32::try_from(random.below(1 << 31)).expect("31 bits")) / f64::from(1_u32 << 31);
        self.sums.partition_point(|sum| *sum < drawn * all)
    }
}

impl Documents {
    pub(crate) fn new() -> Self {
        Self {
            random: Random::new(8),
            words: Ranks::new(VOCABULARY, 10.0),
            people: Ranks::new(PEOPLE, 50.0),
            statuses: Ranks::new(STATUSES.len(), 1.0),
        }
    }

    /// The next movie.
    pub(crate) fn movie(&mut self, number: usize) -> Value {
        let title = self.text(TITLE_WORDS);
        let synopsis = self.text(SYNOPSIS_WORDS);
        let status = STATUSES[self.statuses.draw(&mut self.random)];
        let genres = [*self.random.pick(&GENRES[..6]), *self.random.pick(&GENRES[6..])];
        let (year, month, day) =
            (1950 + self.random.below(75), 1 + self.random.below(12), 1 + self.random.below(28));
        let actors: Vec<Value> = (0..ACTORS).map(|_| self.actor()).collect();
        json!({
            "movieId": format!("m{number:06}"), "title": title, "synopsis": synopsis,
            "type": self.random.pick(&TYPES), "genres": genres, "releaseDate": format!("{year}-{month:02}-{day:02}"),
            "popularity": self.random.below(100_000), "revision": 1,
            "production": {"ptpId": format!("p{number}"), "status": status}, "actors": actors,
        })
    }

    fn actor(&mut self) -> Value {
        let person = self.person();
        let number: usize = person[1..].parse().expect("a number");
        let name = format!("{} {}", word(number % 1_000), word(40_000 + number));
        json!({"talentId": person, "name": name, "role": self.random.pick(&ROLES)})
    }

    /// Somebody: the better known, the more often.
    pub(crate) fn person(&mut self) -> String {
        format!("t{}", self.people.draw(&mut self.random))
    }

    /// So many words.
    pub(crate) fn text(&mut self, count: usize) -> String {
        let words: Vec<String> = (0..count).map(|_| word(self.words.draw(&mut self.random))).collect();
        words.join(" ")
    }
}

/// The word of a number.
fn word(number: usize) -> String {
    let (mut rest, mut word) = (number + 37, String::new());
    while rest > 0 {
        word.push_str(SYLLABLES[rest % SYLLABLES.len()]);
        rest /= SYLLABLES.len();
    }
    word
}
