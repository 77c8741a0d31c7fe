//! `trapless bench`: measures, shows, keeps and compares.

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use vmm::bench::{self, Options, compare, page, readme, results::Results, table};
use vmm::{Error, exit};

/// Measure what calls cost, against trapping and against their floors
#[derive(clap::Args)]
pub struct Bench {
    /// Fewer and shorter blocks: a first impression in seconds
    #[arg(long)]
    quick: bool,
    /// Only rows with this in their name or operation, and what they are held against
    #[arg(long, value_name = "TEXT", value_parser = bench::parse_filter)]
    filter: Option<String>,
    /// Write the results to FILE, for programs and for --compare
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write a page with tables and plots to FILE
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Renew the measured tables in FILE, such as README.md, between the two lines that mark their place
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Write a plot of what these tables hold to FILE
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Show the results in FILE, which --json wrote, instead of measuring
    #[arg(long, value_name = "FILE", conflicts_with_all = ["quick", "filter"])]
    from: Option<PathBuf>,
    /// Compare with the results in OLD.json; exit code 1 if something got slower beyond the noise
    #[arg(long, value_name = "OLD.json")]
    compare: Option<PathBuf>,
}

/// What to exit with where something got slower.
const SLOWER: u8 = 1;

impl Bench {
    pub fn execute(self) -> Result<u8, Error> {
        // Before minutes are spent on it.
        let old = self.compare.as_deref().map(compare::read).transpose()?;
        for file in self.json.iter().chain(&self.html).chain(&self.svg) {
            open(file)?;
        }
        if let Some(file) = &self.markdown {
            readme::renewed(file, "")?;
        }
        let results = match &self.from {
            Some(file) => compare::read(file)?,
            None => match self.measure()? {
                Ok(results) => results,
                Err(code) => return Ok(code),
            },
        };
        super::say(&table::render(&results));
        if let Some(file) = &self.json {
            let json =
                serde_json::to_string(&results).map_err(|error| cannot(file, &error.into()))?;
            write(file, &json)?;
        }
        if let Some(file) = &self.html {
            write(file, &page::render(&results))?;
        }
        if let Some(file) = &self.markdown {
            write(file, &readme::renewed(file, &readme::tables(&results))?)?;
        }
        if let Some(file) = &self.svg {
            write(file, &readme::plot(&results))?;
        }
        let Some(old) = old else { return Ok(0) };
        let changes = compare::compare(&old, &results)?;
        super::say(&changes.to_string());
        Ok(if changes.slower().next().is_some() {
            SLOWER
        } else {
            0
        })
    }

    /// The results, or the code to exit with where a signal came first.
    fn measure(&self) -> Result<Result<Results, u8>, Error> {
        let os = |source| Error::Os {
            what: "preparing to be interrupted".to_owned(),
            source,
        };
        let options = Options {
            quick: self.quick,
            filter: self.filter.clone(),
            program: std::env::current_exe().map_err(os)?,
        };
        let stop = Arc::new(AtomicBool::new(false));
        let terminated = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // The second one ends the process at once.
            flag::register_conditional_default(signal, Arc::clone(&stop)).map_err(os)?;
            if signal == SIGTERM {
                flag::register(signal, Arc::clone(&terminated)).map_err(os)?;
            }
            flag::register(signal, Arc::clone(&stop)).map_err(os)?;
        }
        let mut progress = Progress::new();
        let results = bench::run(&options, &stop, &mut |what| progress.show(what))?;
        let code = match terminated.load(Ordering::Relaxed) {
            true => exit::TERMINATED,
            false => exit::INTERRUPTED,
        };
        Ok(results.ok_or(code))
    }
}

/// One line on a terminal that says what is going on; it is gone at the end.
struct Progress {
    terminal: bool,
}

impl Progress {
    fn new() -> Progress {
        Progress {
            terminal: std::io::stderr().is_terminal(),
        }
    }

    fn show(&mut self, what: &str) {
        if self.terminal {
            let _ = write!(std::io::stderr(), "\r\x1b[K{what}");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.show("");
    }
}

/// A file that can be written is there afterwards; what was in it stays until then.
fn open(path: &Path) -> Result<std::fs::File, Error> {
    let mut options = std::fs::File::options();
    let file = options.append(true).create(true).open(path);
    file.map_err(|error| cannot(path, &error))
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    std::fs::write(path, text).map_err(|error| cannot(path, &error))
}

fn cannot(path: &Path, error: &std::io::Error) -> Error {
    Error::Create {
        path: path.to_owned(),
        problem: error.to_string(),
    }
}
