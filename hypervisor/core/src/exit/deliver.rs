//! Interrupts from a vCPU to others, and from devices to vCPUs.

use alloc::sync::Arc;
use core::sync::atomic::Ordering::Relaxed;

use crate::event_page::EventPort;
use crate::exit::{Flow, RESUME, attend};
use crate::host::Host;
use crate::local_apic::{
    DeliveryMode, Effect, IpiRequest, Message, Shorthand, Trigger, WasEmpty, lowest_priority,
};
use crate::partition::Partition;
use crate::shared_vcpu::SharedVcpu;
use crate::vcpu::Vcpu;
use crate::vcpu_record::{VcpuRecord, Work};

/// Whether something for this CPU's own run queue happened.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[must_use]
#[repr(u32)]
pub enum Woken {
    /// Nobody, or a vCPU of another CPU, which was interrupted.
    Elsewhere = 0,
    /// A vCPU that this CPU owns, and that can wait for some microseconds: there may be more to come for it.
    Soon = Work::YIELD_SOON.bits(),
    /// A vCPU that this CPU owns: the run queue should be looked at.
    Here = Work::YIELD.bits(),
}

impl Woken {
    /// Of two wakes: here where either was.
    pub fn or(self, other: Woken) -> Woken {
        self.max(other)
    }

    /// The same of something that is often followed by more of its kind, for which the sender need not lose the CPU each time.
    pub fn with_time(self) -> Woken {
        self.min(Woken::Soon)
    }
}

/// Makes the owner of the vCPU look at its mailbox and hazards.
#[inline]
pub fn wake<H: Host>(target: &SharedVcpu, host: &H) -> Woken {
    let owner = target.owner();
    if owner == host.cpu() {
        Woken::Here
    } else {
        host.kick(owner);
        Woken::Elsewhere
    }
}

/// Does what a write to the local APIC demands.
#[inline(never)]
pub fn apply<V: Vcpu, H: Host>(vcpu: &mut VcpuRecord<V>, host: &mut H, effect: Effect) -> Flow {
    match effect {
        Effect::None => {}
        Effect::TimerChanged => {
            let deadline = vcpu.apic.deadline();
            host.arm(deadline);
        }
        Effect::Ipi(request) => send_ipi(vcpu, host, request),
        Effect::EoiBroadcast(vector) => {
            let partition = vcpu.partition.clone();
            let woken = partition
                .devices
                .lock()
                .end_of_interrupt(vector, &partition, host);
            note(vcpu, woken);
        }
        Effect::Lint0Opened => attend::lint0_opened(vcpu),
        Effect::IdentityChanged | Effect::ModeChanged => {
            vcpu.shared.set_identity(vcpu.apic.identity());
            // A globally disabled APIC lets the 8259A through.
            vcpu.work |= Work::EVENT;
        }
    }
    RESUME
}

/// Delivers an IPI to every vCPU that it reaches.
fn send_ipi<V: Vcpu, H: Host>(vcpu: &mut VcpuRecord<V>, host: &mut H, request: IpiRequest) {
    let sender = vcpu.apic.id();
    let message = request.message;
    let to_self = request.shorthand == Shorthand::ToSelf
        || request.shorthand == Shorthand::Explicit && message.destination.single() == Some(sender);
    if to_self && message.delivery == DeliveryMode::Fixed {
        let _ = vcpu.apic.accept(message.vector, Trigger::Edge);
        vcpu.work |= Work::EVENT;
        return;
    }
    let reached = |target: &SharedVcpu| {
        target
            .identity()
            .is_some_and(|identity| request.reaches(sender, &identity))
    };
    let woken = distribute(&vcpu.partition, &message, host, reached);
    note(vcpu, woken);
}

/// Puts a message into one vCPU's mailbox and wakes its owner.
fn post<H: Host>(target: &SharedVcpu, message: &Message, host: &H) -> Woken {
    let mailbox = &target.mailbox;
    let before = match message.delivery {
        DeliveryMode::Fixed | DeliveryMode::LowestPriority => {
            mailbox.post(message.vector, message.trigger)
        }
        DeliveryMode::Nmi => mailbox.post_nmi(),
        DeliveryMode::Init => mailbox.post_init(),
        DeliveryMode::Startup => mailbox.post_startup(message.vector.0),
        DeliveryMode::ExtInt => mailbox.post_ext_int(),
        // No partition has system management mode.
        DeliveryMode::Smi => return Woken::Elsewhere,
    };
    match before {
        WasEmpty::Yes => wake(target, host),
        // Whoever filled it wakes the owner: a storm of posts is one interrupt for each look of the receiver.
        WasEmpty::No if target.owner() == host.cpu() => Woken::Here,
        WasEmpty::No => Woken::Elsewhere,
    }
}

/// Delivers a device's message (MSI, I/O APIC) to the partition.
pub fn deliver_message<H: Host>(partition: &Partition, message: &Message, host: &H) -> Woken {
    let reached = |vcpu: &SharedVcpu| {
        vcpu.identity()
            .is_some_and(|identity| message.destination.matches(&identity))
    };
    distribute(partition, message, host, reached)
}

/// Gives a message to all vCPUs that it reaches; one of lowest priority to a single one.
fn distribute<H: Host>(
    partition: &Partition,
    message: &Message,
    host: &H,
    reached: impl Fn(&SharedVcpu) -> bool,
) -> Woken {
    if message.delivery == DeliveryMode::LowestPriority {
        return match arbitrate(partition, reached) {
            Some(target) => post(target, message, host),
            None => Woken::Elsewhere,
        };
    }
    let mut woken = Woken::Elsewhere;
    for vcpu in partition.vcpus.iter().filter(|vcpu| reached(vcpu)) {
        woken = woken.or(post(vcpu, message, host));
    }
    woken
}

/// Who takes a lowest-priority message. The processor priorities are known to their CPUs only, so all count as equal, and
/// the vCPUs take turns.
fn arbitrate(
    partition: &Partition,
    reached: impl Fn(&SharedVcpu) -> bool,
) -> Option<&Arc<SharedVcpu>> {
    let candidates = partition
        .vcpus
        .iter()
        .enumerate()
        .filter(|(_, vcpu)| reached(vcpu))
        .map(|(index, _)| (index, 0));
    // Relaxed: two messages at a time may pick the same vCPU, which is no harm.
    let index = lowest_priority(candidates, partition.next_receiver.load(Relaxed))?;
    partition
        .next_receiver
        .store(index.wrapping_add(1), Relaxed);
    partition.vcpus.get(index)
}

/// Raises an event of the management partition.
pub fn raise_event<H: Host>(event: EventPort, host: &H) -> Woken {
    if let Some(manager) = host.machine().management()
        && let Some(vector) = manager.io.lock().events.and_then(|page| page.raise(event))
        && let Some(target) = manager.vcpus.first()
    {
        let _ = target.mailbox.post(vector, Trigger::Edge);
        return wake(target, host);
    }
    Woken::Elsewhere
}

/// Notes that the run queue should be looked at.
#[inline]
pub fn note<V>(vcpu: &mut VcpuRecord<V>, woken: Woken) {
    vcpu.work |= Work::from_bits_retain(woken as u32);
}
