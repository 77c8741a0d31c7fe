//! Where a console or a port goes, as the file writes it: a word, or a table with a path.

use super::leaf::FilePath;
use super::read::Value;
use super::refusal::unknown;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use std::fmt;
use std::path::PathBuf;

const EXPECTED: &str =
    "\"stdio\", \"none\", { file = \"PATH\" } or, for a port, { socket = \"PATH\" }";

const NO_FILE: &str = "a file needs its path; write { file = \"PATH\" }";
const NO_SOCKET: &str = "a socket needs its path; write { socket = \"PATH\" }";
const TWO: &str = "output goes to one place; write { file = \"PATH\" } or { socket = \"PATH\" }";

/// `to`.
pub(super) enum Target {
    Stdio,
    None,
    File(PathBuf),
    Socket(PathBuf),
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct PathTarget {
    file: Option<Value<FilePath>>,
    socket: Option<Value<FilePath>>,
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Target, D::Error> {
        struct TargetVisitor;
        impl<'de> Visitor<'de> for TargetVisitor {
            type Value = Target;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(EXPECTED)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Target, E> {
                match text {
                    "stdio" => Ok(Target::Stdio),
                    "none" => Ok(Target::None),
                    "file" => Err(E::custom(NO_FILE)),
                    "socket" => Err(E::custom(NO_SOCKET)),
                    _ => Err(E::custom(unknown(
                        "console",
                        text,
                        &[
                            "stdio",
                            "none",
                            "{ file = \"PATH\" }",
                            "{ socket = \"PATH\" }",
                        ],
                    ))),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<Target, A::Error> {
                let target = PathTarget::deserialize(MapAccessDeserializer::new(table))?;
                match (target.file, target.socket) {
                    (Some(path), None) => Ok(Target::File(path.value)),
                    (None, Some(path)) => Ok(Target::Socket(path.value)),
                    (Some(_), Some(_)) => Err(A::Error::custom(TWO)),
                    (None, None) => Err(A::Error::custom(NO_FILE)),
                }
            }
        }
        deserializer.deserialize_any(TargetVisitor)
    }
}
