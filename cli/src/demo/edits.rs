//! The edits that the demo graph takes. Each changes the tables at once or is refused, and answers with the rows that it changed.

use std::io;

use async_graphql::ID;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::events::{RowChange, Table};
use super::records::{Movie, Production};
use super::tables::{Tables, number};

/// Fields by their GraphQL names; null takes a value away.
pub(crate) type Patch = Map<String, Value>;

/// One edit of the graph.
#[derive(Clone, Debug)]
pub(crate) enum Edit {
    /// Changes fields of a movie.
    Movie { id: String, patch: Patch },
    /// Changes fields of a production; its `movieId` may name a movie that has none yet.
    Production { id: String, patch: Patch },
    /// Changes fields of a person.
    Talent { id: String, patch: Patch },
    /// Passes a credit on.
    Move(CreditMove),
    /// Makes a movie, with a production unless told otherwise.
    CreateMovie(NewMovie),
    /// Deletes a movie with its production and credits, as a foreign key with ON DELETE CASCADE would.
    DeleteMovie { id: String },
}

/// A movie's credit that passes from one person to another. Without `from` it is a new credit, without `to` it ends.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CreditMove {
    pub(crate) movie_id: ID,
    pub(crate) from: Option<ID>,
    pub(crate) to: Option<ID>,
}

/// A movie to be made.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NewMovie {
    /// Left out: the number after the last.
    pub(crate) movie_id: Option<ID>,
    /// Fields of its production; null: it has none; left out: one in development.
    #[serde(default = "in_development")]
    pub(crate) production: Option<Patch>,
    /// Keys of its directors.
    #[serde(default)]
    pub(crate) directors: Vec<ID>,
    /// Fields of the movie; a title at least.
    #[serde(flatten)]
    pub(crate) fields: Patch,
}

#[expect(clippy::unnecessary_wraps, reason = "serde wants the type of the field")]
fn in_development() -> Option<Patch> {
    Some(Patch::new())
}

/// Why an edit was not made, or was made and not told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EditError {
    /// Nothing in this table has this key.
    #[error("there is no {what} {id}")]
    Missing { what: &'static str, id: String },
    /// The graph as it is does not allow it.
    #[error("{0}")]
    Conflict(String),
    /// It makes no sense in any graph.
    #[error("{0}")]
    Invalid(String),
    /// The edit stands, but its event could not be written.
    #[error("the edit was made, but its event could not be written")]
    Untold(#[source] io::Error),
}

type Changes = Result<Vec<RowChange>, EditError>;

/// Makes the edit, wholly or not at all.
pub(super) fn apply(tables: &mut Tables, edit: Edit) -> Changes {
    match edit {
        Edit::Movie { id, patch } => {
            let key = number('m', &id)
                .filter(|key| tables.movies.contains_key(key))
                .ok_or_else(|| missing("movie", &id))?;
            let after: Movie = patched(&tables.movies[&key], "movieId", patch)?;
            let before = tables.movies.insert(key, after.clone());
            Ok(updated(Table::Movies, before.as_ref(), &after))
        }
        Edit::Production { id, patch } => edit_production(tables, &id, patch),
        Edit::Talent { id, patch } => {
            let key = number('t', &id)
                .filter(|key| tables.talents.contains_key(key))
                .ok_or_else(|| missing("talent", &id))?;
            let after = patched(&tables.talents[&key], "talentId", patch)?;
            let before = tables.talents.insert(key, after);
            Ok(updated(Table::Talents, before.as_ref(), &tables.talents[&key]))
        }
        Edit::Move(credit) => move_credit(tables, &credit),
        Edit::CreateMovie(movie) => create_movie(tables, movie),
        Edit::DeleteMovie { id } => delete_movie(tables, &id),
    }
}

fn edit_production(tables: &mut Tables, id: &str, patch: Patch) -> Changes {
    let before = tables.production(id).ok_or_else(|| missing("production", id))?;
    let after: Production = patched(before, "ptpId", patch)?;
    if after.movie_id != before.movie_id {
        tables.movie(&after.movie_id).ok_or_else(|| missing("movie", &after.movie_id))?;
        if tables.production_of(&after.movie_id).is_some() {
            return Err(EditError::Conflict(format!("{} has a production already", after.movie_id.as_str())));
        }
    }
    let before = tables.put_production(after.clone());
    Ok(updated(Table::Productions, before.as_ref(), &after))
}

fn move_credit(tables: &mut Tables, CreditMove { movie_id, from, to }: &CreditMove) -> Changes {
    tables.movie(movie_id).ok_or_else(|| missing("movie", movie_id))?;
    if let Some(to) = to {
        tables.talent(to).ok_or_else(|| missing("talent", to))?;
        if tables.credits_of(movie_id).any(|credit| credit.talent_id == *to) {
            return Err(EditError::Conflict(format!(
                "{} credits {} already",
                movie_id.as_str(),
                to.as_str()
            )));
        }
    }
    let Some(from) = from else {
        let to =
            to.as_ref().ok_or_else(|| EditError::Invalid("a move needs `from`, `to` or both".to_owned()))?;
        return Ok(vec![RowChange::insert(Table::Cast, &tables.insert_credit(movie_id, to))]);
    };
    let movie = number('m', movie_id).expect("the movie exists");
    let mut credits = tables.cast.range_mut((movie, 0)..=(movie, u64::MAX));
    let Some((&key, credit)) = credits.find(|(_, credit)| credit.talent_id == *from) else {
        return Err(missing("credit of that movie for", from));
    };
    let before = credit.clone();
    let Some(to) = to else {
        tables.cast.remove(&key);
        return Ok(vec![RowChange::delete(Table::Cast, &before)]);
    };
    credit.talent_id = to.clone();
    Ok(vec![RowChange::update(Table::Cast, &before, credit)])
}

fn create_movie(tables: &mut Tables, new: NewMovie) -> Changes {
    let NewMovie { movie_id, production, directors, mut fields } = new;
    let key = match &movie_id {
        None => after_last(tables.movies.keys()),
        Some(id) => number('m', id).ok_or_else(|| {
            EditError::Invalid(format!("{:?} is no movie id: they are m and a number", id.as_str()))
        })?,
    };
    if tables.movies.contains_key(&key) {
        return Err(EditError::Conflict(format!("m{key} exists")));
    }
    fields.insert("movieId".to_owned(), format!("m{key}").into());
    let movie: Movie = fitting(fields)?;
    let production = production.map(|mut fields| {
        fields.insert("movieId".to_owned(), format!("m{key}").into());
        fields.insert("ptpId".to_owned(), format!("p{}", after_last(tables.productions.keys())).into());
        fitting::<Production>(fields)
    });
    let production = production.transpose()?;
    for talent_id in &directors {
        tables.talent(talent_id).ok_or_else(|| missing("talent", talent_id))?;
    }

    let mut changes = vec![RowChange::insert(Table::Movies, &movie)];
    if let Some(production) = production {
        changes.push(RowChange::insert(Table::Productions, &production));
        tables.put_production(production);
    }
    for talent_id in &directors {
        changes.push(RowChange::insert(Table::Cast, &tables.insert_credit(&movie.movie_id, talent_id)));
    }
    tables.movies.insert(key, movie);
    Ok(changes)
}

fn delete_movie(tables: &mut Tables, id: &str) -> Changes {
    let key = number('m', id).ok_or_else(|| missing("movie", id))?;
    let movie = tables.movies.remove(&key).ok_or_else(|| missing("movie", id))?;
    let mut changes = vec![RowChange::delete(Table::Movies, &movie)];
    changes.extend(
        tables.remove_production_of(id).map(|production| RowChange::delete(Table::Productions, &production)),
    );
    let credits: Vec<_> = tables.cast.range((key, 0)..=(key, u64::MAX)).map(|(&key, _)| key).collect();
    let removed = credits.into_iter().filter_map(|key| tables.cast.remove(&key));
    changes.extend(removed.map(|credit| RowChange::delete(Table::Cast, &credit)));
    Ok(changes)
}

fn updated<T: Serialize>(table: Table, before: Option<&T>, after: &T) -> Vec<RowChange> {
    before.map(|before| RowChange::update(table, before, after)).into_iter().collect()
}

/// The record with the patch laid over it, if it is still one of its type.
fn patched<T: Serialize + DeserializeOwned>(record: &T, key: &str, patch: Patch) -> Result<T, EditError> {
    let mut fields: Patch = match serde_json::to_value(record) {
        Ok(Value::Object(fields)) => fields,
        other => unreachable!("a record is an object: {other:?}"),
    };
    if patch.get(key).is_some_and(|value| *value != fields[key]) {
        return Err(EditError::Invalid(format!("{key} is the key and cannot be edited")));
    }
    fields.extend(patch);
    fitting(fields)
}

fn fitting<T: DeserializeOwned>(fields: Patch) -> Result<T, EditError> {
    serde_json::from_value(Value::Object(fields)).map_err(|error| EditError::Invalid(error.to_string()))
}

fn after_last<'k>(keys: impl DoubleEndedIterator<Item = &'k u64>) -> u64 {
    keys.max().map_or(1, |last| last + 1)
}

fn missing(what: &'static str, id: &str) -> EditError {
    EditError::Missing { what, id: id.to_owned() }
}
