//! `trapless build`: the ELF image that a configuration runs.

use std::path::PathBuf;
use vmm::{Config, Error, build};

/// Build a configuration's guest, and print the path of its image
#[derive(clap::Args)]
pub struct Build {
    /// The configuration file
    #[arg(value_name = "CONFIG.toml")]
    config: PathBuf,
    /// Copy the image here
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Build {
    pub fn execute(self) -> Result<u8, Error> {
        let config = Config::load(&self.config)?;
        let mut image = build::image(&config.guest.image)?;
        if let Some(output) = self.output {
            std::fs::copy(&image, &output).map_err(|error| Error::Create {
                path: output.clone(),
                problem: error.to_string(),
            })?;
            image = output;
        }
        super::say(&format!("{}\n", image.display()));
        Ok(0)
    }
}
