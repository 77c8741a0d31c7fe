//! How many exits to user space an operation takes.

use super::Ground;
use super::block::Plan;
use super::guest::{Guest, Setup};
use super::host;
use crate::Error;

/// Exits an operation, from which on the few that starting and ending a VM takes do not count.
const MANY_EXITS: f64 = 100.0;
/// Exits, or operations, past which the few exits that a VM makes more or less in its own affairs do not matter: one in a hundred.
const ENOUGH: f64 = 300.0;

/// How many times as long the longer life is at least: what makes few exits, such as a call that is polled, is done often then.
const LONGER: u64 = 8;
/// Longer and longer lives that are tried where the machine is too busy for enough in one.
const GOES: u32 = 2;

/// As little of an operation as can be done.
const LEAST: Plan = Plan {
    chunk: 0,
    chunks: 0,
    singles: 0,
};

/// Exits an operation: of two VMs that do nothing else, one for longer than the other, what the longer life had more.
pub fn count(
    ground: &Ground,
    setup: Setup,
    work: &str,
    per: u32,
    plan: Plan,
) -> Result<Option<f64>, Error> {
    let once = |chunks| {
        let plan = Plan {
            chunks,
            singles: 0,
            ..plan
        };
        let mut guest = Guest::start(setup, &ground.guest, ground.cores)?;
        // Whatever thread it takes is there then, and is where it is when costs are measured.
        let first = guest.block(work, LEAST, true)?;
        host::pin_others(&[guest.thread_id], ground.cores);
        let mut block = guest.block(work, plan, true)?;
        block.rounds += first.rounds;
        Ok::<_, Error>((block, guest.stats()?.total_exits()))
    };
    let (few, least) = once(plan.chunks)?;
    let each = least as f64 / (few.rounds * u64::from(per)) as f64;
    if each > MANY_EXITS {
        return Ok(Some(each));
    }
    let rounds = 1 + (ENOUGH / each.max(1.0) / f64::from(per)) as u64;
    let mut chunks = ((few.rounds + rounds) * few.cost / 1000).max(LONGER * plan.chunks);
    let mut exits = None;
    for _ in 0..GOES {
        let (many, most) = once(chunks)?;
        let more = many.rounds.saturating_sub(few.rounds);
        if more > 0 {
            let exits_more = most.saturating_sub(least);
            exits = Some(exits_more as f64 / (more * u64::from(per)) as f64);
        }
        if more >= rounds {
            break;
        }
        chunks *= 4;
    }
    Ok(exits)
}
