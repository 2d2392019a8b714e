//! The stack: interface, addresses, sockets.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

use mgmt_executor::Instant;
use mgmt_link::{Connection, Limits, Link, Service};
use smoltcp::iface::{Config, Interface, PollResult, SocketHandle, SocketSet};
use smoltcp::socket::{dhcpv4, tcp};
use smoltcp::time::Instant as Moment;
use smoltcp::wire::{
    EthernetAddress, HardwareAddress, IpCidr, IpEndpoint, Ipv4Address, Ipv4Cidr, Ipv6Address,
    Ipv6Cidr,
};

use crate::caller::Caller;
use crate::device::Adapter;
use crate::gate::Gate;
use crate::listener::{self, Buffers, Work};
use crate::pool::{Pool, Size};
use crate::ports::{Ports, Served};
use crate::{AddressPlan, FrameDevice};

/// Passes over all sockets in one poll; what is left then waits for the next poll, which comes at once.
const PASSES: usize = 8;
/// When to poll again where smoltcp names a moment that a poll has just not got it beyond. Where no router answers, it does so
/// for ever from its last solicitation on; and a card may have no room.
const AGAIN: Duration = Duration::from_millis(20);

/// Connections that we open, at once.
const CALLS: usize = 4;
/// First of the local ports for them (RFC 6335, 6).
const FIRST_LOCAL: u16 = 49152;

/// What a stack is made with.
pub struct StackConfig {
    /// The card's address.
    pub mac: [u8; 6],
    /// Where the IPv4 address comes from.
    pub plan: AddressPlan,
    /// TCP port to serve.
    pub port: u16,
    /// Clients that can be connected at once.
    pub connections: usize,
    /// Unpredictable, different at each start.
    pub seed: u64,
}

/// What an operator may want to know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Report {
    /// The IPv4 address is usable.
    Configured {
        /// Address and prefix.
        address: Ipv4Cidr,
        /// Router.
        gateway: Option<Ipv4Address>,
        /// Who gave it.
        plan: &'static str,
    },
    /// The DHCP lease has run out.
    Lost,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Report::Configured {
                address,
                gateway,
                plan,
            } => {
                write!(f, "address {address} by {plan}")?;
                match gateway {
                    Some(gateway) => write!(f, ", router {gateway}"),
                    None => f.write_str(", no router"),
                }
            }
            Report::Lost => f.write_str("the DHCP lease has run out; no IPv4 address"),
        }
    }
}

/// The stack over one card.
pub struct Stack {
    interface: Interface,
    sockets: SocketSet<'static>,
    dhcp: Option<SocketHandle>,
    pool: Pool,
    /// What is served on other ports.
    others: Served,
    /// The first segment of a connection that finds no listening socket.
    held: Option<Vec<u8>>,
    callers: Vec<Caller>,
    next_local: u16,
    service: Box<dyn Service>,
    reports: Vec<Report>,
    busy: bool,
}

fn moment(now: Instant) -> Moment {
    Moment::from_micros(i64::try_from(now.microseconds()).unwrap_or(i64::MAX))
}

impl Stack {
    /// A stack on `device` that serves `service`.
    pub fn new<D: FrameDevice>(
        config: &StackConfig,
        device: &mut D,
        service: Box<dyn Service>,
        now: Instant,
    ) -> Self {
        let mac = EthernetAddress(config.mac);
        let mut hardware = Config::new(HardwareAddress::Ethernet(mac));
        hardware.random_seed = config.seed;
        hardware.slaac = true;
        let mut held = None;
        let gate = Gate {
            port: config.port,
            open: 0,
            held: &mut held,
        };
        let mut interface = Interface::new(hardware, &mut Adapter::new(device, gate), moment(now));
        interface.update_ip_addrs(|addresses| {
            let local = Ipv6Cidr::new(link_local(config.mac), 64);
            let added = addresses.push(IpCidr::Ipv6(local));
            debug_assert!(added.is_ok(), "the list is empty");
        });
        let mut stack = Stack {
            interface,
            sockets: SocketSet::new(Vec::new()),
            dhcp: None,
            pool: Pool::new(config.port, Size::large(config.connections)),
            others: Served::default(),
            held,
            callers: Vec::new(),
            next_local: FIRST_LOCAL | config.seed as u16,
            service,
            reports: Vec::new(),
            busy: false,
        };
        match config.plan {
            AddressPlan::Dhcp => stack.dhcp = Some(stack.sockets.add(dhcpv4::Socket::new())),
            AddressPlan::Static {
                address,
                prefix,
                gateway,
            } => stack.configure(Ipv4Cidr::new(address, prefix), gateway, "command line"),
        }
        stack
    }

    /// Also serves what these ports are told to.
    pub fn serve_also(&mut self, ports: Ports) {
        self.others.set(ports);
    }

    fn configure(&mut self, address: Ipv4Cidr, gateway: Option<Ipv4Address>, plan: &'static str) {
        self.remove_ipv4();
        self.interface.update_ip_addrs(|addresses| {
            let added = addresses.push(IpCidr::Ipv4(address));
            debug_assert!(added.is_ok(), "eight addresses fit");
        });
        if let Some(gateway) = gateway {
            let added = self.interface.routes_mut().add_default_ipv4_route(gateway);
            debug_assert!(added.is_ok(), "the table holds one route a family");
        }
        self.reports.push(Report::Configured {
            address,
            gateway,
            plan,
        });
    }

    fn remove_ipv4(&mut self) {
        self.interface.update_ip_addrs(|addresses| {
            addresses.retain(|address| !matches!(address, IpCidr::Ipv4(_)));
        });
        self.interface.routes_mut().remove_default_ipv4_route();
    }

    /// Does everything that can be done now, or a fair share of it: [`Stack::deadline`] says whether there is more.
    pub fn poll<D: FrameDevice>(&mut self, device: &mut D, now: Instant) {
        let mut held = self.held.take();
        let gate = Gate {
            port: self.pool.port(),
            open: self.pool.listening(&self.sockets),
            held: &mut held,
        };
        let mut adapter = Adapter::new(device, gate);
        self.busy = true;
        for _ in 0..PASSES {
            let polled = self
                .interface
                .poll(moment(now), &mut adapter, &mut self.sockets);
            self.poll_dhcp();
            let mut work = self
                .pool
                .advance(&mut self.sockets, &mut *self.service, now);
            if self.others.advance(&mut self.sockets, now) == Work::Done {
                work = Work::Done;
            }
            if self.advance_callers(now) == Work::Done {
                work = Work::Done;
            }
            let listening = self.pool.listening(&self.sockets);
            adapter.open_gate(listening);
            if adapter.held().is_some() {
                work = Work::Done;
                if listening == 0 && !self.pool.make_room(&mut self.sockets, now) {
                    *adapter.held() = None;
                }
            }
            if polled == PollResult::None && work == Work::None {
                self.busy = adapter.is_exhausted();
                break;
            }
        }
        self.held = held;
    }

    /// Moves the connections on that we opened, and opens those that the service wants.
    fn advance_callers(&mut self, now: Instant) -> Work {
        let mut work = Work::None;
        let sockets = &mut self.sockets;
        // One pass after its end, when the network has seen it.
        self.callers.retain(|caller| {
            if caller.has_ended() {
                sockets.remove(caller.handle);
            }
            !caller.has_ended()
        });
        for caller in &mut self.callers {
            let socket = self.sockets.get_mut::<tcp::Socket<'_>>(caller.handle);
            if caller.advance(socket, now) == Work::Done {
                work = Work::Done;
            }
        }
        while self.callers.len() < CALLS
            && let Some((peer, connection)) = self.service.dial(now)
        {
            self.call(peer, connection, now);
            work = Work::Done;
        }
        work
    }

    /// Opens a connection; where it cannot be, `connection` is dropped, which tells its owner.
    fn call(&mut self, peer: SocketAddr, connection: Box<dyn Connection>, now: Instant) {
        let local = self.next_local;
        self.next_local = local.checked_add(1).unwrap_or(FIRST_LOCAL);
        let mut socket = listener::socket(Buffers::LARGE);
        let context = self.interface.context();
        if socket
            .connect(context, IpEndpoint::from(peer), local)
            .is_ok()
        {
            let handle = self.sockets.add(socket);
            let link = Link::new(connection, Limits::NETWORK, now);
            self.callers.push(Caller::new(handle, link));
        }
    }

    fn poll_dhcp(&mut self) {
        let Some(handle) = self.dhcp else { return };
        match self.sockets.get_mut::<dhcpv4::Socket<'_>>(handle).poll() {
            None => {}
            Some(dhcpv4::Event::Configured(config)) => {
                let (address, router) = (config.address, config.router);
                self.configure(address, router, "DHCP");
            }
            Some(dhcpv4::Event::Deconfigured) => {
                let had = self.interface.ipv4_addr().is_some();
                self.remove_ipv4();
                if had {
                    self.reports.push(Report::Lost);
                }
            }
        }
    }

    /// When to poll again at the latest, whatever the card does; `None` if only a frame can change something. `now` is the
    /// moment of the last poll.
    pub fn deadline(&mut self, now: Instant) -> Option<Instant> {
        if self.busy {
            return Some(now);
        }
        let network = self
            .interface
            .poll_at(moment(now), &self.sockets)
            .and_then(|at| u64::try_from(at.total_micros()).ok())
            .map(|at| Instant::from_nanoseconds(at.saturating_mul(1_000)))
            .map(|at| if at <= now { now.after(AGAIN) } else { at });
        let callers = self.callers.iter().filter_map(Caller::deadline);
        let pool = self.pool.deadline();
        let others = self.others.deadline();
        let timers = pool.into_iter().chain(others).chain(callers);
        network.into_iter().chain(timers).min()
    }

    /// What happened since this was last called.
    pub fn reports(&mut self) -> Vec<Report> {
        core::mem::take(&mut self.reports)
    }

    /// Clients being served.
    pub fn clients(&self) -> usize {
        self.pool.clients()
    }
}

/// The link-local address made from a MAC address (RFC 4291, appendix A).
fn link_local(mac: [u8; 6]) -> Ipv6Address {
    let [a, b, c, d, e, f] = mac;
    let word = |high, low| u16::from_be_bytes([high, low]);
    Ipv6Address::new(
        0xfe80,
        0,
        0,
        0,
        word(a ^ 2, b),
        word(c, 0xff),
        word(0xfe, d),
        word(e, f),
    )
}

#[cfg(test)]
mod tests;
