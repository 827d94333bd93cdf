//! Dead letters from the list to the end: looked at, mended, replayed, dropped.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    thread,
};

use serde_json::{Value, json};

use crate::{CONFIG, Folder, assert_conversation};

fn folder() -> Folder {
    let folder = Folder::new();
    let events = "{\"key\": {\"id\": \"m1\"}, \"value\": {\"title\": \"A\\u001b[2Jlien\"}}\nno event\n";
    folder.write("changes.ndjson", events);
    folder.talk(&["provision --yes", "run --once"]);
    folder
}

#[test]
fn a_dead_letter_is_shown_and_replayed_after_its_cause_is_mended() {
    let folder = folder();
    assert_conversation!(folder, [
        "errors list",
        "errors list --by code",
        "errors list --code ss302 -o json",
        "errors show --number 1",
        "errors show --number 2 -o json",
        "errors replay --number 1",
    ], @r#"
    $ studio-search errors list
    number  dead letter of  position  code   found                 reason
         2  changes         byte 60   SS301  [time]  the line is no event: expected ident at line 1 column 2
         1  changes         byte 0    SS302  [time]  value.movieId: the id is missing
    --- exit 0
    $ studio-search errors list --by code
    code   held  dead letters  last
    SS301     0             1  [time]
    SS302     0             1  [time]
    --- exit 0
    $ studio-search errors list --code ss302 -o json
    {"json_version":"1","data":{"success":true,"held":[],"dead_letters":[{"number":"1","source":"changes","position":"byte 0","code":"SS302","reason":"value.movieId: the id is missing","at":[ms]}],"dead_letters_total":1},"error":null}
    --- exit 0
    $ studio-search errors show --number 1
    dead letter    1
    source         changes
    position       byte 0
    found          [time]
    code           SS302
    reason         value.movieId: the id is missing
    help           compare it with the source's `id` and `root_id`; correct and provision them, or the producer; then `studio-search errors replay`. More: studio-search explain SS302
    record (JSON)
      {
        "key": {
          "id": "m1"
        },
        "value": {
          "title": "A\u001b[2Jlien"
        }
      }
    --- exit 0
    $ studio-search errors show --number 2 -o json
    {"json_version":"1","data":{"success":true,"held":null,"dead_letter":{"number":"2","source":"changes","position":"byte 60","code":"SS301","reason":"the line is no event: expected ident at line 1 column 2","at":[ms],"help":"compare it with the source's `format` and `encoding`; correct and provision them, or the producer; then `studio-search errors replay`. More: studio-search explain SS301","cut":false,"record":{"line":{"text":"no event"}}}},"error":null}
    --- exit 0
    $ studio-search errors replay --number 1
    number  still a dead letter of  position  code   reason
         1  changes                 byte 0    SS302  value.movieId: the id is missing
    --- exit 1
    "#);
    folder.write("index.yaml", &CONFIG.replace("value.movieId", "key.id"));
    assert_conversation!(folder, [
        "provision --yes -qq",
        "errors replay --all",
        "errors replay --number 1 -o json",
        "errors list",
        "status -q",
        "errors drop --source other",
        "errors drop --number 2 -o json",
        "errors list",
    ], @r#"
    $ studio-search provision --yes -qq
    = keep   state file movies.db
    ~ change index version movies-000001
               `sources` changed
    provisioned movies in movies.db
    --- exit 0
    $ studio-search errors replay --all
    1 dead letter is replayed
    number  still a dead letter of  position  code   reason
         2  changes                 byte 60   SS301  the line is no event: expected ident at line 1 column 2
    --- stderr
    nothing works on this index yet: `studio-search run` fetches the documents
    --- exit 1
    $ studio-search errors replay --number 1 -o json
    {"json_version":"1","data":null,"error":{"code":null,"message":"there is no dead letter 1","causes":[],"help":"it may be replayed, dropped or expired by now; see what there is: `studio-search errors list`"}}
    --- exit 1
    $ studio-search errors list
    number  dead letter of  position  code   found                 reason
         2  changes         byte 60   SS301  [time]  the line is no event: expected ident at line 1 column 2
    --- exit 0
    $ studio-search status -q
    index   state    processes  documents  lag  backfill lag  freshness p99  held  dead letters
    movies  RUNNING          0          0    1             0  no events yet     0             1
    nothing works on movies: studio-search run
    --- exit 0
    $ studio-search errors drop --source other
    there is nothing to drop
    --- exit 0
    $ studio-search errors drop --number 2 -o json
    {"json_version":"1","data":{"success":true,"dead_letters":["2"],"held":[],"held_kept":0,"more":false},"error":null}
    --- exit 0
    $ studio-search errors list
    nothing is held, and there are no dead letters
    --- exit 0
    "#);
}

#[test]
fn what_is_meant_must_be_named() {
    let folder = folder();
    assert_conversation!(folder, [
        "errors replay",
        "errors drop",
        "errors show",
        "errors show --number 9",
        "errors show --number x",
        "errors show --id m1",
        "errors drop --number 9 --number 1",
        "errors replay --subgraph talent",
        "errors list --by subgraph",
        "errors drop --all",
        "errors list --source changes",
    ], @r#"
    $ studio-search errors replay
    --- stderr
    error: nothing is named
      help: name what is meant with --number, --id, --source, --subgraph or --code; or --all
    --- exit 64
    $ studio-search errors drop
    --- stderr
    error: nothing is named
      help: name what is meant with --number, --id, --source, --subgraph or --code; or --all
    --- exit 64
    $ studio-search errors show
    --- stderr
    error: the following required arguments were not provided:
      <--number <N>|--id <ID>>

    Usage: studio-search errors show <--number <N>|--id <ID>> [FILE]

    For more information, try '--help'.
    --- exit 64
    $ studio-search errors show --number 9
    --- stderr
    error: there is no dead letter 9
      help: it may be replayed, dropped or expired by now; see what there is: `studio-search errors list`
    --- exit 1
    $ studio-search errors show --number x
    --- stderr
    error: invalid value 'x' for '--number <N>': use a number as `errors list` shows it, such as 7 or 0:7

    For more information, try '--help'.
    --- exit 64
    $ studio-search errors show --id m1
    --- stderr
    error: m1 is not held, or not by this subgraph and code
      help: see what is: `studio-search errors list`
    --- exit 1
    $ studio-search errors drop --number 9 --number 1
    --- stderr
    error: there is no dead letter 9
      help: it may be replayed, dropped or expired by now; see what there is: `studio-search errors list`
    --- exit 1
    $ studio-search errors replay --subgraph talent
    there is nothing to replay
    --- exit 0
    $ studio-search errors list --by subgraph
    nothing of that is held or a dead letter
    --- exit 0
    $ studio-search errors drop --all
    2 dead letters are dropped
    --- exit 0
    $ studio-search errors list --source changes
    nothing of that is held or a dead letter
    --- exit 0
    "#);
}

/// A gateway whose subgraph of talents knows every movie but one, and can't tell the title of another. Gives its URL.
fn gateway() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/graphql", listener.local_addr().expect("its address"));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // Whoever goes away is not answered.
            let _ = serve(&stream);
        }
    });
    url
}

/// Answers one request, and ends the connection.
fn serve(mut stream: &TcpStream) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let (mut length, mut line) = (0, String::new());
    while reader.read_line(&mut line).ok()? > 2 {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        line.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let answer = answer(&serde_json::from_slice(&body).ok()?).to_string();
    let head =
        format!("content-type: application/json\r\nconnection: close\r\ncontent-length: {}", answer.len());
    write!(stream, "HTTP/1.1 200 OK\r\n{head}\r\n\r\n{answer}").ok()
}

fn answer(request: &Value) -> Value {
    let (mut data, mut errors) = (json!({}), Vec::new());
    for (variable, id) in request["variables"].as_object().expect("variables") {
        let at = variable.replace("id", "d");
        let at = if at == "d" { "movie".to_owned() } else { at };
        let title = match id.as_str().expect("an id") {
            "m1" => json!("Alien"),
            "m2" => {
                let path = json!([at, "title"]);
                let about = json!({"code": "DOWNSTREAM_SERVICE_ERROR", "service": "talent"});
                errors.push(json!({"message": "the titles are away", "path": path, "extensions": about}));
                Value::Null
            }
            _ => {
                errors.push(json!({"message": "no \u{1b}[31mmovies", "path": [at]}));
                data[&at] = Value::Null;
                continue;
            }
        };
        data[&at] = json!({"movieId": id, "title": title, "status": "RELEASED"});
    }
    json!({"data": data, "errors": errors})
}

#[test]
fn a_held_document_is_shown_replayed_and_dropped() {
    let folder = Folder::new();
    // Not before it is asked for.
    let config = CONFIG.replace("http://127.0.0.1:9/graphql", &gateway());
    folder.write("index.yaml", &format!("{config}errors: {{ auto_replay: false }}\n"));
    folder.write("changes.ndjson", "{\"value\": {\"movieId\": \"m1\"}}\n{\"value\": {\"movieId\": \"m2\"}}\n{\"value\": {\"movieId\": \"m3\"}}\n");
    folder.talk(&["provision --yes", "run --once"]);
    assert_conversation!(folder, [
        "errors list",
        "errors list --by subgraph",
        "errors list --subgraph talent -o json",
        "errors show --id m2",
        "errors show --id m3 -o json",
        "errors show --id m1",
        "errors replay --subgraph talent",
        "run --once -qq",
        "errors drop --id m3",
        "errors drop --id m3 --forget-held",
        "errors list",
        "export",
    ], @r#"
    $ studio-search errors list
    held document  subgraph  code                      path   tries  next try        message
    m2             talent    DOWNSTREAM_SERVICE_ERROR  title      1  when asked for  the titles are away
    m3             unknown   SS404                                1  when asked for  no  [31mmovies
    --- exit 0
    $ studio-search errors list --by subgraph
    subgraph  held  last
    talent       1  [time]
    unknown      1  [time]
    --- exit 0
    $ studio-search errors list --subgraph talent -o json
    {"json_version":"1","data":{"success":true,"held":[{"id":"m2","subgraph":"talent","code":"DOWNSTREAM_SERVICE_ERROR","path":"title","message":"the titles are away","attempts":1,"first_at":[ms],"last_at":[ms],"next_at":[ms]}],"dead_letters":[],"dead_letters_total":0},"error":null}
    --- exit 0
    $ studio-search errors show --id m2
    held document  m2
    subgraph       talent
    code           DOWNSTREAM_SERVICE_ERROR
    path           title
    message        the titles are away
    tries          1
    held since     [time]
    failed last    [time]
    next try       when it is asked for: `errors.auto_replay` is false
    in the index   nothing yet
    help           mend its cause; then `studio-search errors replay`
    --- exit 0
    $ studio-search errors show --id m3 -o json
    {"json_version":"1","data":{"success":true,"held":{"id":"m3","subgraph":null,"code":"SS404","path":null,"message":"no \u001b[31mmovies","attempts":1,"first_at":[ms],"last_at":[ms],"next_at":[ms],"help":"mend its cause; then `studio-search errors replay`. More: studio-search explain SS404","indexed":null},"dead_letter":null},"error":null}
    --- exit 0
    $ studio-search errors show --id m1
    --- stderr
    error: m1 is not held, or not by this subgraph and code
      help: see what is: `studio-search errors list`
    --- exit 1
    $ studio-search errors replay --subgraph talent
    1 held document is fetched again
    --- stderr
    nothing works on this index yet: `studio-search run` fetches the documents
    --- exit 0
    $ studio-search run --once -qq
    2 documents are held: studio-search errors list
    --- exit 1
    $ studio-search errors drop --id m3
    --- stderr
    error: 1 document is held, and no dead letter
      help: a held document is tried again with `studio-search errors replay`; to forget it all the same, add --forget-held: its last good content stays in the index, which may be stale, and nobody fetches it again before its next event or a backfill
    --- exit 1
    $ studio-search errors drop --id m3 --forget-held
    1 held document is forgotten: its last good content stays in the index, which may be stale, and nobody fetches it again before its next event or a backfill
    --- exit 0
    $ studio-search errors list
    held document  subgraph  code                      path   tries  next try        message
    m2             talent    DOWNSTREAM_SERVICE_ERROR  title      2  when asked for  the titles are away
    --- exit 0
    $ studio-search export
    {"id":"m1","version":"[ms]","document":{"movieId":"m1","title":"Alien","status":"RELEASED"}}
    --- exit 0
    "#);
}
