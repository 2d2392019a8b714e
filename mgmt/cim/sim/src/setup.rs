//! Building the server that the simulator runs.

use crate::demo;
use crate::images::MemoryImages;
use crate::options::Options;
use crate::world::World;
use cim_model::{CimError, Text};
use cim_ops::indications::{self, IndicationSettings, ListenerHosts};
use cim_ops::interop::{self, Identity};
use cim_ops::{Builder, Clock, MemoryStore, Settings};
use cim_server::{
    Accounts, FirstAccount, MemoryAccounts, Server, ServerSettings, install_accounts,
};
use std::fs::File;
use std::io::Read;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A server that is ready to run, and the credentials to be shown.
pub struct Ready {
    /// The server.
    pub server: Server,
    /// The administrator.
    pub administrator: FirstAccount,
    /// What happens by itself; the demonstration is still.
    pub world: Option<World>,
}

/// Builds a server with in-memory stores.
///
/// # Errors
/// A sentence for the operator.
pub fn build(options: &Options, host: &str) -> Result<Ready, String> {
    let identity = Identity {
        system: "bulkhead-sim".into(),
        manager: "bulkhead-sim".into(),
        product: "Bulkhead".into(),
        version: env!("CARGO_PKG_VERSION").into(),
    };
    let said = |error: CimError| format!("the operations layer refuses its start: {error}");
    let settings = Settings::new(host.to_string());
    let mut builder = Builder::new(settings, Box::new(MemoryStore::default())).map_err(said)?;
    let mut profiles;
    let mut world = None;
    let mut images = MemoryImages::default();
    match options.demo {
        Some(processors) => {
            let demo = demo::Demo::new(processors);
            profiles = demo.profiles();
            builder = demo.install(builder);
        }
        None => {
            let start = Clock {
                monotonic: Duration::ZERO,
                unix_micros: unix_micros(),
            };
            images = MemoryImages::with_samples();
            let opened = World::open(options, &identity.system, &images, entropy()?, start)?;
            (builder, profiles) = opened.install(builder);
            world = Some(opened);
        }
    }
    builder = builder.embedded(cim_server::read_embedded);
    let interop_namespace = builder.settings().interop();
    profiles.push(indications::profile(&identity, interop_namespace));
    builder = interop::install(builder, &identity, profiles);
    // The simulator is for tests, which should not wait half a minute for a second attempt.
    let quick = IndicationSettings {
        retry_interval: Duration::from_secs(1),
        hosts: ListenerHosts::Names,
        ..IndicationSettings::default()
    };
    let (builder, indications) = indications::install(builder, &identity, quick);
    let mut entropy = entropy()?;
    let (mut accounts, first) = Accounts::open(
        Box::new(MemoryAccounts::default()),
        options.password.as_deref(),
        &mut entropy,
    )
    .map_err(|error| format!("the accounts cannot be opened: {error}"))?;
    let administrator = first.ok_or("the administrator was not made")?;
    for account in &options.accounts {
        let name = Text::from(&account.name);
        accounts
            .set(name, account.role, &account.password, &mut entropy)
            .map_err(|error| format!("the account {} cannot be made: {error}", account.name))?;
    }
    let builder = install_accounts(builder, &identity, &accounts);
    let server = Server {
        operations: builder.build(),
        indications: Some(indications),
        accounts,
        images: Some(Box::new(images)),
        settings: ServerSettings::default(),
        host: host.to_string().into(),
        greeting: "This is a WBEM server (CIM-XML over HTTP). Clients talk to it at /cimom.\n"
            .into(),
    };
    Ok(Ready {
        server,
        administrator,
        world,
    })
}

/// The wall clock.
pub(crate) fn unix_micros() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(since.unwrap_or_default().as_micros()).unwrap_or(i64::MAX)
}

/// The random numbers of the host system.
fn entropy() -> Result<impl FnMut(&mut [u8]), String> {
    let mut device =
        File::open("/dev/urandom").map_err(|error| format!("/dev/urandom: {error}"))?;
    let mut first = [0; 1];
    device
        .read_exact(&mut first)
        .map_err(|error| format!("/dev/urandom: {error}"))?;
    Ok(move |buffer: &mut [u8]| {
        // It could be read a moment ago; an all-zero key would only be weak, and must not go unnoticed.
        if let Err(error) = device.read_exact(buffer) {
            eprintln!("cim-sim: /dev/urandom: {error}");
            std::process::exit(1);
        }
    })
}
