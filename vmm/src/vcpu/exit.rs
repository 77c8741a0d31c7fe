//! Entering the guest, and what its exits mean.

use super::{Next, Vcpu, registers};
use crate::Error;
use crate::calls::{self, Reply};
use crate::clock::host_tsc;
use crate::fault::{Cause, Registers};
use crate::kvm::refused;
use crate::platform::gate::{CALL_PORT, DOORBELL_PORT, FAULT_PORT};
use crate::poller::Polling;
use crate::stats::{Carried, ExitKind};
use crate::timing::Timing;
use crate::trapped::{Trapped, Wide};
use hypercall_abi::call::Carrier;
use hypercall_abi::{Status, call};
use kvm_ioctls::{VcpuExit, VcpuFd};

/// Why the guest was left, without a hold on the vCPU.
pub(super) enum Exit {
    Call,
    /// A doorbell for which the kernel knows no listener.
    Doorbell(u32),
    Exception,
    Kick,
    /// A read of a port that has been answered.
    PortRead,
    /// A write to a port that has been taken, and the byte that it sent to the console.
    PortWritten(Option<u8>),
    /// Port I/O that nobody answers.
    Port {
        port: u16,
        write: bool,
        size: usize,
    },
    Memory {
        address: u64,
        write: bool,
        size: usize,
    },
    Shutdown,
    Other(String),
}

/// Runs the guest until its next exit, and answers port I/O if there are devices.
pub(super) fn enter(fd: &mut VcpuFd, trapped: Option<&Trapped>) -> Result<Exit, Error> {
    let exit = match fd.run() {
        Ok(VcpuExit::IoOut(CALL_PORT, _)) => Exit::Call,
        Ok(VcpuExit::IoOut(FAULT_PORT, _)) => Exit::Exception,
        Ok(VcpuExit::IoOut(DOORBELL_PORT, &[a, b, c, d])) => {
            Exit::Doorbell(u32::from_le_bytes([a, b, c, d]))
        }
        Ok(VcpuExit::IoOut(port, data)) => match trapped.map(|trapped| trapped.write(port, data)) {
            Some(Ok(sent)) => Exit::PortWritten(sent),
            None | Some(Err(Wide)) => Exit::Port {
                port,
                write: true,
                size: data.len(),
            },
        },
        Ok(VcpuExit::IoIn(port, data)) => match trapped.map(|trapped| trapped.read(port, data)) {
            Some(Ok(())) => Exit::PortRead,
            None | Some(Err(Wide)) => Exit::Port {
                port,
                write: false,
                size: data.len(),
            },
        },
        Ok(VcpuExit::MmioRead(address, data)) => Exit::Memory {
            address,
            write: false,
            size: data.len(),
        },
        Ok(VcpuExit::MmioWrite(address, data)) => Exit::Memory {
            address,
            write: true,
            size: data.len(),
        },
        Ok(VcpuExit::Shutdown) => Exit::Shutdown,
        Ok(VcpuExit::Intr) => Exit::Kick,
        Ok(other) => Exit::Other(format!("{other:?}")),
        Err(errno) => match errno.errno() {
            libc::EINTR | libc::EAGAIN => Exit::Kick,
            // The guest runs on memory the host cannot give it, as software KVM also says of tables that lead nowhere.
            libc::EFAULT => Exit::Other("EFAULT".into()),
            _ => return Err(refused("KVM_RUN")(errno)),
        },
    };
    if matches!(exit, Exit::Kick) {
        // Before the next look at what the kick was for: a kick from now on sets it again.
        fd.set_kvm_immediate_exit(0);
    }
    Ok(exit)
}

impl Vcpu {
    /// Does what an exit asks for.
    pub(super) fn handle(&mut self, exit: Exit) -> Result<Next, Error> {
        match exit {
            Exit::Call => {
                self.count(ExitKind::Call);
                self.call()
            }
            Exit::Doorbell(number) => {
                self.count(ExitKind::Doorbell);
                self.shared.doorbells.ring(number);
                Ok(Next::Go)
            }
            Exit::Exception => self.exception(),
            Exit::Kick => {
                self.count(ExitKind::Kick);
                Ok(Next::Go)
            }
            Exit::PortRead => {
                self.count(ExitKind::Port);
                Ok(Next::Go)
            }
            Exit::PortWritten(sent) => {
                self.count(ExitKind::Port);
                self.port_written(sent);
                Ok(Next::Go)
            }
            Exit::Port { port, write, size } => {
                self.count(ExitKind::Port);
                let verb = if write { "write to" } else { "read from" };
                let why = match self.shared.trapped {
                    Some(_) => "whose device has registers of one byte",
                    None => "which no device answers",
                };
                self.broken(format!("a {size}-byte {verb} port {port:#x}, {why}"))
            }
            Exit::Memory {
                address,
                write,
                size,
            } => {
                self.count(ExitKind::Mmio);
                let verb = if write { "write to" } else { "read from" };
                self.broken(format!(
                    "a {size}-byte {verb} guest-physical {address:#x}, where there is no memory"
                ))
            }
            Exit::Shutdown => {
                self.count(ExitKind::Other);
                let registers = self.all_registers()?;
                Ok(self.fault(Cause::TripleFault, registers))
            }
            Exit::Other(what) => {
                self.count(ExitKind::Other);
                self.broken(format!("KVM cannot go on with this guest: {what}"))
            }
        }
    }

    /// Ends the VM with a sentence about what the guest did.
    pub(super) fn broken(&mut self, what: String) -> Result<Next, Error> {
        let registers = self.all_registers()?;
        Ok(self.fault(Cause::Broken(what), registers))
    }

    /// All registers as of the last exit.
    pub(super) fn all_registers(&mut self) -> Result<Registers, Error> {
        let sregs = self.fd.get_sregs().map_err(refused("KVM_GET_SREGS"))?;
        Ok(Registers::new(self.registers(), &sregs))
    }

    /// Serves the call in the registers.
    fn call(&mut self) -> Result<Next, Error> {
        self.note_first_call();
        let regs = self.registers();
        let number = regs.rax as u32; // the high half is a retry token, and this host gives none out
        let args = [regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8, regs.r9];
        let row = call::row(number);
        let entry = row.and_then(|row| call::TABLE.get(row));
        self.note_density(entry.is_some_and(|entry| entry.carrier == Carrier::Any));
        let record = self.slot.recent.push(number, &args);
        let began = self.slot.timing.begin();
        let reply = calls::dispatch(self, number, row, &args)?;
        Timing::served(&self.caller(), began, row, Carried::Trapped);
        let (status, result) = match reply {
            Reply::Answer(status, result) => (status, result),
            Reply::Leave(next) => {
                self.stats.count_call(row, Status::OK);
                return Ok(next);
            }
        };
        self.stats.count_call(row, status);
        self.slot.recent.answer(record, status, result);
        let regs = self.registers();
        regs.rax = u64::from(status.0);
        regs.rdx = result;
        if cfg!(debug_assertions) {
            for undefined in [
                &mut regs.rdi,
                &mut regs.rsi,
                &mut regs.r10,
                &mut regs.r8,
                &mut regs.r9,
                &mut regs.rcx,
                &mut regs.r11,
            ] {
                *undefined = call::POISON;
            }
        }
        self.registers_changed();
        let shared = &self.shared;
        shared.clock.tick(&shared.memory);
        Ok(Next::Go)
    }

    /// A call, and whether it could have been posted: many of those in a short time are worth a poller.
    fn note_density(&mut self, postable: bool) {
        let now = host_tsc();
        self.density.cross(now);
        self.shared.polling.learn_exit(self.density.exit());
        if postable {
            let dense = self.density.note(now);
            Polling::trapped(&self.shared, now, dense);
        }
    }

    /// Makes this vCPU forget its address translations now.
    pub(crate) fn flush_translations(&self) -> Result<(), Error> {
        registers::flush_translations(&self.fd)
    }
}
