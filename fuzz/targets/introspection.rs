//! Any text that begins as JSON does, as the schema: the answer of an introspection.
#![no_main]

use libfuzzer_sys::fuzz_target;
use promises::{BASE, Files, codegen_keeps_its_promises, utf8};

fuzz_target!(|bytes: &[u8]| {
    if let Some(schema) = utf8(bytes).filter(|text| text.trim_start().starts_with('{')) {
        codegen_keeps_its_promises(Files { schema, ..BASE });
    }
});
