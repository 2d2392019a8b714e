//! The server, its clock and what keeps it going.

use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::RefCell;
use core::fmt;
use core::time::Duration;

use cim_model::Text;
use cim_ops::indications::{self, IndicationSettings};
use cim_ops::interop::{self, Identity, Profile};
use cim_ops::{Builder, Clock, Settings};
use cim_server::images::Images;
use cim_server::{Accounts, Export, FirstAccount, Server, ServerSettings, install_accounts};
use mgmt_executor::Instant;

use crate::Keeper;
use crate::accounts::KeptAccounts;
use crate::records::KeptRecords;

/// Name of the blob with the server's own name.
const NAME: &str = "mgmt/name";

/// Largest request. All connections together must not exhaust the partition's memory, and a request is collected whole
/// before it is parsed.
const MAX_BODY: u64 = 1 << 20;

/// What a server is made with.
pub struct WbemConfig<'a> {
    /// Where everything is kept.
    pub keeper: Keeper,
    /// The product's version.
    pub version: &'static str,
    /// What `GET /` says.
    pub greeting: String,
    /// Unix time in microseconds at the partition's instant 0; 0 where the machine has no clock.
    pub unix_base: i64,
    /// The password of the administrator that the first start makes; a random one without it.
    pub password: Option<&'a str>,
    /// Fills a buffer with random bytes of cryptographic quality.
    pub entropy: &'a mut dyn FnMut(&mut [u8]),
    /// The image library, where there is one.
    pub images: Option<Box<dyn Images>>,
    /// Adds the providers of the domain and tells the profiles that they implement.
    pub install: &'a mut dyn FnMut(Builder) -> (Builder, Vec<Profile>),
}

/// Why there is no server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum WbemError {
    /// What clients have made cannot be read.
    Records,
    /// The operations layer refuses to start, for this reason.
    Operations(String),
    /// The accounts cannot be opened, for this reason.
    Accounts(String),
}

impl fmt::Display for WbemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WbemError::Records => f.write_str("the records in the store cannot be read"),
            WbemError::Operations(reason) => write!(f, "the operations layer refuses: {reason}"),
            WbemError::Accounts(reason) => write!(f, "the accounts cannot be opened: {reason}"),
        }
    }
}

struct Inner {
    server: RefCell<Server>,
    keeper: Keeper,
    unix_base: i64,
}

/// The server; clones share it.
#[derive(Clone)]
pub struct Wbem(Rc<Inner>);

impl Wbem {
    /// Makes the server from what the keeper holds. Also returns the administrator that the first start makes, to be
    /// shown once.
    ///
    /// # Errors
    /// What the keeper holds cannot be used.
    pub fn open(config: WbemConfig<'_>) -> Result<(Self, Option<FirstAccount>), WbemError> {
        let WbemConfig {
            keeper,
            version,
            greeting,
            unix_base,
            password,
            entropy,
            images,
            install,
        } = config;
        let name = server_name(&keeper, entropy);
        let identity = Identity {
            system: name.clone(),
            manager: name.clone(),
            product: Text::from_static("Bulkhead"),
            version: Text::from_static(version),
        };
        let records = KeptRecords::open(keeper.clone()).map_err(|_| WbemError::Records)?;
        let settings = Settings::new(name.clone().to_string());
        let builder = Builder::new(settings, Box::new(records));
        let builder = builder.map_err(|error| WbemError::Operations(error.to_string()))?;
        let (builder, mut profiles) = install(builder.embedded(cim_server::read_embedded));
        profiles.push(indications::profile(
            &identity,
            builder.settings().interop(),
        ));
        let builder = interop::install(builder, &identity, profiles);
        let (builder, indications) =
            indications::install(builder, &identity, IndicationSettings::default());
        let accounts = Box::new(KeptAccounts(keeper.clone()));
        let (accounts, first) = Accounts::open(accounts, password, entropy)
            .map_err(|error| WbemError::Accounts(error.to_string()))?;
        let builder = install_accounts(builder, &identity, &accounts);
        let mut settings = ServerSettings::default();
        settings.http.body = MAX_BODY;
        let server = Server {
            operations: builder.build(),
            indications: Some(indications),
            accounts,
            images,
            settings,
            host: name.to_string().into(),
            greeting: greeting.into(),
        };
        let inner = Inner {
            server: RefCell::new(server),
            keeper,
            unix_base,
        };
        Ok((Wbem(Rc::new(inner)), first))
    }

    /// The time of an operation, for who changes what the server shows.
    pub fn clock(&self, now: Instant) -> Clock {
        clock_at(self.0.unix_base, now)
    }

    pub(crate) fn with_server<T>(&self, act: impl FnOnce(&mut Server) -> T) -> T {
        act(&mut self.0.server.borrow_mut())
    }

    pub(crate) fn keeper(&self) -> &Keeper {
        &self.0.keeper
    }

    /// Does what is due whether or not a client asks; to be called about once a second. Returns the audit records since
    /// the last call, as lines.
    pub fn maintain(&self, now: Instant) -> Vec<String> {
        let clock = self.clock(now);
        self.with_server(|server| {
            server.tick(clock);
            let mut lines = Vec::new();
            while let Some(record) = server.operations.take_audit() {
                let outcome = record
                    .failure
                    .map_or("done".to_string(), |status| status.to_string());
                lines.push(format!(
                    "audit: {}@{} {} {}: {outcome}",
                    record.user, record.peer, record.operation, record.target
                ));
            }
            lines
        })
    }

    pub(crate) fn next_export(&self, now: Instant) -> Option<Export> {
        let clock = self.clock(now);
        self.with_server(|server| server.next_export(clock))
    }

    pub(crate) fn exported(&self, export: &Export, now: Instant) {
        let clock = self.clock(now);
        self.with_server(|server| server.exported(export, clock));
    }
}

/// The clocks of an operation at `now`, where instant 0 was at `unix_base`, Unix time in microseconds.
pub fn clock_at(unix_base: i64, now: Instant) -> Clock {
    let micros = i64::try_from(now.microseconds()).unwrap_or(i64::MAX);
    Clock {
        monotonic: Duration::from_nanos(now.nanoseconds()),
        unix_micros: unix_base.saturating_add(micros),
    }
}

/// The server's name: made at its first start and kept, since clients tell servers apart by it.
pub fn server_name(keeper: &Keeper, entropy: &mut dyn FnMut(&mut [u8])) -> Text {
    if let Some(name) = keeper
        .get(NAME)
        .and_then(|name| String::from_utf8(name).ok())
    {
        return Text::copy(&name);
    }
    let mut random = [0; 6];
    entropy(&mut random);
    let mut name = String::from("bulkhead-");
    for byte in random {
        name += &format!("{byte:02x}");
    }
    // Without room for it, the name is another one at the next start; all else works.
    let _ = keeper.put(NAME, name.clone().into_bytes());
    Text::copy(&name)
}
