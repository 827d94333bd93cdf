//! Appends that may be repeated without harm: an idempotent producer outside of transactions.

use std::{sync::Arc, time::Duration};

use rdkafka::{
    error::{KafkaError, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord, future_producer::DeliveryFuture},
};

use super::{
    Outgoing,
    client::{Cluster, Trouble, Watch},
};
use crate::{StateError, endpoints::KafkaEndpoint, heartbeat::waiting};

/// What the user may change. A millisecond gathers what one append brings; more would only be waited for.
const PREFERRED: [(&str, &str); 2] = [("linger.ms", "1"), ("compression.type", "lz4")];

/// What must be so. A record waits for its brokers as long as its caller does.
const NEEDED: [(&str, &str); 3] =
    [("enable.idempotence", "true"), ("partitioner", "murmur2_random"), ("message.timeout.ms", "0")];

/// How long is waited while librdkafka's own queue is full.
const FULL: Duration = Duration::from_millis(5);

/// A producer of this process. Clones share it.
#[derive(Clone)]
pub struct Appender {
    producer: FutureProducer<Ear>,
    ear: Ear,
}

/// Hears what librdkafka says.
#[derive(Clone)]
struct Ear(Arc<Watch>);

impl rdkafka::ClientContext for Ear {
    fn log(&self, level: rdkafka::config::RDKafkaLogLevel, facility: &str, line: &str) {
        self.0.log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.error(error, reason);
    }
}

impl Appender {
    /// Starts the producer; brokers that are away are waited for. Fails where the settings are refused.
    pub fn start(endpoint: &KafkaEndpoint) -> Result<Self, StateError> {
        let ear = Ear(Arc::new(Watch::new(Arc::new(Cluster::new(endpoint)))));
        let settings = ear.0.cluster.settings(&PREFERRED, &NEEDED);
        let producer = settings
            .create_with_context(ear.clone())
            .map_err(|error| StateError::from(ear.0.cluster.trouble(&error)))?;
        Ok(Self { producer, ear })
    }

    /// Appends records; `Ok` says that each is on all replicas that are in sync. After an error some may be there and others not.
    pub async fn append(&self, records: &[Outgoing]) -> Result<(), StateError> {
        let mut deliveries = Vec::with_capacity(records.len());
        for record in records {
            deliveries.push(self.send(record).await?);
        }
        for delivery in deliveries {
            match waiting(delivery).await {
                Ok(Ok(_)) => {}
                Ok(Err((error, _))) => return Err(self.trouble(&error).into()),
                Err(_) => {
                    return Err(self
                        .trouble(&KafkaError::MessageProduction(RDKafkaErrorCode::PurgeQueue))
                        .into());
                }
            }
        }
        self.ear.0.clear();
        Ok(())
    }

    async fn send(&self, record: &Outgoing) -> Result<DeliveryFuture, StateError> {
        let headers = record
            .headers
            .iter()
            .fold(OwnedHeaders::new_with_capacity(record.headers.len()), |headers, (key, value)| {
                headers.insert(Header { key, value: Some(value) })
            });
        let mut outgoing = FutureRecord::<[u8], [u8]>::to(&record.topic).headers(headers);
        outgoing.key = record.key.as_deref();
        outgoing.payload = record.payload.as_deref();
        outgoing.partition = record.partition;
        loop {
            match self.producer.send_result(outgoing) {
                Ok(delivery) => return Ok(delivery),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), unsent)) => {
                    outgoing = unsent;
                    waiting(tokio::time::sleep(FULL)).await;
                }
                Err((error, _)) => return Err(self.trouble(&error).into()),
            }
        }
    }

    fn trouble(&self, error: &KafkaError) -> Trouble {
        self.ear.0.explained(error)
    }
}
