//! Whatever vCPUs do and management changes, nothing is lost and no rule is broken.

use super::super::Slot;
use super::*;
use simulation::MILLISECOND;

/// xorshift64*.
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// From `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + (self.next() >> 16) % (high - low + 1)
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.between(1, count) == 1
    }

    fn behaviour(&mut self) -> Behaviour {
        if self.one_in(2) {
            return Behaviour::Spins;
        }
        Behaviour::Bursts {
            run: self.between(1, 20 * MILLISECOND),
            sleep: self.between(1, 40 * MILLISECOND),
        }
    }

    fn entitlement(&mut self, reservable: u32) -> Entitlement {
        let weight = [0, 1, 100, self.between(1, 10_000) as u32][self.between(0, 3) as usize];
        let reservation = match self.one_in(4) {
            true => self.between(0, reservable.into()) as u32,
            false => 0,
        };
        let limit = match self.one_in(3) {
            true => self.between(u64::from(reservation).max(1), 100) as u32,
            false => 0,
        };
        Entitlement::new(weight, reservation, limit, 1).unwrap()
    }
}

#[test]
fn time_is_neither_lost_nor_made_and_everybody_who_may_runs() {
    for seed in 1..25 {
        let mut random = Random(seed);
        let mut cpu = Cpu::new();
        let mut systems = Vec::new();
        let count = random.between(1, 40) as u32;
        for _ in 0..count {
            let system = Arc::new(System::new(1, random.entitlement(90 / count)));
            let behaviour = random.behaviour();
            cpu.add(system.clone(), behaviour);
            systems.push(system);
        }
        let mut gone = 0;
        for _ in 0..100 {
            let span = random.between(1, 30 * MILLISECOND);
            cpu.run_until(cpu.now + span);
            let index = random.between(0, u64::from(count) - 1) as usize;
            match random.between(0, 9) {
                0 => {
                    gone += cpu.guests[index].take().map_or(0, |guest| guest.ran);
                    cpu.scheduler.dismiss(Slot(index));
                }
                1 | 2 => {
                    gone += cpu.guests[index].take().map_or(0, |guest| guest.ran);
                    systems[index] = Arc::new(System::new(1, random.entitlement(90 / count)));
                    let behaviour = random.behaviour();
                    cpu.replace(index, systems[index].clone(), behaviour);
                }
                3 | 4 => systems[index].set(random.entitlement(90 / count)),
                _ => {}
            }
        }
        let ran: u64 = cpu.ran().iter().sum();
        assert_eq!(ran + gone + cpu.idle, cpu.now - SECOND, "seed {seed}");
        // What they owe each other is over soon, and everybody runs.
        let before = cpu.ran();
        for guest in cpu.guests.iter_mut().flatten() {
            guest.behaviour = Behaviour::Spins;
        }
        for system in &systems {
            let entitlement = system.entitlement();
            let (reservation, limit) = (entitlement.reservation(), entitlement.limit());
            system.set(Entitlement::new(100, reservation, limit, 1).unwrap());
        }
        let span = 10 * SECOND;
        cpu.run_until(cpu.now + span);
        for (after, before) in cpu.ran().iter().zip(before) {
            assert!(*after > before, "seed {seed}");
        }
    }
}

#[test]
fn a_cpu_is_never_idle_while_somebody_without_a_limit_wants_to_run() {
    for seed in 100..120 {
        let mut random = Random(seed);
        let mut cpu = spinners(&[1]);
        for _ in 0..random.between(1, 20) {
            let system = Arc::new(System::new(1, random.entitlement(4)));
            let behaviour = random.behaviour();
            cpu.add(system, behaviour);
        }
        cpu.run_until(2 * SECOND);
        assert_eq!(cpu.idle, 0, "seed {seed}");
    }
}

#[test]
fn spinners_stay_within_a_turn_of_each_other_whatever_sleepers_do() {
    for seed in 200..230 {
        let mut random = Random(seed);
        let weights: Vec<_> = (0..random.between(2, 6))
            .map(|_| random.between(20, 2000) as u32)
            .collect();
        let mut cpu = spinners(&weights);
        for _ in 0..random.between(0, 10) {
            let behaviour = Behaviour::Bursts {
                run: random.between(1, 5 * MILLISECOND),
                sleep: random.between(1, 20 * MILLISECOND),
            };
            cpu.add(system(1, random.between(1, 1000) as u32, 0, 0), behaviour);
        }
        let start = cpu.ran();
        for _ in 0..20 {
            cpu.run_until(cpu.now + random.between(1, 200 * MILLISECOND));
            let ran = cpu.ran();
            for (one, a) in weights.iter().enumerate() {
                for (other, b) in weights.iter().enumerate() {
                    let normal =
                        |index: usize, weight: u32| (ran[index] - start[index]) / u64::from(weight);
                    let most = SLICE.0 / u64::from(*a) + SLICE.0 / u64::from(*b) + 2;
                    let apart = normal(one, *a).abs_diff(normal(other, *b));
                    assert!(apart <= most, "seed {seed}: {apart} > {most}");
                }
            }
        }
    }
}
