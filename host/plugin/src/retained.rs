//! What the calls of one step retain for its re-runs after write conflicts: the seed of random numbers, the
//! placeholders of secrets, and the responses to requests. With the same seed and placeholders a re-run makes the same
//! requests, and a request of an earlier try gets the retained response instead of being sent again.

use hookwright_model::Failure;
use parking_lot::Mutex;

use crate::outbound::OutboundResponse;

/// Maximum number of requests of all tries of a step together.
const MAX_SENT: usize = 1000;
/// Maximum number of retained bytes of their responses.
const MAX_BYTES: usize = 32 * 1024 * 1024;

/// What the tries of one step, or of one item of it, have used so far. Their calls share it.
#[derive(Debug, Default)]
pub struct Retained(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    reruns: u32,
    seed: Option<[u8; 32]>,
    /// The names of secrets with their placeholders.
    placeholders: Vec<(String, String)>,
    sent: Vec<Sent>,
    bytes: usize,
    /// Requests that were sent in a re-run, because no earlier try had made them.
    changed: usize,
}

/// A request that was sent.
#[derive(Debug)]
struct Sent {
    /// Its identity.
    request: String,
    answer: Result<OutboundResponse, Failure>,
    /// Whether the current try has made it.
    made: bool,
}

impl Retained {
    /// Begins a re-run.
    pub(crate) fn again(&self) {
        let mut inner = self.0.lock();
        inner.reruns = inner.reruns.saturating_add(1);
        inner.sent.iter_mut().for_each(|sent| sent.made = false);
    }

    /// How many tries were made after the first.
    pub(crate) fn reruns(&self) -> u32 {
        self.0.lock().reruns
    }

    /// Whether a request was sent.
    pub(crate) fn has_sent(&self) -> bool {
        !self.0.lock().sent.is_empty()
    }

    /// Number of requests that were sent in re-runs, because no earlier try had made them.
    pub(crate) fn changed_requests(&self) -> usize {
        self.0.lock().changed
    }

    /// The source of random numbers.
    pub(crate) fn seed(&self) -> [u8; 32] {
        *self.0.lock().seed.get_or_insert_with(rand::random)
    }

    /// The placeholder of a secret, created if no try had it.
    pub(crate) fn placeholder(
        &self,
        name: &str,
        make: impl FnOnce() -> Result<String, Failure>,
    ) -> Result<String, Failure> {
        if let Some((_, text)) = self.0.lock().placeholders.iter().find(|(known, _)| known == name) {
            return Ok(text.clone());
        }
        let text = make()?;
        self.0.lock().placeholders.push((name.to_owned(), text.clone()));
        Ok(text)
    }

    /// The response to a request that an earlier try made. Equal requests get their responses in the original order.
    pub(crate) fn answered(&self, request: &str) -> Option<Result<OutboundResponse, Failure>> {
        let mut inner = self.0.lock();
        let sent = inner.sent.iter_mut().find(|sent| !sent.made && sent.request == request)?;
        sent.made = true;
        Some(sent.answer.clone())
    }

    /// The number of the next request among all requests of the step, counted from 1.
    ///
    /// # Errors
    /// The step has sent the maximum number of requests.
    pub(crate) fn place(&self) -> Result<usize, Failure> {
        let inner = self.0.lock();
        if inner.sent.len() < MAX_SENT && inner.bytes < MAX_BYTES {
            return Ok(inner.sent.len().saturating_add(1));
        }
        let message = format!(
            "the step re-ran {} times after write conflicts and has sent {} requests with {} bytes of answers: at most \
             {MAX_SENT} requests and {MAX_BYTES} bytes; send what does not depend on what others change",
            inner.reruns,
            inner.sent.len(),
            inner.bytes
        );
        Err(Failure::permanent("http.too_many_requests", message))
    }

    /// Retains the response to a request that was sent.
    pub(crate) fn retain(&self, request: String, answer: &Result<OutboundResponse, Failure>) {
        let mut inner = self.0.lock();
        let size = answer.as_ref().map_or(0, |answer| {
            let fields: usize = answer.headers.iter().map(|(name, value)| name.len().saturating_add(value.len())).sum();
            answer.body.len().saturating_add(fields)
        });
        inner.bytes = inner.bytes.saturating_add(size);
        inner.changed = inner.changed.saturating_add(usize::from(inner.reruns > 0));
        inner.sent.push(Sent { request, answer: answer.clone(), made: true });
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn answer(status: u16) -> Result<OutboundResponse, Failure> {
        Ok(OutboundResponse { status, headers: Vec::new(), body: Bytes::new() })
    }

    #[test]
    fn equal_requests_are_answered_in_their_order_and_others_count_as_new() {
        let tries = Retained::default();
        for (request, status) in [("a", 201), ("a", 202), ("b", 203)] {
            assert_eq!(tries.answered(request), None, "nothing was sent yet");
            tries.retain(request.to_owned(), &answer(status));
        }
        assert_eq!((tries.reruns(), tries.changed_requests()), (0, 0));
        tries.again();
        assert_eq!(tries.answered("b"), Some(answer(203)));
        assert_eq!(
            [tries.answered("a"), tries.answered("a"), tries.answered("a")],
            [Some(answer(201)), Some(answer(202)), None]
        );
        assert_eq!(tries.place(), Ok(4));
        tries.retain("a".to_owned(), &answer(204));
        assert_eq!((tries.reruns(), tries.changed_requests()), (1, 1));
        tries.again();
        assert_eq!(tries.answered("c"), None);
        let all: Vec<_> = (0..4).map(|_| tries.answered("a")).collect();
        assert_eq!(all, [Some(answer(201)), Some(answer(202)), Some(answer(204)), None]);
    }

    #[test]
    fn a_failure_is_an_answer_too() {
        let tries = Retained::default();
        let failed = Err(Failure::transient("connection.refused", "the address is not in use"));
        tries.retain("a".to_owned(), &failed);
        tries.again();
        assert_eq!(tries.answered("a"), Some(failed));
    }

    #[test]
    fn the_requests_of_all_tries_are_bounded() {
        let tries = Retained::default();
        (0..MAX_SENT).for_each(|n| tries.retain(n.to_string(), &answer(200)));
        assert_eq!(tries.place().unwrap_err().code, "http.too_many_requests");
    }
}
