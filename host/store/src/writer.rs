//! The single writer thread. It takes the waiting operations, applies them in one transaction, commits once, and
//! answers all callers, so the operations of a commit share one fsync (group commit).

use crate::batch::{Answer, Batch, Changes, Faults, Write};
use crate::engine::{Engine, Group};
use crate::inbox::{Filled, Inbox};
use crate::log::MAX_ENTRY;
use crate::ready::Announced;
use crate::shared::Shared;
use crate::tables::SEQ;
use crate::{StoreError, fault_point};

/// The bytes of rows in one commit beyond which no operation is added.
const MAX_BYTES: usize = 32 * 1024 * 1024;
/// The most bytes of rows of one operation, so that those of a commit always fit in one entry of the log, with its head
/// and the rows of counters.
pub(crate) const MOST_OF_ONE: usize = MAX_ENTRY - MAX_BYTES - 1024 * 1024;

/// The writer's thread.
pub(crate) fn run(engine: &Engine, mut inbox: Inbox) {
    loop {
        let mut filled = Filled::default();
        let Some(first) = inbox.first(&mut filled) else { return inbox.end() };
        commit(engine, first, &mut inbox, &mut filled);
        inbox.answered(&filled);
    }
}

fn commit(engine: &Engine, first: Write, inbox: &mut Inbox, filled: &mut Filled) {
    let shared = &engine.shared;
    let mut answers = Vec::new();
    let done = engine.transact(|transaction, next_seq, room| {
        let mut next = Some(first);
        let writes = std::iter::from_fn(|| next.take().or_else(|| inbox.next(filled)));
        fill(Batch::open(transaction, shared, next_seq, room), shared, writes, &mut answers, MOST_OF_ONE)
    });
    match done {
        Ok(Done { changes, announced, faults }) => {
            for fault in &faults {
                fault_point(fault.after);
            }
            if !changes.new_spaces.is_empty() {
                shared.spaces.write().extend(changes.new_spaces);
            }
            shared.recent.add(changes.newest);
            let opened = announced.committed();
            shared.ready.closed(&changes.work_closed);
            let touched = !changes.touched.is_empty();
            if touched {
                shared.touched.lock().extend(changes.touched);
            }
            for answer in answers {
                answer(Ok(()));
            }
            if touched {
                shared.queued.notify_one();
            }
            if opened {
                shared.work.notify_one();
            }
            if changes.due_added {
                shared.due.notify_one();
            }
        }
        Err(error) => {
            tracing::error!(%error, "a commit failed; nothing of it was written");
            // The waiting operations would fail in the same way, with a line in the log for each.
            if engine.health().borrow().refuses_writes().is_some() {
                while inbox.next(filled).is_some() {}
            }
            for answer in answers {
                answer(Err(&error));
            }
        }
    }
}

/// A group that was written.
struct Done<'a> {
    changes: Changes,
    announced: Announced<'a>,
    faults: Vec<Faults>,
}

/// Applies operations to a transaction. One that writes more than `most` bytes of rows is refused, and has no effect.
fn fill<'a>(
    mut batch: Batch<'_>,
    shared: &'a Shared,
    mut writes: impl Iterator<Item = Write>,
    answers: &mut Vec<Answer>,
    most: usize,
) -> Result<Group<Done<'a>>, StoreError> {
    let (mut faults, mut anew): (Vec<Faults>, bool) = (Vec::new(), false);
    let next_seq = batch.next_seq;
    while batch.bytes() < MAX_BYTES
        && let Some(Write { apply, fault, .. }) = writes.next()
    {
        let before = batch.mark();
        let answer = apply(&mut batch)?;
        let bytes = batch.bytes().saturating_sub(before.rows);
        if bytes > most {
            batch.forget(&before);
            anew = true;
            answer(Err(&StoreError::TooLarge { bytes, most }));
            // The next operation must not see its rows.
            break;
        }
        faults.extend(fault);
        answers.push(answer);
    }
    batch.write_counters()?;
    if batch.next_seq != next_seq {
        let next_seq = batch.next_seq;
        batch.counters()?.insert(SEQ, next_seq)?;
    }
    let mut changes = batch.finish();
    for fault in &faults {
        fault_point(fault.before);
    }
    let announced = shared.ready.announce(std::mem::take(&mut changes.work_opened));
    let (writes, next_seq) = (std::mem::take(&mut changes.writes), changes.next_seq);
    Ok(Group { writes, next_seq, anew, value: Done { changes, announced, faults } })
}
