//! Fields of a label set: their kind, derived from the tokens of the type, and the code that reads
//! them.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{
    Error, Field, GenericArgument, Generics, Ident, Path, PathArguments, Result, Type, TypePath,
};

use crate::attribute;
use crate::name::Name;

/// A field, which is one label.
pub(crate) struct LabelField {
    pub(crate) name: Name,
    pub(crate) kind: Kind,
    ident: Ident,
    /// The number of references around the value.
    references: usize,
}

/// The way in which the value of a field is looked up and written.
pub(crate) enum Kind {
    /// Compared as text.
    Text,
    /// Compared as a word, written in decimal.
    Integer { unsigned: bool },
    /// Has two values.
    Bool,
    /// An enum with `LabelValue`, of this type.
    Choice(Box<Type>),
}

impl LabelField {
    /// Parses a named field of a struct.
    pub(crate) fn parse(field: &Field) -> Result<Self> {
        let ident = field.ident.clone().ok_or_else(|| {
            Error::new_spanned(
                field,
                "expected a struct with named fields, as in `kind: Kind`",
            )
        })?;
        let name = attribute::name(&field.attrs)?.unwrap_or_else(|| Name::from(&ident));
        name.check_label()?;
        let (inner, references) = without_references(&field.ty);
        Ok(LabelField {
            name,
            kind: kind(inner)?,
            ident,
            references,
        })
    }

    /// Returns true if the label has a fixed number of values, known at compile time.
    pub(crate) fn is_countable(&self) -> bool {
        matches!(self.kind, Kind::Bool | Kind::Choice(_))
    }

    /// Returns true if the value is text.
    pub(crate) fn is_text(&self) -> bool {
        matches!(self.kind, Kind::Text)
    }

    /// Returns the type that has to be a `LabelValue` because of the struct's type parameters.
    pub(crate) fn generic_choice(&self, generics: &Generics) -> Option<&Type> {
        match &self.kind {
            Kind::Choice(ty) if mentions_parameter(quote!(#ty), generics) => Some(ty),
            _ => None,
        }
    }

    /// Returns the number of values, a constant of type `usize`; only for countable fields.
    pub(crate) fn count(&self, root: &Path) -> TokenStream {
        match &self.kind {
            Kind::Choice(ty) => {
                let label_value = label_value(root, ty);
                quote!(#label_value::NAMES.len())
            }
            _ => quote!(2usize),
        }
    }

    /// Returns the index of the value, of type `usize`; only for countable fields.
    pub(crate) fn index(&self, root: &Path) -> TokenStream {
        let place = self.place();
        match &self.kind {
            Kind::Choice(ty) => {
                let label_value = label_value(root, ty);
                quote!(#label_value::index(&#place))
            }
            _ => quote!(::core::primitive::usize::from(#place)),
        }
    }

    /// Returns the value as a `u64` that no other value has; not for text.
    pub(crate) fn word(&self, root: &Path) -> TokenStream {
        let place = self.place();
        match &self.kind {
            Kind::Choice(_) => {
                let index = self.index(root);
                quote!(#index as ::core::primitive::u64)
            }
            Kind::Integer { unsigned: false } => quote!(#place as ::core::primitive::u64),
            _ => quote!(::core::primitive::u64::from(#place)),
        }
    }

    /// Returns the value as a `&str` that lives as long as `self`; only for text.
    pub(crate) fn text(&self) -> TokenStream {
        let ident = &self.ident;
        quote!(::core::convert::AsRef::<::core::primitive::str>::as_ref(&self.#ident))
    }

    /// Returns the value as it is exported, an expression of type `&str`.
    pub(crate) fn written(&self, root: &Path) -> TokenStream {
        let place = self.place();
        match &self.kind {
            Kind::Text => self.text(),
            Kind::Bool => quote!(if #place { "true" } else { "false" }),
            Kind::Integer { .. } => quote! {
                #root::callsite::ToLabel::to_label(&#place, &mut #root::callsite::LabelBuffer::new())
            },
            Kind::Choice(ty) => {
                let label_value = label_value(root, ty);
                let index = self.index(root);
                quote!(#label_value::NAMES[#index])
            }
        }
    }

    /// Returns the value behind the references.
    fn place(&self) -> TokenStream {
        let ident = &self.ident;
        match self.references {
            0 => quote!(self.#ident),
            references => {
                let stars = (0..references).map(|_| quote!(*));
                quote!((#(#stars)* self.#ident))
            }
        }
    }
}

/// Returns `<ty as LabelValue>`; the compiler reports an enum without the derive at the field's type.
fn label_value(root: &Path, ty: &Type) -> TokenStream {
    let span = ty.span().resolved_at(Span::call_site());
    quote_spanned!(span=> <#ty as #root::labels::LabelValue>)
}

fn without_references(ty: &Type) -> (&Type, usize) {
    match ty {
        Type::Paren(paren) => without_references(&paren.elem),
        Type::Group(group) => without_references(&group.elem),
        Type::Reference(reference) => {
            let (inner, references) = without_references(&reference.elem);
            (inner, references + 1)
        }
        _ => (ty, 0),
    }
}

fn kind(ty: &Type) -> Result<Kind> {
    let Type::Path(TypePath {
        qself: None, path, ..
    }) = ty
    else {
        return match ty {
            // A qualified path or a macro may name an enum; the compiler decides.
            Type::Path(_) | Type::Macro(_) => Ok(Kind::Choice(Box::new(ty.clone()))),
            _ => Err(Error::new_spanned(ty, EXPECTED)),
        };
    };
    let Some(last) = path.segments.last() else {
        return Err(Error::new_spanned(ty, EXPECTED));
    };
    Ok(match last.ident.to_string().as_str() {
        "str" | "String" => Kind::Text,
        "Cow" | "Box" | "Rc" | "Arc" if holds_str(&last.arguments) => Kind::Text,
        "u8" | "u16" | "u32" | "u64" => Kind::Integer { unsigned: true },
        "i8" | "i16" | "i32" | "i64" | "isize" | "usize" => Kind::Integer { unsigned: false },
        "bool" => Kind::Bool,
        "f32" | "f64" | "char" | "u128" | "i128" | "Option" => {
            return Err(Error::new_spanned(ty, EXPECTED));
        }
        _ => Kind::Choice(Box::new(ty.clone())),
    })
}

const EXPECTED: &str = "expected text, an integer of up to 64 bits, `bool`, \
                        or an enum with `#[derive(LabelValue)]`";

fn holds_str(arguments: &PathArguments) -> bool {
    let PathArguments::AngleBracketed(arguments) = arguments else {
        return false;
    };
    arguments.args.iter().any(|argument| {
        matches!(argument, GenericArgument::Type(Type::Path(inner)) if inner.path.is_ident("str"))
    })
}

fn mentions_parameter(tokens: TokenStream, generics: &Generics) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => generics.type_params().any(|param| param.ident == ident),
        TokenTree::Group(group) => mentions_parameter(group.stream(), generics),
        _ => false,
    })
}
