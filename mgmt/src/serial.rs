//! The serial task: the same services as on the network, over a port of the virtio console.

use alloc::boxed::Box;

use mgmt_link::{Channel, Port, PortNews, Service};
use mgmt_virtio::{Console, PortEvent, VirtioError};

use crate::devices::Attached;
use crate::dma::Machine;
use crate::report;
use crate::root::Root;

/// The console's port, as the channel sees it.
struct ConsolePort(Console<Machine>);

impl Port for ConsolePort {
    type Error = VirtioError;

    fn poll(&mut self) -> Result<Option<PortNews>, VirtioError> {
        let news = self.0.poll(&Machine)?.map(|event| match event {
            PortEvent::Opened => PortNews::Opened,
            PortEvent::Closed => PortNews::Closed,
            PortEvent::Data(bytes) => PortNews::Data(bytes),
        });
        Ok(news)
    }

    fn send(&mut self, bytes: &[u8]) -> Result<usize, VirtioError> {
        self.0.send(bytes)
    }
}

/// Serves `service` on the console's port, for ever.
pub async fn run(root: Root, console: Attached<Console<Machine>>, service: Box<dyn Service>) {
    let Attached {
        device,
        signal,
        address,
    } = console;
    let mut port = ConsolePort(device);
    let mut channel = Channel::new(service);
    loop {
        if let Err(error) = channel.advance(&mut port, root.now()) {
            report!("serial channel {address}: stopped: {error}");
            return;
        }
        signal.wait_until(root.timers(), channel.deadline()).await;
    }
}
