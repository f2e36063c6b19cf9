//! The baseline cost of a call, for comparison.

use hookwright_model::Event;
use wasmtime::Store;
use wasmtime::component::InstancePre;

use super::bindings::exports::hookwright::plugin::condition;
use super::convert;

/// A condition without the host.
pub(crate) struct Bare {
    pre: InstancePre<()>,
    indices: condition::GuestIndices,
}

impl Bare {
    pub(crate) fn new(pre: InstancePre<()>) -> Self {
        Self { indices: condition::GuestIndices::new(&pre).unwrap(), pre }
    }

    pub(crate) async fn evaluate(&self, store: &mut Store<()>, event: &Event, parameters: &str) -> bool {
        let instance = self.pre.instantiate_async(&mut *store).await.unwrap();
        let guest = self.indices.load(&mut *store, &instance).unwrap();
        let (data, attributes) = (event.data_json(), convert::attributes(event));
        let event = convert::event(event, &data, &attributes);
        guest.call_evaluate(&mut *store, event, parameters).await.unwrap().unwrap().holds
    }
}
