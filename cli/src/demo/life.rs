//! Gives the demo graph a life of its own: now and then something changes, as it would in a studio.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, IteratorRandom as _};
use rand::{Rng, RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval_at};

use super::edits::{CreditMove, Edit, EditError};
use super::graph::DemoGraph;
use super::records::{Movie, Production, ProductionStatus};
use super::tables::Tables;

/// What may happen, as often as it stands here.
const HAPPENINGS: [Happening; 10] = [
    Happening::StatusMovesOn,
    Happening::StatusMovesOn,
    Happening::StatusMovesOn,
    Happening::StatusMovesOn,
    Happening::BudgetChanges,
    Happening::BudgetChanges,
    Happening::VotesComeIn,
    Happening::VotesComeIn,
    Happening::DirectorChanges,
    Happening::NameChanges,
];

#[derive(Clone, Copy)]
enum Happening {
    StatusMovesOn,
    BudgetChanges,
    VotesComeIn,
    DirectorChanges,
    NameChanges,
}

impl DemoGraph {
    /// Makes one realistic change and answers with a sentence that tells of it. Which one is the generator's choice alone, so that a
    /// seed gives the same life again.
    pub(crate) fn apply_random_edit(&self, random: &mut impl Rng) -> Result<String, EditError> {
        let happening = *HAPPENINGS.choose(random).expect("there are some");
        let (edit, sentence) = {
            let tables = self.read();
            // When everything is released at last, votes still come in.
            imagine(&tables, happening, random).or_else(|| imagine(&tables, Happening::VotesComeIn, random))
        }
        .ok_or_else(|| EditError::Conflict("no movie is left to change".to_owned()))?;
        self.edit(edit)?;
        Ok(sentence)
    }

    /// Changes something every `pause`, the first time after one pause, and tells each change; never ends by itself.
    pub(crate) async fn live(
        &self,
        pause: Duration,
        seed: u64,
        mut tell: impl FnMut(Result<String, EditError>),
    ) {
        let mut random = StdRng::seed_from_u64(seed);
        let mut beat = interval_at(tokio::time::Instant::now() + pause, pause);
        // After the machine slept, life goes on at its pace instead of catching up.
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            beat.tick().await;
            tell(self.apply_random_edit(&mut random));
        }
    }
}

/// An edit of this kind and the sentence for it; none where nothing fits.
fn imagine(tables: &Tables, happening: Happening, random: &mut impl Rng) -> Option<(Edit, String)> {
    match happening {
        Happening::StatusMovesOn => {
            let (movie, production) = unreleased(tables, random)?;
            let status = production.status.next()?;
            let sentence = format!("{}: {}, was {}", movie.title, status.words(), production.status.words());
            Some((edit_production(production, "status", json!(status)), sentence))
        }
        Happening::BudgetChanges => {
            let (movie, production) = unreleased(tables, random)?;
            let percent = [-10, -5, 5, 10, 20].choose(random)?;
            let budget = production.budget?.0;
            let revised = budget * (100 + percent) / 100;
            let sentence =
                format!("{}: the budget is {}, was {}", movie.title, dollars(revised), dollars(budget));
            Some((edit_production(production, "budget", json!(revised)), sentence))
        }
        Happening::VotesComeIn => {
            let movie = tables.movies.values().choose(random)?;
            let votes = movie.popularity.unwrap_or(0).saturating_add(random.random_range(1..=500));
            let sentence = format!("{}: {votes} people have rated it", movie.title);
            let patch = [("popularity".to_owned(), json!(votes))].into_iter().collect();
            Some((Edit::Movie { id: movie.movie_id.to_string(), patch }, sentence))
        }
        Happening::DirectorChanges => {
            let (movie, _) = unreleased(tables, random)?;
            let credited = tables.credits_of(&movie.movie_id).next()?;
            let leaving = tables.talent(&credited.talent_id)?;
            let coming = tables
                .talents
                .values()
                .filter(|person| person.talent_id != leaving.talent_id)
                .choose(random)?;
            let sentence = format!("{}: {} takes over from {}", movie.title, coming.name, leaving.name);
            let credit = CreditMove {
                movie_id: movie.movie_id.clone(),
                from: Some(leaving.talent_id.clone()),
                to: Some(coming.talent_id.clone()),
            };
            Some((Edit::Move(credit), sentence))
        }
        Happening::NameChanges => {
            let person = tables.talents.values().choose(random)?;
            // Guild letters come and go, so that names stay names however long the demo runs.
            let name = person
                .name
                .strip_suffix(", DGA")
                .map_or_else(|| format!("{}, DGA", person.name), str::to_owned);
            let sentence = format!("{} is now credited as {name}", person.name);
            let patch = [("name".to_owned(), json!(name))].into_iter().collect();
            Some((Edit::Talent { id: person.talent_id.to_string(), patch }, sentence))
        }
    }
}

/// A movie that is still in the making.
fn unreleased<'t>(tables: &'t Tables, random: &mut impl Rng) -> Option<(&'t Movie, &'t Production)> {
    let making =
        tables.productions.values().filter(|production| production.status != ProductionStatus::Released);
    let production = making.choose(random)?;
    Some((tables.movie(&production.movie_id)?, production))
}

fn edit_production(production: &Production, field: &str, value: Value) -> Edit {
    let patch = [(field.to_owned(), value)].into_iter().collect();
    Edit::Production { id: production.ptp_id.to_string(), patch }
}

/// An amount as people write it: `$1,250,000`.
fn dollars(amount: i64) -> String {
    let digits = amount.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    format!("${}", groups.join(","))
}

#[cfg(test)]
mod tests {
    use super::dollars;

    #[test]
    fn amounts_have_their_thousands_apart() {
        for (amount, written) in [(0, "$0"), (999, "$999"), (1_000, "$1,000"), (237_000_000, "$237,000,000")]
        {
            assert_eq!(dollars(amount), written);
        }
    }
}
