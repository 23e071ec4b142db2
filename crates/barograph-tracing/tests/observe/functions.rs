//! `#[observe]` on all kinds of functions.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;

use barograph_core::registry::Registry;
use barograph_tracing::observe::observe;

use crate::capture::{Capture, now, once, pause};

/// Returns the number of points of an operation with this error type.
fn points(service: &str, name: &str, error: &str) -> Option<f64> {
    let labels = [
        ("operation.service", service),
        ("operation.name", name),
        ("error.type", error),
    ];
    Registry::global().value("operation.duration", &labels)
}

const HERE: &str = module_path!();
const PARSE: &str = "core::num::error::ParseIntError";

#[observe(crate = "barograph_tracing")]
fn parse(text: &str) -> Result<u8, std::num::ParseIntError> {
    let number = text.parse()?;
    if number == 1 {
        return Ok(100);
    }
    Ok(number)
}

#[observe(crate = "barograph_tracing")]
async fn parse_later(text: String) -> Result<u8, std::num::ParseIntError> {
    pause().await;
    let number = text.parse()?;
    if number == 1 {
        return Ok(100);
    }
    Ok(number)
}

#[test]
fn functions_are_observed_by_their_module_and_name() {
    assert_eq!((parse("1"), parse("2")), (Ok(100), Ok(2)));
    parse("x").unwrap_err();
    assert_eq!(points(HERE, "parse", ""), Some(2.0));
    assert_eq!(points(HERE, "parse", PARSE), Some(1.0));
    assert_eq!(now(parse_later("1".into())), Ok(100));
    now(parse_later("x".into())).unwrap_err();
    once(parse_later("1".into()));
    assert_eq!(points(HERE, "parse_later", ""), Some(1.0));
    assert_eq!(points(HERE, "parse_later", PARSE), Some(1.0));
    assert_eq!(points(HERE, "parse_later", "cancelled"), Some(1.0));
    let (_, seen) = Capture::of(|| parse("2"));
    assert!(seen[0].starts_with("INFO span parse < -: operation.service=observe::functions"));
}

struct Shelf {
    books: Vec<String>,
}

#[observe(crate = "barograph_tracing")]
impl Shelf {
    #[observe(skip)]
    fn skipped(&self) -> usize {
        self.books.len()
    }

    fn without_self() -> Self {
        Shelf { books: vec![] }
    }

    fn first(&self) -> Option<&str> {
        self.books.first().map(|book| &**book)
    }

    fn last_mut(&mut self) -> Result<&mut String, Empty> {
        self.books.last_mut().ok_or(Empty)
    }

    async fn put<B: Into<String> + Send>(&mut self, book: B) -> usize {
        pause().await;
        self.books.push(book.into());
        self.books.len()
    }

    #[observe(name = "Take")]
    fn into_books<'a>(self, more: &'a [&'a str]) -> impl Iterator<Item = String> + 'a {
        self.books.into_iter().chain(more.iter().map(|&s| s.into()))
    }
}

/// An error with an empty message.
#[derive(PartialEq, Debug)]
struct Empty;

#[test]
fn methods_are_observed_by_the_name_of_their_type() {
    let mut shelf = Shelf::without_self();
    assert_eq!(shelf.last_mut(), Err(Empty));
    assert_eq!(now(shelf.put("a")), 1);
    shelf.last_mut().unwrap().push('b');
    assert_eq!((shelf.first(), shelf.skipped()), (Some("ab"), 1));
    let books: Vec<_> = shelf.into_books(&["c"]).collect();
    assert_eq!(books, ["ab", "c"]);
    assert_eq!(points("Shelf", "first", ""), Some(1.0));
    assert_eq!(points("Shelf", "last_mut", ""), Some(1.0));
    let empty = "observe::functions::Empty";
    assert_eq!(points("Shelf", "last_mut", empty), Some(1.0));
    assert_eq!(points("Shelf", "put", ""), Some(1.0));
    assert_eq!(points("Shelf", "Take", ""), Some(1.0));
    assert_eq!(points("Shelf", "skipped", ""), None);
    assert_eq!(points("Shelf", "without_self", ""), None);
}

#[observe(
    crate = "barograph_tracing",
    service = "Fields",
    level = "debug",
    fields(id, user.name = name, user.kind = "guest", list = ?list, shown = %id, "a-b" = id + 1)
)]
fn with_fields(id: u32, name: &str, list: Vec<u8>, secret: &str) -> usize {
    list.len() + name.len() + secret.len()
}

#[test]
fn arguments_are_recorded_where_that_is_asked_for() {
    let (_, seen) = Capture::of(|| with_fields(7, "eve", vec![1, 2], "hidden"));
    assert_eq!(
        seen,
        [
            "DEBUG span Fields/with_fields < -: operation.service=Fields \
             operation.name=with_fields user.kind=guest id=7 user.name=eve list=[1, 2] shown=7 \
             a-b=8"
        ]
    );
}

#[observe(crate = "barograph_tracing", service = "Generic")]
async fn generic<T, E>(result: Result<T, E>) -> Result<Vec<T>, E>
where
    T: Debug + Clone,
{
    Ok(vec![result?])
}

#[test]
fn generic_functions_know_the_type_of_their_error() {
    assert_eq!(now(generic::<_, Empty>(Ok("a"))), Ok(vec!["a"]));
    now(generic::<u8, _>(Err(Empty))).unwrap_err();
    assert_eq!(points("Generic", "generic", ""), Some(1.0));
    let empty = "observe::functions::Empty";
    assert_eq!(points("Generic", "generic", empty), Some(1.0));
}

#[derive(Debug)]
enum OrderError {
    Missing,
    Refused(u16),
}

impl OrderError {
    fn code(&self) -> String {
        match self {
            OrderError::Missing => "missing".to_owned(),
            OrderError::Refused(status) => status.to_string(),
        }
    }
}

#[observe(crate = "barograph_tracing", service = "Codes", err = OrderError::code, error_level = "off")]
fn order(status: u16) -> Result<(), OrderError> {
    match status {
        200 => Ok(()),
        404 => Err(OrderError::Missing),
        status => Err(OrderError::Refused(status)),
    }
}

#[test]
fn a_function_sets_the_type_of_an_error() {
    let (_, seen) = Capture::of(|| [200, 404, 402].map(|status| order(status).is_ok()));
    assert_eq!(seen.len(), 3, "{seen:?}");
    for error in ["", "missing", "402"] {
        assert_eq!(points("Codes", "order", error), Some(1.0), "{error}");
    }
}

trait Store {
    fn load<'a>(&'a self, key: &'a str) -> Pin<Box<dyn Future<Output = Result<u8, String>> + 'a>>;
}

struct Memory;

impl Store for Memory {
    // The code that macros for traits with async functions generate.
    #[observe(crate = "barograph_tracing", service = "Store", fields(key = key))]
    fn load<'a>(&'a self, key: &'a str) -> Pin<Box<dyn Future<Output = Result<u8, String>> + 'a>> {
        Box::pin(async move {
            pause().await;
            if key == "b" {
                return Err("secret".to_owned());
            }
            Ok(1)
        })
    }
}

#[observe(crate = "barograph_tracing", service = "Store")]
fn given(number: u8) -> impl Future<Output = u8> {
    let doubled = number * 2;
    async move {
        pause().await;
        doubled
    }
}

#[test]
fn a_function_that_gives_a_future_is_observed_while_that_runs() {
    drop(Memory.load("a"));
    assert_eq!(now(Memory.load("a")), Ok(1));
    now(Memory.load("b")).unwrap_err();
    once(Memory.load("a"));
    assert_eq!(points("Store", "load", ""), Some(1.0));
    assert_eq!(points("Store", "load", "_OTHER"), Some(1.0));
    assert_eq!(points("Store", "load", "cancelled"), Some(1.0));
    assert_eq!(now(given(2)), 4);
    assert_eq!(points("Store", "given", ""), Some(1.0));
}

#[observe(
    crate = "barograph_tracing",
    name = "SELECT",
    kind = "client",
    fields(db.system.name = "sqlite", db.collection.name = "rows")
)]
fn select() -> Result<(), Box<dyn std::error::Error>> {
    Ok(())
}

#[test]
fn a_function_can_be_the_call_of_a_database() {
    let (result, seen) = Capture::of(select);
    result.unwrap();
    assert_eq!(
        seen,
        [
            "INFO span SELECT rows < -: otel.kind=client db.operation.name=SELECT \
             db.system.name=sqlite db.collection.name=rows"
        ]
    );
    let labels = [
        ("db.system.name", "sqlite"),
        ("db.collection.name", "rows"),
        ("db.operation.name", "SELECT"),
    ];
    let value = Registry::global().value("db.client.operation.duration", &labels);
    assert_eq!(value, Some(1.0));
}

#[observe(crate = "barograph_tracing", service = "Nested")]
async fn outer() {
    inner().await;
    parse("1").unwrap();
}

#[observe(crate = "barograph_tracing", service = "Nested")]
async fn inner() {
    pause().await;
}

#[test]
fn observed_functions_nest() {
    let ((), seen) = Capture::of(|| now(outer()));
    let seen: Vec<_> = seen
        .iter()
        .map(|line| line.split(':').next().unwrap())
        .collect();
    let expected = [
        "INFO span Nested/inner < Nested/outer",
        "INFO span parse < Nested/outer",
        "INFO span Nested/outer < -",
    ];
    assert_eq!(seen, expected);
}
