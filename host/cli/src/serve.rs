//! `hookwright serve`: opens everything in order, serves, and closes everything in the opposite order.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hookwright_model::{Clock, SpaceId, SystemClock};
use hookwright_pipeline::Pipeline;
use hookwright_plugin::{Engine, EngineOptions, Registry, folder};
use hookwright_server::{App, VERSION};
use hookwright_store::{StorageHealth, Store};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::admin_key;
use crate::descriptors;
use crate::logging;
use crate::settings::Settings;
use crate::signals::{SignalRequest, Signals};
use crate::test_clock::TestClock;

type Failed = Box<dyn Error + Send + Sync>;

/// The entries of a data directory that may exist before the store does.
const KNOWN_FILES: [&str; 5] = ["secret.key", "admin.key", "cache", "plugins", "lost+found"];
/// The interval at which the last uses of keys are saved.
const KEY_USE_INTERVAL: Duration = Duration::from_secs(60);
/// The niceness of the threads that process events, relative to those that answer requests.
#[cfg(target_os = "linux")]
const EVENT_THREAD_NICENESS: i32 = 15;
/// How long work in progress may take after a stop signal.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(20);
/// How long pending responses may take once the store is found damaged.
const DAMAGE_SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// Runs the server until it receives a stop signal.
pub(crate) fn run(settings: Settings) -> Result<(), Failed> {
    logging::start(settings.json_logs)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let workers = workers()?;
    let done = runtime.block_on(serve(settings, workers.handle().clone()));
    // Everything that matters is closed; a plugin that is being compiled is not waited for.
    workers.shutdown_background();
    runtime.shutdown_background();
    done
}

/// Threads that process events, separate from those that answer requests and of lower priority: even with a large backlog,
/// new events are accepted at once.
fn workers() -> std::io::Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().thread_name("event-worker");
    #[cfg(target_os = "linux")]
    builder.on_thread_start(|| {
        // On Linux this is the priority of the thread alone. Where it is refused, the order is as the system likes it.
        let _ = rustix::process::nice(EVENT_THREAD_NICENESS);
    });
    builder.build()
}

async fn serve(settings: Settings, workers: tokio::runtime::Handle) -> Result<(), Failed> {
    let signals = Signals::listen()?;
    // Before anything is created.
    let test_clock = TestClock::from_environment()?;
    let data = &settings.data_dir;
    make_private(data)?;
    fs::create_dir_all(&settings.plugin_dir).map_err(|error| at(&settings.plugin_dir, &error))?;

    // The address first: if it is taken, nothing else needs to be opened.
    let listener = TcpListener::bind(&settings.listen)
        .await
        .map_err(|error| format!("cannot listen on {}: {error}", settings.listen))?;
    if let Some(clock) = &test_clock {
        clock.check_address(listener.local_addr()?)?;
    }
    let store = Store::open(&settings.store)?;
    let served = serve_store(&settings, &store, listener, test_clock, signals, workers).await;
    // Also after a failure: the next start has to replay the log of a store that is not closed.
    store.close().await;
    if served.is_ok() {
        tracing::info!("stopped");
    }
    served
}

async fn serve_store(
    settings: &Settings,
    store: &Store,
    listener: TcpListener,
    test_clock: Option<Arc<TestClock>>,
    mut signals: Signals,
    workers: tokio::runtime::Handle,
) -> Result<(), Failed> {
    let began = Instant::now();
    let data = &settings.data_dir;
    // Before plugins are loaded: the memory of each is a file that stays open.
    let connections = descriptors::share_out(settings.connections, settings.pipeline.concurrent_deliveries);
    store.ensure_space(&SpaceId::main()).await?;
    let vault = Arc::new(store.secrets.open_vault(&data.join("secret.key"), secret_key().as_deref()).await?);
    let clock: Arc<dyn Clock> = match &test_clock {
        Some(clock) => Arc::clone(clock) as _,
        None => Arc::new(SystemClock),
    };
    let admin = admin_key::from_environment()?;

    let registry = Arc::new(Registry::new(open_engine(settings)?));
    let mut way = settings.pipeline.clone();
    way.workers = Some(workers);
    if settings.public_url.is_none() {
        way.public_url = format!("http://{}", listener.local_addr()?);
    }
    let pipeline = Pipeline::open(store.clone(), vault, Arc::clone(&registry), clock, way)?;
    admin_key::ensure(&pipeline.resources.api_keys, admin.as_deref(), data).await?;
    if let Some(clock) = test_clock {
        clock.listen(&pipeline)?;
    }
    pipeline.load_plugins(hookwright_bundle::components()?).await?;
    folder::scan(&settings.plugin_dir, &registry).await?;
    let told = Arc::downgrade(&pipeline);
    let watching = folder::watch(settings.plugin_dir.clone(), Arc::clone(&registry), move |name| {
        tracing::info!(plugin = name, "changed in the plugin folder");
        if let Some(pipeline) = told.upgrade() {
            pipeline.invoke.calls.plugin_changed(name);
        }
    })?;

    let (public_url, wrong_keys) = (settings.public_url.clone(), settings.wrong_keys_per_minute);
    let app = Arc::new(App::new(Arc::clone(&pipeline), settings.bodies, public_url, wrong_keys));
    let (stop, stopped) = watch::channel(false);
    let working = pipeline.start();
    let address = listener.local_addr()?;
    let serving = tokio::spawn(hookwright_server::serve(app, listener, connections, stopped));
    let noting = tokio::spawn(note_key_uses(Arc::clone(&pipeline)));
    let (compiling, plugins) =
        (pipeline.invoke.loading.loading().len(), pipeline.invoke.loading.plugin_names(&SpaceId::main()).len());
    tracing::info!(
        version = VERSION, %address, data = %data.display(), plugins, compiling, took = ?began.elapsed(), "serving"
    );

    if let Some(reason) = until_the_end(settings, store, &registry, &pipeline, &mut signals).await {
        stop.send_replace(true);
        pipeline.stop();
        // Pending responses are still sent; nothing else can be saved.
        let _ = tokio::time::timeout(DAMAGE_SHUTDOWN_TIMEOUT, serving).await;
        return Err(reason.into());
    }
    tracing::info!("shutting down: work in progress is finished first; a second signal stops it at once");
    let kept = store.clone();
    signals.force(move || kept.forget_in_flight());
    stop.send_replace(true);
    serving.await?;
    drop(watching);
    pipeline.stop();
    if tokio::time::timeout(SHUTDOWN_TIMEOUT, working).await.is_err() {
        tracing::warn!("some work did not finish in time; it continues at the next start");
    }
    noting.abort();
    if let Err(error) = pipeline.resources.api_keys.write_key_uses().await {
        tracing::warn!(%error, "the last uses of keys could not be saved");
    }
    Ok(())
}

/// Returns on a stop signal, or with the reason if the store fails.
async fn until_the_end(
    settings: &Settings,
    store: &Store,
    registry: &Registry,
    pipeline: &Pipeline,
    signals: &mut Signals,
) -> Option<String> {
    let mut health = store.health_signal();
    loop {
        let asked = tokio::select! {
            asked = signals.next() => asked,
            lost = health.wait_for(|health| matches!(health, StorageHealth::Damaged(_))) => {
                return lost.ok().map(|health| health.to_string());
            }
        };
        if asked == SignalRequest::Stop {
            return None;
        }
        match folder::scan(&settings.plugin_dir, registry).await {
            Ok(changed) => {
                for name in &changed {
                    pipeline.invoke.calls.plugin_changed(name);
                }
                let changed = changed.len();
                tracing::info!(changed, "the plugin folder was reloaded; settings are only read at startup");
            }
            Err(error) => tracing::warn!(%error, "the plugin folder cannot be reloaded"),
        }
    }
}

fn open_engine(settings: &Settings) -> Result<Engine, Failed> {
    let cache = settings.data_dir.join("cache");
    make_private(&cache)?;
    let options = EngineOptions {
        max_component_bytes: settings.bodies.plugin_bytes,
        limits: settings.plugin_limits,
        memory_total: settings.plugin_memory_total,
        trust: settings.trust.clone(),
        cache_dir: Some(cache),
        compiler: Some(crate::compile::process()?),
        ..EngineOptions::default()
    };
    Ok(Engine::new(&options)?)
}

async fn note_key_uses(pipeline: Arc<Pipeline>) {
    loop {
        tokio::time::sleep(KEY_USE_INTERVAL).await;
        if let Err(error) = pipeline.resources.api_keys.write_key_uses().await {
            tracing::warn!(%error, "the last uses of keys could not be saved");
        }
        if let Err(error) = pipeline.resources.api_keys.sweep_keys().await {
            tracing::warn!(%error, "expired keys could not be deleted");
        }
    }
}

/// The key that seals secrets, if the environment gives it.
pub(crate) fn secret_key() -> Option<String> {
    std::env::var("HOOKWRIGHT_SECRET_KEY").ok().filter(|key| !key.trim().is_empty())
}

/// Creates a private directory. An existing one is made private if it belongs to the server:
/// it contains a store, or no other files.
fn make_private(dir: &Path) -> Result<(), Failed> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(|error| at(dir, &error))?;
    #[cfg(unix)]
    close_to_others(dir).map_err(|error| at(dir, &error))?;
    Ok(())
}

#[cfg(unix)]
fn close_to_others(dir: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::metadata(dir)?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let own = dir.join("hookwright.redb").exists()
        || fs::read_dir(dir)?.flatten().all(|entry| {
            let name = entry.file_name();
            KNOWN_FILES.iter().any(|own| name == *own)
                || Path::new(&name).extension().is_some_and(|ending| ending == "cwasm")
        });
    // A folder such as /tmp, which everybody uses, has the sticky bit.
    let sticky = mode & 0o1000 != 0;
    if sticky || !own || fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).is_err() {
        tracing::warn!(folder = %dir.display(), "other users can read this folder: run `chmod 700` on it");
    }
    Ok(())
}

fn at(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}
