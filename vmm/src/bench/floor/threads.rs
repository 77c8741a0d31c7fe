//! Two threads of this process that answer each other: through one cache line, as a polled call does, and through pipes.

use super::super::block::Run;
use super::super::host::{Cores, pin, this_thread};
use crate::Error;
use hypercall_abi::vcpu::CallLine;
use std::hint::spin_loop;
use std::io::{Read, Write, pipe};
use std::mem::offset_of;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::thread;

/// A call line as two threads of one process share it.
#[repr(C, align(64))]
#[derive(Default)]
struct Line {
    post: AtomicU32,
    number: AtomicU32,
    args: [AtomicU64; 6],
    status: AtomicU32,
    answered: AtomicU32,
}

const _: () = assert!(
    size_of::<Line>() == size_of::<CallLine>()
        && offset_of!(Line, post) == offset_of!(CallLine, post)
        && offset_of!(Line, number) == offset_of!(CallLine, number)
        && offset_of!(Line, args) == offset_of!(CallLine, args)
        && offset_of!(Line, status) == offset_of!(CallLine, status)
        && offset_of!(Line, answered) == offset_of!(CallLine, answered),
    "the floor is measured on the layout that calls use"
);

/// What is posted for the partner to stop.
const STOP: u32 = u32::MAX;

/// One thread posts, the other answers, each looking at the line until the other has written it. Nothing is carried out.
pub fn ping_pong(run: &mut Run, cores: Cores) -> Result<(), Error> {
    let line = Line::default();
    thread::scope(|scope| {
        scope.spawn(|| {
            pin(this_thread(), &[cores.second]);
            answer(&line);
        });
        let mut post = 0;
        run.over(|| {
            post += 1;
            ask(&line, 0, post);
        });
        ask(&line, STOP, post + 1);
    });
    Ok(())
}

fn ask(line: &Line, number: u32, post: u32) {
    line.number.store(number, Ordering::Relaxed);
    line.post.store(post, Ordering::Release); // after `number`; pairs with `answer`
    while line.answered.load(Ordering::Acquire) != post {
        spin_loop();
    }
}

fn answer(line: &Line) {
    let mut answered = 0;
    loop {
        let post = line.post.load(Ordering::Acquire);
        if post == answered {
            spin_loop();
            continue;
        }
        let number = line.number.load(Ordering::Relaxed);
        line.status.store(0, Ordering::Relaxed);
        answered = post;
        line.answered.store(post, Ordering::Release); // after `status`; pairs with `ask`
        if number == STOP {
            return;
        }
    }
}

/// A byte through one pipe and back through another, with a thread at the far end that sleeps in between.
pub fn pipes(run: &mut Run, cores: Cores) -> Result<(), Error> {
    let os = |source| Error::Os {
        what: "a pipe between two threads".to_owned(),
        source,
    };
    let (mut its_input, mut to_it) = pipe().map_err(os)?;
    let (mut from_it, mut its_output) = pipe().map_err(os)?;
    thread::scope(|scope| {
        scope.spawn(move || {
            pin(this_thread(), &[cores.second]);
            let mut byte = [0];
            while matches!(its_input.read(&mut byte), Ok(1)) && its_output.write_all(&byte).is_ok()
            {
            }
        });
        let mut failed = Ok(());
        run.over(|| {
            let round = to_it.write_all(&[0]);
            let round = round.and_then(|()| from_it.read_exact(&mut [0]));
            if let Err(error) = round {
                failed = Err(os(error));
            }
        });
        drop(to_it); // the far end sees the end of its input, and ends
        failed
    })
}
