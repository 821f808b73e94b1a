//! Describes the schema of an input: its columns, its metadata, that of a footer, and which column has which
//! dictionary.

use std::collections::HashMap;
use std::io::{self, Write};

use arrow_schema::SchemaRef;
use ipc_core::Metadata;
use ipc_recover::{Damage, Input as Account};
use serde_json::{Value, json};

use crate::decode;
use crate::dictionaries;
use crate::error::one_line;

/// The schema of an input, and the metadata of its footer.
pub(crate) struct Description {
    schema: SchemaRef,
    metadata: Metadata,
    /// `None` for a stream, and for a file without a footer.
    footer: Option<Metadata>,
    /// The path of the first column that has the dictionary with this id.
    columns: HashMap<i64, String>,
}

impl Description {
    /// Describes the stream, or the file, that is being read.
    ///
    /// # Errors
    ///
    /// If the schema cannot be decoded.
    pub(crate) fn of(account: &Account<'_>) -> Result<Self, Damage> {
        let schema = decode::schema(account.schema()).map_err(|fault| Damage::new(account.schema_offset(), fault))?;
        let footer = account.footer().map(|footer| decode::metadata(footer.flatbuffer().custom_metadata()));
        let mut columns = HashMap::new();
        for field in dictionaries::fields(schema.fields()) {
            columns.entry(field.id()).or_insert_with(|| field.path().to_owned());
        }
        let metadata = own(&schema.metadata);
        Ok(Self { schema, metadata, footer, columns })
    }

    /// The path of the first column that has the dictionary with this id.
    pub(crate) fn column(&self, id: i64) -> Option<&str> {
        self.columns.get(&id).map(String::as_str)
    }

    /// Writes the columns and the metadata, one in a line.
    pub(crate) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let fields = self.schema.fields();
        writeln!(out, "schema:")?;
        for field in fields.iter().take(COLUMNS_AT_MOST) {
            let nullable = if field.is_nullable() { "" } else { ", not null" };
            let extension = field.metadata().get(EXTENSION_NAME);
            let extension = extension.map_or_else(String::new, |name| format!(", extension type {}", shortened(name)));
            let (name, data_type) = (shortened(field.name()), shortened(&field.data_type().to_string()));
            writeln!(out, "  {name}: {data_type}{nullable}{extension}")?;
        }
        if fields.len() > COLUMNS_AT_MOST {
            writeln!(out, "  and {} more columns", fields.len() - COLUMNS_AT_MOST)?;
        }
        for (name, metadata) in [("schema", Some(&self.metadata)), ("footer", self.footer.as_ref())] {
            let Some(metadata) = metadata.filter(|metadata| !metadata.is_empty()) else { continue };
            writeln!(out, "metadata of the {name}:")?;
            for (key, value) in metadata.iter() {
                writeln!(out, "  {}: {}", shortened(key), shortened(value))?;
            }
        }
        Ok(())
    }

    /// The columns and the metadata, for programs.
    pub(crate) fn json(&self) -> Value {
        let fields = self.schema.fields().iter().map(|field| {
            json!({
                "name": field.name(),
                "type": field.data_type().to_string(),
                "nullable": field.is_nullable(),
                "metadata": object(&own(field.metadata())),
            })
        });
        json!({
            "fields": fields.collect::<Vec<_>>(),
            "metadata": object(&self.metadata),
            "footer_metadata": self.footer.as_ref().map(object),
        })
    }
}

fn own(metadata: &arrow_schema::Metadata) -> Metadata {
    metadata.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn object(metadata: &Metadata) -> Value {
    let pairs = metadata.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str())));
    pairs.collect::<serde_json::Map<_, _>>().into()
}

/// A text in one line, without its end if it is long.
fn shortened(text: &str) -> String {
    let start: String = text.chars().take(SHOWN_AT_MOST).collect();
    let more = if start.len() < text.len() { "..." } else { "" };
    one_line(&start) + more
}

/// The key, in the metadata of a field, of the name of its extension type.
const EXTENSION_NAME: &str = "ARROW:extension:name";

/// The number of columns that are shown to people.
const COLUMNS_AT_MOST: usize = 100;

/// The number of characters of a name, a type or a value that are shown to people.
const SHOWN_AT_MOST: usize = 120;
