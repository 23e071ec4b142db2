//! Pages for Prometheus and compatible scrapers: text format 0.0.4 and OpenMetrics 1.0.
//!
//! [`negotiate`] selects the format that a scraper asks for, an [`Exposition`] holds the sources,
//! and the [`Page`] that it creates is an iterator of chunks.
//!
//! **Invariant:** a page is valid whatever the sources supply. A family or a point that cannot be
//! represented is left out and listed in the page's [`Report`]; a panic of a source is caught.
//! Values are not checked for plausibility: a wrong number of a source appears on the page.
//!
//! ```
//! use std::sync::Arc;
//! use barograph_encode::prometheus::{Config, Exposition, negotiate};
//! use barograph_model::descriptor::{Descriptor, Kind};
//! use barograph_model::label::Labels;
//! use barograph_model::resource::Resource;
//! use barograph_model::snapshot::{FamilyView, Point, Source, Value};
//!
//! struct Uptime;
//!
//! impl Source for Uptime {
//!     fn collect(&self) -> Vec<Arc<dyn FamilyView>> {
//!         vec![Arc::new(Uptime)]
//!     }
//! }
//!
//! impl FamilyView for Uptime {
//!     fn descriptor(&self) -> Arc<Descriptor> {
//!         let mut descriptor = Descriptor::new("process.uptime", Kind::Gauge);
//!         descriptor.unit = "s".into();
//!         Arc::new(descriptor)
//!     }
//!     fn read(&self, _from: usize, show: &mut dyn FnMut(&Point<'_>)) -> Option<usize> {
//!         show(&Point::new(0, Labels::EMPTY, Value::F64(1.5)));
//!         None
//!     }
//! }
//!
//! let config = Config::new();
//! let negotiated = negotiate(Some("text/plain"), None, &config);
//! assert_eq!(negotiated.content_type(), "text/plain; version=0.0.4; charset=utf-8");
//! let exposition = Exposition::new(config, &Resource::new(), [Arc::new(Uptime) as Arc<dyn Source>]);
//! assert_eq!(
//!     exposition.page(negotiated).text(),
//!     "# HELP process_uptime_seconds process.uptime\n\
//!      ## TYPE process_uptime_seconds gauge\n\
//!      process_uptime_seconds 1.5\n"
//! );
//! ```

mod unit;
mod name;
mod config;
mod negotiate;
mod escape;
mod chunk_writer;
mod digits;
mod number;
mod label;
mod exemplar;
mod line;
mod fast_line;
mod fast_bucket;
mod histogram;
mod family;
mod name_resolver;
mod page;
#[cfg(feature = "parse")]
mod stem;
#[cfg(feature = "parse")]
pub mod parse;

pub use crate::report::{LeftOut, Reason, Rejection, Report};
pub use config::{Config, Switch};
pub use name::{Escaping, Translation};
pub use negotiate::{Compression, Format, Negotiated, negotiate};
pub use page::{Exposition, Page};
#[cfg(feature = "parse")]
pub use stem::{stem, unescaped};
pub use unit::word as unit_word;
