//! The operations that wait for the writer, in two queues: external events, and all other operations.
//!
//! Under internal load an event is accepted almost as fast as on an idle server: events go first, other operations have
//! a bounded time in each commit, and after events were accepted the writer briefly waits for the next one, since a
//! client often sends the next event as soon as it has its response. Other operations lose little, because they are
//! part of the commits of the events. They do not starve: each line has its own limits, so that each commit takes some
//! of both, and in a flood of events both lines get the same time.

use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use crate::StoreError;
use crate::batch::Write;

/// The maximum number of operations of one line in one commit.
const MAX_OPERATIONS: usize = 1024;
/// The bytes of one line in one commit beyond which no operation is added, by the sizes that the operations report.
const MAX_BYTES: usize = 16 * 1024 * 1024;
/// The minimum time for operations of the second line in a commit, after the first of them. The last one may take
/// longer.
const MIN_OTHERS_TIME: Duration = Duration::from_micros(500);
/// How long the writer waits for the next event after events were accepted, while other operations wait.
const NEXT_EVENT_WAIT: Duration = Duration::from_millis(1);

/// The senders' side: takes operations for the writer.
pub(crate) struct Letterbox {
    events: mpsc::Sender<Write>,
    others: mpsc::Sender<Other>,
}

enum Other {
    Write(Write),
    Close(oneshot::Sender<()>),
}

/// The writer's side: returns the operations.
pub(crate) struct Inbox {
    events: mpsc::Receiver<Write>,
    others: mpsc::Receiver<Other>,
    /// When the last commit with events was acknowledged.
    events_answered_at: Option<Instant>,
    /// The duration of the last commit after all its operations were applied: mostly the fsync.
    last_sync: Duration,
    /// Notified at the end. While it is set, no further events are accepted.
    closing: Option<oneshot::Sender<()>>,
}

/// How full a commit is.
#[derive(Default)]
pub(crate) struct Filled {
    events: LineShare,
    others: LineShare,
    since: Option<Instant>,
    others_since: Option<Instant>,
    /// When the last operation was applied.
    applied_at: Option<Instant>,
}

/// A commit's share of one line.
#[derive(Default)]
struct LineShare {
    operations: usize,
    bytes: usize,
}

/// Two lines of `operations` operations each.
pub(crate) fn lines(operations: usize) -> (Letterbox, Inbox) {
    let (events, events_in) = mpsc::channel(operations);
    let (others, others_in) = mpsc::channel(operations);
    (Letterbox { events, others }, Inbox::new(events_in, others_in))
}

impl Letterbox {
    /// Enqueues events, or refuses them at once.
    pub(crate) fn events(&self, write: Write) -> Result<(), StoreError> {
        self.events.try_send(write).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StoreError::Busy,
            mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
        })
    }

    /// Enqueues any other operation, once there is capacity.
    pub(crate) async fn other(&self, write: Write) -> Result<(), StoreError> {
        self.others.send(Other::Write(write)).await.map_err(|_| StoreError::Closed)
    }

    /// Commits the waiting operations and closes the lines. Later operations are refused.
    pub(crate) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.others.send(Other::Close(done)).await.is_ok() {
            let _ = closed.await;
        }
    }
}

/// Wakes a thread that is parked.
struct Parked(Thread);

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

impl Inbox {
    fn new(events: mpsc::Receiver<Write>, others: mpsc::Receiver<Other>) -> Self {
        Self { events, others, events_answered_at: None, last_sync: Duration::ZERO, closing: None }
    }

    /// Waits for the first operation of the next commit. None: the lines are closed, and no event waits.
    pub(crate) fn first(&mut self, filled: &mut Filled) -> Option<Write> {
        let waker = Waker::from(Arc::new(Parked(std::thread::current())));
        let mut context = Context::from_waker(&waker);
        loop {
            let ended = match self.events.poll_recv(&mut context) {
                Poll::Ready(Some(event)) => return Some(filled.event(event)),
                Poll::Ready(None) => true,
                Poll::Pending => false,
            };
            if self.closing.is_some() {
                if ended {
                    return None;
                }
                // A sender has reserved capacity in the line. It will enqueue its event, which wakes this thread.
                std::thread::park();
                continue;
            }
            if let Some(left) = self.events_answered_at.and_then(|then| NEXT_EVENT_WAIT.checked_sub(then.elapsed()))
                && !ended
                && !self.others.is_empty()
            {
                std::thread::park_timeout(left);
                continue;
            }
            match self.others.poll_recv(&mut context) {
                Poll::Ready(Some(Other::Write(other))) => return Some(filled.other(other)),
                Poll::Ready(Some(Other::Close(done))) => self.close(done),
                Poll::Ready(None) if ended => return None,
                Poll::Ready(None) | Poll::Pending => std::thread::park(),
            }
        }
    }

    /// The next operation of the commit, if one waits and the commit has capacity and time for it.
    pub(crate) fn next(&mut self, filled: &mut Filled) -> Option<Write> {
        let write = self.take(filled);
        if write.is_none() {
            filled.applied_at = Some(Instant::now());
        }
        write
    }

    fn take(&mut self, filled: &mut Filled) -> Option<Write> {
        if !filled.events.is_full()
            && let Ok(event) = self.events.try_recv()
        {
            return Some(filled.event(event));
        }
        if self.closing.is_some() || filled.others.is_full() || filled.others_are_out_of_time(self.last_sync) {
            return None;
        }
        match self.others.try_recv() {
            Ok(Other::Write(other)) => Some(filled.other(other)),
            Ok(Other::Close(done)) => {
                self.close(done);
                None
            }
            Err(_) => None,
        }
    }

    /// Accepts no more events, so that clients that continue to send cannot delay the end.
    fn close(&mut self, done: oneshot::Sender<()>) {
        self.events.close();
        self.closing = Some(done);
    }

    /// Records that all operations of a commit were acknowledged.
    pub(crate) fn answered(&mut self, filled: &Filled) {
        self.last_sync = filled.applied_at.map_or(Duration::ZERO, |applied| applied.elapsed());
        if filled.events.operations > 0 {
            self.events_answered_at = Some(Instant::now());
        }
    }

    /// Refuses all later operations, and notifies the caller that closed the lines.
    pub(crate) fn end(self) {
        let Self { events, others, closing, .. } = self;
        drop((events, others));
        if let Some(closing) = closing {
            let _ = closing.send(());
        }
    }
}

impl Filled {
    /// The second line has as much time as the first one had in this commit, and at least a quarter of the duration of an
    /// fsync. Otherwise a commit would contain few of its operations on a slow disk, and far fewer of them than events
    /// in a flood of events.
    fn others_are_out_of_time(&self, sync: Duration) -> bool {
        let (Some(since), Some(began)) = (self.others_since, self.since) else { return false };
        let events = since.saturating_duration_since(began);
        since.elapsed() > MIN_OTHERS_TIME.max(events).max(sync / 4)
    }

    fn event(&mut self, write: Write) -> Write {
        self.since.get_or_insert_with(Instant::now);
        self.events.count(write)
    }

    fn other(&mut self, write: Write) -> Write {
        let now = *self.others_since.get_or_insert_with(Instant::now);
        self.since.get_or_insert(now);
        self.others.count(write)
    }
}

impl LineShare {
    fn is_full(&self) -> bool {
        self.operations >= MAX_OPERATIONS || self.bytes >= MAX_BYTES
    }

    fn count(&mut self, write: Write) -> Write {
        self.operations = self.operations.saturating_add(1);
        self.bytes = self.bytes.saturating_add(write.bytes);
        write
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    /// An operation that is identified by its size.
    fn sized(bytes: usize) -> Write {
        Write { apply: Box::new(|_| Ok(Box::new(|_| ()))), bytes, fault: None }
    }

    fn commit(inbox: &mut Inbox) -> Vec<usize> {
        let mut filled = Filled::default();
        let first = inbox.first(&mut filled).expect("something waits");
        let mut all = vec![first.bytes];
        while let Some(next) = inbox.next(&mut filled) {
            all.push(next.bytes);
        }
        inbox.answered(&filled);
        all
    }

    #[test]
    fn events_go_first_and_take_others_with_them() {
        let (letters, mut inbox) = lines(10);
        // A second one might exceed the time of the line.
        letters.other(sized(1)).now_or_never().unwrap().unwrap();
        letters.events(sized(3)).unwrap();
        letters.events(sized(4)).unwrap();
        assert_eq!(commit(&mut inbox), [3, 4, 1]);
    }

    #[test]
    fn other_operations_are_in_each_commit_in_a_flood_of_events() {
        let (letters, mut inbox) = lines(3000);
        for (count, bytes) in [(1, 1), (MAX_OPERATIONS, 1), (1, MAX_BYTES), (1, MAX_BYTES * 2)] {
            for _ in 0..count {
                letters.events(sized(bytes)).unwrap();
            }
            letters.other(sized(7)).now_or_never().unwrap().unwrap();
            let taken = commit(&mut inbox);
            assert_eq!((taken.len(), taken.last()), (count + 1, Some(&7)), "{count} events of {bytes} bytes");
        }
    }

    #[test]
    fn others_are_written_soon_though_no_event_follows() {
        let (letters, mut inbox) = lines(10);
        letters.events(sized(1)).unwrap();
        assert_eq!(commit(&mut inbox), [1]);
        letters.other(sized(2)).now_or_never().unwrap().unwrap();
        assert_eq!(commit(&mut inbox), [2]);
    }

    #[test]
    fn others_have_as_much_time_as_events_and_a_quarter_of_an_fsync() {
        let before = |milliseconds| Some(Instant::now().checked_sub(Duration::from_millis(milliseconds)).unwrap());
        let filled = |since, others_since| Filled { since, others_since, ..Filled::default() };
        let none = Duration::ZERO;
        assert!(!filled(before(5000), None).others_are_out_of_time(none), "none was taken yet");
        assert!(filled(before(50), before(50)).others_are_out_of_time(none));
        assert!(!filled(before(90_000), before(30_000)).others_are_out_of_time(none), "events had a minute");
        assert!(filled(before(90_000), before(60_000)).others_are_out_of_time(none));
        let slow = Duration::from_secs(60);
        assert!(!filled(before(10_000), before(10_000)).others_are_out_of_time(slow));
        assert!(filled(before(20_000), before(20_000)).others_are_out_of_time(slow));
    }

    #[test]
    fn an_event_during_the_time_of_others_is_in_the_same_commit() {
        let (letters, mut inbox) = lines(10);
        letters.other(sized(1)).now_or_never().unwrap().unwrap();
        letters.other(sized(2)).now_or_never().unwrap().unwrap();
        let mut filled = Filled::default();
        assert_eq!(inbox.first(&mut filled).unwrap().bytes, 1);
        letters.events(sized(3)).unwrap();
        filled.others_since = Some(Instant::now().checked_sub(MIN_OTHERS_TIME * 2).unwrap());
        assert_eq!(inbox.next(&mut filled).unwrap().bytes, 3);
        assert!(inbox.next(&mut filled).is_none(), "the time of the others is over");
        assert_eq!(commit(&mut inbox), [2]);
    }

    #[test]
    fn a_commit_has_a_bound_in_number_and_in_bytes() {
        let (letters, mut inbox) = lines(3000);
        for _ in 0..MAX_OPERATIONS + 5 {
            letters.events(sized(1)).unwrap();
        }
        assert_eq!(commit(&mut inbox).len(), MAX_OPERATIONS);
        assert_eq!(commit(&mut inbox).len(), 5);
        for _ in 0..5 {
            letters.events(sized(MAX_BYTES / 2)).unwrap();
        }
        assert_eq!([(); 3].map(|()| commit(&mut inbox).len()), [2, 2, 1]);
        assert_eq!(letters.events(sized(1)), Ok(()));
    }

    #[test]
    fn waiting_operations_are_written_before_the_lines_close_and_none_is_accepted_afterwards() {
        let (letters, mut inbox) = lines(10);
        letters.other(sized(1)).now_or_never().unwrap().unwrap();
        let writer = std::thread::spawn(move || {
            let mut all = Vec::new();
            let mut filled = Filled::default();
            while let Some(first) = inbox.first(&mut filled) {
                all.push(first.bytes);
                while let Some(next) = inbox.next(&mut filled) {
                    all.push(next.bytes);
                }
            }
            inbox.end();
            all
        });
        waited_for(letters.close());
        assert_eq!(writer.join().unwrap(), [1]);
        assert_eq!(letters.events(sized(2)), Err(StoreError::Closed));
        assert_eq!(letters.other(sized(3)).now_or_never(), Some(Err(StoreError::Closed)));
    }

    #[test]
    fn events_are_refused_once_the_lines_are_closed_and_those_that_wait_are_written() {
        let (letters, mut inbox) = lines(10);
        letters.events(sized(1)).unwrap();
        letters.events(sized(MAX_BYTES)).unwrap();
        letters.events(sized(2)).unwrap();
        assert!(letters.close().now_or_never().is_none(), "it waits for the writer");
        assert_eq!(commit(&mut inbox), [1, MAX_BYTES]);
        assert_eq!(letters.events(sized(3)), Err(StoreError::Closed), "however many more come, the end does");
        assert_eq!(commit(&mut inbox), [2]);
        assert!(inbox.first(&mut Filled::default()).is_none());
    }

    fn waited_for<T>(wait: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(wait)
    }
}
