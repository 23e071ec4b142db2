mod fields;
mod json;
mod length;
mod names;
mod secrets;
mod texts;
