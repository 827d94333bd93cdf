//! The state file: its folder, the room on its disk, who holds it, and the files that sources follow.

use std::{fs::File, fs::TryLockError, path::Path};

use plan::code::{
    kafka::SS303,
    store::{SS501, SS503},
};

use super::{Finding, Patient};

const DISK: &str = "disk";

/// Less room than this is soon used up: a backfill's log and documents, and SQLite's own write-ahead log.
const FEW_BYTES: u64 = 1 << 30;

/// Less than this, and the next write may be the one that fails.
const NO_BYTES: u64 = 64 << 20;

/// Looks at files.
pub(super) fn examine(patient: &Patient<'_>) -> Vec<Finding> {
    let path = &patient.place.state;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut findings = vec![];
    match free(folder) {
        Ok(Some(bytes)) => findings.push(room(bytes, path)),
        Ok(None) => {}
        Err(error) => findings.push(Finding::failed(
            DISK,
            SS503,
            format!("{}: {error}", folder.display()),
            "make the folder of `state.path`, and let this user write there",
        )),
    }
    findings.extend(lock(path));
    findings.extend(patient.source_files.iter().map(|(source, file)| followed(source, file)));
    findings
}

/// The bytes that this user may still write there; `None` where the system doesn't tell.
#[cfg(unix)]
fn free(folder: &Path) -> std::io::Result<Option<u64>> {
    let told = rustix::fs::statvfs(folder)?;
    Ok(Some(told.f_bavail.saturating_mul(told.f_frsize)))
}

#[cfg(not(unix))]
fn free(folder: &Path) -> std::io::Result<Option<u64>> {
    folder.metadata().map(|_| None)
}

fn room(bytes: u64, path: &Path) -> Finding {
    let message = format!("{} MiB are free for {}", bytes >> 20, path.display());
    let help = "make room, or give `state.path` on a larger disk";
    match bytes {
        0..NO_BYTES => Finding::failed(DISK, SS503, message, help),
        NO_BYTES..FEW_BYTES => Finding::warning(DISK, message, help),
        _ => Finding::ok(DISK, message),
    }
}

/// Whether a process holds the right to `run`.
fn lock(path: &Path) -> Option<Finding> {
    let mut name = path.canonicalize().ok()?.into_os_string();
    name.push(".lock");
    let file = File::open(name).ok()?;
    // Shared, so that two doctors don't take each other for a `run`; given back at once.
    match file.try_lock_shared() {
        Ok(()) => Some(Finding::ok("lock", "no process holds the state file")),
        Err(TryLockError::WouldBlock) => Some(Finding::ok("lock", "a `run` holds the state file")),
        Err(TryLockError::Error(error)) => {
            let message = format!("the lock beside the state file can't be asked for: {error}");
            let help = "keep the state file on a local disk, where locks work";
            Some(Finding::failed("lock", SS501, message, help))
        }
    }
}

/// The file of a source.
fn followed(source: &str, file: &Path) -> Finding {
    let (check, shown) = (format!("source {source}"), file.display());
    match File::open(file).and_then(|file| file.metadata()) {
        Ok(metadata) if metadata.is_dir() => {
            Finding::failed(check, SS303, format!("{shown} is a folder"), "name the file with its events")
        }
        Ok(_) => Finding::ok(check, format!("{shown} can be read")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Finding::warning(
            check,
            format!("{shown} does not exist yet"),
            "it is waited for; check its path under `sources:`",
        ),
        Err(error) => {
            Finding::failed(check, SS303, format!("{shown}: {error}"), "let this user read the file")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Status, *};

    #[test]
    fn little_room_warns_and_none_fails() {
        let status = |bytes| room(bytes, Path::new("movies.db")).status;
        assert_eq!(
            [status(10 << 20), status(500 << 20), status(5 << 30)],
            [Status::Failed, Status::Warning, Status::Ok]
        );
    }
}
