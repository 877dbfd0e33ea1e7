//! A configuration put together from a file and the environment, read with an error that
//! says where it is and which variable is to blame.

use std::collections::{BTreeMap, btree_map};
use std::fmt;
use std::vec;

use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IntoDeserializer, MapAccess, SeqAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::Value;

/// A value and what is in it.
#[derive(Debug)]
pub(super) enum Node {
    /// Null, a truth value, a number or text, as YAML has it.
    Scalar(Value),
    /// What a variable says: text where text is wanted, else read as YAML.
    Variable {
        name: String,
        text: String,
    },
    List(Vec<Node>),
    Map {
        entries: BTreeMap<String, Node>,
        /// The variable without which this would not be a map.
        made_by: Option<String>,
    },
}

impl From<Value> for Node {
    fn from(value: Value) -> Self {
        match value {
            Value::Array(items) => Self::List(items.into_iter().map(Self::from).collect()),
            Value::Object(entries) => {
                let entries = entries.into_iter();
                Self::map(
                    entries.map(|(key, value)| (key, value.into())).collect(),
                    None,
                )
            }
            scalar => Self::Scalar(scalar),
        }
    }
}

impl Node {
    pub(super) fn map(entries: BTreeMap<String, Self>, made_by: Option<String>) -> Self {
        Self::Map { entries, made_by }
    }

    /// The entries of a map; whatever is none becomes one, on behalf of `variable`.
    pub(super) fn entries(&mut self, variable: Option<&str>) -> &mut BTreeMap<String, Self> {
        if let Self::Variable { text, .. } = self {
            *self = as_yaml(text).into();
        }
        if !matches!(self, Self::Map { .. }) {
            *self = Self::map(BTreeMap::new(), variable.map(str::to_owned));
        }
        match self {
            Self::Map { entries, .. } => entries,
            _ => unreachable!("it was just made a map"),
        }
    }

    /// A variable that gives this or something in it.
    fn variable(&self) -> Option<&str> {
        match self {
            Self::Variable { name, .. } => Some(name),
            Self::Map { entries, .. } => entries.values().find_map(Self::variable),
            Self::List(items) => items.iter().find_map(Self::variable),
            Self::Scalar(_) => None,
        }
    }
}

fn as_yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

/// Text as it stands, so that neither `123` nor `Printer #2` needs quotes; quotes that are
/// there anyway are YAML's.
fn as_text(text: String) -> String {
    match as_yaml(&text) {
        Value::String(unquoted) if text.starts_with(['"', '\'']) => unquoted,
        _ => text,
    }
}

impl<'de> Deserializer<'de> for Node {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Self::Scalar(value) => value.deserialize_any(visitor).map_err(Error::custom),
            Self::Variable { name, text } => Self::from(as_yaml(&text))
                .deserialize_any(visitor)
                .map_err(|error| error.because_of(Some(&name))),
            Self::List(items) => visitor.visit_seq(Items {
                rest: items.into_iter(),
                index: 0,
            }),
            Self::Map { entries, made_by } => visitor
                .visit_map(Entries {
                    rest: entries.into_iter(),
                    next: None,
                })
                .map_err(|error| match error.place.as_str() {
                    "" => error.because_of(made_by.as_deref()),
                    _ => error,
                }),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Self::Variable { name, text } => visitor
                .visit_string(as_text(text))
                .map_err(|error: Error| error.because_of(Some(&name))),
            other => other.deserialize_any(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self {
            Self::Scalar(Value::Null) => visitor.visit_none(),
            Self::Variable { text, .. } if as_yaml(text).is_null() => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    /// Our enums are words: none of their variants holds anything.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self {
            Self::Variable {
                name: variable,
                text,
            } => as_text(text)
                .into_deserializer()
                .deserialize_enum(name, variants, visitor)
                .map_err(|error: Error| error.because_of(Some(&variable))),
            Self::Scalar(value) => value
                .deserialize_enum(name, variants, visitor)
                .map_err(Error::custom),
            other => other.deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

struct Items {
    rest: vec::IntoIter<Node>,
    index: usize,
}

impl<'de> SeqAccess<'de> for Items {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        let Some(node) = self.rest.next() else {
            return Ok(None);
        };
        let place = format!("[{}]", self.index);
        self.index += 1;
        let read = seed.deserialize(node);
        read.map(Some).map_err(|error| error.within(&place))
    }
}

struct Entries {
    rest: btree_map::IntoIter<String, Node>,
    next: Option<(String, Node)>,
}

impl<'de> MapAccess<'de> for Entries {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        let Some((key, node)) = self.rest.next() else {
            return Ok(None);
        };
        let read = seed
            .deserialize(key.clone().into_deserializer())
            .map_err(|error: Error| error.because_of(node.variable()));
        self.next = Some((key, node));
        read.map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let (key, node) = self.next.take().expect("serde asks for the key first");
        seed.deserialize(node).map_err(|error| error.within(&key))
    }
}

/// Why a configuration cannot be read.
#[derive(Debug)]
pub(super) struct Error {
    /// The key, as in `webcams[1].path`; empty for the whole.
    place: String,
    variable: Option<String>,
    message: String,
}

impl Error {
    fn within(mut self, outer: &str) -> Self {
        let dot = match self.place.chars().next() {
            None | Some('[') => "",
            Some(_) => ".",
        };
        self.place = format!("{outer}{dot}{}", self.place);
        self
    }

    fn because_of(mut self, variable: Option<&str>) -> Self {
        self.variable = self.variable.or_else(|| variable.map(str::to_owned));
        self
    }
}

impl serde::de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self {
            place: String::new(),
            variable: None,
            message: message.to_string(),
        }
    }
}

impl std::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&super::place(&self.place, self.variable.as_deref()))?;
        f.write_str(&self.message)
    }
}
