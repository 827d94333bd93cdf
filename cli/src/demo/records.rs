//! The records of the three domains, as the graph serves them and as the data files hold them.
//!
//! A record serialises with every column, null where it has none, under its GraphQL names: the image of a row in an event differs from it
//! only in the case of the names.

#![expect(clippy::struct_field_names, reason = "the fields have the names of the graph")]

use async_graphql::{Enum, ID, SimpleObject, scalar};
use serde::{Deserialize, Serialize};

/// A film, made or in the making.
#[derive(Clone, Debug, Serialize, Deserialize, SimpleObject)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[graphql(complex)]
pub(crate) struct Movie {
    /// The movie's key, such as m42.
    pub(crate) movie_id: ID,
    /// The title under which the movie is known.
    pub(crate) title: String,
    /// What kind of film it is.
    #[serde(rename = "type", default)]
    #[graphql(name = "type")]
    pub(crate) kind: MovieType,
    /// The major genre, such as Drama or Romantic Comedy.
    pub(crate) genre: Option<String>,
    /// The kind of world it is set in, such as Contemporary Fiction or Super Hero.
    pub(crate) creative_type: Option<String>,
    /// What it was made from, such as Original Screenplay or Based on TV.
    pub(crate) source: Option<String>,
    /// The rating of the Motion Picture Association, such as PG-13.
    pub(crate) mpaa_rating: Option<String>,
    /// The day of its first release in the United States.
    pub(crate) release_date: Option<Date>,
    /// How long it runs, in minutes.
    pub(crate) running_time: Option<i32>,
    /// The mean rating on IMDB, 0 to 10.
    pub(crate) imdb_rating: Option<f64>,
    /// The share of good reviews on Rotten Tomatoes, 0 to 100.
    pub(crate) rotten_tomatoes_rating: Option<i32>,
    /// How many people rated it on IMDB.
    pub(crate) popularity: Option<i32>,
}

/// The making of one movie.
#[derive(Clone, Debug, Serialize, Deserialize, SimpleObject)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Production {
    /// The production's key, such as p42.
    pub(crate) ptp_id: ID,
    #[graphql(skip)]
    pub(crate) movie_id: ID,
    /// How far it is.
    #[serde(default)]
    pub(crate) status: ProductionStatus,
    /// Who brings it into cinemas.
    pub(crate) distributor: Option<String>,
    /// What it cost.
    pub(crate) budget: Option<Money>,
    /// What it earned in the United States.
    #[serde(rename = "grossUS")]
    #[graphql(name = "grossUS")]
    pub(crate) gross_us: Option<Money>,
    /// What it earned everywhere.
    pub(crate) gross_worldwide: Option<Money>,
}

/// A person with a credit.
#[derive(Clone, Debug, Serialize, Deserialize, SimpleObject)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[graphql(complex)]
pub(crate) struct Talent {
    /// The person's key, such as t7.
    pub(crate) talent_id: ID,
    /// The name in the credits.
    pub(crate) name: String,
    /// What the person does.
    pub(crate) role: Role,
}

/// That a movie credits a person: the row behind `Movie.talent` and `Talent.movies`, not a type of the graph.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Credit {
    pub(crate) credit_id: String,
    pub(crate) movie_id: ID,
    pub(crate) talent_id: ID,
}

/// What kind of film a movie is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Enum)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum MovieType {
    /// A feature film.
    #[default]
    Feature,
    /// A documentary.
    Documentary,
    /// The recording of a concert or another performance.
    Concert,
}

/// How far a production is, in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Enum)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum ProductionStatus {
    /// Being written, cast and financed.
    #[default]
    InDevelopment,
    /// Being shot.
    InPhotography,
    /// Shooting is done.
    Wrapped,
    /// Being cut, scored and mixed.
    PostProduction,
    /// In cinemas, or past them.
    Released,
}

impl ProductionStatus {
    /// The status that follows; none after the last.
    pub(crate) fn next(self) -> Option<Self> {
        match self {
            Self::InDevelopment => Some(Self::InPhotography),
            Self::InPhotography => Some(Self::Wrapped),
            Self::Wrapped => Some(Self::PostProduction),
            Self::PostProduction => Some(Self::Released),
            Self::Released => None,
        }
    }

    /// The status as people say it.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::InDevelopment => "in development",
            Self::InPhotography => "in photography",
            Self::Wrapped => "wrapped",
            Self::PostProduction => "in post-production",
            Self::Released => "released",
        }
    }
}

/// What a person does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Enum)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Role {
    /// Plays a part.
    Actor,
    /// Directs.
    Director,
    /// Produces.
    Producer,
    /// Writes.
    Writer,
}

/// A calendar day in ISO 8601, such as 1998-06-12.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Date(pub(crate) String);
scalar!(Date, "Date", "A calendar day in ISO 8601, such as 1998-06-12.");

/// An amount in whole US dollars. It may pass the largest GraphQL Int.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Money(pub(crate) i64);
scalar!(Money, "Money", "An amount in whole US dollars. It may pass 2,147,483,647, the largest Int.");
