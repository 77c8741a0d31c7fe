//! The configuration file as a tree, key for key, and the one place where it becomes a [`Config`].

use super::claims::{Key, Part, Places};
use super::console::ConsoleTables;
use super::disk::DiskTable;
use super::leaf::{Argument, ClassName, FilePath, Grace, Memory, Name, TimeLimit, TransportName};
use super::net::NetTable;
use super::read::{Environment, List, Table, Tables, Value};
use super::rng::RngKey;
use super::share::PollPercent;
use super::vcpus::VcpuCount;
use super::vsock::VsockTable;
use super::window::PollWindow;
use super::{Calls, Config, Image, Limits, Machine};
use hypercall_abi::class::{CORE, Class, Classes};
use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::Spanned;

/// What is wrong with a tree whose every leaf is right, and where.
pub(super) type Wrong = (Range<usize>, String);

/// The file.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    guest: Option<Spanned<Table<GuestTable>>>,
    #[serde(default)]
    machine: Table<MachineTable>,
    #[serde(default)]
    console: ConsoleTables,
    #[serde(default)]
    disk: Tables<DiskTable>,
    #[serde(default)]
    net: Tables<NetTable>,
    #[serde(default)]
    vsock: Tables<VsockTable>,
    #[serde(default)]
    calls: Table<CallsTable>,
    #[serde(default)]
    limits: Table<LimitsTable>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct GuestTable {
    image: Option<Value<FilePath>>,
    package: Option<Value<Name>>,
    bin: Option<Value<Name>>,
    profile: Option<Value<Name>>,
    directory: Option<Value<FilePath>>,
    args: Option<List<Argument>>,
    #[serde(default)]
    env: Environment,
}

#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct MachineTable {
    vcpus: Option<VcpuCount>,
    memory: Option<Value<Memory>>,
    huge_pages: Option<bool>,
    trapped: Option<bool>,
    rng: Option<RngKey>,
}

#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct CallsTable {
    transport: Option<Value<TransportName>>,
    poll_window_us: Option<PollWindow>,
    timed: Option<bool>,
}

#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitsTable {
    time: Option<Value<TimeLimit>>,
    grace: Option<Value<Grace>>,
    poll_percent: Option<PollPercent>,
    calls: Option<List<ClassName>>,
}

impl File {
    /// Where the file says what runs in the VM.
    pub(super) fn guest_place(&self) -> Option<usize> {
        let table = self.guest.as_ref()?;
        let GuestTable { image, package, .. } = &table.get_ref().0;
        let image = image.as_ref().map(|image| image.at.start);
        let said = image.or(package.as_ref().map(|package| package.at.start));
        Some(said.unwrap_or(table.span().start))
    }

    /// The configuration, with relative paths resolved against `base`, an absolute path, and the places of what its parts claim.
    pub(super) fn into_config(self, base: &Path) -> Result<(Config, Places), Wrong> {
        let Some(guest) = self.guest else {
            let problem = "nothing says what runs in the VM; write [guest] with image = \"PATH\" or package = \"NAME\"";
            return Err((0..0, problem.to_owned()));
        };
        let place = guest.span();
        let mut guest = guest.into_inner().0;
        let args = guest.args.take().map_or_else(Vec::new, |args| args.0);
        let env = std::mem::take(&mut guest.env);
        let mut config = Config::new(guest.into_image(place, base)?);
        config.guest.args = args.into_iter().map(|arg| arg.value).collect();
        config.guest.env = env.0;
        self.machine.0.apply(&mut config.machine);
        let mut places = Places::default();
        (config.console, config.ports) = self.console.into_consoles(base, &mut places)?;
        for (index, disk) in self.disk.0.into_iter().enumerate() {
            let place = disk.span();
            places.add(Part::Disk(index), Key::Table, place.clone());
            let disk = disk.into_inner().0;
            config
                .disks
                .push(disk.into_disk(index, place, base, &mut places)?);
        }
        for (index, net) in self.net.0.into_iter().enumerate() {
            let place = net.span();
            places.add(Part::Net(index), Key::Table, place.clone());
            let net = net.into_inner().0;
            config
                .nets
                .push(net.into_net(index, place, base, &mut places)?);
        }
        for (index, vsock) in self.vsock.0.into_iter().enumerate() {
            let place = vsock.span();
            places.add(Part::Vsock(index), Key::Table, place.clone());
            let vsock = vsock.into_inner().0;
            config
                .vsocks
                .push(vsock.into_vsock(index, place, base, &mut places)?);
        }
        self.calls.0.apply(&mut config.calls);
        self.limits.0.apply(&mut config.limits)?;
        Ok((config, places))
    }
}

impl GuestTable {
    fn into_image(self, place: Range<usize>, base: &Path) -> Result<Image, Wrong> {
        match (self.image, self.package) {
            (None, None) => Err((
                place,
                "[guest] does not say what runs in the VM; write image = \"PATH\" or package = \"NAME\"".to_owned(),
            )),
            (Some(_), Some(package)) => Err((
                package.at,
                "`image` is there too, and a VM runs one thing; remove `image` or `package`".to_owned(),
            )),
            (Some(image), None) => {
                let foreign = |key: Option<Range<usize>>, name: &str| match key {
                    Some(at) => Err((at, format!("`{name}` belongs to a `package`, and this guest is an `image`; remove `{name}`"))),
                    None => Ok(()),
                };
                foreign(self.bin.map(|bin| bin.at), "bin")?;
                foreign(self.profile.map(|profile| profile.at), "profile")?;
                foreign(self.directory.map(|directory| directory.at), "directory")?;
                file(image, base).map(Image::File)
            }
            (None, Some(package)) => Ok(Image::Package {
                directory: match self.directory {
                    Some(directory) => cargo_directory(directory.at, base.join(directory.value))?,
                    None => cargo_directory(package.at, base.to_owned())?,
                },
                package: package.value,
                bin: self.bin.map(|bin| bin.value),
                profile: self.profile.map(|profile| profile.value),
            }),
        }
    }
}

/// The file, which must be there: a VM that cannot start is better refused here, with its line.
fn file(image: Value<FilePath>, base: &Path) -> Result<PathBuf, Wrong> {
    let path = base.join(image.value);
    let problem = match std::fs::metadata(&path) {
        Ok(found) if found.is_file() => return Ok(path),
        Ok(found) if found.is_dir() => "is a directory; write the path of an ELF file".to_owned(),
        Ok(_) => "is not a regular file; write the path of an ELF file".to_owned(),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            "is not there; build it first, or write package = \"NAME\" to have it built".to_owned()
        }
        Err(error) => format!("cannot be read: {error}"),
    };
    Err((image.at, format!("{} {problem}", path.display())))
}

/// The directory, which must be in a cargo package or workspace.
fn cargo_directory(at: Range<usize>, directory: PathBuf) -> Result<PathBuf, Wrong> {
    match directory
        .ancestors()
        .any(|above| above.join("Cargo.toml").is_file())
    {
        true => Ok(directory),
        false => Err((
            at,
            format!(
                "there is no Cargo.toml in {} or above it; write directory = \"PATH\" of the cargo workspace",
                directory.display()
            ),
        )),
    }
}

impl MachineTable {
    fn apply(self, machine: &mut Machine) {
        if let Some(count) = self.vcpus {
            machine.vcpus = count.0;
        }
        if let Some(memory) = self.memory {
            machine.memory = memory.value;
        }
        if let Some(huge_pages) = self.huge_pages {
            machine.huge_pages = huge_pages;
        }
        if let Some(trapped) = self.trapped {
            machine.trapped = trapped;
        }
        if let Some(rng) = self.rng {
            machine.rng = rng.into_rng();
        }
    }
}

impl CallsTable {
    fn apply(self, calls: &mut Calls) {
        if let Some(transport) = self.transport {
            calls.transport = transport.value;
        }
        if let Some(window) = self.poll_window_us {
            calls.poll_window = window.0;
        }
        if let Some(timed) = self.timed {
            calls.timed = timed;
        }
    }
}

impl LimitsTable {
    fn apply(self, limits: &mut Limits) -> Result<(), Wrong> {
        limits.time = self.time.map(|time| time.value);
        if let Some(grace) = self.grace {
            limits.grace = grace.value;
        }
        if let Some(percent) = self.poll_percent {
            limits.poll_percent = percent.0;
        }
        if let Some(calls) = self.calls {
            limits.calls = classes(calls.0)?;
        }
        Ok(())
    }
}

/// The set of the named classes and [`CORE`], which cannot be withheld.
fn classes(names: Vec<Value<ClassName>>) -> Result<Classes, Wrong> {
    let mut seen: Vec<Class> = Vec::new();
    for Value { at, value: class } in names {
        if seen.contains(&class) {
            return Err((
                at,
                format!("call class {:?} is listed twice; remove one", class.name),
            ));
        }
        seen.push(class);
    }
    Ok(seen
        .into_iter()
        .fold(Classes::NONE.with(CORE), Classes::with))
}
