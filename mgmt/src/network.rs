//! The network task: a card, the stack on it, and word to the operator.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use mgmt_executor::{Instant, Signal};
use mgmt_link::Service;
use mgmt_net::{AddressPlan, FrameDevice, Ports, Report, Stack, StackConfig};
use mgmt_virtio::{Net, VirtioError};

use crate::devices::Attached;
use crate::dma::Machine;
use crate::ready::Ready;
use crate::report;
use crate::root::Root;

/// Port of CIM-XML over HTTP (DSP0200).
pub const CIM_PORT: u16 = 5988;
/// Connections at once; each takes 48 KiB for its socket.
const CONNECTIONS: usize = 96;
/// After so long without an address the partition counts as ready all the same: the serial channel works.
const ADDRESS_PATIENCE: Duration = Duration::from_secs(20);

/// The card, until it fails.
struct Card {
    net: Net<Machine>,
    failed: Option<VirtioError>,
}

impl Card {
    fn keep<T>(&mut self, result: Result<T, VirtioError>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.failed = Some(error);
                None
            }
        }
    }
}

impl FrameDevice for Card {
    fn receive(&mut self) -> Option<Vec<u8>> {
        let received = self.net.receive();
        self.keep(received).flatten()
    }

    fn can_transmit(&mut self) -> bool {
        let can = self.net.can_transmit();
        self.failed.is_none() && self.keep(can).unwrap_or(false)
    }

    fn transmit(&mut self, frame: &[u8]) {
        let sent = self.net.transmit(frame);
        self.keep(sent);
    }
}

/// Serves `service` and what `ports` are told to on the card, for ever.
pub async fn run(
    root: Root,
    card: Attached<Net<Machine>>,
    plan: AddressPlan,
    service: Box<dyn Service>,
    ports: Ports,
    ready: Ready,
) {
    let Attached {
        device,
        signal,
        address,
    } = card;
    let config = StackConfig {
        mac: device.mac(),
        plan,
        port: CIM_PORT,
        connections: CONNECTIONS,
        seed: root.seed(),
    };
    let mut card = Card {
        net: device,
        failed: None,
    };
    let now = root.now();
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
        if let Some(error) = card.failed {
            report!("network card {address}: stopped: {error}");
            ready.announce(format_args!(", without network"));
            return;
        }
        if now >= patience {
            ready.announce(format_args!(", without a network address yet"));
        }
        let deadline = stack.deadline(now);
        wait(
            &root,
            &signal,
            deadline,
            now,
            (!ready.is_announced()).then_some(patience),
        )
        .await;
    }
}

async fn wait(
    root: &Root,
    signal: &Signal,
    deadline: Option<Instant>,
    now: Instant,
    patience: Option<Instant>,
) {
    let deadline = [deadline, patience].into_iter().flatten().min();
    if deadline.is_some_and(|at| at <= now) {
        // Other tasks have their turn first.
        signal.raise();
    }
    signal.wait_until(root.timers(), deadline).await;
}
