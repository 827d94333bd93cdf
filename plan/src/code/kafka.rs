//! 3xx: sources, events, Kafka and the schema registry.

super::codes! {
    SS301 "an event can't be read"
        "A record of a source is not what its `format` says: not JSON, a line that was only half written, or longer than 1 MiB. \
         It is kept as a dead letter with its position and the stream goes on. `studio-search errors show` shows it. Where the \
         configuration was wrong, correct it, provision, and bring the event in with `studio-search errors replay`.";
    SS302 "an event names no usable id"
        "The path under `id:` (or `root_id:`) leads to nothing in this record, or to something that can't be an id: an id is a \
         string or an integer of at most 512 bytes. Compare the path with the record that `studio-search errors show` shows; \
         after the path is corrected and provisioned, `studio-search errors replay` brings the event in. Of a deleted row PostgreSQL \
         tells only the key, and of a changed row no image before the change, unless its table has `REPLICA IDENTITY FULL`; paths \
         that begin with `row.` need it.";
    SS303 "a source can't be opened"
        "The file of a `file:` source can't be read. A file that doesn't exist yet is waited for; a folder, or a file without read \
         permission, is an error.";
    SS304 "the graph doesn't say which documents a changed entity belongs to"
        "The `back_reference` query failed again and again for this key while it answered for others, so that the source went on \
         without it. Documents that the index already holds under this key are rebuilt; one that the change newly belongs to may be \
         missing. `studio-search errors list` shows the key and what the gateway says. Mend the graph, then ask again \
         with `studio-search errors replay`.";
    SS310 "a table was truncated"
        "Debezium told that all rows of a source's table were removed at once. Which rows there were, it doesn't tell, and a truncate is \
         often the first half of a reload; so nothing is deleted, the source reads no further, and the index is paused. Look at the \
         table. `studio-search resume` goes on; then `studio-search backfill start` fetches every document again and finds those that \
         are gone.";
    SS311 "no connector follows from the sources"
        "`studio-search generate connector` writes the Debezium connectors that fill the topics of the index: one for all topics of a \
         prefix. Debezium names the topic of a table `<prefix>.<schema>.<table>`; a topic with fewer parts was renamed on its way, and \
         its connector is yours to write. Sources in another format than `debezium`, `debezium-flat` or `outbox` have none.";
    SS312 "records expired before they were read"
        "The topic deleted records that this index had not read yet: it was down for longer than the topic keeps them, or the topic was \
         made anew. Which changes they told of, nobody knows. With `on_gap: audit` the whole index is compared with the graph and what \
         differs is fetched anew, with `on_gap: backfill` every document is; both by themselves, if `backfill.ids` says where ids come from. \
         Otherwise the index is paused: `studio-search resume` goes on with what is \
         left, then `studio-search backfill start` finds what was missed. Let the topic keep its records for longer.";
    SS320 "the schema registry does not answer"
        "Records in Avro can't be read without the schemas that they name, and documents can't be written without theirs. There was no \
         connection, no answer in time, or an answer that says to come later. Nothing is lost or skipped: it is asked again until it answers.";
    SS321 "the schema registry refuses"
        "It doesn't believe who asks, doesn't know what was asked for, or answers what no schema registry answers. Check \
         `kafka.schema_registry`, which ends with the path under which Confluent's API begins (none at Confluent's own, `/apis/ccompat/v7` at \
         Apicurio's), and `kafka.registry_auth`. Until then nothing is read: no record becomes a dead letter by this.";
    SS322 "the schema of documents can't follow the one before"
        "Readers of the documents' topic must be able to read old documents with the new schema (BACKWARD). The registry found that they can't: \
         the type of a field that documents had changed, most often the key's.";
    SS323 "a record's schema can't be had"
        "With `encoding: avro` each record names the schema by which it was written: by a number or a GUID before its bytes, or in the header \
         `__value_schema_id`. This one names none, or one that the registry says it doesn't have, or one that is no Avro. It is kept as a dead \
         letter with its position and the stream goes on. Records written before a topic's producer came to use a registry look like this; so do \
         all records of a topic that isn't Avro.";
    SS330 "a dead letter can't be replayed"
        "`studio-search errors replay` understands a dead letter again by the provisioned plan, as if its event arrived now. This one has nothing \
         that could be understood: only the first 64 KiB of its line are kept, the plan has no source of this name any more, or an enumeration \
         of ids named it. Send the event again, or rebuild the documents with `studio-search backfill start --id`; then forget the dead letter \
         with `studio-search errors drop`.";
}
