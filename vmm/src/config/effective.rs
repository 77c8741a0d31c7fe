//! A configuration as the TOML that would be read back to the same value, with every default written out.

use super::{
    Config, Console, Disk, Image, Link, NameServer, Net, PortEnd, Rng, UserNetwork, size, time,
};
use std::fmt::Write;
use std::path::Path;
use toml::Value;

impl Config {
    /// The configuration as TOML with every default written out. Read back from any file, it is the same configuration.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write_toml(&mut text);
        text
    }

    fn write_toml(&self, text: &mut String) -> std::fmt::Result {
        writeln!(text, "[guest]")?;
        match &self.guest.image {
            Image::File(path) => writeln!(text, "image = {}", quoted(&path.to_string_lossy()))?,
            Image::Package {
                directory,
                package,
                bin,
                profile,
            } => {
                writeln!(text, "package = {}", quoted(package))?;
                optional(text, "bin", bin.as_deref(), "the package's only one")?;
                optional(
                    text,
                    "profile",
                    profile.as_deref(),
                    "the one trapless was built with",
                )?;
                writeln!(text, "directory = {}", quoted(&directory.to_string_lossy()))?;
            }
        }
        let args: Vec<String> = self.guest.args.iter().map(|arg| quoted(arg)).collect();
        writeln!(text, "args = [{}]", args.join(", "))?;

        let env = self.guest.env.iter();
        let env: Vec<String> = env
            .map(|(name, value)| format!("{} = {}", key(name), quoted(value)))
            .collect();
        match env.is_empty() {
            true => writeln!(text, "env = {{}}")?,
            false => writeln!(text, "env = {{ {} }}", env.join(", "))?,
        }

        let machine = &self.machine;
        writeln!(text, "\n[machine]")?;
        writeln!(text, "vcpus = {}", machine.vcpus)?;
        writeln!(text, "memory = {}", quoted(&size::render(machine.memory)))?;
        writeln!(text, "huge_pages = {}", machine.huge_pages)?;
        writeln!(text, "trapped = {}", machine.trapped)?;
        write_rng(text, machine.rng.as_ref())?;

        self.write_consoles(text)?;

        for disk in &self.disks {
            write_disk(text, disk)?;
        }
        for net in &self.nets {
            write_net(text, net)?;
        }
        for vsock in &self.vsocks {
            writeln!(text, "\n[[vsock]]")?;
            writeln!(text, "name = {}", quoted(&vsock.name))?;
            writeln!(text, "cid = {}", vsock.cid)?;
            writeln!(text, "path = {}", quoted(&vsock.path.to_string_lossy()))?;
            write_rates(text, vsock.ops_per_second, vsock.bytes_per_second)?;
        }

        writeln!(text, "\n[calls]")?;
        let calls = &self.calls;
        writeln!(text, "transport = {}", quoted(calls.transport.name()))?;
        writeln!(text, "poll_window_us = {}", calls.poll_window.as_micros())?;
        writeln!(text, "timed = {}", calls.timed)?;

        writeln!(text, "\n[limits]")?;
        let limit = self.limits.time.map(time::render);
        optional(text, "time", limit.as_deref(), "no limit")?;
        writeln!(text, "grace = {}", quoted(&time::render(self.limits.grace)))?;
        writeln!(text, "poll_percent = {}", self.limits.poll_percent)?;
        let calls: Vec<String> = self
            .limits
            .calls
            .iter()
            .map(|class| quoted(class.name))
            .collect();
        writeln!(text, "calls = [{}]", calls.join(", "))?;

        Ok(())
    }

    /// One table where there is one console.
    fn write_consoles(&self, text: &mut String) -> std::fmt::Result {
        match self.ports.is_empty() {
            true => writeln!(text, "\n[console]")?,
            false => writeln!(text, "\n[[console]]")?,
        }
        let path =
            |kind: &str, path: &Path| format!("{{ {kind} = {} }}", quoted(&path.to_string_lossy()));
        match &self.console {
            Console::Stdio => writeln!(text, "to = \"stdio\"")?,
            Console::None => writeln!(text, "to = \"none\"")?,
            Console::File(file) => writeln!(text, "to = {}", path("file", file))?,
        }
        for port in &self.ports {
            writeln!(text, "\n[[console]]")?;
            writeln!(text, "name = {}", quoted(&port.name))?;
            match &port.to {
                PortEnd::Stdio => writeln!(text, "to = \"stdio\"")?,
                PortEnd::None => writeln!(text, "to = \"none\"")?,
                PortEnd::File(file) => writeln!(text, "to = {}", path("file", file))?,
                PortEnd::Socket(socket) => writeln!(text, "to = {}", path("socket", socket))?,
            }
            write_rates(text, port.ops_per_second, port.bytes_per_second)?;
        }
        Ok(())
    }
}

fn write_disk(text: &mut String, disk: &Disk) -> std::fmt::Result {
    writeln!(text, "\n[[disk]]")?;
    writeln!(text, "path = {}", quoted(&disk.path.to_string_lossy()))?;
    writeln!(text, "name = {}", quoted(&disk.name))?;
    writeln!(text, "read_only = {}", disk.read_only)?;
    writeln!(text, "direct = {}", disk.direct)?;
    writeln!(text, "cache = {}", quoted(disk.cache.name()))?;
    writeln!(text, "serial = {}", quoted(&disk.serial))?;
    writeln!(text, "backend = {}", quoted(disk.backend.name()))?;
    write_rates(text, disk.ops_per_second, disk.bytes_per_second)
}

/// On one line, as a table would end `[machine]`.
fn write_rng(text: &mut String, rng: Option<&Rng>) -> std::fmt::Result {
    let Some(rng) = rng else {
        return writeln!(text, "rng = false");
    };
    let rates = [
        ("ops_per_second", rng.ops_per_second),
        ("bytes_per_second", rng.bytes_per_second),
    ];
    let rates = rates.iter();
    let limits: Vec<String> = rates
        .filter_map(|(key, rate)| rate.map(|rate| format!("{key} = {rate}")))
        .collect();
    match limits.is_empty() {
        true => writeln!(text, "rng = true"),
        false => writeln!(text, "rng = {{ {} }}", limits.join(", ")),
    }
}

fn write_rates(text: &mut String, ops: Option<u64>, bytes: Option<u64>) -> std::fmt::Result {
    for (key, rate) in [("ops_per_second", ops), ("bytes_per_second", bytes)] {
        match rate {
            Some(rate) => writeln!(text, "{key} = {rate}")?,
            None => writeln!(text, "# {key}: no limit")?,
        }
    }
    Ok(())
}

fn write_net(text: &mut String, net: &Net) -> std::fmt::Result {
    writeln!(text, "\n[[net]]")?;
    writeln!(text, "name = {}", quoted(&net.name))?;
    let mac = net
        .mac
        .map(|mac| mac.map(|byte| format!("{byte:02x}")).join(":"));
    optional(
        text,
        "mac",
        mac.as_deref(),
        "made from the guest's name and the card's",
    )?;
    match net.mtu {
        Some(mtu) => writeln!(text, "mtu = {mtu}")?,
        None => writeln!(text, "# mtu: the tap device's, else 1500")?,
    }
    write_rates(text, net.ops_per_second, net.bytes_per_second)?;
    match &net.link {
        Link::Tap(name) => writeln!(text, "tap = {}", quoted(name)),
        Link::Connect(path) => writeln!(text, "stream = {}", quoted(&path.to_string_lossy())),
        Link::Listen(path) => writeln!(
            text,
            "stream = {{ listen = {} }}",
            quoted(&path.to_string_lossy())
        ),
        Link::User(user) => write_user(text, user),
    }
}

fn write_user(text: &mut String, user: &UserNetwork) -> std::fmt::Result {
    let forward = user.forward.iter().map(|it| quoted(&it.to_string()));
    let forward = forward.collect::<Vec<_>>().join(", ");
    let dns = match user.dns {
        NameServer::Host => "host".to_owned(),
        NameServer::At(address) => address.to_string(),
    };
    writeln!(text, "[net.user]")?;
    writeln!(text, "forward = [{forward}]")?;
    writeln!(text, "host_access = {}", user.host_access)?;
    writeln!(text, "network = {}", quoted(&user.network.to_string()))?;
    writeln!(text, "dns = {}", quoted(&dns))
}

/// A key with its value, or what its absence means.
fn optional(text: &mut String, key: &str, value: Option<&str>, absent: &str) -> std::fmt::Result {
    match value {
        Some(value) => writeln!(text, "{key} = {}", quoted(value)),
        None => writeln!(text, "# {key}: {absent}"),
    }
}

/// A TOML string on one line.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// A TOML key: without quotes where it needs none.
fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    match !name.is_empty() && name.chars().all(bare) {
        true => name.to_owned(),
        false => quoted(name),
    }
}
