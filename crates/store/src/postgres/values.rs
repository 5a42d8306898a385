//! Arguments and values in the types of the server.

use bytes::BytesMut;
use keysherd_base::Fault;
use tokio_postgres::Row;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use crate::engine::Value;
use crate::query::Arg;

type SqlError = Box<dyn std::error::Error + Sync + Send>;

impl ToSql for Arg<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, SqlError> {
        match *self {
            Self::Null => Ok(IsNull::Yes),
            // The counts of `substr` are of this type.
            Self::Int(number) if *ty == Type::INT4 => i32::try_from(number)?.to_sql(ty, out),
            Self::Int(number) if *ty == Type::INT8 => number.to_sql(ty, out),
            Self::Text(text) if <&str as ToSql>::accepts(ty) => text.to_sql(ty, out),
            Self::Blob(bytes) if *ty == Type::BYTEA => bytes.to_sql(ty, out),
            Self::Int(_) | Self::Text(_) | Self::Blob(_) => {
                Err(format!("an argument of another type than {ty}").into())
            }
        }
    }

    fn accepts(_: &Type) -> bool {
        // Each value is checked when it is written.
        true
    }

    to_sql_checked!();
}

/// A value of a row.
pub(crate) fn value(row: &Row, column: usize) -> Result<Value<'_>, Fault> {
    let missing = || Fault::internal(format_args!("an answer has no column {column}"));
    let ty = row.columns().get(column).ok_or_else(missing)?.type_();
    let found = match *ty {
        Type::INT8 => row.try_get::<_, Option<i64>>(column).map(|found| found.map(Value::Int)),
        Type::INT4 => row
            .try_get::<_, Option<i32>>(column)
            .map(|found| found.map(|number| Value::Int(number.into()))),
        Type::TEXT => row.try_get::<_, Option<&str>>(column).map(|found| found.map(Value::Text)),
        Type::BYTEA => row.try_get::<_, Option<&[u8]>>(column).map(|found| found.map(Value::Blob)),
        _ => return Ok(Value::Strange),
    };
    Ok(found.map_err(Fault::internal)?.unwrap_or(Value::Null))
}
