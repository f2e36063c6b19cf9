//! Delivers events to webhooks: signed, retried, logged.

pub mod circuits;
pub mod confirm;
pub mod deliveries;
pub mod dispatch;
pub mod feedback;
pub mod fields;
pub mod holds;
pub mod hosts;
pub mod message;
pub mod missed;
pub mod notices;
pub mod out_of_turn;
pub mod queue_key;
pub mod queues;
pub mod redeliver;
pub mod redelivery_filter;
pub mod signers;
pub mod transmit;

use std::sync::Arc;

use hookwright_foundation::{Foundation, part};

use crate::confirm::Confirmations;
use crate::deliveries::Deliveries;
use crate::holds::Holds;
use crate::message::Messages;
use crate::missed::MissedEvents;
use crate::notices::{Exceptions, Notices};
use crate::out_of_turn::OutOfTurn;
use crate::queues::DeliveryQueues;
use crate::redeliver::{Redeliveries, Resending};
use crate::signers::{Signers, Signing};
use crate::transmit::Transmit;

/// The parts of this layer.
pub struct Layer {
    /// One queue for each webhook.
    pub delivery_queues: Arc<DeliveryQueues>,
    /// The keys, connections and tokens of webhooks, cached.
    pub signers: Arc<Signers>,
    /// The keys, connections and tokens for requests to webhooks.
    pub signing: Arc<Signing>,
    /// Events and mails about webhooks themselves.
    pub notices: Arc<Notices>,
    /// Sends requests and records the attempts.
    pub transmit: Arc<Transmit>,
    /// Verifies that receivers want to be called.
    pub confirmations: Arc<Confirmations>,
    /// Delivers what is due in the queues of webhooks.
    pub deliveries: Arc<Deliveries>,
    /// Shows and ends what holds webhooks up.
    pub holds: Arc<Holds>,
    /// Sends tests and single redeliveries ahead of their queues.
    pub out_of_turn: Arc<OutOfTurn>,
    /// Redelivers: one delivery, or all that match a filter.
    pub resending: Arc<Resending>,
}

impl Layer {
    /// Creates the parts.
    pub fn new(
        foundation: &Foundation,
        hookwright_invoke::Layer { calls: invoke, egress, .. }: &hookwright_invoke::Layer,
        hookwright_routing::Layer { catalogue, known_types, .. }: &hookwright_routing::Layer,
    ) -> Self {
        let Foundation { store, vault, clock, settings, stopping, changing, .. } = foundation;
        let delivery_queues = Arc::new(DeliveryQueues::new(settings.concurrent_deliveries.max(1)));
        let signers = Arc::new(Signers::default());
        let exceptions = Arc::new(Exceptions::default());
        let redeliveries = Arc::new(Redeliveries::default());

        let signing = part!(Signing { clock, egress, signers, store, vault });
        let messages = part!(Messages { catalogue, clock, invoke, settings, signing });
        let notices = part!(Notices { catalogue, clock, exceptions, store });
        let transmit = part!(Transmit {
            catalogue,
            changing,
            clock,
            egress,
            exceptions,
            delivery_queues,
            messages,
            notices,
            settings,
            signing,
            store,
            vault
        });
        let confirmations = part!(Confirmations {
            catalogue,
            changing,
            clock,
            messages,
            notices,
            settings,
            signing,
            store,
            transmit,
            vault
        });
        let deliveries = part!(Deliveries {
            catalogue,
            clock,
            confirmations,
            delivery_queues,
            messages,
            notices,
            settings,
            stopping,
            store,
            transmit
        });
        let holds = part!(Holds { catalogue, clock, delivery_queues, store });
        let out_of_turn = part!(OutOfTurn {
            store,
            clock,
            catalogue,
            delivery_queues,
            confirmations,
            deliveries,
            known_types,
            holds,
            transmit
        });
        let missed = part!(MissedEvents { store, catalogue });
        let resending = part!(Resending {
            catalogue,
            clock,
            holds,
            delivery_queues,
            missed,
            out_of_turn,
            redeliveries,
            stopping,
            store
        });
        Self {
            delivery_queues,
            signers,
            signing,
            notices,
            transmit,
            confirmations,
            deliveries,
            holds,
            out_of_turn,
            resending,
        }
    }
}
