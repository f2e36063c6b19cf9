//! `hookwright check` and `hookwright reset-secret-key`: for the data directory of a stopped server.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use hookwright_store::{Checked, Store, StoreOptions, check};

use crate::failed::{Done, Failed, at, or_trouble};
use crate::serve::secret_key;

/// The maximum number of damaged positions that are listed.
const MAX_LISTED: usize = 20;

/// Which data directory.
#[derive(Args)]
pub(crate) struct DataDir {
    /// The data directory of a stopped server
    #[arg(long, env = "HOOKWRIGHT_DATA_DIR", value_name = "DIR", default_value = "data")]
    data_dir: PathBuf,
}

impl DataDir {
    fn store(&self) -> PathBuf {
        self.data_dir.join("hookwright.redb")
    }
}

/// Reads the whole store and compares it with its checksums. Exits with 1 if it is damaged, with 2 if it could not be read.
pub(crate) fn check_store(data: &DataDir) -> Done {
    let path = data.store();
    or_trouble(check(&path).map_err(Failed::from).and_then(|checked| report(&path, &checked)))
}

fn report(path: &Path, checked: &Checked) -> Done {
    let mut out = std::io::stdout().lock();
    let mut say = |line: String| writeln!(out, "{line}").map_err(Failed::from);
    say(format!("{}: {} bytes", path.display(), checked.bytes))?;
    if !checked.closed {
        say("the server was not shut down cleanly; the next start replays the commit log".to_owned())?;
    }
    for (table, rows) in &checked.tables {
        say(format!("  {table}: {rows} rows"))?;
    }
    for byte in checked.damaged.iter().take(MAX_LISTED) {
        say(format!("damaged: the 4096 bytes from byte {byte} are not what was written there"))?;
    }
    if checked.damaged.len() > MAX_LISTED {
        say(format!("damaged: {} more places", checked.damaged.len() - MAX_LISTED))?;
    }
    if let Some(problem) = &checked.problem {
        say(format!("damaged: {problem}"))?;
    }
    if checked.intact() {
        say("intact".to_owned())?;
        return Ok(ExitCode::SUCCESS);
    }
    say("restore a backup: hookwright.redb and hookwright.redb.sums, without commit-log".to_owned())?;
    Ok(ExitCode::FAILURE)
}

/// Creates a new key for secrets, and sets it in the store.
pub(crate) fn reset_secret_key(data: &DataDir) -> Done {
    let path = data.store();
    if !path.exists() {
        return Err(format!("there is no store at {}: give --data-dir", path.display()).into());
    }
    let key = data.data_dir.join("secret.key");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let text = runtime.block_on(async {
        let store = Store::open(&StoreOptions::new(path))?;
        let given = secret_key();
        if given.is_none() && key.exists() {
            let aside = data.data_dir.join("secret.key.old");
            std::fs::rename(&key, &aside).map_err(|error| at(&key, &error))?;
        }
        store.secrets.reset_secret_key(&key, given.as_deref()).await?;
        store.close().await;
        Ok::<_, Failed>(match given {
            Some(_) => "the store now uses the key in HOOKWRIGHT_SECRET_KEY".to_owned(),
            None => format!("the store now uses the key in {}", key.display()),
        })
    })?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}. Secrets that were sealed with another one can no longer be opened: set them again,")?;
    writeln!(out, "rotate the keys of webhooks and the URLs of sources.")?;
    Ok(ExitCode::SUCCESS)
}
