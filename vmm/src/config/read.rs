//! How the tree's values are read by serde, so that each says what it expects in words for people and every error has a place.

use super::leaf::{Element, Leaf, Setting, Variable};
use serde::de::value::MapAccessDeserializer;
use serde::de::{
    Deserialize, DeserializeOwned, Deserializer, Error, MapAccess, SeqAccess, Visitor,
};
use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;
use toml::Spanned;

/// A leaf's value and its place.
pub(super) struct Value<T: Leaf> {
    pub at: Range<usize>,
    pub value: T::Value,
}

impl<'de, T: Leaf> Deserialize<'de> for Value<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Value<T>, D::Error> {
        let text = Spanned::<Text<T>>::deserialize(deserializer)?;
        Ok(Value {
            at: text.span(),
            value: text.into_inner().0,
        })
    }
}

/// A string that a leaf accepts.
struct Text<T: Leaf>(T::Value);

impl<'de, T: Leaf> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Text<T>, D::Error> {
        struct TextVisitor<T>(PhantomData<T>);
        impl<T: Leaf> Visitor<'_> for TextVisitor<T> {
            type Value = Text<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(T::EXPECTED)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text<T>, E> {
                T::read(text).map(Text).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(TextVisitor(PhantomData))
    }
}

/// An array of leaves.
pub(super) struct List<T: Element>(pub Vec<Value<T>>);

impl<'de, T: Element> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<List<T>, D::Error> {
        struct ListVisitor<T>(PhantomData<T>);
        impl<'de, T: Element> Visitor<'de> for ListVisitor<T> {
            type Value = List<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(T::EXPECTED_ARRAY)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<List<T>, A::Error> {
                let mut list = Vec::new();
                while let Some(element) = array.next_element()? {
                    list.push(element);
                }
                Ok(List(list))
            }
        }
        deserializer.deserialize_seq(ListVisitor(PhantomData))
    }
}

/// Environment variables, in the order of the file.
#[derive(Default)]
pub(super) struct Environment(pub Vec<(String, String)>);

impl<'de> Deserialize<'de> for Environment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Environment, D::Error> {
        struct EnvironmentVisitor;
        impl<'de> Visitor<'de> for EnvironmentVisitor {
            type Value = Environment;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table of variables such as { NAME = \"value\" }")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut table: A) -> Result<Environment, A::Error> {
                let mut variables = Vec::new();
                while let Some(variable) = table.next_entry::<Value<Variable>, Value<Setting>>()? {
                    variables.push(variable);
                }
                variables.sort_by_key(|(name, _)| name.at.start);
                let plain = variables
                    .into_iter()
                    .map(|(name, value)| (name.value, value.value));
                Ok(Environment(plain.collect()))
            }
        }
        deserializer.deserialize_map(EnvironmentVisitor)
    }
}

/// A table that is a struct, and not, as serde's derived structs would also have it, an array of the struct's fields.
#[derive(Default)]
pub(super) struct Table<T>(pub T);

impl<'de, T: DeserializeOwned> Deserialize<'de> for Table<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Table<T>, D::Error> {
        struct TableVisitor<T>(PhantomData<T>);
        impl<'de, T: DeserializeOwned> Visitor<'de> for TableVisitor<T> {
            type Value = Table<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table")
            }

            fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<Table<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(table)).map(Table)
            }
        }
        deserializer.deserialize_map(TableVisitor(PhantomData))
    }
}

/// Tables that are an array together.
pub(super) struct Tables<T>(pub Vec<Spanned<Table<T>>>);

impl<T> Default for Tables<T> {
    fn default() -> Tables<T> {
        Tables(Vec::new())
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Tables<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Tables<T>, D::Error> {
        struct TablesVisitor<T>(PhantomData<T>);
        impl<'de, T: DeserializeOwned> Visitor<'de> for TablesVisitor<T> {
            type Value = Tables<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("one or more tables, each below its name in double brackets")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Tables<T>, A::Error> {
                let mut tables = Vec::new();
                while let Some(table) = array.next_element()? {
                    tables.push(table);
                }
                Ok(Tables(tables))
            }
        }
        deserializer.deserialize_seq(TablesVisitor(PhantomData))
    }
}
