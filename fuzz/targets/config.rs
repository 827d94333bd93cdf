//! Any text as `index.yaml`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use promises::{BASE, Files, codegen_keeps_its_promises, utf8};

fuzz_target!(|bytes: &[u8]| {
    if let Some(config) = utf8(bytes) {
        codegen_keeps_its_promises(Files { config, ..BASE });
    }
});
