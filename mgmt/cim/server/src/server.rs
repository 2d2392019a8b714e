//! [`Server`]: what all connections share.

use crate::authenticator::{Access, Accounts};
use crate::export::Export;
use crate::images::Images;
use crate::settings::ServerSettings;
use alloc::boxed::Box;
use cim_http::Credentials;
use cim_model::{CimStatus, HostName, Text};
use cim_ops::indications::Indications;
use cim_ops::{AuditRecord, Clock, Operations};

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
    /// Checks the credentials that a peer sent, for CIM-XML or at another way in; a refusal is recorded with the name of
    /// what was `wanted`.
    pub fn log_in(
        &mut self,
        peer: &Text,
        credentials: &Credentials,
        wanted: &str,
        clock: Clock,
    ) -> Access {
        let now = clock.monotonic;
        let access = self.accounts.check(&self.settings, peer, credentials, now);
        if access == Access::Denied {
            self.operations.audit().record(AuditRecord {
                unix_micros: clock.unix_micros,
                user: Text::copy(&credentials.user),
                peer: peer.clone(),
                operation: Text::from_static("login"),
                target: wanted.into(),
                failure: Some(CimStatus::AccessDenied),
            });
        }
        access
    }

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
