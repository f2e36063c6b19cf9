//! `hookwright serve`: opens everything in order, serves, and closes everything in the opposite order.

use std::error::Error;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hookwright_model::{Clock as _, Role, SpaceId, SystemClock};
use hookwright_pipeline::Pipeline;
use hookwright_plugin::{Engine, EngineOptions, Registry, folder};
use hookwright_server::{App, Keys, write_admin_key};
use hookwright_store::{Store, StoreOptions, Vault};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::settings::Settings;

type Failed = Box<dyn Error + Send + Sync>;

/// How often it is written down when keys were last used.
const KEY_USES: Duration = Duration::from_secs(60);
/// How long work under way may take once the server is told to stop.
const GRACE: Duration = Duration::from_secs(20);

/// Says on standard error what went wrong.
pub(crate) fn complain(error: &(dyn Error + Send + Sync)) {
    let _ = writeln!(std::io::stderr(), "hookwright: {error}");
}

/// Runs the server until it is told to stop.
pub(crate) fn run(settings: Settings) -> Result<(), Failed> {
    start_logs(settings.json_logs);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let done = runtime.block_on(serve(settings));
    runtime.shutdown_timeout(Duration::from_secs(2));
    done
}

fn start_logs(json: bool) {
    let filter = tracing_subscriber::EnvFilter::try_from_env("HOOKWRIGHT_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if json { logs.json().init() } else { logs.init() }
}

async fn serve(settings: Settings) -> Result<(), Failed> {
    let began = Instant::now();
    let data = &settings.data_dir;
    make_private(data)?;
    fs::create_dir_all(&settings.plugin_dir).map_err(|error| at(&settings.plugin_dir, &error))?;

    // The address first: if it is taken, nothing else needs to be opened.
    let listener = TcpListener::bind(&settings.listen)
        .await
        .map_err(|error| format!("cannot listen on {}: {error}", settings.listen))?;
    let options = StoreOptions {
        cache_bytes: settings.cache_bytes,
        queue: settings.max_queue,
        max_backlog: settings.max_backlog,
        ..StoreOptions::new(data.join("hookwright.redb"))
    };
    let store = Store::open(&options)?;
    store.ensure_space(&SpaceId::main()).await?;
    let secret_key = std::env::var("HOOKWRIGHT_SECRET_KEY").ok();
    let vault = Arc::new(Vault::open(&data.join("secret.key"), secret_key.as_deref())?);
    let keys = open_keys(&store, data).await?;

    let registry = Arc::new(Registry::new(open_engine(&settings)?));
    let mut way = settings.pipeline.clone();
    if settings.public_url.is_none() {
        way.public_url = format!("http://{}", listener.local_addr()?);
    }
    let pipeline = Pipeline::open(store.clone(), vault, Arc::clone(&registry), Arc::new(SystemClock), way)?;
    let live = pipeline.load_plugins(hookwright_bundle::COMPONENTS).await?;
    folder::scan(&settings.plugin_dir, &registry).await?;
    let told = Arc::downgrade(&pipeline);
    let watching = folder::watch(settings.plugin_dir.clone(), Arc::clone(&registry), move |name| {
        tracing::info!(plugin = name, "changed in the plugin folder");
        if let Some(pipeline) = told.upgrade() {
            pipeline.plugin_changed(name);
        }
    })?;

    let app = Arc::new(App {
        pipeline: Arc::clone(&pipeline),
        keys,
        limits: settings.bodies,
        public_url: settings.public_url.clone(),
    });
    let (stop, stopped) = watch::channel(false);
    let working = pipeline.start();
    let address = listener.local_addr()?;
    let serving = tokio::spawn(hookwright_server::serve(Arc::clone(&app), listener, settings.connections, stopped));
    let noting = tokio::spawn(note_key_uses(Arc::clone(&app)));
    tracing::info!(%address, data = %data.display(), plugins = live, took = ?began.elapsed(), "serving");

    told_to_stop().await;
    tracing::info!("stopping: what is under way is finished first");
    stop.send_replace(true);
    serving.await?;
    drop(watching);
    pipeline.stop();
    if tokio::time::timeout(GRACE, working).await.is_err() {
        tracing::warn!("some work did not end in time; it goes on at the next start");
    }
    noting.abort();
    app.keys.write_uses(&store).await?;
    store.close().await;
    tracing::info!("stopped");
    Ok(())
}

fn open_engine(settings: &Settings) -> Result<Engine, Failed> {
    let cache = settings.data_dir.join("cache");
    make_private(&cache)?;
    let options = EngineOptions {
        max_component_bytes: settings.bodies.plugin_bytes,
        limits: settings.plugin_limits,
        trust: settings.trust.clone(),
        cache_dir: Some(cache),
        ..EngineOptions::default()
    };
    Ok(Engine::new(&options)?)
}

/// The keys, with an administrator among them.
async fn open_keys(store: &Store, data: &Path) -> Result<Keys, Failed> {
    let given = std::env::var("HOOKWRIGHT_ADMIN_KEY").ok().filter(|key| !key.trim().is_empty());
    if given.as_ref().is_some_and(|key| key.len() < 16) {
        tracing::warn!("HOOKWRIGHT_ADMIN_KEY has fewer than 16 characters: it can be guessed");
    }
    let now = SystemClock.now();
    let keys = Keys::load(store, given.as_deref().map(str::trim), now)?;
    if !keys.has_admin() {
        let (_, key) = keys.create(store, &SpaceId::main(), "first administrator", Role::Admin, now).await?;
        let path = data.join("admin.key");
        write_admin_key(&path, &key).map_err(|error| at(&path, &error))?;
        let mut out = std::io::stdout();
        let _ =
            writeln!(out, "The administrator key of the space main, shown this once and kept in {}:", path.display());
        let _ = writeln!(out, "{key}");
    }
    Ok(keys)
}

async fn note_key_uses(app: Arc<App>) {
    loop {
        tokio::time::sleep(KEY_USES).await;
        if let Err(error) = app.keys.write_uses(app.pipeline.store()).await {
            tracing::warn!(%error, "the last uses of keys were not written down");
        }
    }
}

/// Makes a directory that nobody else can read.
fn make_private(dir: &Path) -> Result<(), Failed> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    Ok(builder.create(dir).map_err(|error| at(dir, &error))?)
}

fn at(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}

async fn told_to_stop() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminated) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminated.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}
