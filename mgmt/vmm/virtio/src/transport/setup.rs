//! The configuration space of a virtio device: who it is, and the capabilities that say where its registers lie (4.1.4).

use vmm_pci::{CapabilityId, CapabilityOffset, Function, Identity, MsixPlace, Pin, Slot};

use super::BAR;
use crate::device::VirtioDevice;
use crate::layout::{FIRST_DEVICE, REVISION, VENDOR, capability, common, place};
use crate::{Features, SetupError};

/// Offset of the four data bytes of the PCI access capability from its begin.
const DATA: u16 = 16;

/// Composes it; also returns where the data of the PCI access capability are.
pub(super) fn function<D: VirtioDevice>(
    slot: Slot,
    device: &D,
) -> Result<(Function, usize), SetupError> {
    let kind = device.kind();
    let queues = device.queue_sizes().len() as u16;
    let mut function = Function::new(Identity {
        vendor: VENDOR,
        device: FIRST_DEVICE + kind.id,
        class: kind.class,
        revision: REVISION,
        subsystem_vendor: VENDOR,
        // At least 0x40 tells that there is no legacy interface (4.1.2.1).
        subsystem: FIRST_DEVICE + kind.id,
    });
    function.add_bar(BAR, place::BAR_BYTES)?;
    function.add_pin(slot, Pin::A);

    let notify_bytes = u32::from(queues) * place::NOTIFY_STRIDE;
    let stride = place::NOTIFY_STRIDE.to_le_bytes();
    let mut add = |kind: u8, at: u32, bytes: u32, more: &[u8], writable: &[u8]| {
        let mut body = [0; 18];
        let length = 14 + more.len();
        let [a0, a1, a2, a3] = at.to_le_bytes();
        let [b0, b1, b2, b3] = bytes.to_le_bytes();
        let fixed = [
            length as u8 + 2,
            kind,
            BAR.number(),
            0,
            0,
            0,
            a0,
            a1,
            a2,
            a3,
            b0,
            b1,
            b2,
            b3,
        ];
        for (byte, value) in body.iter_mut().zip(fixed.iter().chain(more)) {
            *byte = *value;
        }
        let body = body.get(..length).unwrap_or(&body);
        function.add_capability(CapabilityId::VENDOR, body, writable)
    };
    add(
        capability::COMMON,
        place::COMMON,
        common::BYTES as u32,
        &[],
        &[],
    )?;
    add(
        capability::NOTIFY,
        place::NOTIFY,
        notify_bytes,
        &stride,
        &[],
    )?;
    add(capability::ISR, place::ISR, 1, &[], &[])?;
    if device.config_bytes() != 0 {
        add(
            capability::DEVICE,
            place::DEVICE,
            device.config_bytes(),
            &[],
            &[],
        )?;
    }
    // The driver chooses BAR, offset, length and data.
    let mut writable = [0xff; 18];
    for (index, byte) in writable.iter_mut().enumerate() {
        if !matches!(index, 2 | 6..18) {
            *byte = 0;
        }
    }
    let CapabilityOffset(access) = add(capability::PCI_ACCESS, 0, 0, &[0; 4], &writable)?;
    // One for each queue, one for changes of the configuration.
    function.add_msix(
        queues + 1,
        MsixPlace {
            bar: BAR,
            table: place::MSIX_TABLE,
            pending: place::MSIX_PENDING,
        },
    )?;
    Ok((function, usize::from(access + DATA)))
}

const _: () = assert!(
    Features::OF_TRANSPORT.has(Features::VERSION_1),
    "without a legacy interface"
);
