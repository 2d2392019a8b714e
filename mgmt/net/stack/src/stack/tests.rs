//! The stack against another smoltcp stack on a wire in memory.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use mgmt_executor::Signal;
use mgmt_link::{Connection, Peer, Phase, Service};
use smoltcp::socket::{icmp, tcp, udp};
use smoltcp::wire::{
    DhcpMessageType, DhcpPacket, DhcpRepr, Icmpv4Packet, Icmpv4Repr, IpAddress, IpEndpoint,
};

use super::*;

type Queue = Rc<RefCell<VecDeque<Vec<u8>>>>;

const OURS: [u8; 6] = [0x52, 0x54, 0, 0, 0, 1];
const THEIRS: [u8; 6] = [0x52, 0x54, 0, 0, 0, 2];
const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);
const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const PORT: u16 = 5988;

/// One end of a wire, which loses every `loses`th frame that it sends.
#[derive(Clone, Default)]
struct Wire {
    incoming: Queue,
    outgoing: Queue,
    loses: Option<usize>,
    sent: Rc<Cell<usize>>,
}

impl FrameDevice for Wire {
    fn receive(&mut self) -> Option<Vec<u8>> {
        self.incoming.borrow_mut().pop_front()
    }

    fn can_transmit(&mut self) -> bool {
        self.outgoing.borrow().len() < 64
    }

    fn transmit(&mut self, frame: &[u8]) {
        self.sent.set(self.sent.get() + 1);
        if self
            .loses
            .is_none_or(|n| !self.sent.get().is_multiple_of(n))
        {
            self.outgoing.borrow_mut().push_back(frame.to_vec());
        }
    }
}

/// Sends back what it gets; ends after a full stop.
struct Echo {
    pending: Vec<u8>,
    phase: Phase,
    open: Rc<Cell<i32>>,
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.open.set(self.open.get() - 1);
    }
}

impl Connection for Echo {
    fn receive(&mut self, bytes: &[u8], _: Instant) -> usize {
        let room = 4096 - self.pending.len().min(4096);
        let taken = bytes.len().min(room);
        self.pending.extend_from_slice(&bytes[..taken]);
        if bytes[..taken].contains(&b'.') {
            self.phase = Phase::Finished;
        }
        taken
    }

    fn receive_end(&mut self, _: Instant) {
        self.phase = Phase::Finished;
    }

    fn output(&mut self, _: Instant) -> &[u8] {
        &self.pending
    }

    fn sent(&mut self, count: usize, _: Instant) {
        self.pending.drain(..count);
    }

    fn deadline(&self) -> Option<Instant> {
        None
    }

    fn expire(&mut self, _: Instant) {}

    fn phase(&self) -> Phase {
        self.phase
    }
}

/// The echo service; what `dials` holds is opened, and says hello.
#[derive(Clone, Default)]
struct EchoService(Rc<Cell<i32>>, Rc<RefCell<Vec<SocketAddr>>>);

impl Service for EchoService {
    fn connect(&mut self, peer: Peer, _: Instant) -> Box<dyn Connection> {
        assert!(matches!(peer, Peer::Network(address) if address.ip() == CLIENT));
        self.0.set(self.0.get() + 1);
        Box::new(Echo {
            pending: Vec::new(),
            phase: Phase::Open,
            open: self.0.clone(),
        })
    }

    fn dial(&mut self, _: Instant) -> Option<(SocketAddr, Box<dyn Connection>)> {
        let peer = self.1.borrow_mut().pop()?;
        self.0.set(self.0.get() + 1);
        let echo = Echo {
            pending: b"hello".to_vec(),
            phase: Phase::Open,
            open: self.0.clone(),
        };
        Some((peer, Box::new(echo)))
    }
}

fn ungated(held: &mut Option<Vec<u8>>) -> Gate<'_> {
    Gate {
        port: 0,
        open: 0,
        held,
    }
}

/// The stack, and a client on the other end of its wire.
struct Lab {
    now: Instant,
    stack: Stack,
    wire: Wire,
    client: Interface,
    sockets: SocketSet<'static>,
    client_wire: Wire,
    open: Rc<Cell<i32>>,
    dials: Rc<RefCell<Vec<SocketAddr>>>,
}

impl Lab {
    fn new(plan: AddressPlan, connections: usize) -> Self {
        let now = Instant::from_nanoseconds(1_000_000_000);
        let mut wire = Wire::default();
        let mut client_wire = Wire {
            incoming: wire.outgoing.clone(),
            outgoing: wire.incoming.clone(),
            ..Wire::default()
        };
        let service = EchoService::default();
        let (open, dials) = (service.0.clone(), service.1.clone());
        let config = StackConfig {
            mac: OURS,
            plan,
            port: PORT,
            connections,
            seed: 1,
        };
        let stack = Stack::new(&config, &mut wire, Box::new(service), now);
        let mut hardware = Config::new(HardwareAddress::Ethernet(EthernetAddress(THEIRS)));
        hardware.random_seed = 2;
        let mut none = None;
        let adapter = &mut Adapter::new(&mut client_wire, ungated(&mut none));
        let mut client = Interface::new(hardware, adapter, moment(now));
        client.update_ip_addrs(|addresses| {
            let address = Ipv4Cidr::new(CLIENT, 24);
            addresses.push(IpCidr::Ipv4(address)).unwrap();
        });
        Lab {
            now,
            stack,
            wire,
            client,
            sockets: SocketSet::new(Vec::new()),
            client_wire,
            open,
            dials,
        }
    }

    fn fixed(connections: usize) -> Self {
        let plan = AddressPlan::Static {
            address: ADDRESS,
            prefix: 24,
            gateway: None,
        };
        Self::new(plan, connections)
    }

    /// Lets both sides work for `milliseconds`, in steps of one.
    fn run(&mut self, milliseconds: u64) {
        for _ in 0..milliseconds {
            self.stack.poll(&mut self.wire, self.now);
            let mut none = None;
            let device = &mut Adapter::new(&mut self.client_wire, ungated(&mut none));
            self.client
                .poll(moment(self.now), device, &mut self.sockets);
            self.now = self.now.after(Duration::from_millis(1));
        }
    }

    fn connect(&mut self) -> SocketHandle {
        self.connect_to(PORT)
    }

    fn connect_to(&mut self, port: u16) -> SocketHandle {
        let buffer = || tcp::SocketBuffer::new(vec![0; 65536]);
        let handle = self.sockets.add(tcp::Socket::new(buffer(), buffer()));
        let local = 40_000 + self.sockets.iter().count() as u16;
        let remote = (IpAddress::from(ADDRESS), port);
        let socket = self.sockets.get_mut::<tcp::Socket<'_>>(handle);
        socket
            .connect(self.client.context(), remote, local)
            .unwrap();
        handle
    }

    fn socket(&mut self, handle: SocketHandle) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(handle)
    }

    fn received(&mut self, handle: SocketHandle) -> Vec<u8> {
        let mut bytes = vec![0; 65536];
        let count = self.socket(handle).recv_slice(&mut bytes).unwrap_or(0);
        bytes.truncate(count);
        bytes
    }
}

#[test]
fn a_fixed_address_answers_ping() {
    let mut lab = Lab::fixed(1);
    let buffer = || {
        let meta = vec![icmp::PacketMetadata::EMPTY; 4];
        icmp::PacketBuffer::new(meta, vec![0; 1024])
    };
    let mut socket = icmp::Socket::new(buffer(), buffer());
    socket.bind(icmp::Endpoint::Ident(7)).unwrap();
    let request = Icmpv4Repr::EchoRequest {
        ident: 7,
        seq_no: 1,
        data: b"hello",
    };
    let bytes = socket.send(request.buffer_len(), ADDRESS.into()).unwrap();
    request.emit(&mut Icmpv4Packet::new_unchecked(bytes), &Default::default());
    let handle = lab.sockets.add(socket);
    lab.run(50);
    let socket = lab.sockets.get_mut::<icmp::Socket<'_>>(handle);
    let (bytes, from) = socket.recv().unwrap();
    assert_eq!(from, ADDRESS.into());
    assert!(bytes.ends_with(b"hello"));
    let report = format!("{}", lab.stack.reports()[0]);
    assert_eq!(report, "address 192.0.2.7/24 by command line, no router");
}

#[test]
fn an_address_comes_by_dhcp() {
    let mut lab = Lab::new(AddressPlan::Dhcp, 1);
    let buffer = || {
        let meta = vec![udp::PacketMetadata::EMPTY; 4];
        udp::PacketBuffer::new(meta, vec![0; 4096])
    };
    let mut server = udp::Socket::new(buffer(), buffer());
    server.bind(67).unwrap();
    let server = lab.sockets.add(server);
    lab.client.set_any_ip(true);
    for _ in 0..20 {
        lab.run(1000);
        let socket = lab.sockets.get_mut::<udp::Socket<'_>>(server);
        while let Ok((bytes, _)) = socket.recv() {
            let bytes = bytes.to_vec();
            let packet = DhcpPacket::new_checked(&bytes[..]).unwrap();
            let request = DhcpRepr::parse(&packet).unwrap();
            let message_type = match request.message_type {
                DhcpMessageType::Discover => DhcpMessageType::Offer,
                _ => DhcpMessageType::Ack,
            };
            let answer = DhcpRepr {
                message_type,
                your_ip: ADDRESS,
                server_ip: CLIENT,
                server_identifier: Some(CLIENT),
                router: Some(CLIENT),
                subnet_mask: Some(Ipv4Addr::new(255, 255, 255, 0)),
                lease_duration: Some(600),
                requested_ip: None,
                client_identifier: None,
                parameter_request_list: None,
                max_size: None,
                ..request
            };
            let mut bytes = vec![0; answer.buffer_len()];
            answer
                .emit(&mut DhcpPacket::new_unchecked(&mut bytes))
                .unwrap();
            let everyone = IpEndpoint::new(Ipv4Addr::BROADCAST.into(), 68);
            socket.send_slice(&bytes, everyone).unwrap();
        }
    }
    let reports = lab.stack.reports();
    let text = format!("{}", reports[0]);
    assert_eq!(text, "address 192.0.2.7/24 by DHCP, router 192.0.2.1");
    assert_eq!(reports.len(), 1);
}

#[test]
fn many_clients_are_served_at_once() {
    let mut lab = Lab::fixed(40);
    let clients: Vec<_> = (0..36).map(|_| lab.connect()).collect();
    lab.run(100);
    assert_eq!(lab.stack.clients(), 36);
    for (number, &client) in clients.iter().enumerate() {
        let text = format!("client {number}");
        lab.socket(client).send_slice(text.as_bytes()).unwrap();
    }
    lab.run(100);
    for (number, &client) in clients.iter().enumerate() {
        let text = format!("client {number}");
        assert_eq!(lab.received(client), text.as_bytes());
        lab.socket(client).close();
    }
    lab.run(200);
    assert_eq!(lab.stack.clients(), 0);
    assert_eq!(lab.open.get(), 0);
}

#[test]
fn a_client_beyond_the_pool_gets_in_when_another_has_been_quiet() {
    let mut lab = Lab::fixed(2);
    let quiet = lab.connect();
    let busy = lab.connect();
    lab.run(500);
    for _ in 0..5 {
        lab.socket(busy).send_slice(b"x").unwrap();
        lab.run(200);
    }
    assert_eq!(lab.received(busy), b"xxxxx");
    let third = lab.connect();
    lab.run(50);
    assert!(lab.socket(third).may_send());
    assert!(!lab.socket(quiet).may_send());
    // Nobody has been quiet for long now: a fourth waits and is not refused.
    lab.socket(busy).send_slice(b"x").unwrap();
    let fourth = lab.connect();
    lab.run(100);
    assert!(lab.socket(fourth).is_open() && !lab.socket(fourth).may_send());
    lab.socket(third).send_slice(b"bye.").unwrap();
    lab.run(100);
    assert_eq!(lab.received(third), b"bye.");
    lab.socket(third).close();
    lab.run(5000);
    assert!(lab.socket(fourth).may_send());
    assert!(lab.socket(busy).may_send());
    assert_eq!(lab.open.get(), 2);
}

#[test]
fn a_crowd_that_comes_at_once_is_served_and_its_sockets_given_back() {
    let mut lab = Lab::fixed(96);
    lab.run(10);
    assert_eq!(lab.stack.sockets.iter().count(), 8);
    let clients: Vec<_> = (0..60).map(|_| lab.connect()).collect();
    lab.run(10);
    for &client in &clients {
        assert!(lab.socket(client).may_send());
        lab.socket(client).send_slice(b"bye.").unwrap();
    }
    lab.run(10);
    for &client in &clients {
        assert_eq!(lab.received(client), b"bye.");
        lab.socket(client).close();
    }
    lab.run(100);
    assert_eq!(lab.open.get(), 0);
    assert!(lab.stack.sockets.iter().count() <= 16);
}

#[test]
fn a_handshake_that_is_not_finished_makes_room() {
    let mut lab = Lab::fixed(1);
    // The client's side of the wire loses our answers.
    let half = lab.connect();
    lab.wire.loses = Some(1);
    lab.run(10);
    lab.wire.loses = None;
    lab.sockets.remove(half);
    lab.client_wire.loses = Some(1);
    lab.run(1500);
    lab.client_wire.loses = None;
    let next = lab.connect();
    lab.run(3000);
    assert!(lab.socket(next).may_send());
}

#[test]
fn a_lossy_wire_loses_no_bytes() {
    let mut lab = Lab::fixed(2);
    lab.wire.loses = Some(7);
    lab.client_wire.loses = Some(11);
    let client = lab.connect();
    let data: Vec<u8> = (0..200_000u32).map(|n| (n % 251) as u8 | 0x80).collect();
    let (mut sent, mut back) = (0, Vec::new());
    for _ in 0..60_000 {
        lab.run(1);
        if lab.socket(client).can_send() {
            sent += lab.socket(client).send_slice(&data[sent..]).unwrap();
        }
        back.extend(lab.received(client));
        if back.len() == data.len() {
            break;
        }
    }
    assert!(back == data, "{} of {} bytes", back.len(), data.len());
}

#[test]
fn a_silent_client_is_dropped_and_its_place_is_free() {
    let mut lab = Lab::fixed(1);
    let client = lab.connect();
    lab.run(50);
    assert_eq!(lab.open.get(), 1);
    let deadline = lab.stack.deadline(lab.now).unwrap();
    assert!(deadline <= lab.now.after(Duration::from_secs(120)));
    lab.run(121_000);
    assert_eq!(lab.open.get(), 0);
    assert!(!lab.socket(client).is_active());
    let next = lab.connect();
    lab.run(50);
    assert!(lab.socket(next).may_send());
}

#[test]
fn a_network_without_a_router_does_not_keep_the_stack_busy() {
    let mut lab = Lab::fixed(1);
    lab.connect();
    // Three solicitations, four seconds apart, and no answer.
    lab.run(14_000);
    lab.stack.poll(&mut lab.wire, lab.now);
    assert!(lab.stack.deadline(lab.now).unwrap() > lab.now);
}

#[test]
fn a_client_that_vanishes_is_noticed() {
    let mut lab = Lab::fixed(1);
    lab.connect();
    lab.run(50);
    assert_eq!(lab.open.get(), 1);
    lab.client_wire.loses = Some(1);
    // Keep-alives after 15 s go unanswered for 30 s.
    lab.run(50_000);
    assert_eq!(lab.open.get(), 0);
}

#[test]
fn a_flood_of_frames_does_not_hold_the_poll() {
    let mut lab = Lab::fixed(1);
    for _ in 0..100 {
        lab.wire.incoming.borrow_mut().push_back(vec![0xff; 60]);
    }
    lab.stack.poll(&mut lab.wire, lab.now);
    assert_eq!(lab.wire.incoming.borrow().len(), 36);
    assert_eq!(lab.stack.deadline(lab.now), Some(lab.now));
    lab.stack.poll(&mut lab.wire, lab.now);
    assert!(lab.wire.incoming.borrow().is_empty());
    assert_ne!(lab.stack.deadline(lab.now), Some(lab.now));
}

#[test]
fn connections_that_the_service_wants_are_opened_and_end() {
    let mut lab = Lab::fixed(1);
    let buffer = || tcp::SocketBuffer::new(vec![0; 4096]);
    let mut socket = tcp::Socket::new(buffer(), buffer());
    socket.listen(9000).unwrap();
    let server = lab.sockets.add(socket);
    // The last one first: nobody listens on port 9001, and nobody is 198.51.100.1 without a router.
    lab.dials.borrow_mut().push((CLIENT, 9000).into());
    lab.dials.borrow_mut().push((CLIENT, 9001).into());
    lab.dials
        .borrow_mut()
        .push("198.51.100.1:9000".parse().unwrap());
    lab.run(100);
    assert_eq!(lab.received(server), b"hello");
    // The refused one has ended; the one without a way there goes on trying.
    assert_eq!(lab.open.get(), 2);
    lab.socket(server).send_slice(b"thanks.").unwrap();
    lab.run(100);
    assert_eq!(lab.received(server), b"thanks.");
    lab.socket(server).close();
    lab.run(100);
    assert_eq!(lab.open.get(), 1);
    lab.run(121_000);
    assert_eq!(lab.open.get(), 0);
    assert!(lab.stack.callers.is_empty());
}

#[test]
fn ports_are_opened_and_shut_while_the_stack_runs() {
    let mut lab = Lab::fixed(4);
    let signal = Signal::new();
    let ports = Ports::new(signal.clone());
    lab.stack.serve_also(ports.clone());
    lab.run(5);
    let early = lab.connect_to(6000);
    lab.run(20);
    assert!(!lab.socket(early).is_active(), "nobody listens there");
    let (one, two) = (EchoService::default(), EchoService::default());
    ports.open(6000, Box::new(one.clone()));
    ports.open(6001, Box::new(two.clone()));
    assert!(signal.take());
    lab.run(5);
    let sockets = lab.stack.sockets.iter().count();
    let (first, second) = (lab.connect_to(6000), lab.connect_to(6001));
    lab.run(20);
    assert_eq!((one.0.get(), two.0.get(), lab.open.get()), (1, 1, 0));
    lab.socket(first).send_slice(b"to one").unwrap();
    lab.socket(second).send_slice(b"to two").unwrap();
    lab.run(20);
    assert_eq!(lab.received(first), b"to one");
    assert_eq!(lab.received(second), b"to two");
    // Who is there goes on; nobody comes any more.
    ports.shut(6000);
    lab.run(5);
    lab.socket(first).send_slice(b"still").unwrap();
    let late = lab.connect_to(6000);
    lab.run(20);
    assert_eq!(lab.received(first), b"still");
    assert!(!lab.socket(late).is_active());
    lab.socket(first).close();
    lab.run(50);
    assert_eq!(one.0.get(), 0);
    // Another service on the same port.
    ports.open(6001, Box::new(one.clone()));
    lab.run(5);
    let third = lab.connect_to(6001);
    lab.run(20);
    assert_eq!((one.0.get(), two.0.get()), (1, 1));
    lab.socket(third).abort();
    lab.socket(second).abort();
    ports.shut(6001);
    lab.run(50);
    assert_eq!((one.0.get(), two.0.get()), (0, 0));
    assert_eq!(lab.stack.sockets.iter().count(), sockets - 2);
    assert!(lab.stack.others.deadline().is_none());
}
