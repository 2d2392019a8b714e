//! The step `cim-partition`: the shorter list of tests against the booted product, over both of its channels.
//!
//! Uses the verbs `run` and `bridge` as an operator would.

use super::{Clients, count};
use crate::tally::Tally;
use crate::verb::background::Background;
use anyhow::Result;
use std::time::Duration;

/// Build, boot, and the server's start, on a slow and busy machine.
const BOOT: Duration = Duration::from_secs(600);
/// The machine ends by itself after this, whatever happens to us.
const LIFE: &str = "2500";

/// Tests that a channel is not made for.
type LeftOut = &'static [&'static str];
/// QEMU's user network has a queue of one for new connections, so that the host's kernel resets some of a crowd that comes
/// at the same instant. The machine never sees those. Many connections at a time are tested without it.
const NETWORK: LeftOut = &["test_crowd_of_new_connections"];
/// The bridge gives each client a connection of its own.
const SERIAL: LeftOut = &[];

/// Runs the step.
pub(super) fn test(clients: &Clients) -> Result<Tally> {
    let machine = boot()?;
    let (user, password) = (machine.said("CIM user")?, machine.said("CIM password")?);
    let over = |url: &str, left_out: LeftOut, name| {
        let mut suite = clients.suite();
        for word in left_out {
            suite.args(["--leave-out", word]);
        }
        suite.args([
            "--short",
            "--url",
            url,
            "--user",
            user,
            "--password",
            password,
        ]);
        count(suite, name)
    };
    let mut sum = over(machine.said("CIM ready")?, NETWORK, "cim-partition-network")?;
    let serial = machine.said("CIM serial")?;
    let bridge = Background::start(
        &["bridge", "--serial-socket", serial],
        &["CIM serial bridge"],
        BOOT,
    )?;
    sum += over(
        bridge.said("CIM serial bridge")?,
        SERIAL,
        "cim-partition-serial",
    )?;
    Ok(sum)
}

/// Boots the product until its server answers.
///
/// # Errors
/// It does not.
pub fn boot() -> Result<Background> {
    let wanted = ["CIM serial", "CIM ready", "CIM user", "CIM password"];
    Background::start(&["run", "--for", LIFE], &wanted, BOOT)
}
