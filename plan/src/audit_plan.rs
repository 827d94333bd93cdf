//! When the index is compared with the graph, and what follows.

use serde::{Deserialize, Serialize};

/// What `audit:` says. The default is what holds where `audit:` leaves something out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditPlan {
    /// Documents of the index that are looked at all the time, a second; `None`: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample_per_second: Option<f64>,
    /// How often everything is looked at; `None`: never by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full: Option<Every>,
    /// How long after a first difference the second look is, in milliseconds; the longest `graph.deadline` comes on top.
    pub confirm_after_ms: u64,
    /// Whether what differs is fetched anew.
    pub repair: bool,
}

/// How often everything is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Every {
    /// Once a day.
    Daily,
    /// Once in seven days.
    Weekly,
    /// Once in thirty days.
    Monthly,
}

impl Every {
    /// The time between two beginnings, in milliseconds.
    pub fn milliseconds(self) -> i64 {
        let days = match self {
            Self::Daily => 1,
            Self::Weekly => 7,
            Self::Monthly => 30,
        };
        days * 24 * 60 * 60 * 1_000
    }
}

impl Default for AuditPlan {
    fn default() -> Self {
        Self {
            sample_per_second: Some(200.0 / 3_600.0),
            full: Some(Every::Weekly),
            confirm_after_ms: 120_000,
            repair: true,
        }
    }
}
