//! 1xx: `index.yaml` itself.

super::codes! {
    SS101 "the file is not valid YAML"
        "The text could not be read as YAML. The caret stands where the reader gave up; the mistake is there or just before it: \
         a tab used for indentation, a missing colon, a quote that is not closed.";
    SS102 "unknown key"
        "The configuration has no such key at this place. A key that nobody reads would be ignored silently, so it is an error. \
         The help names the nearest known key, or all of them.";
    SS103 "a key is missing"
        "The smallest useful file has `version`, `name`, `entity`, `query`, `graph.url`, and one source. Everything else has a default.";
    SS104 "a value has the wrong type"
        "Text stands where a map is wanted, a list where one value is wanted, or the like. YAML's `yes`, `no`, `on` and `off` are text \
         here: write `true` or `false`.";
    SS105 "a value is not allowed here"
        "The value has the right type and is still not one that this key takes: a word that is not on the list, a number out of its \
         limits, an address that is none. The help says what the key takes.";
    SS106 "an environment variable is not set"
        "`${NAME}` is filled in from the environment when the file is read. Set the variable, or give a default: `${NAME:-default}`. \
         `${NAME:?message}` fails with a message of your own. Variables are filled in inside values only and never become structure.";
    SS107 "a variable can't be read"
        "`${` begins a variable: a name of letters, digits and underscores, or `file.` and the path of a file, then `}`. \
         To write `${` itself, write `$${`.";
    SS108 "the file is of a form that this release doesn't read"
        "`version: 1` is the only version of the configuration that this release reads, and a file has at most 1 MiB.";
    SS109 "a name is not allowed"
        "Names of indexes and sources become parts of aliases, topics, consumer groups and URLs. They begin with a small letter and \
         hold at most 63 small letters, digits and dashes. Kafka takes names of topics and of static members of 1 to 249 letters \
         (a to z, A to Z), digits, dots, dashes and underscores.";
    SS110 "one of several keys must be given, and only one"
        "A source reads from exactly one place: `file: PATH`, `http: true` or `topic: NAME`. So does `backfill.ids`: `query: FILE`, \
         `file: FILE`, `topic: NAME` or `index: true`.";
    SS111 "this release can't do that yet"
        "The key is part of the configuration's language, but this release doesn't do what it asks for, and going on without it \
         would be wrong: events would be missed, documents kept elsewhere, or people shown what they must not see. \
         The help says what to use meanwhile.";
    SS112 "this has no effect in this release"
        "The key is part of the configuration's language and its value is well-formed, but this release doesn't act on it. Going on \
         without it is safe; the help says what happens instead.";
    SS113 "the document has no such field"
        "`fields:`, `search:` and `reverse_lookup:` name fields by the path of their response keys in the query, joined by dots: \
         where the query says `actors: talent { name }`, the path is `actors.name`. A field that exists only in the index says \
         `virtual: true` under `fields:`.";
    SS114 "the mapping doesn't fit the field"
        "A type in the index must be able to hold what the graph answers: an object is `object`, `nested`, `flattened` or (with \
         numbers `lat` and `lon`) `geo_point`; a Boolean is `boolean`; an analyzer and `keyword:` belong to `text`.";
    SS115 "the search settings don't fit the field"
        "Free text and suggestions need `text` or `keyword` fields; facets need a field with an exact value, that is every leaf but \
         `text` without `keyword:`; a boost needs a number.";
    SS116 "a record path can't be read"
        "A path into a record begins with `key`, `value`, `headers` or `row`, then names joined by dots: `key.movie_id`, \
         `value.data.movieId`. `row.movie_id` means the row before AND after the change.";
    SS117 "a quantity can't be read"
        "Durations have a number and a unit (500ms, 10s, 2m, 1h, 7d), rates a number and a span (40/s, 200/m, 1000/h), shares are \
         percentages (5%) or numbers from 0 to 1.";
    SS118 "a key is given twice"
        "YAML allows a key once in a map. Keep one of the two; nobody can tell which one was meant.";
    SS119 "a file that the configuration names can't be read"
        "The query, the schema or another file that `index.yaml` names does not exist or can't be read as UTF-8 text, \
         or it is larger than 16 MiB (a schema: 256 MiB). A named pipe or a device is not opened, for nobody may be at its other \
         end; `/dev/stdin` and a shell's `<(command)` are read. Paths are relative to the folder of `index.yaml`.";
    SS120 "a source doesn't say which documents it changes"
        "A source of the root entity needs `id:`, the path to the document's id. A source of a related entity needs `id:` for reverse \
         lookups and back-references, or `root_id:` where the record names the documents itself. `edge: related` says that this \
         source announces new edges, so it needs `root_id:` or `back_reference:`: the index cannot know an edge that is new.";
    SS121 "two settings contradict each other"
        "One of the two makes the other one meaningless, such as a deadline that is shorter than the timeout of one request, or a port \
         that is open to other machines while no token lets them in.";
    SS122 "a test says too little"
        "A test under `tests:` plays an event through (`event:`, and what the graph answers under `graph:`) and says under `expect:` which \
         ids are rebuilt and what their documents hold, or it searches (`search:` with `expect:`), or both. A test without `event:` \
         and `index:` goes on with the documents that the test before it left, so the first one needs some.";
    SS123 "a property of Kafka's client is not yours to set"
        "What stands under `kafka.properties` is passed to librdkafka as it is. On a few properties it hangs which process owns a \
         document, and that progress is committed only when a document is written: groups and their assignment, commits, offsets, \
         transactions, acknowledgements and the partitioner. studio-search sets these itself; the help says where the configuration \
         has a word for what is meant.";
    SS124 "Kafka is missing, or something beside it that can't be shared"
        "With `kafka:` several processes share one index: the log and the events are topics, and the documents are on Elasticsearch or \
         OpenSearch. A file, an inbox of one process, and the sqlite store can't be shared. Without `kafka:` everything is in one \
         process and its file, and no topic can be read. Avro in a topic needs the registry that keeps its schemas, \
         `kafka.schema_registry`.";
}
