//! Calls that need no index: the demo, explanations, and what can not be called.

use crate::{Folder, assert_conversation};

#[test]
fn a_demo_shows_three_searches_and_ends() {
    assert_conversation!(Folder::new(), ["demo --once --quiet"], @r#"
    $ studio-search demo --once --quiet
    2 documents
    id     title                                          directors.name  type     genre      production.status
    m2124  King Kong                                      Peter Jackson   FEATURE  Adventure  RELEASED
    m2203  The Lord of the Rings: The Return of the King  Peter Jackson   FEATURE  Adventure  RELEASED

    type
      FEATURE  2  ████████████████████████

    genre
      Adventure  2  ████████████████████████

    production.status
      RELEASED  2  ████████████████████████

    production.distributor
      New Line   1  ████████████████████████
      Universal  1  ████████████████████████

    mpaaRating
      PG-13  2  ████████████████████████
    1 document
    id     title           directors.name   type     genre              production.status
    m2735  Shutter Island  Martin Scorsese  FEATURE  Thriller/Suspense  IN_PHOTOGRAPHY

    type
      FEATURE  1  ████████████████████████

    genre
      Thriller/Suspense  1  ████████████████████████

    production.status
      IN_PHOTOGRAPHY  1  ████████████████████████

    production.distributor
      Paramount Pictures  1  ████████████████████████

    mpaaRating
      R  1  ████████████████████████
    179 documents
    id     title                                   directors.name   production.budget  type     genre
    m1975  Harry Potter and the Half-Blood Prince  David Yates      250000000          FEATURE  Adventure
    m1235  Avatar                                  James Cameron    237000000          FEATURE  Action
    m2601  Robin Hood                              Ridley Scott     210000000          FEATURE  Action
    m1075  2012                                    Roland Emmerich  200000000          FEATURE  Action
    m1139  Alice in Wonderland                     Tim Burton       200000000          FEATURE  Adventure

    production.distributor
      Warner Bros.            22  ████████████████████████
      Sony Pictures           14  ████████████████
      Universal               14  ████████████████
      Paramount Pictures      11  ████████████
      Sony Pictures Classics  11  ████████████
      Walt Disney Pictures    11  ████████████
      20th Century Fox        10  ███████████
      Summit Entertainment     8  █████████
      and 30 more

    production.status
      IN_PHOTOGRAPHY   88  ████████████████████████
      POST_PRODUCTION  35  ██████████
      WRAPPED          34  ██████████
      IN_DEVELOPMENT   22  ██████

    more: --after [cursor]
    --- exit 0
    "#);
}

#[test]
fn calls_that_can_not_be() {
    let folder = Folder::new();
    let commands = ["frobnicate", "run --parallel 3", "validate -o yaml", "explain SS000"];
    assert_conversation!(folder, commands, @r#"
    $ studio-search frobnicate
    --- stderr
    error: unrecognized subcommand 'frobnicate'

    Usage: studio-search [OPTIONS] <COMMAND>

    For more information, try '--help'.
    --- exit 64
    $ studio-search run --parallel 3
    --- stderr
    error: unexpected argument '--parallel' found

      tip: a similar argument exists: '--role'

    Usage: studio-search run --role <ROLE> [FILE]

    For more information, try '--help'.
    --- exit 64
    $ studio-search validate -o yaml
    --- stderr
    error: invalid value 'yaml' for '--output <FORMAT>': yaml is not in this release; use json

    For more information, try '--help'.
    --- exit 64
    $ studio-search explain SS000
    --- stderr
    error: there is no code SS000
      help: `studio-search explain` lists all codes
    --- exit 64
    "#);
}

#[test]
fn a_code_is_explained() {
    assert_conversation!(Folder::new(), ["explain ss106", "explain SS106 --json"], @r#"
    $ studio-search explain ss106
    SS106: an environment variable is not set

    `${NAME}` is filled in from the environment when the file is read. Set the
    variable, or give a default: `${NAME:-default}`. `${NAME:?message}` fails with a
    message of your own. Variables are filled in inside values only and never become
    structure.
    --- exit 0
    $ studio-search explain SS106 --json
    {"json_version":"1","data":{"success":true,"code":"SS106","title":"an environment variable is not set","page":"`${NAME}` is filled in from the environment when the file is read. Set the variable, or give a default: `${NAME:-default}`. `${NAME:?message}` fails with a message of your own. Variables are filled in inside values only and never become structure."},"error":null}
    --- exit 0
    "#);
}

#[test]
fn a_connector_needs_topics_of_debezium() {
    assert_conversation!(Folder::new(), ["generate connector"], @r#"
    $ studio-search generate connector
    --- stderr
    error[SS311]: no source of this index is filled by Debezium
      help: a connector follows from sources with a `topic:` and `format: debezium`, `debezium-flat` or `outbox`

      more: studio-search explain SS311
    --- exit 1
    "#);
}

#[test]
fn what_is_served_is_provisioned_and_named_once() {
    let folder = Folder::new();
    folder.exchange("provision --yes");
    let commands = ["serve . .", "search . --suggest king", "serve --listen nowhere"];
    assert_conversation!(folder, commands, @r"
    $ studio-search serve . .
    --- stderr
    error: two of the files are the index movies
    --- exit 64
    $ studio-search search . --suggest king
    --- stderr
    error[SS718]: the index declares no field for suggestions
      help: name it: `suggest: [title]` under `search:`, then `studio-search provision`
      more: studio-search explain SS718
    --- exit 1
    $ studio-search serve --listen nowhere
    --- stderr
    error: invalid value 'nowhere' for '--listen <ADDR>': invalid socket address syntax

    For more information, try '--help'.
    --- exit 64
    ");
}
