//! Clocks: freshness and retries are told in times, so a server's clock should be ours.

use super::Finding;

/// How far two clocks may be apart, in milliseconds. A header tells whole seconds, and an answer takes its time.
const TOLERATED_MS: i64 = 10_000;

/// Compares a server's clock with ours; `asked` and `answered` are ours around the question, all in milliseconds.
pub(super) fn compared(check: &str, theirs: i64, asked: i64, answered: i64) -> Finding {
    let early = theirs - answered;
    let late = asked - theirs;
    match early.max(late) {
        // It was told somewhere between, in whole seconds.
        apart if apart <= TOLERATED_MS => Finding::ok(check, "its clock is ours"),
        apart => {
            let side = if early > late { "ahead of" } else { "behind" };
            let message = format!("its clock is {} s {side} ours", apart / 1_000);
            Finding::warning(check, message, "let both machines take their time from the same servers (NTP)")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Status, *};

    #[test]
    fn an_answer_may_take_its_time() {
        let told = |theirs| {
            let found = compared("clock", theirs, 1_000_000, 1_030_000);
            (found.status, found.message)
        };
        assert_eq!(told(1_000_000).0, Status::Ok);
        assert_eq!(told(990_000).0, Status::Ok, "ten seconds are tolerated");
        assert_eq!(told(1_040_000).0, Status::Ok);
        let warning = |message: &str| (Status::Warning, message.to_owned());
        assert_eq!(told(1_041_000), warning("its clock is 11 s ahead of ours"));
        assert_eq!(told(900_000), warning("its clock is 100 s behind ours"));
    }
}
