//! `trapless check`: is this configuration right, and what does it come to?

use std::fs::File;
use std::path::{Path, PathBuf};
use vmm::image::Plan;
use vmm::{Config, Error, config};

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
            image(path)?;
        }
        super::say(&match self.effective {
            true => config.to_toml(),
            false => format!("{}: ok\n", self.config.display()),
        });
        Ok(0)
    }
}

/// Reads the image as far as the VM does before it starts.
fn image(path: &Path) -> Result<(), Error> {
    let refused = |problem| Error::Image {
        path: path.to_owned(),
        problem,
    };
    let file = File::open(path).map_err(|error| refused(error.to_string()))?;
    Plan::read_file(&file).map_err(refused)?;
    Ok(())
}
