//! The APIC against a naive model with ordered sets, over random operations.

use super::*;
use std::collections::BTreeSet;

#[derive(Default)]
struct Model {
    pending: BTreeSet<u8>,
    service: BTreeSet<u8>,
    level: BTreeSet<u8>,
    tpr: u8,
    enabled: bool,
    suppress: bool,
}

impl Model {
    fn ppr(&self) -> u8 {
        let class = self.service.last().map_or(0, |vector| vector & 0xf0);
        if self.tpr & 0xf0 >= class {
            self.tpr
        } else {
            class
        }
    }

    fn next(&self) -> Option<Vector> {
        let top = *self.pending.last()?;
        (self.enabled && top >> 4 > self.ppr() >> 4).then_some(Vector(top))
    }

    fn accept(&mut self, vector: u8, trigger: Trigger) -> Acceptance {
        if vector < 16 || !self.enabled {
            return Acceptance::Refused;
        }
        match trigger {
            Trigger::Edge => self.level.remove(&vector),
            Trigger::Level => self.level.insert(vector),
        };
        if self.pending.insert(vector) {
            Acceptance::New
        } else {
            Acceptance::Coalesced
        }
    }

    fn eoi(&mut self) -> Effect {
        match self.service.pop_last() {
            Some(vector) if self.level.contains(&vector) && !self.suppress => {
                Effect::EoiBroadcast(Vector(vector))
            }
            _ => Effect::None,
        }
    }

    fn register(set: &BTreeSet<u8>, index: u8) -> u32 {
        set.iter()
            .filter(|&&vector| vector >> 5 == index)
            .fold(0, |bits, vector| bits | 1 << (vector & 31))
    }
}

#[test]
fn random_operations_match_the_model() {
    let mut seed = 2026u64;
    let mut random = || {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as u32
    };
    let mailbox = Mailbox::new();
    let mut apic = enabled();
    let mut model = Model {
        enabled: true,
        ..Model::default()
    };
    let mut delivered = 0;
    for step in 0..60_000 {
        let value = random() as u8;
        let trigger = if random() & 1 == 0 {
            Trigger::Edge
        } else {
            Trigger::Level
        };
        match random() % 16 {
            0..5 => assert_eq!(
                apic.accept(Vector(value), trigger),
                model.accept(value, trigger)
            ),
            5..7 => {
                let _ = mailbox.post(Vector(value), trigger);
                let _ = mailbox.drain_into(&mut apic);
                model.accept(value, trigger);
            }
            7..11 => {
                if let Some(vector) = apic.next_vector() {
                    apic.acknowledge(vector);
                    model.pending.remove(&vector.0);
                    model.service.insert(vector.0);
                    delivered += 1;
                }
            }
            11..14 => assert_eq!(apic.eoi(), model.eoi()),
            14 => {
                // Mostly low, so that something is delivered.
                model.tpr = if random() & 3 == 0 {
                    value
                } else {
                    value & 0x3f
                };
                apic.set_tpr(model.tpr);
            }
            _ => {
                model.enabled = random() & 3 != 0;
                model.suppress = random() & 3 == 0;
                let bits = u32::from(model.enabled) << 8 | u32::from(model.suppress) << 12;
                let _ = apic.write_mmio(0xf0, bits | 0xff, NOW);
            }
        }
        assert_eq!(apic.next_vector(), model.next(), "step {step}");
        assert_eq!(apic.ppr(), model.ppr());
        assert_eq!(
            apic.highest_pending(),
            model.pending.last().map(|&vector| Vector(vector))
        );
        let index = value & 7;
        let offset = u16::from(index) << 4;
        for (base, set) in [
            (0x100, &model.service),
            (0x180, &model.level),
            (0x200, &model.pending),
        ] {
            assert_eq!(
                apic.read_mmio(base + offset, NOW),
                Model::register(set, index)
            );
        }
        if step % 1000 == 0 {
            let state = apic.save(NOW);
            let mut copy = LocalApic::new(ApicId(3), ProcessorRole::Bootstrap, &config());
            copy.restore(&state, NOW).unwrap();
            assert_eq!(copy.save(NOW), state);
            apic = copy;
        }
    }
    assert!(delivered > 3_000, "{delivered}");
}

#[test]
fn no_sequence_of_register_accesses_goes_wrong() {
    let mut seed = 7u64;
    let mut random = || {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        seed >> 20
    };
    for round in 0..200 {
        let mut apic = if round % 2 == 0 { enabled() } else { x2apic() };
        let mut now = NOW;
        for _ in 0..2000 {
            now = now + Ticks(random() & 0xfff_ffff);
            let value = random() << (random() % 40);
            let register = (random() % 0x41) as u32;
            match random() % 8 {
                0..3 => {
                    let _ = apic.write_msr(0x800 + register, value, now);
                }
                3 => {
                    let _ = apic.read_msr(0x800 + register, now);
                }
                4 => {
                    let _ = apic.write_mmio((register * 16) as u16, value as u32, now);
                }
                5 => {
                    let _ = apic.read_mmio((register * 16 + 1) as u16, now);
                }
                6 => {
                    let _ = apic.write_msr(0x6e0, now.0 + (value & 0xffff), now);
                }
                _ => {
                    if apic.deadline() <= now {
                        apic.expire(now);
                        assert!(apic.deadline() > now, "expired timers are done or ahead");
                    }
                }
            }
            if random() % 64 == 0 {
                let base = apic.apic_base() ^ (random() & 0xc00);
                let _ = apic.set_apic_base(base);
            }
        }
        let state = apic.save(now);
        assert_eq!(apic.restore(&state, now), Ok(()), "{state:?}");
    }
}
