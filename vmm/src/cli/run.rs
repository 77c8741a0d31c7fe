//! `trapless run`: one VM, from a configuration or from an image alone.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use vmm::config::{self, Config, Image};
use vmm::{Error, run};

/// Run a VM
#[derive(clap::Args)]
pub struct Run {
    /// A configuration file (ends in .toml), or an ELF image to run with defaults
    #[arg(value_name = "CONFIG.toml|IMAGE")]
    file: PathBuf,
    /// Print exits by kind, calls by name, how long they took, and processor time when the VM has ended
    #[arg(long)]
    stats: bool,
    /// Write how the VM ended to FILE, as JSON
    #[arg(long, value_name = "FILE")]
    outcome: Option<PathBuf>,
    /// Instead of the configured memory, such as 64MiB
    #[arg(long, value_name = "SIZE", value_parser = config::parse_memory)]
    memory: Option<u64>,
    /// Instead of the configured number of vCPUs
    #[arg(long, value_name = "COUNT", value_parser = config::parse_vcpus)]
    vcpus: Option<u32>,
    /// Instead of the configured time limit, such as 10s
    #[arg(long, value_name = "TIME", value_parser = config::parse_time_limit)]
    time: Option<Duration>,
    /// The guest's arguments, instead of the configured ones
    #[arg(last = true, value_name = "ARGS")]
    args: Option<Vec<String>>,
}

impl Run {
    pub fn execute(self) -> Result<u8, Error> {
        let mut config = configuration(&self.file)?;
        if let Some(memory) = self.memory {
            config.machine.memory = memory;
        }
        if let Some(vcpus) = self.vcpus {
            config.machine.vcpus = vcpus;
        }
        if let Some(time) = self.time {
            config.limits.time = Some(time);
        }
        if let Some(args) = self.args {
            config.guest.args = args;
        }
        let options = run::Options {
            stats: self.stats,
            outcome: self.outcome,
        };
        run::run(&config, &options)
    }
}

fn configuration(file: &Path) -> Result<Config, Error> {
    if file.extension() == Some(OsStr::new("toml")) {
        return Config::load(file);
    }
    let image = |problem: String| Error::Image {
        path: file.to_owned(),
        problem,
    };
    let there = std::fs::metadata(file).map_err(|error| image(error.to_string()))?;
    if there.is_dir() {
        let problem = "is a directory; name a configuration (ends in .toml) or an ELF image";
        return Err(image(problem.to_owned()));
    }
    Ok(Config::new(Image::File(file.to_owned())))
}
