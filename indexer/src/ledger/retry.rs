//! The pauses before a held document is tried again: they double, up to a maximum.

/// The pause doubles at each attempt; past this exponent it has reached any maximum.
const MAX_DOUBLINGS: u32 = 30;

/// The pauses before a held document is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPauses {
    /// After the first failure, in milliseconds.
    pub initial_ms: u64,
    /// At most, in milliseconds.
    pub max_ms: u64,
}

impl RetryPauses {
    /// The pause after this many attempts, in milliseconds.
    pub fn after(self, attempts: u32) -> i64 {
        let doubled = self.initial_ms.saturating_mul(1 << (attempts.saturating_sub(1)).min(MAX_DOUBLINGS));
        i64::try_from(doubled.min(self.max_ms)).unwrap_or(i64::MAX)
    }

    /// The pause after ever so many attempts.
    pub fn longest(self) -> i64 {
        self.after(MAX_DOUBLINGS + 1)
    }
}

impl From<&plan::index_plan::ErrorPolicy> for RetryPauses {
    fn from(policy: &plan::index_plan::ErrorPolicy) -> Self {
        Self { initial_ms: policy.retry_initial_ms, max_ms: policy.retry_max_ms }
    }
}
