//! RDMSR and WRMSR.

use crate::decode::Intercepted;
use crate::exit::{Flow, RESUME, clock, control, deliver, length, raise};
use crate::fault::GuestFault;
use crate::host::Host;
use crate::id::Vector;
use crate::local_apic::registers::{MSR_APIC_BASE, MSR_EOI, MSR_SELF_IPI, X2APIC_MSR_FIRST};
use crate::local_apic::{ApicMode, Effect, Trigger, changes_held, shows_held};
use crate::msr::{Route, route};
use crate::vcpu::{Gpr, Vcpu};
use crate::vcpu_record::{VcpuRecord, Work};

/// Number of MSRs of the x2APIC.
const X2APIC_MSRS: u32 = 0x40;

/// WRMSR.
#[inline(always)]
pub fn write<V: Vcpu, H: Host>(vcpu: &mut VcpuRecord<V>, host: &mut H) -> Flow {
    let Some(next) = length::next_rip(vcpu, host, &[Intercepted::Wrmsr])? else {
        return RESUME;
    };
    let msr = vcpu.hw.gpr(Gpr::Rcx) as u32;
    let value = vcpu.hw.gpr(Gpr::Rdx) << 32 | vcpu.hw.gpr(Gpr::Rax) & 0xffff_ffff;
    if msr.wrapping_sub(X2APIC_MSR_FIRST) < X2APIC_MSRS {
        if V::POSSIBLE && vcpu.apic.is_lent() && changes_held(msr) {
            vcpu.reclaim();
        }
        if vcpu.apic.mode() == ApicMode::X2Apic {
            // The two writes of every interrupt and every local wake-up, before all others.
            if msr == MSR_EOI && value == 0 {
                let effect = vcpu.apic.eoi();
                if vcpu.apic.highest_pending().is_some() {
                    vcpu.work |= Work::EVENT;
                }
                vcpu.hw.complete(next);
                return finish(vcpu, host, effect);
            }
            if msr == MSR_SELF_IPI && (16..256).contains(&value) {
                vcpu.hw.complete(next);
                self_ipi(vcpu, Vector(value as u8));
                return RESUME;
            }
        }
        // Before the write, or the task priority as it was at the last look would overwrite the guest's.
        sync_from_cr8(vcpu);
        return match vcpu.apic.write_msr(msr, value, host.now()) {
            Ok(effect) => {
                vcpu.hw.complete(next);
                sync_task_priority(vcpu);
                finish(vcpu, host, effect)
            }
            Err(fault) => raise(vcpu, host, fault),
        };
    }
    match write_other(vcpu, host, msr, value) {
        Ok(effect) => {
            vcpu.hw.complete(next);
            finish(vcpu, host, effect)
        }
        Err(fault) => raise(vcpu, host, fault),
    }
}

/// Straight into the guest where nothing is in its way, else by way of the IRR.
#[inline(always)]
fn self_ipi<V: Vcpu>(vcpu: &mut VcpuRecord<V>, vector: Vector) {
    sync_from_cr8(vcpu);
    if vcpu.work.is_empty() && vcpu.hw.can_take_interrupt() && vcpu.apic.take_at_once(vector) {
        vcpu.hw.inject_interrupt(vector);
    } else {
        let _ = vcpu.apic.accept(vector, Trigger::Edge);
        vcpu.work |= Work::EVENT;
    }
}

#[inline(always)]
fn finish<V: Vcpu, H: Host>(vcpu: &mut VcpuRecord<V>, host: &mut H, effect: Effect) -> Flow {
    match effect {
        Effect::None => RESUME,
        other => deliver::apply(vcpu, host, other),
    }
}

/// RDMSR.
#[inline(always)]
pub fn read<V: Vcpu, H: Host>(vcpu: &mut VcpuRecord<V>, host: &mut H) -> Flow {
    let Some(next) = length::next_rip(vcpu, host, &[Intercepted::Rdmsr])? else {
        return RESUME;
    };
    let msr = vcpu.hw.gpr(Gpr::Rcx) as u32;
    let value = if msr.wrapping_sub(X2APIC_MSR_FIRST) < X2APIC_MSRS {
        if V::POSSIBLE && vcpu.apic.is_lent() && shows_held(msr) {
            vcpu.reclaim();
        }
        sync_from_cr8(vcpu);
        vcpu.apic.read_msr(msr, host.now())
    } else {
        read_other(vcpu, host, msr)
    };
    match value {
        Ok(value) => {
            vcpu.hw.set_gpr(Gpr::Rax, value & 0xffff_ffff);
            vcpu.hw.set_gpr(Gpr::Rdx, value >> 32);
            vcpu.hw.complete(next);
            RESUME
        }
        Err(fault) => raise(vcpu, host, fault),
    }
}

/// The APIC's task priority was written: CR8 shows it.
fn sync_task_priority<V: Vcpu>(vcpu: &mut VcpuRecord<V>) {
    if V::POSSIBLE && vcpu.apic.is_lent() {
        if vcpu.apic.highest_pending().is_some() {
            vcpu.work |= Work::EVENT;
        }
        return;
    }
    vcpu.work |= Work::EVENT;
    let priority = vcpu.apic.cr8();
    if priority != vcpu.hw.cr8() {
        vcpu.hw.set_cr8(priority);
    }
}

/// CR8 may have been written without an exit: the APIC shows it.
#[inline(always)]
pub fn sync_from_cr8<V: Vcpu>(vcpu: &mut VcpuRecord<V>) {
    if V::POSSIBLE && vcpu.apic.is_lent() {
        return;
    }
    let priority = vcpu.hw.cr8();
    if priority != vcpu.apic.cr8() {
        vcpu.apic.set_cr8(priority);
    }
}

/// An MSR that is not the x2APIC's.
#[inline(never)]
fn write_other<V: Vcpu, H: Host>(
    vcpu: &mut VcpuRecord<V>,
    host: &mut H,
    msr: u32,
    value: u64,
) -> Result<Effect, GuestFault> {
    match route(msr) {
        Route::LocalApic if msr == MSR_APIC_BASE => {
            if value != vcpu.apic.apic_base() {
                vcpu.reclaim();
            }
            return vcpu.apic.set_apic_base(value);
        }
        Route::LocalApic => return vcpu.apic.write_msr(msr, value, host.now()),
        Route::Tsc => {
            let now = host.now();
            let tsc = vcpu.apic.guest_tsc().set_to(value, now);
            vcpu.set_guest_tsc(tsc, now);
            clock::refresh(vcpu, host);
            return Ok(Effect::TimerChanged);
        }
        Route::Efer => {
            let state = control::state(&vcpu.hw.system());
            let efer = vcpu.partition.rules.check_efer(value, &state)?;
            vcpu.hw.set_efer(efer);
            vcpu.work |= Work::TAG;
        }
        Route::Kept(check) => {
            let value = check.apply(value)?;
            vcpu.hw.set_kept_msr(msr, value).ok_or(GuestFault::GP0)?;
        }
        Route::ParavirtualClock => clock::write(vcpu, host, msr, value)?,
        Route::Bank => vcpu.bank.write(msr, value)?,
        Route::Absent => return Err(GuestFault::GP0),
    }
    Ok(Effect::None)
}

/// An MSR that is not the x2APIC's.
#[inline(never)]
fn read_other<V: Vcpu, H: Host>(
    vcpu: &mut VcpuRecord<V>,
    host: &mut H,
    msr: u32,
) -> Result<u64, GuestFault> {
    match route(msr) {
        Route::LocalApic if msr == MSR_APIC_BASE => Ok(vcpu.apic.apic_base()),
        Route::LocalApic => vcpu.apic.read_msr(msr, host.now()),
        Route::Tsc => Ok(vcpu.apic.guest_tsc().at(host.now())),
        Route::Efer => Ok(vcpu.hw.system().efer),
        Route::Kept(_) => vcpu.hw.kept_msr(msr).ok_or(GuestFault::GP0),
        Route::ParavirtualClock => {
            let features = vcpu.partition.cpuid.paravirtual_features();
            vcpu.clock.read_msr(msr, features)
        }
        Route::Bank => vcpu.bank.read(msr),
        Route::Absent => Err(GuestFault::GP0),
    }
}
