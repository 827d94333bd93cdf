//! The GraphQL schema of the demo graph. A test holds it equal to the supergraph's.

#![expect(clippy::unused_async, reason = "resolvers are async, though nothing here has to wait")]

use std::ops::Bound;
use std::sync::{Arc, RwLock, RwLockReadGuard};

use async_graphql::{
    ComplexObject, Context, EmptyMutation, EmptySubscription, Error, ID, Object, Result, SimpleObject,
};

use super::records::{Movie, Production, Role, Talent};
use super::tables::{Tables, number};

/// As in the real subgraph: enough for a backfill, and no request that lists everything.
const LARGEST_PAGE: usize = 1000;

pub(super) type Schema = async_graphql::Schema<Query, EmptyMutation, EmptySubscription>;

pub(super) fn build(tables: Arc<RwLock<Tables>>) -> Schema {
    Schema::build(Query, EmptyMutation, EmptySubscription).data(tables).finish()
}

fn read<'c>(context: &Context<'c>) -> RwLockReadGuard<'c, Tables> {
    context.data_unchecked::<Arc<RwLock<Tables>>>().read().expect("no edit panics half way")
}

pub(super) struct Query;

#[Object]
impl Query {
    /// One movie; null if there is none with this key.
    async fn movie(&self, context: &Context<'_>, movie_id: ID) -> Option<Movie> {
        read(context).movie(&movie_id).cloned()
    }

    /// The movies with these keys, in the order asked for; null in the place of a movie that does not exist.
    async fn movies_by_ids(&self, context: &Context<'_>, ids: Vec<ID>) -> Vec<Option<Movie>> {
        let tables = read(context);
        ids.iter().map(|id| tables.movie(id).cloned()).collect()
    }

    /// All movies, page by page; a page holds 1 to 1000.
    async fn movies(
        &self,
        context: &Context<'_>,
        #[graphql(default_with = "Some(100)")] first: Option<i32>,
        after: Option<String>,
    ) -> Result<MovieConnection> {
        let first = usize::try_from(first.unwrap_or(100)).unwrap_or(0);
        if !(1..=LARGEST_PAGE).contains(&first) {
            return Err(Error::new(format!("first is 1 to {LARGEST_PAGE}")));
        }
        // Movies are never renumbered, so an id is a cursor that outlives its movie.
        let after = match after {
            None => 0,
            Some(cursor) => number('m', &cursor)
                .ok_or_else(|| Error::new(format!("{cursor:?} is no cursor of this list")))?,
        };
        let tables = read(context);
        let mut rest =
            tables.movies.range((Bound::Excluded(after), Bound::Unbounded)).map(|(_, movie)| movie.clone());
        let edges: Vec<_> = rest
            .by_ref()
            .take(first)
            .map(|node| MovieEdge { cursor: node.movie_id.to_string(), node })
            .collect();
        let end_cursor = edges.last().map(|edge| edge.cursor.clone());
        let page_info = PageInfo { has_next_page: rest.next().is_some(), end_cursor };
        Ok(MovieConnection { edges, page_info, total_count: tables.movies.len() })
    }

    /// One production; null if there is none with this key.
    async fn production(&self, context: &Context<'_>, ptp_id: ID) -> Option<Production> {
        read(context).production(&ptp_id).cloned()
    }

    /// One person; null if there is none with this key.
    async fn talent(&self, context: &Context<'_>, talent_id: ID) -> Option<Talent> {
        read(context).talent(&talent_id).cloned()
    }
}

#[ComplexObject]
impl Movie {
    /// The movie's production; null if nobody makes it yet.
    async fn production(&self, context: &Context<'_>) -> Option<Production> {
        read(context).production_of(&self.movie_id).cloned()
    }

    /// The people whom this movie credits; only those with this role if one is given.
    async fn talent(&self, context: &Context<'_>, role: Option<Role>) -> Vec<Talent> {
        let tables = read(context);
        let people = tables.credits_of(&self.movie_id).filter_map(|credit| tables.talent(&credit.talent_id));
        people.filter(|person| role.is_none_or(|role| person.role == role)).cloned().collect()
    }
}

#[ComplexObject]
impl Talent {
    /// The movies that credit this person.
    async fn movies(&self, context: &Context<'_>) -> Vec<Movie> {
        read(context).movies_of(&self.talent_id).cloned().collect()
    }
}

/// A page of movies, in the order of their numbers.
#[derive(SimpleObject)]
struct MovieConnection {
    /// The movies of this page, each with its cursor.
    edges: Vec<MovieEdge>,
    /// Whether and where the list goes on.
    page_info: PageInfo,
    /// How many movies there are on all pages.
    total_count: usize,
}

/// A movie's place in the list.
#[derive(SimpleObject)]
struct MovieEdge {
    /// Stands for this place; pass it as `after` to go on behind it, also when the movie itself is gone by then.
    cursor: String,
    /// The movie.
    node: Movie,
}

/// Whether and where a list goes on.
#[derive(SimpleObject)]
struct PageInfo {
    /// True if another page follows.
    has_next_page: bool,
    /// The cursor of the last edge of this page; null if the page is empty.
    end_cursor: Option<String>,
}
