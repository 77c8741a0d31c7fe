//! How many exits to user space an operation takes.

use super::Ground;
use super::block::Plan;
use super::guest::{Guest, Setup};
use crate::Error;

/// Exits an operation, from which on the few that starting and ending a VM takes do not count.
const MANY_EXITS: f64 = 100.0;
/// Operations past which the few exits that a VM makes more or less in its own affairs do not matter: one in a hundred.
const ENOUGH_TO_COUNT: u64 = 500;

/// Exits an operation: of two VMs that do nothing else, one for longer than the other, what the longer life had more.
pub fn count(
    ground: &Ground,
    setup: Setup,
    work: &str,
    per: u32,
    plan: Plan,
) -> Result<Option<f64>, Error> {
    let longer = |times: u64| Plan {
        chunks: plan.chunks * times,
        singles: 0,
        ..plan
    };
    let once = |plan| {
        let mut guest = Guest::start(setup, &ground.guest, ground.cores)?;
        let block = guest.block(work, plan, true)?;
        Ok::<_, Error>((block.rounds, guest.stats()?))
    };
    let (few, least) = once(longer(1))?;
    let all = least.total_exits() as f64 / (few * u64::from(per)) as f64;
    if all > MANY_EXITS {
        return Ok(Some(all));
    }
    let mut exits = None;
    for times in [4, 16, 64, 256] {
        let (many, most) = once(longer(times))?;
        let operations = many.saturating_sub(few) * u64::from(per);
        if operations == 0 {
            continue;
        }
        let more = most.total_exits().saturating_sub(least.total_exits());
        exits = Some(more as f64 / operations as f64);
        if operations >= ENOUGH_TO_COUNT {
            break;
        }
    }
    Ok(exits)
}
