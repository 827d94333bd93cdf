//! 5xx: the store, the log and the ledger.

super::codes! {
    SS501 "another `run` works on this state"
        "The state file belongs to one `run` at a time; a second one would own the same ids. Stop the other process first. \
         Commands such as `status`, `search` or `backfill start` work beside it.";
    SS502 "the index is not provisioned"
        "Nothing was made for this index yet. `studio-search provision index.yaml` makes the log, the ledger, the index version and \
         stores the plan that `run` runs.";
    SS503 "the state can't be read or written"
        "SQLite could not open, read or write the file under `state.path`: the folder is missing or not writable, the disk is full, \
         or the file is not a database. Nothing half-written is kept; every change is one transaction.";
    SS504 "the state belongs to another index"
        "The file under `state.path` holds an index of another name. One file holds one index: give this one a path of its own.";
    SS505 "the plan needs a new index version"
        "The store or the number of partitions changed, so that no process could write a new index version together with the served \
         one. Provision into a fresh `state.path`, or with `kafka:` under another `name`, and backfill. Where only the fields are \
         indexed differently, `provision` makes a new version and `run` fills it from the served one; where the query changed, \
         `backfill start --into-new-version` does.";
    SS506 "the state was written by another release"
        "The layout of the state file, or of the ledger beside the documents, is not the one that this program writes. Use the \
         release that wrote it, or provision a fresh file (with `kafka:`, under another `name`) and backfill.";
    SS507 "the store can't take a document"
        "The gateway answered with a document that the index can't hold: nested too deep, or a value that does not fit its field. \
         The last good document stays; the id is held until the plan or the data changes. `studio-search errors list` names it.";
    SS508 "an address can't be listened on"
        "The address for the status page (`admin.listen`) or the search API (`serve.listen`) is taken by another program, or this \
         user may not open it. Give another one, or stop the other program.";
    SS509 "the store does not answer"
        "Elasticsearch or OpenSearch could not be reached, did not answer in time, or says that it is too busy. Nothing is lost: \
         ids wait in the reindex log, one request probes after growing pauses, and each document is fetched anew. If it stays, \
         check that the server runs, its address under `store:`, the network between, its disk and its own log.";
    SS510 "the store refuses to be written"
        "The server was reached and said no: the credentials under `store:` are not believed or may not write this index, the index \
         is missing, or it was made for another plan and lacks a field. The index pauses, and goes on by itself when it is mended: \
         give the user the rights, or run `studio-search provision`.";
    SS511 "the store refuses too many documents"
        "One document that the store can't take is held. When more than 50 different ones, and more than 5 % of what was offered, are \
         refused within ten minutes, it isn't the documents: the mapping or a setting of the index was changed by hand, or the data of \
         the graph took another form. The index pauses, nothing more is held, and it is tried again with growing pauses: mend the cause that \
         the message names, and it goes on by itself. After `studio-search resume` what is refused in the next ten minutes is held, \
         document by document.";
    SS520 "the saved change set no longer holds"
        "`provision --plan` makes exactly the changes that `plan --out` saved and somebody looked at. Since then the files, a server or \
         another `provision` changed something, so that other changes would be made by now. Nothing was made. Save a new set with \
         `studio-search plan --out FILE`, look at it, and provision that.";
    SS521 "another index template takes the index"
        "Of the index templates whose patterns match a new index the one with the highest priority makes it, alone; and two of equal \
         priority are not taken by the server. The one that is named would make the index with another mapping, in which documents are not \
         found as `query.graphql` says. Give it a lower priority or other `index_patterns`, or give this index another `name`. An \
         index that exists already keeps its mapping; its next version would not have it.";
    SS522 "the plan is of another index"
        "The root entity or its key is another one than that of the served version: an id of the one is none of the other, so that no \
         entry of the log could be rebuilt for both, and nothing of the one could be compared with the other. Give it another `name` \
         (and another `state.path` where there is one), provision that, backfill it, and let searches ask it.";
}
