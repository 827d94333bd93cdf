//! Kafka as the rest needs it: transactions, members of a group, topics. Alone here librdkafka is spoken to.
//!
//! librdkafka blocks and calls back, so what lives long has a thread of its own and is spoken to through channels; what is
//! asked now and then runs where blocking is allowed. Nothing here knows what a record means.

mod appender;
pub mod client;
pub mod group;
pub mod topics;
pub mod transactions;

pub use appender::Appender;
pub use group::{Gap, Member, Share};
pub use rdkafka::{Message, consumer::ConsumerGroupMetadata, message::OwnedMessage};
pub use topics::{Described, NewTopic, Topics};
pub use transactions::{Bundle, GroupOffsets, Outgoing, Transactions};
