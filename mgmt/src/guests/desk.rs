//! [`ConsoleDesk`]: the consoles of all systems, and their TCP ports.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use core::cell::RefCell;

use cim_domain::SystemId;
use mgmt_console::{Console, ConsoleService, Gate};
use mgmt_net::Ports;

/// Ports for consoles, from the first one on.
const PORTS: u16 = 256;

#[derive(Default)]
struct Desk {
    /// Who is let in; before the server is there, nobody is.
    gate: Option<Rc<dyn Gate>>,
    consoles: BTreeMap<SystemId, (Console, u16)>,
}

/// The consoles of all systems; clones share them. A console is there from the first start of its system, so that its last
/// words can be read when it is off, until the system is destroyed.
#[derive(Clone)]
pub struct ConsoleDesk {
    desk: Rc<RefCell<Desk>>,
    ports: Ports,
    first: u16,
}

impl ConsoleDesk {
    /// No consoles; theirs are the ports from `first` on.
    pub fn new(ports: Ports, first: u16) -> Self {
        ConsoleDesk {
            desk: Rc::default(),
            ports,
            first,
        }
    }

    /// Opens the ports for those whom the gate lets in.
    pub fn let_in(&self, gate: Rc<dyn Gate>) {
        let mut desk = self.desk.borrow_mut();
        for (console, port) in desk.consoles.values() {
            self.serve(*port, console, &gate);
        }
        desk.gate = Some(gate);
    }

    fn serve(&self, port: u16, console: &Console, gate: &Rc<dyn Gate>) {
        let service = ConsoleService::new(console.clone(), gate.clone());
        self.ports.open(port, Box::new(service));
    }

    /// Has the console of a system at this port again, where it was before a restart of ours.
    pub fn reserve(&self, system: SystemId, name: &str, port: u16) {
        let mut desk = self.desk.borrow_mut();
        let taken = desk.consoles.values().any(|(_, other)| *other == port);
        let ours = port
            .checked_sub(self.first)
            .is_some_and(|offset| offset < PORTS);
        if taken || !ours || desk.consoles.contains_key(&system) {
            return;
        }
        let console = Console::new(name);
        console.tell_viewers(self.ports.signal().clone());
        if let Some(gate) = &desk.gate {
            self.serve(port, &console, gate);
        }
        desk.consoles.insert(system, (console, port));
    }

    /// The console of a system, which has this name now. Without a free port there is a console that nobody can watch.
    pub fn console(&self, system: SystemId, name: &str) -> Console {
        let mut desk = self.desk.borrow_mut();
        if let Some((console, _)) = desk.consoles.get(&system) {
            console.rename(name);
            return console.clone();
        }
        let console = Console::new(name);
        console.tell_viewers(self.ports.signal().clone());
        let taken = |port: u16| desk.consoles.values().any(|(_, other)| *other == port);
        let mut ports = (0..PORTS).filter_map(|offset| self.first.checked_add(offset));
        if let Some(port) = ports.find(|port| !taken(*port)) {
            if let Some(gate) = &desk.gate {
                self.serve(port, &console, gate);
            }
            desk.consoles.insert(system, (console.clone(), port));
        }
        console
    }

    /// The port of a system's console.
    pub fn port(&self, system: SystemId) -> Option<u16> {
        let desk = self.desk.borrow();
        desk.consoles.get(&system).map(|(_, port)| *port)
    }

    /// How many consoles there are.
    pub fn count(&self) -> usize {
        self.desk.borrow().consoles.len()
    }

    /// The system is gone.
    pub fn forget(&self, system: SystemId) {
        if let Some((console, port)) = self.desk.borrow_mut().consoles.remove(&system) {
            console.close();
            self.ports.shut(port);
        }
    }
}
