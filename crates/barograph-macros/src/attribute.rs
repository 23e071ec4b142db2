//! `#[label(...)]`: `name` on fields and variants, `crate` on the struct or enum.

use syn::{Attribute, Error, LitStr, Path, Result, parse_quote};

use crate::name::Name;

/// Returns the name that `#[label(name = "...")]` gives a field or variant.
pub(crate) fn name(attributes: &[Attribute]) -> Result<Option<Name>> {
    let literal = only(attributes, "name")?;
    Ok(literal.as_ref().map(Name::from))
}

/// Returns the crate that the output refers to: `#[label(crate = "...")]`, else `::barograph`.
pub(crate) fn root(attributes: &[Attribute]) -> Result<Path> {
    match only(attributes, "crate")? {
        Some(literal) => literal.parse_with(Path::parse_mod_style).map_err(|_| {
            Error::new_spanned(
                literal,
                "expected the path of a crate, as in `\"::barograph\"`",
            )
        }),
        None => Ok(parse_quote!(::barograph)),
    }
}

/// Returns the value of the only key that `#[label(...)]` takes in this position.
fn only(attributes: &[Attribute], key: &str) -> Result<Option<LitStr>> {
    let mut found = None;
    for attribute in attributes {
        if !attribute.path().is_ident("label") {
            continue;
        }
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident(key) {
                return Err(meta.error(format!("expected `{key} = \"...\"` here")));
            }
            if found.is_some() {
                return Err(meta.error(format!("`{key}` is given twice, expected it once")));
            }
            found = Some(meta.value()?.parse::<LitStr>()?);
            Ok(())
        })?;
    }
    Ok(found)
}
