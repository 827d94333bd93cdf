//! Any text as the query template, and as a query for ids.
#![no_main]

use libfuzzer_sys::fuzz_target;
use promises::{BASE, Files, codegen_keeps_its_promises, utf8};

fuzz_target!(|bytes: &[u8]| {
    if let Some(query) = utf8(bytes) {
        codegen_keeps_its_promises(Files { query, ..BASE });
        codegen_keeps_its_promises(Files { ids: query, ..BASE });
    }
});
