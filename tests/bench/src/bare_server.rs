//! What Hookwright is compared with: hyper that only answers, and hyper that only stores, in two ways.
//!
//! Both keep the promise "acknowledged means durable" with the least that it takes: one thread that writes what waits with
//! one flush, and each answer after that. The journal is one redb table. The log is a file that is there in its whole
//! length, behind which the same table is written without a flush and made durable every five seconds, as Hookwright does it.

use std::convert::Infallible;
use std::fs::File;
use std::net::SocketAddr;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::str::FromStr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use redb::{Database, Durability, TableDefinition};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

use crate::Failed;

/// The most events in one commit, as in Hookwright.
const MAX_BATCH: usize = 1024;
/// How many events may wait, as in Hookwright.
const QUEUE: usize = 8192;
/// Memory for the pages of the journal, as in Hookwright.
const CACHE_BYTES: usize = 64 * 1024 * 1024;
/// The length of the log, which begins again at its start once it is full.
const LOG_BYTES: usize = 128 * 1024 * 1024;
/// How often what is behind the log is made durable.
const CHECKPOINT: Duration = Duration::from_secs(5);
const EVENTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("events");

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// 202 once the body was read.
    Echo,
    /// 202 once the body is durable in redb.
    Journal,
    /// 202 once the body is durable in a log, and in redb behind it.
    Log,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Journal => "journal",
            Self::Log => "log",
        }
    }
}

impl FromStr for Kind {
    type Err = Failed;

    fn from_str(text: &str) -> Result<Self, Failed> {
        [Self::Echo, Self::Journal, Self::Log]
            .into_iter()
            .find(|kind| kind.name() == text)
            .ok_or_else(|| format!("unknown server `{text}`").into())
    }
}

/// A body on its way to the disk, and who waits for it.
struct Entry {
    body: Bytes,
    durable: oneshot::Sender<u64>,
}

/// Serves until the process is ended.
pub(crate) fn run(kind: Kind, address: SocketAddr, home: &Path) -> Result<(), Failed> {
    let journal = match kind {
        Kind::Echo => None,
        Kind::Journal => Some(open(home, None)?),
        Kind::Log => Some(open(home, Some(Log::create(&home.join("log"))?))?),
    };
    // As Hookwright's.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(address, journal))
}

async fn serve(address: SocketAddr, journal: Option<mpsc::Sender<Entry>>) -> Result<(), Failed> {
    let listener = TcpListener::bind(address).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let journal = journal.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(request, journal.clone()));
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    journal: Option<mpsc::Sender<Entry>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let response = |status: StatusCode, body: String| {
        let mut response = Response::new(Full::from(body));
        *response.status_mut() = status;
        response
    };
    let Ok(collected) = request.into_body().collect().await else {
        return Ok(response(StatusCode::BAD_REQUEST, String::new()));
    };
    let body = collected.to_bytes();
    let Some(journal) = journal else {
        return Ok(response(StatusCode::ACCEPTED, format!("{{\"id\":\"{:030}\"}}", body.len())));
    };
    let (durable, answer) = oneshot::channel();
    if journal.try_send(Entry { body, durable }).is_err() {
        return Ok(response(StatusCode::SERVICE_UNAVAILABLE, String::new()));
    }
    Ok(match answer.await {
        Ok(seq) => response(StatusCode::ACCEPTED, format!("{{\"id\":\"{seq:030}\"}}")),
        Err(_) => response(StatusCode::INTERNAL_SERVER_ERROR, String::new()),
    })
}

fn open(home: &Path, log: Option<Log>) -> Result<mpsc::Sender<Entry>, Failed> {
    let db = Database::builder().set_cache_size(CACHE_BYTES).create(home.join("journal.redb"))?;
    let (sender, receiver) = mpsc::channel(QUEUE);
    std::thread::Builder::new().name("journal-writer".to_owned()).spawn(move || {
        if let Err(error) = write(&db, log, receiver) {
            eprintln!("the journal: {error}");
        }
    })?;
    Ok(sender)
}

fn write(db: &Database, mut log: Option<Log>, mut entries: mpsc::Receiver<Entry>) -> Result<(), redb::Error> {
    let mut next = 1;
    let mut waiting = Vec::with_capacity(MAX_BATCH);
    let mut checkpoint = Instant::now();
    while let Some(first) = entries.blocking_recv() {
        let mut transaction = db.begin_write()?;
        let durable = log.is_none() || checkpoint.elapsed() >= CHECKPOINT;
        if durable {
            checkpoint = Instant::now();
        }
        transaction.set_durability(if durable { Durability::Immediate } else { Durability::None })?;
        {
            let mut events = transaction.open_table(EVENTS)?;
            let mut entry = Some(first);
            while let Some(Entry { body, durable }) = entry {
                events.insert(next, body.as_ref())?;
                if let Some(log) = &mut log {
                    log.add(&body);
                }
                waiting.push((durable, next));
                next += 1;
                entry = if waiting.len() < MAX_BATCH { entries.try_recv().ok() } else { None };
            }
        }
        match &mut log {
            Some(log) => {
                log.flush()?;
                answer_all(&mut waiting);
                transaction.commit()?;
            }
            None => {
                transaction.commit()?;
                answer_all(&mut waiting);
            }
        }
    }
    Ok(())
}

fn answer_all(waiting: &mut Vec<(oneshot::Sender<u64>, u64)>) {
    for (durable, seq) in waiting.drain(..) {
        let _ = durable.send(seq);
    }
}

/// A log of which nothing is read.
struct Log {
    file: File,
    at: u64,
    group: Vec<u8>,
}

impl Log {
    /// Written in its whole length, so that a flush has nothing to write but the content.
    fn create(path: &Path) -> Result<Self, Failed> {
        let file = File::create(path)?;
        file.write_all_at(&vec![0; LOG_BYTES], 0)?;
        file.sync_all()?;
        Ok(Self { file, at: 0, group: Vec::new() })
    }

    fn add(&mut self, body: &[u8]) {
        self.group.extend_from_slice(&(body.len() as u64).to_le_bytes());
        self.group.extend_from_slice(body);
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let group = self.group.len() as u64;
        if self.at + group > LOG_BYTES as u64 {
            self.at = 0;
        }
        self.file.write_all_at(&self.group, self.at)?;
        self.file.sync_data()?;
        self.at += group;
        self.group.clear();
        Ok(())
    }
}
