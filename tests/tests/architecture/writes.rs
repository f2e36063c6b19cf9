//! Rows are written through the accessors of `batch.rs`, which put them into the commit's write set: a row that is written
//! past them is not in the commit log, and is gone after a crash.

use crate::tree::Tree;

const STORE: &str = "host/store/src/";
/// The files that may write without the log: what they write is on the disk before the log goes on.
const BESIDE_THE_LOG: [&str; 6] = ["batch.rs", "tables.rs", "applied.rs", "migrate.rs", "index.rs", "opening.rs"];
/// The files that may begin a transaction, or hand one on, and open no table in it.
const PASS_IT_ON: [&str; 4] = ["engine.rs", "engine/commit.rs", "writer.rs", "continuation.rs"];

fn opens_for_writing(line: &str) -> bool {
    let (before, call) = line.split_once(".open_table(").unwrap_or((line, ""));
    let from_a_read = before.ends_with("begin_read()?") || before.rsplit([' ', '(', '&']).next() == Some("read");
    !call.is_empty() && !from_a_read
}

/// The code of the store that writes rows past the write set of its commit.
pub(crate) fn past_the_log(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for (file, text) in tree.texts().filter(|(file, _)| file.path.starts_with(STORE) && file.ends(&["rs"])) {
        let name = file.path.trim_start_matches(STORE);
        if name.contains("tests") || name.ends_with("properties.rs") || BESIDE_THE_LOG.contains(&name) {
            continue;
        }
        let writes = ["WriteTransaction", "begin_write"].iter().any(|word| text.contains(word));
        if writes && !PASS_IT_ON.contains(&name) {
            complaints.push(format!("{} writes rows: use the accessors of `Batch`", file.path));
        } else if writes {
            let lines = text.lines().enumerate().filter(|(_, line)| opens_for_writing(line));
            complaints.extend(lines.map(|(number, _)| {
                format!("{}:{} opens a table for writing: use the accessors of `Batch`", file.path, number + 1)
            }));
        }
    }
    complaints
}

#[test]
fn a_row_that_is_written_past_the_log_is_reported() {
    let tree = Tree::of(&[
        ("host/store/src/batch.rs", "transaction: &WriteTransaction; transaction.open_table(RUNS)?"),
        (
            "host/store/src/runs.rs",
            "let transaction = db.begin_write()?;\ntransaction.open_table(RUNS)?.insert(1, 2)?;",
        ),
        ("host/store/src/journal.rs", "for row in read.open_table(EVENTS)?.iter()? {"),
        (
            "host/store/src/engine.rs",
            "use redb::WriteTransaction;\nread.open_table(A)?;\nfor row in db.begin_read()?.open_table(A)? {\n\
             transaction.open_table(A)?;",
        ),
        ("host/store/src/engine/tests.rs", "db.begin_write()"),
    ]);
    let complaints = past_the_log(&tree);
    assert_eq!(complaints.len(), 2, "{complaints:?}");
    assert!(complaints[0].starts_with("host/store/src/runs.rs writes"), "{complaints:?}");
    assert!(complaints[1].starts_with("host/store/src/engine.rs:4 opens"), "{complaints:?}");
}
