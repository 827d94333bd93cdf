//! A first configuration from nothing but a schema.

use std::fs;

use crate::{Folder, assert_conversation};

/// A graph with a connection, an entity beside the root, and a type that nothing answers by its key.
const SCHEMA: &str = r#"directive @key(fields: String!) repeatable on OBJECT
type Query {
  film(filmId: ID!): Film
  films(first: Int, after: String): FilmConnection!
  country(code: String!): Country
}
type FilmConnection { edges: [FilmEdge!]! pageInfo: PageInfo! }
type FilmEdge { node: Film! }
type PageInfo { hasNextPage: Boolean! endCursor: String }
type Film @key(fields: "filmId") {
  title: String
  filmId: ID!
  status: Status
  length: Minutes
  studio: Studio
  poster(width: Int!): String
  related: [Film!]!
  rating: Rating
}
type Studio @key(fields: "name country") @key(fields: "studioId") { name: String country: String studioId: ID! }
type Rating { stars: Float votes: Int }
type Country { code: String! }
enum Status { RELEASED WRAPPED }
scalar Minutes
"#;

fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("graph.graphql", SCHEMA);
    folder
}

#[test]
fn two_files_from_a_schema() {
    let folder = folder();
    let commands = [
        "init --schema graph.graphql",
        "init new/films --root Film --schema graph.graphql",
        "validate new/films",
        "init new/films --root Film --schema graph.graphql",
        "init other --root Flim --schema graph.graphql",
        "init other --root Rating --schema graph.graphql",
        "init other --root Status --schema graph.graphql",
        "init other --root Film",
        "init other --root Film --introspect nowhere",
        "init other --root Film --introspect http://127.0.0.1:9/graphql",
        "init other --root Film --schema missing.graphql",
    ];
    assert_conversation!(folder, commands, @r#"
    $ studio-search init --schema graph.graphql
    type     key     answered by
    Country  code    country
    Film     filmId  film
    --- stderr
    An index can be made of these; name one with --root.
    --- exit 0
    $ studio-search init new/films --root Film --schema graph.graphql
    new/films/index.yaml
    new/films/query.graphql
    new/films/ids.graphql
    new/films/index.schema.json
    new/films/graphql.config.yaml
    next: cut query.graphql to what you search, then studio-search validate
    --- exit 0
    $ studio-search validate new/films
    new/films/index.yaml is valid: index films, 11 fields, 1 source
    --- exit 0
    $ studio-search init new/films --root Film --schema graph.graphql
    --- stderr
    error: new/films/index.yaml exists already, so nothing was written
      help: name another folder, or move the file away
    --- exit 1
    $ studio-search init other --root Flim --schema graph.graphql
    --- stderr
    error[SS210]: the schema has no type Flim
      help: did you mean Film?

      more: studio-search explain SS210
    --- exit 1
    $ studio-search init other --root Rating --schema graph.graphql
    --- stderr
    error[SS211]: Rating has no key of one field
      help: a document needs an id: a field `id`, or one of type `ID!`, without arguments

      more: studio-search explain SS211
    --- exit 1
    $ studio-search init other --root Status --schema graph.graphql
    --- stderr
    error[SS210]: Status is no object type
      help: documents are objects: name the type that they have

      more: studio-search explain SS210
    --- exit 1
    $ studio-search init other --root Film
    --- stderr
    error: the following required arguments were not provided:
      <--schema <FILE>|--introspect <URL>>

    Usage: studio-search init --root <TYPE> <--schema <FILE>|--introspect <URL>> <DIR>

    For more information, try '--help'.
    --- exit 64
    $ studio-search init other --root Film --introspect nowhere
    --- stderr
    error: `--introspect` takes the address of a gateway
      help: it begins with http:// or https://
    --- exit 64
    $ studio-search init other --root Film --introspect http://127.0.0.1:9/graphql
    --- stderr
    error[SS401]: the gateway can't be reached: Connection refused
      help: with a schema in a file, no gateway is needed: --schema FILE
      more: studio-search explain SS401
    --- exit 69
    $ studio-search init other --root Film --schema missing.graphql
    --- stderr
    error: missing.graphql can't be read: it does not exist
    --- exit 64
    "#);
    assert!(!folder.0.path().join("other").exists(), "what is refused leaves nothing behind");
    let read = |name: &str| {
        fs::read_to_string(folder.0.path().join("new/films").join(name)).expect("it was written")
    };
    insta::assert_snapshot!(read("index.yaml"), @r#"
    # yaml-language-server: $schema=./index.schema.json
    version: 1
    name: films

    entity: Film
    query: ./query.graphql

    graph:
      url: "${GATEWAY_URL:-http://localhost:4000/graphql}"
      schema: "../../graph.graphql"
      # headers: { authorization: "Bearer ${GATEWAY_TOKEN}" }
      # How custom scalars are indexed: date, keyword, text, long, double, boolean or flattened.
      scalars: { Minutes: keyword }

    # What tells of changes: a line of JSON each, such as {"value": {"filmId": "1"}}. With `http: true` in place of
    # `file:`, they are posted to /events/films/film-changes.
    sources:
      film-changes:
        file: ./events/films.ndjson
        format: plain
        id: value.filmId
      # studio-changes:
      #   entity: Studio
      #   file: ./events/studios.ndjson
      #   format: plain
      #   id: value.studioId

    # What no source tells of: no event brings a change of these into the documents that hold them. A line goes when its
    # source comes.
    coverage:
      Studio: { freshness: audit }

    search:
      text: [title, studio.name]
      facets: [status]

    backfill:
      ids: { query: ./ids.graphql }
    "#);
    insta::assert_snapshot!(read("query.graphql"), @r#"
    # The query is the document: what it selects is what can be searched, by the names it gives.
    query FilmIndex($id: ID!) {
      film(filmId: $id) {
        filmId
        title
        status
        length
        studio {
          studioId
          name
          country
        }
        rating {
          stars
          votes
        }
      }
    }
    "#);
    insta::assert_snapshot!(read("ids.graphql"), @r#"
    # Every Film: what a backfill goes through.
    query FilmIds($after: String, $first: Int = 100) {
      films(first: $first, after: $after) {
        pageInfo {
          hasNextPage
          endCursor
        }
        edges {
          node {
            filmId
          }
        }
      }
    }
    "#);
    insta::assert_snapshot!(read("graphql.config.yaml"), @r#"
    schema: "../../graph.graphql"
    documents:
      - ./query.graphql
      - ./ids.graphql
    "#);
}

/// From the schema to an index that is provisioned, with nothing edited in between.
#[test]
fn what_init_writes_can_be_provisioned() {
    let folder = folder();
    let said = folder.talk(&[
        "init films --root Film --schema graph.graphql",
        "provision films --yes",
        "run films --once -qq",
        "search films x",
    ]);
    assert_eq!(said.matches("--- exit 0").count(), 4, "{said}");
}
