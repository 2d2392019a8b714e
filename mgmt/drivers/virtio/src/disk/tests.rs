use super::*;
use crate::MsixEntry;
use crate::fake::{FakeDevice, FakePlatform};
use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

const SECTORS: usize = 1024;
const FEATURES: u64 = 1 << 32 | 1 << 29 | 1 << 9;

/// A device with memory behind it.
struct Machine {
    device: Rc<FakeDevice>,
    disk: Disk<FakePlatform>,
    contents: RefCell<Vec<u8>>,
    largest: RefCell<usize>,
}

impl Machine {
    fn new(features: u64) -> Self {
        let device = FakeDevice::new(features, 1, &(SECTORS as u64).to_le_bytes());
        let block = Block::start(device.transport(), &device.platform(), MsixEntry(0)).unwrap();
        Machine {
            disk: Disk::new(block),
            device,
            contents: RefCell::new(vec![0; SECTORS * SECTOR_BYTES]),
            largest: RefCell::new(0),
        }
    }

    /// Serves what the driver has asked for, last request first, then interrupts.
    fn serve(&self, status: u8) {
        let mut chains = Vec::new();
        while let Some(chain) = self.device.pop(0) {
            chains.push(chain);
        }
        let largest = chains.len().max(*self.largest.borrow());
        *self.largest.borrow_mut() = largest;
        for chain in chains.into_iter().rev() {
            let request = self.device.read(&chain);
            let kind = u32::from_le_bytes(request[..4].try_into().unwrap());
            let sector = u64::from_le_bytes(request[8..16].try_into().unwrap());
            let at = sector as usize * SECTOR_BYTES;
            let mut contents = self.contents.borrow_mut();
            let mut answer = Vec::new();
            match kind {
                0 => {
                    let room = self.device.room(&chain) - 1;
                    answer.extend_from_slice(&contents[at..at + room]);
                }
                1 => contents[at..at + request.len() - 16].copy_from_slice(&request[16..]),
                4 => {}
                _ => panic!("request {kind}"),
            }
            answer.push(status);
            self.device.write(&chain, &answer);
            let written = answer.len() as u32;
            self.device.push(0, chain, written);
        }
        self.disk.interrupt();
    }

    fn run<T>(&self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..1000 {
            if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
                return value;
            }
            self.serve(0);
        }
        panic!("the future does not end");
    }
}

#[test]
fn what_is_written_is_read_back_with_several_requests_at_once() {
    let machine = Machine::new(FEATURES);
    let data: Vec<u8> = (0..300 * 1024).map(|n| (n / 511) as u8).collect();
    machine.run(machine.disk.write(8, &data)).unwrap();
    machine.run(machine.disk.flush()).unwrap();
    let mut back = vec![0; data.len()];
    machine.run(machine.disk.read(8, &mut back)).unwrap();
    assert!(back == data);
    assert!(machine.contents.borrow()[8 * SECTOR_BYTES..].starts_with(&data));
    assert!(*machine.largest.borrow() > 1);
    assert_eq!(machine.disk.sectors(), SECTORS as u64);
}

#[test]
fn more_than_the_slots_hold_still_ends() {
    let machine = Machine::new(FEATURES);
    let mut all = vec![0; SECTORS * SECTOR_BYTES];
    machine.run(machine.disk.read(0, &mut all)).unwrap();
    machine.run(machine.disk.read(0, &mut all)).unwrap();
}

#[test]
fn requests_outside_the_disk_are_refused() {
    let machine = Machine::new(FEATURES);
    let read = |sector, bytes| {
        let mut into = vec![0; bytes];
        machine.run(machine.disk.read(sector, &mut into))
    };
    assert_eq!(read(SECTORS as u64, 512), Err(VirtioError::BadRange));
    assert_eq!(read(u64::MAX, 512), Err(VirtioError::BadRange));
    assert_eq!(read(0, 100), Err(VirtioError::BadRange));
    assert_eq!(read(SECTORS as u64 - 1, 512), Ok(()));
}

#[test]
fn a_read_only_disk_is_not_written_and_one_without_cache_not_flushed() {
    let machine = Machine::new(1 << 32 | 1 << 5);
    assert!(machine.disk.is_read_only());
    let written = machine.run(machine.disk.write(0, &[0; 512]));
    assert_eq!(written, Err(VirtioError::ReadOnly));
    assert_eq!(machine.run(machine.disk.flush()), Ok(()));
}

#[test]
fn errors_of_the_device_come_back() {
    let machine = Machine::new(FEATURES);
    let mut into = [0; 512];
    let mut future = pin!(machine.disk.read(0, &mut into));
    let mut context = Context::from_waker(Waker::noop());
    assert!(future.as_mut().poll(&mut context).is_pending());
    machine.serve(1);
    let result = future.as_mut().poll(&mut context);
    assert_eq!(result, Poll::Ready(Err(VirtioError::DeviceFailed)));
}

#[test]
fn a_dropped_request_keeps_its_slot_until_the_device_is_done() {
    let machine = Machine::new(FEATURES);
    for _ in 0..3 {
        let mut into = vec![0; SLOT_BYTES * 8];
        {
            let mut future = pin!(machine.disk.read(0, &mut into));
            let mut context = Context::from_waker(Waker::noop());
            assert!(future.as_mut().poll(&mut context).is_pending());
        }
        assert_eq!(
            machine.disk.try_start(Operation::Flush).err(),
            Some(VirtioError::Full)
        );
        machine.serve(0);
    }
    machine.run(machine.disk.flush()).unwrap();
}

#[test]
fn a_device_gone_mad_fails_every_request() {
    let machine = Machine::new(FEATURES);
    let mut into = [0; 512];
    let mut future = pin!(machine.disk.read(0, &mut into));
    let mut context = Context::from_waker(Waker::noop());
    assert!(future.as_mut().poll(&mut context).is_pending());
    machine.device.push_raw(0, 999, 0);
    machine.disk.interrupt();
    let result = future.as_mut().poll(&mut context);
    assert_eq!(result, Poll::Ready(Err(VirtioError::BadUsed(999))));
    let mut into = [0; 512];
    let later = machine.run(machine.disk.read(0, &mut into));
    assert_eq!(later, Err(VirtioError::BadUsed(999)));
}
