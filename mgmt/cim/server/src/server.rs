//! [`Server`]: what all connections share.

use crate::authenticator::Accounts;
use crate::export::Export;
use crate::images::Images;
use crate::settings::ServerSettings;
use alloc::boxed::Box;
use cim_model::{HostName, Text};
use cim_ops::indications::Indications;
use cim_ops::{Clock, Operations};

/// A WBEM server.
pub struct Server {
    /// The operations.
    pub operations: Operations,
    /// The indication service, if the server has one.
    pub indications: Option<Indications>,
    /// The accounts.
    pub accounts: Accounts,
    /// The image library, served at /images; `None` where there is none.
    pub images: Option<Box<dyn Images>>,
    /// The settings.
    pub settings: ServerSettings,
    /// The host part of every path; the same as that of the operations.
    pub host: HostName,
    /// What `GET /` says about the server, in a line or two.
    pub greeting: Text,
}

impl Server {
    /// Work that is due whether or not a request comes: expired enumerations, events to be matched. Called
    /// about once a second, and after the domain model has changed.
    pub fn tick(&mut self, clock: Clock) {
        self.operations.tick(clock);
        self.pump(clock);
    }

    pub(crate) fn pump(&self, clock: Clock) {
        if let Some(indications) = &self.indications {
            indications.pump(&self.operations, clock);
        }
    }

    /// The next indication to be sent, if one is due.
    pub fn next_export(&mut self, clock: Clock) -> Option<Export> {
        let delivery = self.indications.as_ref()?.next_delivery(clock.monotonic)?;
        Some(Export::new(delivery, self.settings.http))
    }

    /// Reports the outcome of an export.
    pub fn exported(&mut self, export: &Export, clock: Clock) {
        if let Some(indications) = &self.indications {
            // A store that cannot forget a dead subscription tries again at its next failure.
            let _ =
                indications.delivered(export.delivery(), export.is_confirmed(), clock.monotonic);
        }
        self.pump(clock);
    }
}
