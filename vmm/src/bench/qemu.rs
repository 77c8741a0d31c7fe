//! An emulator's port read, for comparison: a 64 KiB boot image that times reads of an empty port and says what they took.

use super::Ground;
use super::host::{Cores, pin};
use super::subject::Subject;
use crate::Error;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

/// Reads in one timed run.
pub const READS: u16 = 500;

/// How long QEMU may take for one run.
const PATIENCE: Duration = Duration::from_secs(5);

const PROGRAM: &str = "qemu-system-x86_64";

/// The program, in real mode at the start of the image's segment. It writes the ticks of one run after another to QEMU's debug port.
///
/// ```text
/// again: mov ecx, READS
///        rdtsc; mov esi, eax
/// read:  in al, 0xe0; dec ecx; jnz read
///        rdtsc; sub eax, esi
///        mov ecx, 4
/// byte:  out 0xe9, al; shr eax, 8; loop byte
///        jmp again
/// ```
fn program() -> Vec<u8> {
    let [low, high] = READS.to_le_bytes();
    let mut code = vec![0x66, 0xb9, low, high, 0, 0];
    code.extend([0x0f, 0x31, 0x66, 0x89, 0xc6]);
    code.extend([0xe4, 0xe0, 0x66, 0x49, 0x75, 0xfa]);
    code.extend([0x0f, 0x31, 0x66, 0x29, 0xf0]);
    code.extend([0x66, 0xb9, 4, 0, 0, 0]);
    code.extend([0xe6, 0xe9, 0x66, 0xc1, 0xe8, 8, 0xe2, 0xf8]);
    let back = -(code.len() as i8 + 2);
    code.extend([0xeb, back as u8]);
    code
}

/// The image: the program at its start, and at its end, where the processor begins, a jump to it.
fn image() -> Vec<u8> {
    let mut image = program();
    image.resize(0xfff0, 0xf4);
    image.extend([0xe9, 0x0d, 0x00]); // jmp 0xfff3 + 0x000d, which is 0 in 16 bits
    image.resize(0x1_0000, 0xf4);
    image
}

/// A block of such runs, with QEMU stopped between blocks; or why there are none.
pub fn port_reads(accelerator: &str, cores: Cores) -> Result<Subject, String> {
    let qemu = Qemu::start(accelerator, cores)?;
    Ok(Subject::new(move |run| {
        qemu.signal(libc::SIGCONT);
        // Those left from before, and the one in which it was stopped.
        while qemu.ticks.try_recv().is_ok() {}
        let mut failed = qemu.run().map(|_| ()).map_err(silent);
        run.timed(|| match qemu.run() {
            Ok(ticks) => ticks.into(),
            Err(reason) => {
                failed = Err(silent(reason));
                0
            }
        });
        qemu.signal(libc::SIGSTOP);
        failed
    }))
}

/// What becomes of a block without its QEMU.
pub fn gone(_: &Ground) -> Result<Subject, Error> {
    Err(silent("it has gone".to_owned()))
}

fn silent(reason: String) -> Error {
    Error::Os {
        what: PROGRAM.to_owned(),
        source: std::io::Error::other(reason),
    }
}

/// A QEMU that runs the image, and what it says.
struct Qemu {
    child: Child,
    /// Of one run after another.
    ticks: Receiver<u32>,
    _image: Image,
}

impl Qemu {
    /// Starts it on the first of the processors, and stops it when it has answered.
    fn start(accelerator: &str, cores: Cores) -> Result<Qemu, String> {
        if !on_path(PROGRAM) {
            return Err(format!("{PROGRAM} is not on the PATH"));
        }
        let image =
            Image::write().map_err(|error| format!("the image cannot be written: {error}"))?;
        let mut child = Command::new(PROGRAM)
            .args(["-nodefaults", "-display", "none", "-no-reboot", "-m", "16"])
            .args(["-machine", "pc", "-cpu", "max", "-debugcon", "stdio"])
            .args(["-accel", accelerator, "-bios"])
            .arg(&image.0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("{PROGRAM} does not start: {error}"))?;
        // Its further threads are where this one is.
        pin(child.id(), &[cores.first]);
        let (tell, ticks) = channel();
        let output = child.stdout.take();
        thread::spawn(move || {
            let mut ticks = [0; 4];
            let mut output = output?;
            // Ends with QEMU, or when nobody listens any more.
            while output.read_exact(&mut ticks).is_ok()
                && tell.send(u32::from_le_bytes(ticks)).is_ok()
            {}
            Some(())
        });
        let qemu = Qemu {
            child,
            ticks,
            _image: image,
        };
        // The first run translates.
        qemu.run()
            .map_err(|reason| format!("-accel {accelerator}: {reason}"))?;
        qemu.signal(libc::SIGSTOP);
        Ok(qemu)
    }

    /// The ticks of the next run.
    fn run(&self) -> Result<u32, String> {
        let told = self.ticks.recv_timeout(PATIENCE);
        told.map_err(|_| {
            let seconds = PATIENCE.as_secs();
            format!("the image did not answer within {seconds} s")
        })
    }

    fn signal(&self, signal: libc::c_int) {
        // SAFETY: to a child that has not been waited for, so that its number is its own.
        unsafe { libc::kill(self.child.id() as libc::pid_t, signal) };
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        // It never ends by itself. What is stopped can be killed, too.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

/// The image's file, for as long as this lives.
struct Image(PathBuf);

impl Image {
    fn write() -> std::io::Result<Image> {
        let name = format!("trapless-bench-{}.bin", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, image())?;
        Ok(Image(path))
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let path: &Path = &self.0;
        let _ = std::fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_begins_where_a_processor_does() {
        let image = image();
        assert_eq!(image.len(), 0x1_0000);
        assert_eq!(image[0xfff0], 0xe9);
        let jump = 0xfff3_u16.wrapping_add(u16::from_le_bytes([image[0xfff1], image[0xfff2]]));
        assert_eq!(jump, 0);
        let code = program();
        assert_eq!(image[..code.len()], code);
        assert_eq!(
            code.last().map(|back| i32::from(*back as i8)),
            Some(-(code.len() as i32))
        );
    }
}
