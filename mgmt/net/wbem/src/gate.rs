//! The accounts of the server as consoles use them.

use alloc::format;
use alloc::string::String;

use cim_http::Credentials;
use cim_model::{CimStatus, Text};
use cim_ops::{AuditRecord, Role};
use cim_server::Access;
use mgmt_console::{Gate, Pass};
use mgmt_executor::Instant;

use crate::Wbem;

impl Gate for Wbem {
    fn check(&self, console: &str, peer: &str, user: &str, password: &str, now: Instant) -> Pass {
        let clock = self.clock(now);
        let peer = Text::copy(peer);
        let credentials = Credentials {
            user: String::from(user),
            password: String::from(password),
        };
        let wanted = format!("console of {console}");
        self.with_server(|server| {
            let role = match server.log_in(&peer, &credentials, &wanted, clock) {
                Access::Granted(role) => role,
                Access::Denied => return Pass::Denied,
                Access::Wait(wait) => return Pass::Wait(wait),
            };
            // Who types there can change what the guest does: that is a change like any other.
            server.operations.audit().record(AuditRecord {
                unix_micros: clock.unix_micros,
                user: Text::copy(user),
                peer: peer.clone(),
                operation: Text::from_static("login"),
                target: wanted,
                failure: None::<CimStatus>,
            });
            match role >= Role::Operator {
                true => Pass::Type,
                false => Pass::Watch,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Keeper, WbemConfig};
    use std::time::Duration;

    #[test]
    fn the_servers_accounts_open_consoles_and_guessing_is_slowed_down() {
        let (wbem, first) = Wbem::open(WbemConfig {
            keeper: Keeper::in_memory(),
            version: "1.0",
            greeting: "hello\n".into(),
            unix_base: 0,
            password: None,
            entropy: &mut |bytes| bytes.fill(7),
            images: None,
            install: &mut |builder| (builder, Vec::new()),
        })
        .unwrap();
        let password = first.unwrap().password;
        let check = |password: &str| {
            let now = Instant::default().after(Duration::from_secs(1));
            wbem.check("web1", "192.0.2.1", "admin", password, now)
        };
        assert_eq!(check(&password), Pass::Type);
        for _ in 0..5 {
            assert_eq!(check("guess"), Pass::Denied);
        }
        assert!(matches!(check("guess"), Pass::Wait(_)));
        // The owner is known already, and not locked out.
        assert_eq!(check(&password), Pass::Type);
        let lines = wbem.maintain(Instant::default());
        assert!(
            lines[0].ends_with("login console of web1: done"),
            "{lines:?}"
        );
        assert!(lines[1].contains("login console of web1: 2"), "{lines:?}");
    }
}
