//! Pages as readers see them, through the public API alone.

mod parser;
mod table;
mod golden;
mod evidence;
mod hostile;
mod page;
