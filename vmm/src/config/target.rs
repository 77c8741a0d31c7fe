//! Where the console goes, as the file writes it: a word, or a table with a file's path.

use super::leaf::FilePath;
use super::read::Value;
use super::refusal::unknown;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use std::fmt;
use std::path::PathBuf;

const EXPECTED: &str = "\"stdio\", \"none\" or { file = \"PATH\" }";

const NO_PATH: &str = "a file needs its path; write { file = \"PATH\" }";

/// `to`.
pub(super) enum Target {
    Stdio,
    None,
    File(PathBuf),
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct FileTarget {
    file: Option<Value<FilePath>>,
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
                    "file" => Err(E::custom(
                        "a file needs its path; write { file = \"PATH\" }",
                    )),
                    _ => Err(E::custom(unknown(
                        "console",
                        text,
                        &["stdio", "none", "{ file = \"PATH\" }"],
                    ))),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<Target, A::Error> {
                let target = FileTarget::deserialize(MapAccessDeserializer::new(table))?;
                let path = target.file.ok_or_else(|| A::Error::custom(NO_PATH))?;
                Ok(Target::File(path.value))
            }
        }
        deserializer.deserialize_any(TargetVisitor)
    }
}
