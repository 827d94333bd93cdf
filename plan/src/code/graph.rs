//! 2xx: the graph's schema and the query template.

super::codes! {
    SS201 "the schema can't be read"
        "The schema file is neither a GraphQL schema definition (SDL), nor a supergraph SDL, nor the JSON answer of an \
         introspection query. The caret stands where the reader gave up.";
    SS202 "the query is not valid GraphQL"
        "The text breaks GraphQL's grammar. The caret stands where the reader gave up; the mistake is there or just before it, \
         most often a brace that is missing or one too many.";
    SS203 "the query doesn't fit the schema"
        "A gateway with this schema would refuse the query. The message says which rule of the GraphQL specification is broken; \
         where a name is unknown, the help names the nearest one.";
    SS204 "this part of the query can't be read"
        "The parser behind studio-search gives up here, and the validator found nothing wrong. Most often something is missing just \
         before the caret, such as a colon. If it is valid GraphQL all the same, write it in another way: the meaning stays the same.";
    SS205 "the file must hold one query operation"
        "The query template is the document: one operation of type `query`, besides any number of fragments. Mutations and \
         subscriptions can't be fetched again and again.";
    SS206 "the query must have one root field"
        "The document is what stands under the one root field of the query. To read more, add fields below it, or make another index.";
    SS207 "the query doesn't take the document's id"
        "The query needs one variable for the id: `$id: ID!` where the root field answers one document, or `$ids: [ID!]!` where it \
         answers a list of them. Its type is the one that the root field's argument takes.";
    SS208 "a variable has no default"
        "Only the id is filled in when a document is fetched. Every other variable keeps its default, so it must have one: \
         `$lang: String = \"en\"`.";
    SS209 "the root field doesn't answer the entity"
        "`entity:` names the type of the documents, and the root field of the query answers another type. Change one of the two. \
         A root field that answers an interface or a union with the entity among its types is fine.";
    SS210 "the schema has no such type"
        "A type that the configuration names does not exist in the schema, or is no object type.";
    SS211 "the key can't be used"
        "The value of the key is the document id: one field of the root entity, a string or an integer, without arguments. It is \
         taken from `@key` in the supergraph unless `key:` names it. Composite keys are refused.";
    SS212 "the key is not selected"
        "The document must carry its own id: select the key field directly under the root field, under any alias, without \
         `@include` or `@skip`.";
    SS213 "nothing keeps this entity fresh"
        "The query reads an entity (a type with `@key`), and no source tells of its changes: its fields would grow stale in every \
         document. Add a source with `entity:` of that type, or name the type under `coverage:` with `freshness: audit` or \
         `freshness: ignore`.";
    SS214 "events of an entity cannot be traced back to documents"
        "A source tells that an entity changed, but not which documents hold it. The index can be asked, if the documents carry the \
         entity's key: select it. Or the event names the documents itself (`root_id:`), or the graph is asked (`back_reference:`).";
    SS215 "nobody tells of a new edge"
        "The field that leads to this entity is owned by the subgraph that owns the entity itself, so the holder's events say nothing \
         when an edge is added, and the index cannot know an edge that is new. Give the source `root_id:` or `back_reference:`. Where \
         the holder's own events do announce new edges, say so: `edge: holder`.";
    SS216 "coverage can't be proven"
        "The schema tells no keys (an introspection carries none), so nobody can say which types are entities and which events they \
         need. Use the supergraph SDL to have it proven: every router and composition tool can print it.";
    SS217 "documents are fetched one by one"
        "The id is used below the root field, or the operation has directives, so several documents can't share one request. \
         Backfills load the gateway many times as much. Use the id in the arguments of the root field alone.";
    SS218 "a scalar is not known"
        "The schema's own scalars have no meaning here until `graph.scalars` says how to index them; meanwhile the field is a keyword.";
    SS219 "the query for ids can't be used"
        "A query for ids (`backfill.ids.query`, `back_reference.query`) must select the root entity's key exactly once. Pages follow \
         each other by `pageInfo { hasNextPage endCursor }` and a nullable variable for the cursor (`$after: String`), or by `$offset: Int`. \
         A back-reference takes the id of what changed as its one variable without a default (`$id: ID!`).";
    SS220 "the batch mode is not possible with this query"
        "`list` needs a root field that takes a list of ids and answers a list; `alias` needs a root field that takes one id, used in \
         its arguments alone; `single` needs a root field that takes one id. Leave `graph.batch.mode` out to take what the query allows.";
    SS221 "the document doesn't read this entity"
        "A source or a coverage line names an entity that the query doesn't select anywhere. It has no effect; most often the name is \
         mistyped or a selection was removed.";
    SS222 "the reverse lookup can't find anything"
        "`reverse_lookup:` names key fields of the source's entity in the document, such as `production.ptpId`. The field must be a leaf \
         with an exact value, so not `text` without `keyword:` and not `index: false`.";
    SS223 "the field's name is reserved"
        "The document's own bookkeeping stands under `__search`, and names that begin with two underscores belong to GraphQL. \
         Use another alias.";
    SS224 "the query is too large"
        "A template has at most 1 MiB of text, 50,000 words and signs, 64 levels of brackets, and 100,000 selections, each fragment \
         counted wherever it is spread. Its document has at most 2,000 fields and some 30 levels of objects (20, if each is a list), \
         for readers of JSON stop at 128 levels and an Avro schema takes up to six for each. Beyond that, no store takes the \
         documents and no gateway the query.";
    SS225 "the key's field may be missing"
        "The field by which documents are found again may be null or left out for some elements, so their events reach no document. \
         Select it without `@include`, `@skip` or a type condition.";
    SS226 "an object of which nothing is read"
        "Constants in `@skip` and `@include` leave out every field of an object, so that the gateway answers an empty one, which no \
         store and no schema can describe. Remove the object, or read a field of it.";
    SS227 "a new edge may go untold"
        "The field that leads to this entity is owned by a subgraph that answers nothing else of the entity, and no value of the one that \
         holds it, such as a service of links alone. Neither entity's own events need say when an edge is added. Give the source \
         `root_id:` or `back_reference:`, or add a source of the links: `entity:` of the related type, with `root_id:`. Where the \
         holder's own events do announce new edges, say so: `edge: holder`.";
    SS228 "the version can't be compared"
        "`version:` names what grows with every change of a record, such as `row.updated_at`, so that a document that is older than its \
         event can be told. The document must show the same under the last name of that path (`updated_at`, or `updatedAt`): at its \
         root for events of the root entity, beside the entity's key for others. It must be a number or a date. Select it there, \
         under an alias if the schema calls it otherwise, or leave `version:` out.";
}
