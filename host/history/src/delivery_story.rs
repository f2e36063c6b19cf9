//! A delivery with its attempts, as the story of its event shows it.

use hookwright_delivery::holds::DeliveryView;
use hookwright_model::{Attempt, Event, MAX_CHAIN};
use serde::Serialize;

/// A delivery with its attempts.
#[derive(Clone, Debug, Serialize)]
pub struct DeliveryStory {
    /// The delivery.
    #[serde(flatten)]
    pub view: DeliveryView,
    /// Each attempt: request, response, duration.
    pub log: Vec<Attempt>,
}

/// Why an event whose requests loop triggers nothing.
pub(crate) fn looping(event: &Event) -> String {
    let hops = event.cause.as_ref().map_or(0, |cause| cause.hops);
    format!(
        "its request came at the end of a chain of {hops} (Hookwright-Hops), and at most {MAX_CHAIN} are followed: a webhook \
         or a request of an automation leads back to this server"
    )
}
