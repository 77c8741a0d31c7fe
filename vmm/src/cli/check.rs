//! `trapless check`: is this configuration right, and what does it come to?

use std::path::PathBuf;
use vmm::{Config, Error, config, needs};

/// Check a configuration without running it
#[derive(clap::Args)]
pub struct Check {
    /// The configuration file
    #[arg(value_name = "CONFIG.toml")]
    config: PathBuf,
    /// Print the configuration with every default filled in
    #[arg(long)]
    effective: bool,
}

impl Check {
    pub fn execute(self) -> Result<u8, Error> {
        let config = Config::load(&self.config)?;
        if let config::Image::File(path) = &config.guest.image {
            needs::check(&config, path)?;
        }
        super::say(&match self.effective {
            true => config.to_toml(),
            false => format!("{}: ok\n", self.config.display()),
        });
        Ok(0)
    }
}
