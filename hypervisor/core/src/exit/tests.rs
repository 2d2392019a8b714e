//! The exit loop, driven by scripts.

mod basics;
mod delivery;
mod fuzz;
mod interrupts;
mod io;
mod ipi;
mod length;
mod mmio;
mod msr;
mod nested;
mod startup;
