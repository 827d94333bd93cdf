//! The binary: the allocator, the arguments and the exit code; everything else is in the library, which Python shares.

/// The system's allocator holds on to what a burst of documents used; this one gives it back and is quicker.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    studio_search_cli::run(std::env::args_os()).into()
}
