//! An emulator's port read, for comparison: a 64 KiB boot image that times reads of an empty port and says what they took.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

/// Reads in one timed run.
const READS: u16 = 5_000;

/// How long QEMU may take for everything.
const PATIENCE: Duration = Duration::from_secs(10);

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

/// The ticks of a read, run by run; or why there are none.
pub fn port_reads(accelerator: &str, runs: u32) -> Result<Vec<f64>, String> {
    const PROGRAM: &str = "qemu-system-x86_64";
    if !on_path(PROGRAM) {
        return Err(format!("{PROGRAM} is not on the PATH"));
    }
    let image = Image::write().map_err(|error| format!("the image cannot be written: {error}"))?;
    let mut qemu = Command::new(PROGRAM)
        .args(["-nodefaults", "-display", "none", "-no-reboot", "-m", "16"])
        .args(["-machine", "pc", "-cpu", "max", "-debugcon", "stdio"])
        .args(["-accel", accelerator, "-bios"])
        .arg(&image.0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("{PROGRAM} does not start: {error}"))?;
    let ticks = read(&mut qemu, runs);
    // It never ends by itself.
    let _ = qemu.kill();
    let _ = qemu.wait();
    let ticks = ticks.ok_or_else(|| {
        format!(
            "under -accel {accelerator} the image did not answer within {} s",
            PATIENCE.as_secs()
        )
    })?;
    Ok(ticks
        .into_iter()
        .skip(1) // the first run translates
        .map(|ticks| f64::from(ticks) / f64::from(READS))
        .collect())
}

fn read(qemu: &mut Child, runs: u32) -> Option<Vec<u32>> {
    let mut output = qemu.stdout.take()?;
    let (tell, told) = channel();
    let reader = thread::spawn(move || {
        let mut ticks = [0; 4];
        // Ends with QEMU, or when nobody listens any more.
        while output.read_exact(&mut ticks).is_ok() && tell.send(u32::from_le_bytes(ticks)).is_ok()
        {
        }
    });
    let ticks = (0..=runs).map(|_| told.recv_timeout(PATIENCE).ok());
    let ticks = ticks.collect();
    let _ = qemu.kill();
    drop(told);
    // It sees the end of the output.
    let _ = reader.join();
    ticks
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
