//! The network task: a card, the stack on it, and word to the operator.

use alloc::boxed::Box;
use core::time::Duration;

use mgmt_executor::{Instant, Signal};
use mgmt_link::Service;
use mgmt_net::{AddressPlan, Pace, Ports, Report, Stack, StackConfig};

use crate::devices::Attached;
use crate::network_card::NetworkCard;
use crate::ready::Ready;
use crate::report;
use crate::root::Root;

/// Port of CIM-XML over HTTP (DSP0200).
pub const CIM_PORT: u16 = 5988;
/// Connections at once; each takes 48 KiB for its socket.
const CONNECTIONS: usize = 96;
/// After so long without an address the partition counts as ready all the same: the serial channel works.
const ADDRESS_PATIENCE: Duration = Duration::from_secs(20);

/// Serves `service` and what `ports` are told to on the card, for ever.
pub async fn run(
    root: Root,
    card: Attached<NetworkCard>,
    plan: AddressPlan,
    service: Box<dyn Service>,
    ports: Ports,
    ready: Ready,
) {
    let Attached {
        device: mut card,
        signal,
        address,
    } = card;
    let config = StackConfig {
        mac: card.mac(),
        plan,
        port: CIM_PORT,
        connections: CONNECTIONS,
        seed: root.seed(),
    };
    let now = root.now();
    let mut pace = card.is_silent().then(|| Pace::new(now));
    let mut stack = Stack::new(&config, &mut card, service, now);
    stack.serve_also(ports);
    let patience = now.after(ADDRESS_PATIENCE);
    loop {
        let now = root.now();
        stack.poll(&mut card, now);
        for event in stack.reports() {
            report!("{event}");
            if let Report::Configured { address, .. } = event {
                ready.announce(format_args!(" at {} port {CIM_PORT}", address.address()));
            }
        }
        if let Some(error) = card.failure() {
            report!("network card {address}: stopped: {error}");
            ready.announce(format_args!(", without network"));
            return;
        }
        if now >= patience {
            ready.announce(format_args!(", without a network address yet"));
        }
        if let Some(pace) = pace.as_mut().filter(|_| card.had_traffic()) {
            pace.traffic(now);
        }
        let deadlines = [
            stack.deadline(now),
            (!ready.is_announced()).then_some(patience),
            pace.map(|pace| pace.next(now)),
        ];
        wait(&root, &signal, deadlines.into_iter().flatten().min(), now).await;
    }
}

async fn wait(root: &Root, signal: &Signal, deadline: Option<Instant>, now: Instant) {
    if deadline.is_some_and(|at| at <= now) {
        // Other tasks have their turn first.
        signal.raise();
    }
    signal.wait_until(root.timers(), deadline).await;
}
